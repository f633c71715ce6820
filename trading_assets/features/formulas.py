"""The unscaled value of each bar feature of the catalogue, from one symbol's bars."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.adjustment import SymbolBars
from trading_assets.features.pandas_ta_adapter import compute_indicator
from trading_assets.features.rolling import (
    align_right,
    rolling_max,
    rolling_mean,
    rolling_moments,
    rolling_sum,
    rolling_weighted_sum,
    wilder_average,
    z_score,
)

Array = NDArray[np.float64]
Formula = Callable[[SymbolBars], Array]


def _geometric_weights(ratio: float, length: int) -> Array:
    weights: Array = np.power(ratio, np.arange(length, dtype=np.float64))
    return weights / weights.sum()


_EWMA_WEIGHTS = _geometric_weights(0.94, 63)
_LEAST_AMIHUD = 1e-18


def ewma_volatility(bars: SymbolBars) -> Array:
    """Return the standard deviation of one bar's log return (T,), fraction, known at the close.

    RiskMetrics (1996) weights 0.94^k, cut after 63 returns and normalised; zero mean.
    """
    return np.sqrt(rolling_weighted_sum(bars.log_return**2, _EWMA_WEIGHTS))


def _log_return(bars: SymbolBars, length: int) -> Array:
    return rolling_sum(bars.log_return, length)


def _momentum(bars: SymbolBars) -> Array:
    older = rolling_sum(bars.log_return, 231)
    return align_right(older[:-21], len(older))


def _high_distance(bars: SymbolBars) -> Array:
    return np.log(bars.close / rolling_max(bars.high, 252))


def _up_day_share(bars: SymbolBars) -> Array:
    is_up = np.where(np.isnan(bars.log_return), np.nan, bars.log_return > 0)
    return rolling_mean(is_up, 21)


def _skew(bars: SymbolBars) -> Array:
    _, spread, third = rolling_moments(bars.log_return, 63)
    is_flat = spread <= 1e-12
    skew = third / np.where(is_flat, 1.0, spread) ** 3
    return np.where(is_flat, 0.0, skew)


def _parkinson(bars: SymbolBars) -> Array:
    # Parkinson, The Extreme Value Method, J. Business 53 (1980).
    squared_range = np.log(bars.high / bars.low) ** 2
    return np.sqrt(rolling_mean(squared_range, 21) / (4.0 * np.log(2.0)))


def _garman_klass(bars: SymbolBars) -> Array:
    # Garman and Klass, On the Estimation of Security Price Volatilities, J. Business 53 (1980).
    variance = 0.5 * np.log(bars.high / bars.low) ** 2
    variance -= (2.0 * np.log(2.0) - 1.0) * np.log(bars.close / bars.open) ** 2
    return np.sqrt(np.maximum(rolling_mean(variance, 21), 0.0))


def _atr_percent(bars: SymbolBars) -> Array:
    return 100.0 * wilder_average(_true_range(bars), 14) / bars.close


def _true_range(bars: SymbolBars) -> Array:
    previous = np.concatenate(([np.nan], bars.close[:-1]))
    return np.maximum(bars.high, previous) - np.minimum(bars.low, previous)


def _directional_index(bars: SymbolBars) -> Array:
    # Wilder, New Concepts in Technical Trading Systems (1978); 0 where nothing moved.
    up = np.diff(bars.high, prepend=np.nan)
    down = -np.diff(bars.low, prepend=np.nan)
    is_known = ~np.isnan(up)
    rising = np.where(is_known, np.where((up > down) & (up > 0), up, 0.0), np.nan)
    falling = np.where(is_known, np.where((down > up) & (down > 0), down, 0.0), np.nan)
    # The true range divides both directions and so cancels in their ratio.
    plus, minus = wilder_average(rising, 14), wilder_average(falling, 14)
    both = plus + minus
    index = 100.0 * np.abs(plus - minus) / np.where(both > 0, both, 1.0)
    return wilder_average(index, 14)


def _percent_b(bars: SymbolBars) -> Array:
    return 0.5 + 0.25 * z_score(bars.close, 20)


def _amihud(bars: SymbolBars) -> Array:
    is_traded = bars.dollar_volume > 0
    ratio = np.abs(bars.log_return) / np.where(is_traded, bars.dollar_volume, 1.0)
    traded = rolling_sum(np.where(np.isnan(ratio), np.nan, is_traded), 21)
    total = rolling_sum(np.where(is_traded | np.isnan(ratio), ratio, 0.0), 21)
    mean = total / np.where(traded > 0, traded, np.nan)
    return np.log(np.maximum(mean, _LEAST_AMIHUD))


def _money_flow(bars: SymbolBars) -> Array:
    typical = (bars.high + bars.low + bars.close) / 3.0
    change = np.diff(typical, prepend=np.nan)
    flow = typical * bars.volume
    rising = rolling_sum(np.where(change > 0, flow, 0.0), 14)
    both = rolling_sum(np.where(change != 0, flow, 0.0), 14)
    return np.where(both > 0, 100.0 * rising / np.where(both > 0, both, 1.0), 50.0)


def _weekday_angle(bars: SymbolBars) -> Array:
    # 1970-01-01 was a Thursday, weekday 3.
    weekday = ((bars.sessions.astype(np.int64) + 3) % 7).astype(np.float64)
    return 2.0 * np.pi * weekday / 5.0


FORMULAS: dict[str, Formula] = {
    **{f"log_return_{k}": partial(_log_return, length=k) for k in (1, 2, 5, 10, 21, 63)},
    "momentum_12_1": _momentum,
    "overnight_gap": lambda bars: bars.overnight_gap,
    "intraday_return": lambda bars: np.log(bars.close / bars.open),
    "high_252_distance": _high_distance,
    "up_day_share_21": _up_day_share,
    "skew_63": _skew,
    "high_low_range": lambda bars: np.log(bars.high / bars.low),
    "ewma_volatility": ewma_volatility,
    "parkinson_21": _parkinson,
    "garman_klass_21": _garman_klass,
    "atr_percent_14": _atr_percent,
    "bollinger_percent_b_20": _percent_b,
    "volume_z_63": lambda bars: z_score(np.log1p(bars.volume), 63),
    "dollar_volume_z_63": lambda bars: z_score(np.log1p(bars.dollar_volume), 63),
    "amihud_21": _amihud,
    "rsi_14": lambda bars: compute_indicator("rsi", bars, 14),
    "adx_14": _directional_index,
    "cci_20": lambda bars: compute_indicator("cci", bars, 20),
    "mfi_14": _money_flow,
    "weekday_sin": lambda bars: np.sin(_weekday_angle(bars)),
    "weekday_cos": lambda bars: np.cos(_weekday_angle(bars)),
}
