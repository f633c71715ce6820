"""polars-ta: what it computes itself, in expressions and loops compiled by numba.

Its sums stand where TA-Lib smooths as Wilder did, and its shares run from 0 to 1. It has no slope,
no parabolic stop, no ultimate oscillator and no Chande momentum.
"""

from collections.abc import Callable

import polars as pl
import polars_ta.ta as ta
import polars_ta.tdx as tdx
from bars_by_symbol import Columns, name_columns, number_symbols, select_over_symbols

HIGH, LOW, CLOSE, VOLUME = (pl.col(name) for name in ("high", "low", "close", "volume"))
RANGE = (HIGH, LOW, CLOSE)
FIELDS = {
    "macd": ["macd", "macd_signal", "macd_histogram"],
    "bbands": ["bbands_upper", "bbands_middle", "bbands_lower"],
    "aroon": ["aroon_down", "aroon_up"],
}


def prepare(bars: pl.DataFrame) -> Callable[[], list[Columns]]:
    """Return the work on all symbols."""
    numbered, columns = number_symbols(bars), expressions()
    rsi = pl.col("rsi_14")
    # What rests on other columns, so that those are computed once.
    resting = {
        "stoch_d": ta.SMA(pl.col("stoch_k"), 3).over("symbol"),
        "stochrsi_k": ta.RSV(rsi, rsi, rsi, 14).over("symbol"),
        "aroonosc_25": pl.col("aroon_up") - pl.col("aroon_down"),
    }

    def work() -> list[Columns]:
        table = select_over_symbols(numbered, columns).unnest(*FIELDS).with_columns(**resting)
        return name_columns(table.drop("symbol", *FIELDS["aroon"]))

    return work


def expressions() -> dict[str, pl.Expr]:
    """Return the functions by name."""
    several = {
        "macd": ta.MACD(CLOSE, 12, 26, 9),
        "bbands": ta.BBANDS(CLOSE, 20, 2.0, 2.0),
        "aroon": ta.AROON(HIGH, LOW, 25),
    }
    single = {
        "ema_12": ta.EMA(CLOSE, 12),
        "ema_26": ta.EMA(CLOSE, 26),
        "ema_20": ta.EMA(CLOSE, 20),
        "adx_14": tdx.ADX(*RANGE, 14, 14),
        "plus_di_14": tdx.PLUS_DI(*RANGE, 14),
        "minus_di_14": tdx.MINUS_DI(*RANGE, 14),
        "rsi_7": ta.RSI(CLOSE, 7),
        "rsi_14": ta.RSI(CLOSE, 14),
        "stoch_k": ta.SMA(ta.RSV(*RANGE, 14), 3),
        "cci_20": tdx.CCI(*RANGE, 20),
        "willr_14": ta.WILLR(*RANGE, 14),
        "roc_10": ta.ROC(CLOSE, 10),
        "mfi_14": tdx.MFI(CLOSE, HIGH, LOW, VOLUME, 14),
        "atr_14": ta.ATR(*RANGE, 14),
        "natr_14": ta.NATR(*RANGE, 14),
        "obv": ta.OBV(CLOSE, VOLUME),
        "max_252": ta.MAX(CLOSE, 252),
    }
    return single | {name: several[name].struct.rename_fields(FIELDS[name]) for name in FIELDS}
