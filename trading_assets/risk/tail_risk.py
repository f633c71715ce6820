"""Value at risk and expected shortfall of a sample: as it is, or taken to be Gaussian.

Both are losses as positive fractions of what is invested; a negative one is a gain that is exceeded
on the downside with the tail's probability. Source: McNeil, Frey and Embrechts, Quantitative Risk
Management, 2015, sections 2.2 and 2.3.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trading_assets.errors import DataError
from trading_assets.risk.return_samples import (
    Series,
    compound_returns,
    least_returns,
    require_horizon,
    require_returns,
    require_tail,
)

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class TailRisk:
    """A loss that is exceeded with the tail's probability, and the mean of what exceeds it.

    Attributes
    ----------
    value_at_risk, expected_shortfall : float
        Positive fractions for losses; the second is at least the first.
    """

    value_at_risk: float
    expected_shortfall: float


def historical_tail_risk(returns: Series, tail: float, horizon_bars: int = 1) -> TailRisk:
    """Return the tail risk of a sample as it is.

    The value at risk lies at position `p (n + 1)` among losses, largest first, interpolated: of n
    returns and the next one, all exchangeable, the next is beyond it with probability p. The
    shortfall is the mean of the worst share p of the sample, one loss of it counted in part where
    `p n` is not whole (Acerbi and Tasche, On the Coherence of Expected Shortfall, Journal of
    Banking and Finance 26, 2002).

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns of a bar, oldest first.
    tail : float
        p, in (0, 0.5).
    horizon_bars : int
        Bars of a loss; runs of so many, which overlap, are the sample then.

    Raises
    ------
    DataError
        If the sample has no loss in the tail, a return is not finite, or tail or horizon are out of
        range.
    """
    require_tail(tail)
    require_horizon(horizon_bars)
    require_returns(returns, least_returns(tail) + horizon_bars - 1)
    losses = np.sort(-compound_returns(returns, horizon_bars))[::-1]
    return TailRisk(_loss_at(losses, tail), _mean_of_worst(losses, tail))


def gaussian_tail_risk(returns: Series, tail: float, horizon_bars: int = 1) -> TailRisk:
    """Return the tail risk of a Gaussian with a sample's mean and deviation.

    Over h bars the mean counts h times and the deviation sqrt(h) times: compounding is left out.

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
    DataError
        If there are too few returns, one is not finite, or tail or horizon are out of range.
    """
    require_horizon(horizon_bars)
    require_returns(returns)
    mean = horizon_bars * float(returns.mean())
    return gaussian_tail(mean, math.sqrt(horizon_bars) * float(returns.std(ddof=1)), tail)


def gaussian_tail(mean: float, deviation: float, tail: float) -> TailRisk:
    """Return `z s - m` and `phi(z) s / p - m` of a Gaussian, z its quantile at `1 - p`.

    Parameters
    ----------
    mean : float
        m, expected return.
    deviation : float
        s, standard deviation of the return.
    tail : float
        p, in (0, 0.5).

    Raises
    ------
    DataError
        If mean or deviation are not finite, the deviation is negative, or the tail out of range.
    """
    require_tail(tail)
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation >= 0.0):
        msg = f"mean and deviation were {mean} and {deviation}; expected finite, the latter not < 0"
        raise DataError(msg)
    quantile = _NORMAL.inv_cdf(1.0 - tail)
    return TailRisk(
        value_at_risk=quantile * deviation - mean,
        expected_shortfall=_NORMAL.pdf(quantile) / tail * deviation - mean,
    )


def _loss_at(losses: Series, tail: float) -> float:
    # Rounded, as 0.05 x 1000 need not be 50 exactly.
    position = max(round(tail * (len(losses) + 1), 9), 1.0)
    return float(np.interp(position, np.arange(1, len(losses) + 1), losses))


def _mean_of_worst(losses: Series, tail: float) -> float:
    count = round(tail * len(losses), 9)
    whole = int(count)
    partly = (count - whole) * float(losses[whole]) if count > whole else 0.0
    return (float(losses[:whole].sum()) + partly) / count
