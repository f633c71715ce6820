"""Figures of one return series: pure functions from arrays to numbers.

Returns are simple net returns of one bar, `equity_t / equity_{t-1} - 1`; a year is 252 bars and the
riskless rate is 0. A figure that the data cannot define (no bars, no variance, no drawdown) is
`nan`, never a substitute.
"""

import math

import numpy as np
from numpy.typing import NDArray

BARS_PER_YEAR = 252

Series = NDArray[np.float64]


def cagr(returns: Series) -> float:
    """Return the compound annual growth rate, `prod(1 + r)^(252 / T) - 1`.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar.
    """
    if not len(returns):
        return math.nan
    growth = float(np.prod(1.0 + returns))
    return growth ** (BARS_PER_YEAR / len(returns)) - 1.0 if growth > 0 else -1.0


def volatility_annual(returns: Series) -> float:
    """Return the annual volatility, `sd(r) sqrt(252)` with `T - 1` in the variance.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar.
    """
    return _deviation(returns) * math.sqrt(BARS_PER_YEAR)


def sharpe_per_bar(returns: Series) -> float:
    """Return the Sharpe ratio of one bar, `mean(r) / sd(r)` with `T - 1` in the variance.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar.
    """
    deviation = _deviation(returns)
    return float(returns.mean()) / deviation if deviation > 0 else math.nan


def sharpe_annual(returns: Series) -> float:
    """Return the annual Sharpe ratio, `sqrt(252) mean(r) / sd(r)`.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar.
    """
    return sharpe_per_bar(returns) * math.sqrt(BARS_PER_YEAR)


def sortino_annual(returns: Series) -> float:
    """Return the annual Sortino ratio, `sqrt(252) mean(r) / sqrt(mean(min(r, 0)^2))`.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar; the target return is 0.
    """
    if not len(returns):
        return math.nan
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2)))
    mean = float(returns.mean())
    return math.sqrt(BARS_PER_YEAR) * mean / downside if downside > 0 else math.nan


def growth(returns: Series) -> Series:
    """Return the value of 1 after each bar, `cumprod(1 + r)`, float64 (T,)."""
    return np.cumprod(1.0 + returns, dtype=np.float64)


def drawdowns(returns: Series) -> Series:
    """Return the loss from the running peak after each bar as a positive fraction, float64 (T,).

    The starting value counts as a peak: a first bar that loses is a drawdown.
    """
    value = growth(returns)
    peak = np.maximum(np.maximum.accumulate(value), 1.0)
    return np.subtract(1.0, value / peak, dtype=np.float64)


def max_drawdown(returns: Series) -> float:
    """Return the largest drawdown as a positive fraction."""
    return float(drawdowns(returns).max()) if len(returns) else math.nan


def max_drawdown_bars(returns: Series) -> float:
    """Return the longest run of bars spent below an earlier peak, a recovery not required."""
    if not len(returns):
        return math.nan
    # A value within rounding of its peak is at its peak: 1.1 * (1 / 1.1) must count as recovered.
    is_at_peak = drawdowns(returns) <= 1e-12
    last_peak = np.maximum.accumulate(np.where(is_at_peak, np.arange(len(returns)), -1))
    return float((np.arange(len(returns)) - last_peak).max())


def calmar(returns: Series) -> float:
    """Return the Calmar ratio, compound annual growth over the largest drawdown."""
    worst = max_drawdown(returns)
    return cagr(returns) / worst if worst > 0 else math.nan


def value_at_risk(returns: Series, confidence: float = 0.95) -> float:
    """Return the historical one-bar value at risk, `-quantile(r, 1 - confidence)`.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar.
    confidence : float
        Share of bars whose loss is expected to be smaller.

    Returns
    -------
    float
        A loss as a positive fraction of equity; the quantile is linearly interpolated.
    """
    return -float(np.quantile(returns, 1.0 - confidence)) if len(returns) else math.nan


def conditional_value_at_risk(returns: Series, confidence: float = 0.95) -> float:
    """Return the mean loss of the bars at or beyond the value at risk.

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns, one a bar.
    confidence : float
        Share of bars whose loss is expected to be smaller.

    Returns
    -------
    float
        A loss as a positive fraction of equity.
    """
    if not len(returns):
        return math.nan
    return -float(returns[returns <= np.quantile(returns, 1.0 - confidence)].mean())


def hit_rate(returns: Series) -> float:
    """Return the share of gaining bars among those whose return is not 0."""
    moved = returns[returns != 0.0]
    return float((moved > 0.0).mean()) if len(moved) else math.nan


def turnover_annual(turnover: Series) -> float:
    """Return the notional traded a year over equity, buys plus sells, `252 mean(turnover)`.

    Parameters
    ----------
    turnover : float64 (T,)
        Notional bought and sold over equity, one a bar.
    """
    return BARS_PER_YEAR * float(turnover.mean()) if len(turnover) else math.nan


def exposure(gross_weight: Series) -> float:
    """Return the mean of the sum of absolute weights."""
    return float(gross_weight.mean()) if len(gross_weight) else math.nan


def cost_share(gains_usd: Series, costs_usd: Series) -> float:
    """Return the share of gross gains that costs and financing took.

    Parameters
    ----------
    gains_usd : float64 (T,)
        Price gains plus corporate-action cash before any cost, USD.
    costs_usd : float64 (T,)
        Trading costs plus financing, USD, positive when paid.

    Returns
    -------
    float
        `sum(costs) / sum(gains)`, or `nan` where there was no gross gain to share.
    """
    gains = float(gains_usd.sum())
    return float(costs_usd.sum()) / gains if gains > 0 else math.nan


def _deviation(returns: Series) -> float:
    if len(returns) < 2:
        return math.nan
    deviation = float(returns.std(ddof=1))
    # Equal returns leave a rounding residue of a variance, not a variance.
    return deviation if deviation > 1e-14 * float(np.abs(returns).max()) else 0.0
