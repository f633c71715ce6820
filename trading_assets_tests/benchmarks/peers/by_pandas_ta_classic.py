"""pandas-ta-classic's own formulas, called once for each indicator and symbol.

Its Chande momentum sums where TA-Lib smooths.
"""

from collections.abc import Callable

import pandas as pd
import pandas_ta_classic as pta
import polars as pl
from bars_by_symbol import Columns
from frames_by_symbol import split_to_frames

OWN = {"talib": False}  # it would call TA-Lib, which is measured by itself


def prepare(bars: pl.DataFrame) -> Callable[[], list[Columns]]:
    """Return the work on all symbols."""
    symbols = split_to_frames(bars)
    return lambda: [compute(symbol) for symbol in symbols]


def compute(bars: pd.DataFrame) -> Columns:
    """Return the 30 columns of one symbol."""
    close, volume = bars["close"], bars["volume"]
    span = (bars["high"], bars["low"], close)
    several = several_at_once(*span)
    aroon = pta.aroon(*span[:2], length=25, **OWN)
    stops = pta.psar(*span[:2], af0=0.02, af=0.02, max_af=0.2, **OWN)
    return several | {
        "ema_12": pta.ema(close, length=12, **OWN),
        "ema_26": pta.ema(close, length=26, **OWN),
        "ema_20": pta.ema(close, length=20, **OWN),
        "aroonosc_25": aroon["AROONOSC_25"],
        "sar": stops["PSARl_0.02_0.2"].fillna(stops["PSARs_0.02_0.2"]),
        "linearreg_slope_21": pta.linregslope(close, length=21, **OWN),
        "rsi_7": pta.rsi(close, length=7, **OWN),
        "rsi_14": pta.rsi(close, length=14, **OWN),
        "cci_20": pta.cci(*span, length=20, **OWN),
        "willr_14": pta.willr(*span, length=14, **OWN),
        "roc_10": pta.roc(close, length=10, **OWN),
        "cmo_14": pta.cmo(close, length=14, **OWN),
        "mfi_14": pta.mfi(*span, volume, length=14, **OWN),
        "ultosc": pta.uo(*span, fast=7, medium=14, slow=28, **OWN),
        "atr_14": pta.atr(*span, length=14, **OWN),
        "natr_14": pta.natr(*span, length=14, **OWN),
        "obv": pta.obv(close, volume, **OWN),
        "max_252": close.rolling(252).max(),  # pandas' own, as it has none
    }


def several_at_once(high: pd.Series, low: pd.Series, close: pd.Series) -> Columns:
    """Return the columns of the functions that give several."""
    macd = pta.macd(close, fast=12, slow=26, signal=9, **OWN)
    movement = pta.adx(high, low, close, length=14, **OWN)
    stoch = pta.stoch(high, low, close, k=14, d=3, smooth_k=3, **OWN)
    # An average of one row is the fast line, which TA-Lib gives.
    stochrsi = pta.stochrsi(close, length=14, rsi_length=14, k=1, d=3, **OWN)
    bands = pta.bbands(close, length=20, std=2.0, **OWN)
    return {
        "macd": macd["MACD_12_26_9"],
        "macd_signal": macd["MACDs_12_26_9"],
        "macd_histogram": macd["MACDh_12_26_9"],
        "adx_14": movement["ADX_14"],
        "plus_di_14": movement["DMP_14"],
        "minus_di_14": movement["DMN_14"],
        "stoch_k": stoch["STOCHk_14_3_3"],
        "stoch_d": stoch["STOCHd_14_3_3"],
        "stochrsi_k": stochrsi["STOCHRSIk_14_14_1_3"],
        "bbands_upper": bands["BBU_20_2.0"],
        "bbands_middle": bands["BBM_20_2.0"],
        "bbands_lower": bands["BBL_20_2.0"],
    }
