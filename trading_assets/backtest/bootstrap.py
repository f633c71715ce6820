"""Intervals and paired differences of a portfolio's figures, by the stationary bootstrap."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.metrics import BARS_PER_YEAR, Series, cagr, sharpe_annual
from trading_assets.bootstrap import (
    Interval,
    basic_interval,
    one_sided_p,
    percentile_interval,
)


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A strategy's annual Sharpe ratio minus a benchmark's, over the same bars.

    Attributes
    ----------
    difference : float
        Observed difference of annual Sharpe ratios.
    low, high : float
        Basic interval of the difference. At 95 % it lies above 0 exactly where `p_value` is below
        0.025.
    p_value : float
        One-sided: probability of an advantage at least this large if there were none.
    """

    difference: float
    low: float
    high: float
    p_value: float


UNDEFINED = Interval(math.nan, math.nan)


def sharpe_interval(
    returns: Series, positions: NDArray[np.intp], confidence: float = 0.95
) -> Interval:
    """Return the basic interval of the annual Sharpe ratio, as of its difference to cash.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar.
    positions : intp (samples, T)
        Of `resampled_positions`.
    confidence : float
        Coverage of the interval.
    """
    observed = sharpe_annual(returns)
    if math.isnan(observed):
        return UNDEFINED
    return basic_interval(_sharpes(returns[positions]), observed, confidence)


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
    return percentile_interval(np.expm1(BARS_PER_YEAR * log_growth), confidence)


def paired_sharpe_difference(
    returns: Series, benchmark: Series, positions: NDArray[np.intp], confidence: float = 0.95
) -> PairedDifference:
    """Return how far a strategy's annual Sharpe ratio lies above a benchmark's.

    Both series are resampled at the same positions, so what moves both cancels. Interval and p are
    of one kind: resampled differences are taken around the observed one. Of pairs with equal ratios
    (Gaussian, t with 4 degrees, skewed, clustered volatility; 250 and 1,000 bars, 600 each) p was
    below 0.025 in 1.2 to 3.8 %, and intervals held 0 in 93 to 96 %. A benchmark whose returns are
    all 0 is cash at a riskless rate of 0, and its ratio counts as 0; any other series without
    variance has no ratio.

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
    interval = basic_interval(resampled, observed, confidence)
    return PairedDifference(observed, interval.low, interval.high, one_sided_p(resampled, observed))


def _sharpes(resampled: NDArray[np.float64]) -> NDArray[np.float64]:
    deviation = resampled.std(axis=1, ddof=1)
    # A resample of a book that seldom trades can repeat one value: its ratio is undefined.
    defined = np.where(deviation > 0, deviation, np.nan)
    return math.sqrt(BARS_PER_YEAR) * resampled.mean(axis=1) / defined
