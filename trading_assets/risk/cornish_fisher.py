"""Tail risk of a sample that is nearly Gaussian, by its skewness and kurtosis.

Sources: Cornish and Fisher, Moments and Cumulants in the Specification of Distributions, Review of
the International Statistical Institute 5 (1938); domain and shortfall: Maillard, A User's Guide to
the Cornish Fisher Expansion, 2012. The moments put in are those of the sample: what the expansion
makes of a Gaussian has them only nearly.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trading_assets.risk.return_samples import (
    InapplicableError,
    Series,
    require_horizon,
    require_returns,
    require_tail,
)
from trading_assets.risk.tail_risk import TailRisk, gaussian_tail

_NORMAL = NormalDist()
_STILL = 1e-14


@dataclass(frozen=True, slots=True)
class Shape:
    """How a distribution differs from a Gaussian.

    Attributes
    ----------
    skewness : float
        Third standardised moment.
    excess_kurtosis : float
        Fourth standardised moment, less 3.
    """

    skewness: float
    excess_kurtosis: float

    @property
    def is_monotone(self) -> bool:
        """Whether the expansion rises everywhere, so that it gives quantiles."""
        skew, excess = self.skewness, self.excess_kurtosis
        # Its derivative is the parabola a z^2 + (skew / 3) z + c.
        a = excess / 8.0 - skew**2 / 6.0
        c = 1.0 - excess / 8.0 + 5.0 * skew**2 / 36.0
        if a == 0.0:
            return skew == 0.0 and c > 0.0
        return a > 0.0 and (skew / 3.0) ** 2 <= 4.0 * a * c

    def over_bars(self, bars: int) -> "Shape":
        """Return the shape of a sum of so many independent draws."""
        return Shape(self.skewness / math.sqrt(bars), self.excess_kurtosis / bars)


def expand_quantile(z: float, shape: Shape) -> float:
    """Return what the expansion makes of a Gaussian quantile z.

    `z + (z^2 - 1) S / 6 + (z^3 - 3 z) K / 24 - (2 z^3 - 5 z) S^2 / 36`.

    Raises
    ------
    InapplicableError
        If the expansion does not rise everywhere.
    """
    _require_monotone(shape)
    skew, excess = shape.skewness, shape.excess_kurtosis
    cubic = (z**3 - 3.0 * z) * excess / 24.0 - (2.0 * z**3 - 5.0 * z) * skew**2 / 36.0
    return z + (z**2 - 1.0) * skew / 6.0 + cubic


def cornish_fisher_tail_risk(returns: Series, tail: float, horizon_bars: int = 1) -> TailRisk:
    """Return the tail risk of a sample by its first four moments.

    Over h bars, taken as independent, the mean counts h and the deviation sqrt(h) times, the
    skewness is divided by sqrt(h) and the excess kurtosis by h.

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns of a bar, oldest first.
    tail : float
        p, in (0, 0.5).
    horizon_bars : int
        h, bars of a loss.

    Raises
    ------
    InapplicableError
        If the moments lie outside the domain of the expansion.
    DataError
        If there are too few returns, one is not finite, or tail or horizon are out of range.
    """
    require_tail(tail)
    require_horizon(horizon_bars)
    require_returns(returns)
    mean = horizon_bars * float(returns.mean())
    deviation = math.sqrt(horizon_bars) * float(returns.std(ddof=1))
    if deviation <= _STILL * max(1.0, float(np.abs(returns).max())):
        return gaussian_tail(mean, 0.0, tail)
    shape = shape_of(returns).over_bars(horizon_bars)
    z = _NORMAL.inv_cdf(tail)
    return TailRisk(
        value_at_risk=-mean - deviation * expand_quantile(z, shape),
        expected_shortfall=-mean + deviation * _mean_beyond(z, tail, shape),
    )


def shape_of(returns: Series) -> Shape:
    """Return the skewness and excess kurtosis of a sample that varies."""
    centred = returns - returns.mean()
    scaled = centred / math.sqrt(float(np.mean(centred**2)))
    return Shape(float(np.mean(scaled**3)), float(np.mean(scaled**4)) - 3.0)


def _mean_beyond(z: float, tail: float, shape: Shape) -> float:
    """Return the mean loss beyond z: the expansion integrated against the Gaussian density."""
    skew, excess = shape.skewness, shape.excess_kurtosis
    cubic = (z**2 - 1.0) * excess / 24.0 - (2.0 * z**2 - 1.0) * skew**2 / 36.0
    return _NORMAL.pdf(z) / tail * (1.0 + z * skew / 6.0 + cubic)


def _require_monotone(shape: Shape) -> None:
    if not shape.is_monotone:
        msg = (
            f"skewness was {shape.skewness:.4g} and excess kurtosis {shape.excess_kurtosis:.4g};"
            " expected them in the domain where the Cornish-Fisher expansion rises: measure by"
            " another method"
        )
        raise InapplicableError(msg)
