"""The indicators written as expressions of polars, on as many threads as it takes.

Each step adds columns that later ones share, and only what looks at several rows is kept within
its symbol. The columns agree with TA-Lib once the start of its averages no longer weighs. The
parabolic stop has no expression: each value depends on the one before in more than one way.
"""

from collections.abc import Callable

import polars as pl
from bars_by_symbol import Columns, name_columns, number_symbols

HIGH, LOW, CLOSE, VOLUME = (pl.col(name) for name in ("high", "low", "close", "volume"))
BEFORE, TYPICAL, TRUE_RANGE = pl.col("before"), pl.col("typical"), pl.col("true_range")
COLUMNS = (
    *("ema_12", "ema_26", "ema_20", "macd", "macd_signal", "macd_histogram"),
    *("adx_14", "plus_di_14", "minus_di_14", "aroonosc_25", "linearreg_slope_21"),
    *("rsi_7", "rsi_14", "stoch_k", "stoch_d", "stochrsi_k", "cci_20", "willr_14", "roc_10"),
    *("cmo_14", "mfi_14", "ultosc", "atr_14", "natr_14"),
    *("bbands_upper", "bbands_middle", "bbands_lower", "obv", "max_252"),
)


def prepare(bars: pl.DataFrame) -> Callable[[], list[Columns]]:
    """Return the work on all symbols."""
    numbered = number_symbols(bars)
    return lambda: name_columns(compute(numbered).select(COLUMNS))


def compute(bars: pl.DataFrame) -> pl.DataFrame:
    """Return the bars with the 29 columns, step by step."""
    return (
        bars.with_columns(**moves())
        .with_columns(**flows())
        .with_columns(**averages(), **sums(), **extremes())
        .with_columns(**lines())
        .with_columns(**oscillators())
        .with_columns(stoch_d=within(pl.col("stoch_k").rolling_mean(3)))
    )


def within(values: pl.Expr) -> pl.Expr:
    """Return what is computed from the rows of one symbol."""
    return values.over("symbol")


def ema(values: pl.Expr, length: int) -> pl.Expr:
    """Return the exponential average of a span."""
    return within(values.ewm_mean(span=length, adjust=False))


def wilder(values: pl.Expr, length: int) -> pl.Expr:
    """Return Wilder's average."""
    return within(values.ewm_mean(alpha=1 / length, adjust=False))


def total(values: pl.Expr, length: int) -> pl.Expr:
    """Return the sum of some rows."""
    return within(values.rolling_sum(length))


def moves() -> dict[str, pl.Expr]:
    """Return what the row before gives."""
    typical = (HIGH + LOW + CLOSE) / 3
    return {
        "before": within(CLOSE.shift(1)),
        "up": within(HIGH.diff()),
        "down": -within(LOW.diff()),
        "typical": typical,
        "typical_change": within(typical.diff()),
    }


def flows() -> dict[str, pl.Expr]:
    """Return what the averages and the sums are made of."""
    change, flow = pl.col("typical_change"), TYPICAL * VOLUME
    up, down = pl.col("up"), pl.col("down")
    return {
        "true_range": pl.max_horizontal(HIGH - LOW, (HIGH - BEFORE).abs(), (LOW - BEFORE).abs()),
        "pressure": CLOSE - pl.min_horizontal(LOW, BEFORE),
        "plus": pl.when((up > down) & (up > 0)).then(up).otherwise(0.0),
        "minus": pl.when((down > up) & (down > 0)).then(down).otherwise(0.0),
        "inflow": pl.when(change > 0).then(flow).otherwise(0.0),
        "outflow": pl.when(change < 0).then(flow).otherwise(0.0),
        "rise": (CLOSE - BEFORE).clip(lower_bound=0),
        "move": (CLOSE - BEFORE).abs(),
        "signed_volume": (CLOSE - BEFORE).sign().fill_null(1) * VOLUME,
    }


def averages() -> dict[str, pl.Expr]:
    """Return the exponential averages."""
    range_, rise, move = wilder(TRUE_RANGE, 14), pl.col("rise"), pl.col("move")
    return {
        **{f"ema_{length}": ema(CLOSE, length) for length in (12, 20, 26)},
        **{f"rsi_{n}": 100 * wilder(rise, n) / wilder(move, n) for n in (7, 14)},
        "atr_14": range_,
        "plus_di_14": 100 * wilder(pl.col("plus"), 14) / range_,
        "minus_di_14": 100 * wilder(pl.col("minus"), 14) / range_,
    }


def sums() -> dict[str, pl.Expr]:
    """Return the sums and the plain averages."""
    shares = [total(pl.col("pressure"), n) / total(TRUE_RANGE, n) for n in (7, 14, 28)]
    inflow, outflow = total(pl.col("inflow"), 14), total(pl.col("outflow"), 14)
    # 770 is the sum of the squared distances of 21 rows from their middle.
    slope = CLOSE.rolling_sum(21, weights=[step / 770 for step in range(-10, 11)])
    return {
        "ultosc": 100 * (4 * shares[0] + 2 * shares[1] + shares[2]) / 7,
        "mfi_14": 100 * inflow / (inflow + outflow),
        "obv": within(pl.col("signed_volume").cum_sum()),
        "linearreg_slope_21": within(slope),
        "bbands_middle": within(CLOSE.rolling_mean(20)),
        "deviation": within(CLOSE.rolling_std(20, ddof=0)),
        "typical_mean": within(TYPICAL.rolling_mean(20)),
        "roc_10": 100 * within(CLOSE.pct_change(10)),
    }


def extremes() -> dict[str, pl.Expr]:
    """Return the extremes and the difference of their ages."""
    return {
        "max_252": within(CLOSE.rolling_max(252)),
        "least": within(LOW.rolling_min(14)),
        "most": within(HIGH.rolling_max(14)),
        "aroonosc_25": within(row_of_highest(HIGH) - row_of_highest(-LOW)) * (100 / 25),
    }


def row_of_highest(values: pl.Expr) -> pl.Expr:
    """Return the last row of 26 with their highest value, which goes along with its rank."""
    n_rows = 1 << 32
    ranked = values.rank("dense").cast(pl.Int64) * n_rows + pl.int_range(pl.len())
    return ranked.rolling_max(26) % n_rows


def lines() -> dict[str, pl.Expr]:
    """Return what follows from averages and extremes."""
    middle, deviation, rsi = pl.col("bbands_middle"), pl.col("deviation"), pl.col("rsi_14")
    plus_di, minus_di = pl.col("plus_di_14"), pl.col("minus_di_14")
    place = 100 * (CLOSE - pl.col("least")) / (pl.col("most") - pl.col("least"))
    distances = [(TYPICAL.shift(rows) - pl.col("typical_mean")).abs() for rows in range(20)]
    return {
        "bbands_upper": middle + 2 * deviation,
        "bbands_lower": middle - 2 * deviation,
        "macd": pl.col("ema_12") - pl.col("ema_26"),
        "movement": (100 * (plus_di - minus_di).abs() / (plus_di + minus_di)).fill_nan(0.0),
        "place": place,
        "willr_14": place - 100,
        "cmo_14": 2 * rsi - 100,
        "least_rsi": within(rsi.rolling_min(14)),
        "most_rsi": within(rsi.rolling_max(14)),
        "natr_14": 100 * pl.col("atr_14") / CLOSE,
        # Rows of the symbol before meet no mean: its first 19 are missing.
        "deviation_of_typical": pl.sum_horizontal(distances, ignore_nulls=False) / 20,
    }


def oscillators() -> dict[str, pl.Expr]:
    """Return what follows from those."""
    macd, least = pl.col("macd"), pl.col("least_rsi")
    signal = ema(macd, 9)
    return {
        "macd_signal": signal,
        "macd_histogram": macd - signal,
        "adx_14": wilder(pl.col("movement"), 14),
        "stoch_k": within(pl.col("place").rolling_mean(3)),
        "stochrsi_k": 100 * (pl.col("rsi_14") - least) / (pl.col("most_rsi") - least),
        "cci_20": (TYPICAL - pl.col("typical_mean")) / (0.015 * pl.col("deviation_of_typical")),
    }
