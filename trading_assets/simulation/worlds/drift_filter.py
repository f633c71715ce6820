"""The Bayes filter of a drift that switches between two values and is seen through returns only.

`mu = +-m` stays with probability p, `r = mu + sigma u`. The filter's probability q of the upper
drift follows `q <- q L / (q L + 1 - q)`, `L = exp(2 m r / sigma^2)`, then
`q <- p q + (1 - p) (1 - q)`.
Source: Hamilton, Econometrica 57 (1989).
"""

from dataclasses import dataclass
from functools import cache
from math import ceil, log, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import entr, expit, logit

from trading_assets.errors import DataError
from trading_assets.simulation.core import Floats

# With less, a bar tells so little that the law of the filter has no grid of sensible size.
LEAST_DRIFT_SHARE = 0.02
MOST_STAY_PROBABILITY = 0.999
_STEPS_A_DEVIATION = 8
_TAIL_DEVIATIONS = 9.0


@dataclass(frozen=True, slots=True)
class DriftProcess:
    """A hidden drift and the returns it is seen through.

    Attributes
    ----------
    volatility : float
        sigma, standard deviation of one bar's return given the drift.
    drift : float
        m, size of the drift of a bar.
    stay_probability : float
        p, probability that the next bar has the drift of this one.

    Raises
    ------
    DataError
        If the drift is too small beside the volatility, or the drift does not tend to stay.
    """

    volatility: float
    drift: float
    stay_probability: float

    def __post_init__(self) -> None:
        if not self.drift >= LEAST_DRIFT_SHARE * self.volatility > 0.0:
            msg = (
                f"drift was {self.drift} with a volatility of {self.volatility}; expected at least"
                f" {LEAST_DRIFT_SHARE} of the volatility, which is above 0: raise the drift"
            )
            raise DataError(msg)
        if not 0.5 < self.stay_probability <= MOST_STAY_PROBABILITY:
            msg = (
                f"stay_probability was {self.stay_probability}; expected above 0.5, at most"
                f" {MOST_STAY_PROBABILITY}: a drift that tends to stay, and to change in the end"
            )
            raise DataError(msg)


@dataclass(frozen=True, slots=True)
class FilterLaw:
    """What the filter says at a close, in the long run.

    Attributes
    ----------
    probability : float64 (n_nodes,)
        q, probability that the next bar's drift is the upper one; read-only.
    weight : float64 (n_nodes,)
        How often q is near its node; sums to 1; read-only.
    """

    probability: Floats
    weight: Floats

    @property
    def accuracy(self) -> float:
        """Share of bars whose drift is the one that the filter held more likely before."""
        return float(self.weight @ np.maximum(self.probability, 1.0 - self.probability))

    @property
    def log_loss(self) -> float:
        """Mean negative log of the probability given to the drift of the next bar, in nats."""
        return float(self.weight @ (entr(self.probability) + entr(1.0 - self.probability)))


@dataclass(frozen=True, slots=True)
class DriftAverage:
    """The best forecast of the drift that is linear in past returns, an exponential average.

    Attributes
    ----------
    keep, gain : float
        `forecast = keep forecast_before + gain r`.
    explained_variance : float
        Variance of the forecast.
    """

    keep: float
    gain: float
    explained_variance: float

    def follow(self, returns: Floats) -> Floats:
        """Return the forecast of the next bar's drift at each close, shaped as `returns`."""
        forecast = lfilter([self.gain], [1.0, -self.keep], returns, axis=0)
        return np.asarray(forecast, dtype=np.float64)


def draw_returns(
    process: DriftProcess, n_bars: int, n_paths: int, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return stationary returns float64, and whether the drift is the upper one, (n_bars, n_paths).

    Both are of the same bar; the return is known at its close, the drift never.
    """
    turns = np.where(rng.random((n_bars, n_paths)) < process.stay_probability, 1.0, -1.0)
    turns[:1] = np.where(rng.random((1, n_paths)) < 0.5, 1.0, -1.0)
    side = np.cumprod(turns, axis=0, dtype=np.float64)
    noise = rng.standard_normal((n_bars, n_paths))
    return process.drift * side + process.volatility * noise, side > 0.0


def filter_probabilities(process: DriftProcess, returns: Floats) -> Floats:
    """Return the probability at each close that the next bar's drift is the upper one.

    Parameters
    ----------
    process : DriftProcess
        The process.
    returns : float64 (n_bars, ...)
        Returns of bars; odds are even before the first.

    Returns
    -------
    float64 (n_bars, ...)
        Of the bar after, known at the close.
    """
    evidence = 2.0 * process.drift / process.volatility**2 * returns
    probability = np.empty_like(returns)
    odds = np.zeros(returns.shape[1:])
    for bar, told in enumerate(evidence):
        probability[bar] = _carried(process, odds + told)
        odds = logit(probability[bar])
    return probability


@cache
def filter_law(process: DriftProcess) -> FilterLaw:
    """Return the stationary law of the filter, solved once in a process.

    Log-odds after a return are normal around those carried over from the bar before, so that their
    law solves a linear integral equation with a smooth kernel: evenly spaced nodes are a quadrature
    that is exact to rounding for smooth functions (Nystrom's method).
    """
    # Evidence of one bar has deviation s and mean +-s^2 / 2.
    s = 2.0 * process.drift / process.volatility
    stay = process.stay_probability
    top = log(stay / (1.0 - stay)) + 0.5 * s**2 + _TAIL_DEVIATIONS * s
    half = ceil(top / s * _STEPS_A_DEVIATION)
    after: Floats = np.arange(-half, half + 1, dtype=np.float64) * (s / _STEPS_A_DEVIATION)
    probability = _carried(process, after)
    distance = after[None, :] - logit(probability)[:, None]
    upper, lower = (np.exp(-0.5 * ((distance - mean) / s) ** 2) for mean in (s**2 / 2, -(s**2) / 2))
    kernel = probability[:, None] * upper + (1.0 - probability[:, None]) * lower
    kernel /= _STEPS_A_DEVIATION * sqrt(2.0 * pi)
    system = kernel.T - np.eye(len(after))
    # Any one equation follows from the others; in its place weights sum to 1.
    system[half] = 1.0
    weight: Floats = np.linalg.solve(system, (np.arange(len(after)) == half).astype(np.float64))
    probability.setflags(write=False)
    weight.setflags(write=False)
    return FilterLaw(probability, weight)


def best_average(process: DriftProcess) -> DriftAverage:
    """Return the stationary Kalman filter of the drift.

    The drift has mean 0, variance m^2 and autocorrelation (2 p - 1)^k, and only these matter for a
    linear forecast.
    Source: Kalman, J. Basic Eng. 82 (1960).
    """
    phi, noise = 2.0 * process.stay_probability - 1.0, process.volatility**2
    variance = process.drift**2
    # Unexplained variance P solves P = phi^2 P noise / (P + noise) + (1 - phi^2) variance.
    linear = (1.0 - phi**2) * (noise - variance)
    unexplained = 0.5 * (-linear + sqrt(linear**2 + 4.0 * (1.0 - phi**2) * variance * noise))
    gain = phi * unexplained / (unexplained + noise)
    return DriftAverage(phi - gain, gain, variance - unexplained)


def _carried(process: DriftProcess, odds: Floats) -> Floats:
    stay = process.stay_probability
    return stay * expit(odds) + (1.0 - stay) * expit(-odds)
