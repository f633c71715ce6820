"""TA-Lib, called once for each indicator and symbol on one thread."""

from collections.abc import Callable

import polars as pl
import talib
from bars_by_symbol import Column, Columns, split_to_arrays


def prepare(bars: pl.DataFrame) -> Callable[[], list[Columns]]:
    """Return the work on all symbols."""
    symbols = split_to_arrays(bars)
    return lambda: [compute(**symbol) for symbol in symbols]


def compute(open: Column, high: Column, low: Column, close: Column, volume: Column) -> Columns:
    """Return the 30 columns of one symbol."""
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    slow_k, slow_d = talib.STOCH(high, low, close, 14, 3, 0, 3, 0)
    fast_k, _ = talib.STOCHRSI(close, 14, 14, 3, 0)
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    return {
        "ema_12": talib.EMA(close, 12),
        "ema_26": talib.EMA(close, 26),
        "macd": macd,
        "macd_signal": signal,
        "macd_histogram": histogram,
        "ema_20": talib.EMA(close, 20),
        "adx_14": talib.ADX(high, low, close, 14),
        "plus_di_14": talib.PLUS_DI(high, low, close, 14),
        "minus_di_14": talib.MINUS_DI(high, low, close, 14),
        "aroonosc_25": talib.AROONOSC(high, low, 25),
        "sar": talib.SAR(high, low, 0.02, 0.2),
        "linearreg_slope_21": talib.LINEARREG_SLOPE(close, 21),
        "rsi_7": talib.RSI(close, 7),
        "rsi_14": talib.RSI(close, 14),
        "stoch_k": slow_k,
        "stoch_d": slow_d,
        "stochrsi_k": fast_k,
        "cci_20": talib.CCI(high, low, close, 20),
        "willr_14": talib.WILLR(high, low, close, 14),
        "roc_10": talib.ROC(close, 10),
        "cmo_14": talib.CMO(close, 14),
        "mfi_14": talib.MFI(high, low, close, volume, 14),
        "ultosc": talib.ULTOSC(high, low, close, 7, 14, 28),
        "atr_14": talib.ATR(high, low, close, 14),
        "natr_14": talib.NATR(high, low, close, 14),
        "bbands_upper": upper,
        "bbands_middle": middle,
        "bbands_lower": lower,
        "obv": talib.OBV(close, volume),
        "max_252": talib.MAX(close, 252),
    }
