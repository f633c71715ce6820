"""polars-talib: TA-Lib's functions as expressions, on as many threads as polars takes."""

from collections.abc import Callable

import polars as pl
import polars_talib as plta
from bars_by_symbol import Columns, name_columns, number_symbols, select_over_symbols

HIGH, LOW, CLOSE, VOLUME = (pl.col(name) for name in ("high", "low", "close", "volume"))
RANGE = (HIGH, LOW, CLOSE)
# What a function with several results gives, in its order.
FIELDS = {
    "macd": ["macd", "macd_signal", "macd_histogram"],
    "stoch": ["stoch_k", "stoch_d"],
    "stochrsi": ["stochrsi_k", "stochrsi_d"],
    "bbands": ["bbands_upper", "bbands_middle", "bbands_lower"],
}


def prepare(bars: pl.DataFrame) -> Callable[[], list[Columns]]:
    """Return the work on all symbols."""
    numbered, columns = number_symbols(bars), expressions()

    def work() -> list[Columns]:
        table = select_over_symbols(numbered, columns).unnest(*FIELDS)
        return name_columns(table.drop("symbol", "stochrsi_d"))

    return work


def expressions() -> dict[str, pl.Expr]:
    """Return the functions by name."""
    several = {
        "macd": plta.macd(CLOSE, 12, 26, 9),
        "stoch": plta.stoch(*RANGE, 14, 3, 0, 3, 0),
        "stochrsi": plta.stochrsi(CLOSE, 14, 14, 3, 0),
        "bbands": plta.bbands(CLOSE, 20, 2.0, 2.0, 0),
    }
    single = {
        "ema_12": plta.ema(CLOSE, 12),
        "ema_26": plta.ema(CLOSE, 26),
        "ema_20": plta.ema(CLOSE, 20),
        "adx_14": plta.adx(*RANGE, 14),
        "plus_di_14": plta.plus_di(*RANGE, 14),
        "minus_di_14": plta.minus_di(*RANGE, 14),
        "aroonosc_25": plta.aroonosc(HIGH, LOW, 25),
        "sar": plta.sar(HIGH, LOW, 0.02, 0.2),
        "linearreg_slope_21": plta.linearreg_slope(CLOSE, 21),
        "rsi_7": plta.rsi(CLOSE, 7),
        "rsi_14": plta.rsi(CLOSE, 14),
        "cci_20": plta.cci(*RANGE, 20),
        "willr_14": plta.willr(*RANGE, 14),
        "roc_10": plta.roc(CLOSE, 10),
        "cmo_14": plta.cmo(CLOSE, 14),
        "mfi_14": plta.mfi(*RANGE, VOLUME, 14),
        "ultosc": plta.ultosc(*RANGE, 7, 14, 28),
        "atr_14": plta.atr(*RANGE, 14),
        "natr_14": plta.natr(*RANGE, 14),
        "obv": plta.obv(CLOSE, VOLUME),
        "max_252": plta.max(CLOSE, 252),
    }
    return single | {name: several[name].struct.rename_fields(FIELDS[name]) for name in FIELDS}
