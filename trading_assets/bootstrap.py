"""The stationary bootstrap: what a figure of dependent bars could have been.

Sources: Politis and Romano, The Stationary Bootstrap, JASA 89 (1994); block length by Politis and
White, Econometric Reviews 23 (2004), as corrected by Patton, Politis and White, Econometric Reviews
28 (2009).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval, in the unit of the figure it belongs to."""

    low: float
    high: float


def optimal_block_bars(series: Series) -> float:
    """Return the mean block length, in bars, that suits the autocorrelation of `series`.

    Parameters
    ----------
    series : float64 (T,)
        A stationary series. Without variance, or with fewer than 16 bars, the length is 1.

    Returns
    -------
    float
        At least 1 and at most `min(3 sqrt(T), T / 3)`.
    """
    bars = len(series)
    if bars < 16 or float(series.std()) <= 1e-14 * float(np.abs(series).max()):
        return 1.0
    insignificant_run = max(5, math.ceil(math.log10(bars)))
    longest_lag = math.ceil(math.sqrt(bars)) + insignificant_run
    covariance = _autocovariances(series, longest_lag)
    last_lag = max(_last_significant_lag(covariance, bars, insignificant_run), 1)
    bandwidth = min(2 * last_lag, longest_lag)
    lags = np.arange(1, bandwidth + 1)
    flat_top = np.minimum(1.0, 2.0 * (1.0 - lags / bandwidth))
    slope = 2.0 * float(np.sum(flat_top * lags * covariance[1 : bandwidth + 1]))
    long_run = float(covariance[0] + 2.0 * np.sum(flat_top * covariance[1 : bandwidth + 1]))
    if long_run <= 0:
        return 1.0
    length = (slope**2 / long_run**2 * bars) ** (1.0 / 3.0)
    return max(1.0, min(length, math.ceil(min(3.0 * math.sqrt(bars), bars / 3.0))))


def resampled_positions(
    bars: int, block_bars: float, samples: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return positions into a series of `bars` for every stationary-bootstrap sample.

    Parameters
    ----------
    bars : int
        T, length of the series; blocks wrap around its end.
    block_bars : float
        Mean of the geometric block length, at least 1.
    samples : int
        Number of samples.
    rng : Generator
        Source of the draws.

    Returns
    -------
    intp (samples, T)
        Each row draws blocks with a random start.
    """
    is_start = rng.random((samples, bars)) < 1.0 / block_bars
    is_start[:, 0] = True
    starts = rng.integers(0, bars, (samples, bars))
    clock = np.arange(bars)
    last_start = np.maximum.accumulate(np.where(is_start, clock, 0), axis=1)
    return (np.take_along_axis(starts, last_start, axis=1) + clock - last_start) % bars


def percentile_interval(resampled: Series, confidence: float) -> Interval:
    """Return the interval that holds a share `confidence` of resampled figures (samples,).

    nan are left out: a figure that a resample does not define.
    """
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(resampled[~np.isnan(resampled)], [tail, 1.0 - tail])
    return Interval(float(low), float(high))


def basic_interval(resampled: Series, observed: float, confidence: float) -> Interval:
    """Return the basic interval of a figure, `2 d - q` of resampled figures d*.

    It ends at resamples, chosen so that it lies above 0 exactly where `one_sided_p` is below
    `(1 - confidence) / 2`, and excludes 0 exactly where `two_sided_p` is below `1 - confidence`.
    Source: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2.

    Parameters
    ----------
    resampled : float64 (samples,)
        d*, one a resample; nan are left out.
    observed : float
        d, of the data themselves.
    confidence : float
        Coverage.

    Returns
    -------
    Interval
        Infinite at both ends where so few resamples can exclude nothing.
    """
    distance = np.sort(resampled[~np.isnan(resampled)] - observed)
    # Rounded, as (1 - 0.95) / 2 is not quite 0.025.
    share = round((1.0 - confidence) / 2.0 * (len(distance) + 1), 9)
    beyond = math.ceil(share) - 1
    if beyond < 1:
        return Interval(-math.inf, math.inf)
    return Interval(observed - float(distance[-beyond]), observed - float(distance[beyond - 1]))


def one_sided_p(resampled: Series, observed: float) -> float:
    """Return the probability of a figure at least as large as `observed` if its truth were 0.

    Counts resampled figures, centred on the observed one, that reach it:
    `(1 + #{d* - d >= d}) / (samples + 1)`; nan are left out.

    Parameters
    ----------
    resampled : float64 (samples,)
        d*, one a resample.
    observed : float
        d, of the data themselves.
    """
    defined = resampled[~np.isnan(resampled)]
    reached = int(np.sum(defined - observed >= observed))
    return (1 + reached) / (len(defined) + 1)


def two_sided_p(resampled: Series, observed: float) -> float:
    """Return the probability of a figure at least as far from 0 if its truth were 0.

    Twice the smaller of the one-sided ones, at most 1.

    Parameters
    ----------
    resampled : float64 (samples,)
        d*, one a resample; nan are left out.
    observed : float
        d, of the data themselves.
    """
    sides = (one_sided_p(resampled, observed), one_sided_p(-resampled, -observed))
    return min(1.0, 2.0 * min(sides))


def _autocovariances(series: Series, longest_lag: int) -> Series:
    centred = series - series.mean()
    bars = len(series)
    return np.array(
        [
            centred[lag:] @ centred[: bars - lag] / bars
            for lag in range(min(longest_lag, bars - 1) + 1)
        ]
    )


def _last_significant_lag(covariance: Series, bars: int, run: int) -> int:
    """Return the smallest lag after which `run` autocorrelations in a row are insignificant."""
    threshold = 2.0 * math.sqrt(math.log10(bars) / bars)
    is_small = np.abs(covariance[1:] / covariance[0]) < threshold
    for lag in range(len(is_small) - run + 1):
        if bool(is_small[lag : lag + run].all()):
            return lag
    return int(np.flatnonzero(~is_small)[-1]) + 1
