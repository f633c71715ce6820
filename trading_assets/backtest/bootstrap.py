"""The stationary bootstrap: intervals and paired differences that respect autocorrelation.

Sources: Politis and Romano, The Stationary Bootstrap, JASA 89 (1994); block length by Politis and
White, Econometric Reviews 23 (2004), as corrected by Patton, Politis and White, Econometric Reviews
28 (2009).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.metrics import BARS_PER_YEAR, Series, cagr, sharpe_annual


@dataclass(frozen=True, slots=True)
class Interval:
    """A percentile interval, in the unit of the figure it belongs to."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A strategy's annual Sharpe ratio minus a benchmark's, over the same bars.

    Attributes
    ----------
    difference : float
        Observed difference of annual Sharpe ratios.
    low, high : float
        Percentile interval of the difference.
    p_value : float
        One-sided: probability of an advantage at least this large if there were none.
    """

    difference: float
    low: float
    high: float
    p_value: float


UNDEFINED = Interval(math.nan, math.nan)


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


def sharpe_interval(
    returns: Series, positions: NDArray[np.intp], confidence: float = 0.95
) -> Interval:
    """Return the percentile interval of the annual Sharpe ratio.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar.
    positions : intp (samples, T)
        Of `resampled_positions`.
    confidence : float
        Coverage of the interval.
    """
    if math.isnan(sharpe_annual(returns)):
        return UNDEFINED
    return _percentiles(_sharpes(returns[positions]), confidence)


def cagr_interval(
    returns: Series, positions: NDArray[np.intp], confidence: float = 0.95
) -> Interval:
    """Return the percentile interval of the compound annual growth rate.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns above -1, one a bar.
    positions : intp (samples, T)
        Of `resampled_positions`.
    confidence : float
        Coverage of the interval.
    """
    if math.isnan(cagr(returns)) or float(returns.min()) <= -1.0:
        return UNDEFINED
    log_growth = np.log1p(returns)[positions].mean(axis=1)
    return _percentiles(np.expm1(BARS_PER_YEAR * log_growth), confidence)


def paired_sharpe_difference(
    returns: Series, benchmark: Series, positions: NDArray[np.intp], confidence: float = 0.95
) -> PairedDifference:
    """Return how far a strategy's annual Sharpe ratio lies above a benchmark's.

    Both series are resampled at the same positions, so what moves both cancels. The p-value counts
    resampled differences, centred on the observed one, that reach it:
    `(1 + #{d* - d >= d}) / (samples + 1)`. A benchmark whose returns are all 0 is cash at a
    riskless rate of 0, and its ratio counts as 0; any other series without variance has no ratio.

    Parameters
    ----------
    returns, benchmark : float64 (T,)
        Net simple returns of the same bars.
    positions : intp (samples, T)
        Of `resampled_positions`.
    confidence : float
        Coverage of the interval.
    """
    is_cash = not benchmark.any()
    observed = sharpe_annual(returns) - (0.0 if is_cash else sharpe_annual(benchmark))
    if math.isnan(observed):
        return PairedDifference(math.nan, math.nan, math.nan, math.nan)
    resampled = _sharpes(returns[positions])
    if not is_cash:
        resampled -= _sharpes(benchmark[positions])
    interval = _percentiles(resampled, confidence)
    defined = resampled[~np.isnan(resampled)]
    reached = int(np.sum(defined - observed >= observed))
    return PairedDifference(
        observed, interval.low, interval.high, (1 + reached) / (len(defined) + 1)
    )


def _sharpes(resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    deviation = resampled.std(axis=1, ddof=1)
    # A resample of a book that seldom trades can repeat one value: its ratio is undefined.
    defined = np.where(deviation > 0, deviation, np.nan)
    return math.sqrt(BARS_PER_YEAR) * resampled.mean(axis=1) / defined


def _percentiles(values: NDArray[np.float64], confidence: float) -> Interval:
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(values[~np.isnan(values)], [tail, 1.0 - tail])
    return Interval(float(low), float(high))


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
