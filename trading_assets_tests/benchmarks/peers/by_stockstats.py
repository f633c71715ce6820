"""stockstats, asked for its columns symbol by symbol.

Its average directional index is smoothed exponentially over 6 rows, and its Chande momentum sums
where TA-Lib smooths. It has no slope, no parabolic stop, no ultimate oscillator and no relative
range. Its maximum of 252 rows is left out in its favour: it copies the column 252 times, which
takes as long as all others together.
"""

from collections.abc import Callable

import pandas as pd
import polars as pl
from bars_by_symbol import Columns
from frames_by_symbol import split_to_frames
from stockstats import StockDataFrame

COLUMNS = {
    "ema_12": "close_12_ema",
    "ema_26": "close_26_ema",
    "ema_20": "close_20_ema",
    "macd": "macd",
    "macd_signal": "macds",
    "macd_histogram": "macdh",
    "adx_14": "adx",
    "plus_di_14": "pdi_14",
    "minus_di_14": "ndi_14",
    "aroonosc_25": "aroon_25",
    "rsi_7": "rsi_7",
    "rsi_14": "rsi_14",
    "stoch_k": "rsv_14_3_sma",
    "stoch_d": "rsv_14_3_sma_3_sma",
    "stochrsi_k": "stochrsi_14",
    "cci_20": "cci_20",
    "willr_14": "wr_14",
    "roc_10": "close_10_roc",
    "cmo_14": "cmo_14",
    "mfi_14": "mfi_14",
    "atr_14": "atr_14",
    "bbands_upper": "boll_ub",
    "bbands_middle": "boll",
    "bbands_lower": "boll_lb",
    "obv": "obv",
}


def prepare(bars: pl.DataFrame) -> Callable[[], list[Columns]]:
    """Return the work on all symbols."""
    symbols = split_to_frames(bars)
    return lambda: [compute(symbol) for symbol in symbols]


def compute(bars: pd.DataFrame) -> Columns:
    """Return the columns of one symbol."""
    stock = StockDataFrame.retype(bars.copy())
    return {name: stock[asked] for name, asked in COLUMNS.items()}
