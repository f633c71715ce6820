"""Thirty indicators that libraries of technical analysis have in common, as expressions."""

import numpy as np

from trading_assets.features.expressions import Column
from trading_assets.features.groups.oscillators import (
    commodity_channel,
    money_flow,
    rate_of_change,
    relative_strength,
    stochastic_k,
    stochastic_rsi,
    ultimate_oscillator,
    williams_r,
)
from trading_assets.features.groups.trend import (
    aroon_oscillator,
    average_directional_index,
    directional_indicator,
    macd_line,
)
from trading_assets.features.groups.volatility import average_true_range
from trading_assets.features.operations import (
    CLOSE,
    HIGH,
    LOW,
    VOLUME,
    accumulate,
    change,
    deviation,
    divide,
    exponential_mean,
    falling_movement,
    highest,
    line_slope,
    mean_of,
    parabolic_stop,
    rising_movement,
    rolling_mean,
    sign,
)

Array = np.ndarray

_MACD = macd_line(12, 26)
_MACD_SIGNAL = exponential_mean(_MACD, 9)
_STOCHASTIC = stochastic_k(14, 3)
_RANGE = average_true_range(14)
_MIDDLE, _SPREAD = mean_of(CLOSE, 20), deviation(CLOSE, 20)

SHARED: dict[str, Column] = {
    "ema_12": exponential_mean(CLOSE, 12),
    "ema_26": exponential_mean(CLOSE, 26),
    "macd_line": _MACD,
    "macd_signal": _MACD_SIGNAL,
    "macd_histogram": _MACD - _MACD_SIGNAL,
    "ema_20": exponential_mean(CLOSE, 20),
    "adx_14": average_directional_index(14),
    "plus_di_14": directional_indicator(14, rising_movement(HIGH, LOW)),
    "minus_di_14": directional_indicator(14, falling_movement(HIGH, LOW)),
    "aroon_oscillator_25": aroon_oscillator(25),
    "parabolic_stop": parabolic_stop(HIGH, LOW, 0.02, 0.2),
    "line_slope_21": line_slope(CLOSE, 21),
    "rsi_7": relative_strength(7),
    "rsi_14": relative_strength(14),
    "stochastic_k_14": _STOCHASTIC,
    "stochastic_d_14": rolling_mean(_STOCHASTIC, 3),
    "stochastic_rsi_14": stochastic_rsi(14),
    "cci_20": commodity_channel(20),
    "williams_r_14": williams_r(14),
    "roc_10": rate_of_change(10),
    # Of Wilder's averages, as TA-Lib has it, not of sums as Chande (1994).
    "cmo_14": 2.0 * relative_strength(14) - 100.0,
    "mfi_14": money_flow(14),
    "ultimate_oscillator": ultimate_oscillator(7, 14, 28),
    "atr_14": _RANGE,
    "atr_percent_14": 100.0 * divide(_RANGE, CLOSE),
    "bollinger_upper_20": _MIDDLE + 2.0 * _SPREAD,
    "bollinger_middle_20": _MIDDLE,
    "bollinger_lower_20": _MIDDLE - 2.0 * _SPREAD,
    "obv": accumulate(sign(change(CLOSE)) * VOLUME),
    "highest_252": highest(CLOSE, 252),
}


def talib_columns(
    open: Array,
    high: Array,
    low: Array,
    close: Array,
    volume: Array,
) -> dict[str, Array]:
    """Return the same indicators of TA-Lib, arrays (T,), nan before they are known."""
    del open
    import talib

    line, signal, histogram = talib.MACD(close, 12, 26, 9)
    slow_k, slow_d = talib.STOCH(high, low, close, 14, 3, talib.MA_Type.SMA, 3, talib.MA_Type.SMA)
    rsi_k, _ = talib.STOCHRSI(close, 14, 14, 3, talib.MA_Type.SMA)
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0, talib.MA_Type.SMA)
    return {
        "ema_12": talib.EMA(close, 12),
        "ema_26": talib.EMA(close, 26),
        "macd_line": line,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "ema_20": talib.EMA(close, 20),
        "adx_14": talib.ADX(high, low, close, 14),
        "plus_di_14": talib.PLUS_DI(high, low, close, 14),
        "minus_di_14": talib.MINUS_DI(high, low, close, 14),
        "aroon_oscillator_25": talib.AROONOSC(high, low, 25),
        "parabolic_stop": talib.SAR(high, low, 0.02, 0.2),
        "line_slope_21": talib.LINEARREG_SLOPE(close, 21),
        "rsi_7": talib.RSI(close, 7),
        "rsi_14": talib.RSI(close, 14),
        "stochastic_k_14": slow_k,
        "stochastic_d_14": slow_d,
        "stochastic_rsi_14": rsi_k,
        "cci_20": talib.CCI(high, low, close, 20),
        "williams_r_14": talib.WILLR(high, low, close, 14),
        "roc_10": talib.ROC(close, 10),
        "cmo_14": talib.CMO(close, 14),
        "mfi_14": talib.MFI(high, low, close, volume, 14),
        "ultimate_oscillator": talib.ULTOSC(high, low, close, 7, 14, 28),
        "atr_14": talib.ATR(high, low, close, 14),
        "atr_percent_14": talib.NATR(high, low, close, 14),
        "bollinger_upper_20": upper,
        "bollinger_middle_20": middle,
        "bollinger_lower_20": lower,
        # It counts the first bar's volume as bought; only changes of the line say anything.
        "obv": talib.OBV(close, volume) - volume[0],
        "highest_252": talib.MAX(close, 252),
    }
