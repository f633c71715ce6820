"""Variance that is carried from bar to bar, of returns before the bar only."""

import math

import numpy as np

from trading_assets.errors import DataError
from trading_assets.risk.return_samples import Series, require_returns

DECAY = 0.94


def ewma_variance(returns: Series, decay: float = DECAY) -> Series:
    """Return the exponentially weighted mean of squared returns before each bar.

    Weights `decay ** age` sum to 1, so that the first returns count in full and no start has to be
    chosen. The mean is taken to be 0. Source: RiskMetrics Technical Document, 1996, section 5.3.

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns, oldest first.
    decay : float
        In (0, 1); 0.94 for days.

    Returns
    -------
    float64 (T + 1,)
        Element t uses returns before t, the last one is for the bar to come; nan before the first.

    Raises
    ------
    DataError
        If there are no returns, one is not finite, or decay is out of range.
    """
    require_returns(returns, 1)
    if not 0.0 < decay < 1.0:
        msg = f"decay was {decay}; expected a share above 0 and below 1, such as {DECAY}"
        raise DataError(msg)
    sums = decayed_sum(returns**2, decay, 0.0)
    weights = decayed_sum(np.ones(len(returns)), decay, 0.0)
    variance = np.full(len(returns) + 1, np.nan)
    variance[1:] = sums / weights
    return variance


def decayed_sum(values: Series, decay: float, start: float) -> Series:
    """Return `s_t = decay s_(t-1) + x_t`, the first one of the given start, float64 (T,)."""
    from scipy.signal import lfilter

    found, _ = lfilter([1.0], [1.0, -decay], values, zi=np.array([decay * start]))
    return np.asarray(found, dtype=np.float64)


def forecast_volatility(
    returns: Series, decay: float = DECAY, bars_per_year: int | None = None
) -> float:
    """Return the deviation expected of the bar to come, of a bar or annual.

    Parameters
    ----------
    returns : float64 (T,)
        Simple returns up to and including the last close.
    decay : float
        As in `ewma_variance`.
    bars_per_year : int, optional
        Bars that an annual deviation counts; without it, the deviation of one bar.

    Raises
    ------
    DataError
        As `ewma_variance` does, and for fewer returns than a volatility can be told by.
    """
    require_returns(returns)
    variance = float(ewma_variance(returns, decay)[-1])
    return math.sqrt(variance * (1 if bars_per_year is None else bars_per_year))
