"""Splits and cash dividends recovered from a vendor's adjusted close.

A back-adjusted price changes with every later action, so it is never used as a level here: only its
change from one session to the next is, which no later action can touch.
"""

import math
from datetime import date, datetime, timedelta

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar, get_calendar
from trading_assets.errors import DataError
from trading_assets.schema import TABLES, conform

ORIGIN = "derived from the vendor's adjusted close"

# Ratios of stock splits and stock dividends that are no whole number.
_FRACTIONAL_RATIOS = (11 / 10, 6 / 5, 5 / 4, 4 / 3, 3 / 2, 5 / 3, 5 / 2, 7 / 2)
_MAX_DECIMALS = 12
_FLOAT_NOISE = 1e-12
_NOISE_MARGIN = 10.0
_MIN_ROWS_FOR_MEDIAN = 20
# The longest closure since 1990, after 2001-09-10, took seven days.
_MAX_GAP = timedelta(days=10)


def derive_actions(rows: pl.DataFrame, calendar: ExchangeCalendar | None = None) -> pl.DataFrame:
    """Return the actions that explain why close and adjusted close moved differently.

    With P the close and A the adjusted close, an action on session t shows as growth
    ``k = (A_t / A_{t-1}) (P_{t-1} / P_t)`` other than 1, and total return ``P_t k / P_{t-1} - 1``.
    A whole or simple ratio in k is stored as the exact `split_ratio`; what remains of k becomes
    `cash_usd = P_t (k - split_ratio)`, so that (P_t split_ratio + cash) / P_{t-1} - 1 is the
    vendor's total return again. A remainder within rounding noise is no cash and is stored as 0.

    An action counts when k leaves 1 by ten times the rounding noise, which is half a unit of the
    symbol's last printed digit relative to A, or the median of |k - 1|, whichever is larger. Rows
    without an adjusted close give no actions, nor does a change over more than ten days without
    rows, which may hold several.

    Parameters
    ----------
    rows : DataFrame
        Columns symbol, session, close, vendor_adjusted_close; one row a symbol and session.
        Any stretch of history, led by the row before it: a symbol's first row shows no action.
    calendar : ExchangeCalendar, optional
        Dates `knowledge_time`; XNYS when absent.

    Returns
    -------
    DataFrame
        Table `corporate_actions`. `knowledge_time` is the open of the ex date (of the next session
        where a vendor has a row without one): companies announce earlier, but when is unknown here,
        and on that open everybody knows.

    Raises
    ------
    DataError
        If a symbol and session occur twice.
    """
    calendar = calendar or get_calendar("XNYS")
    _require_unique(rows)
    found = _growth_beyond_noise(rows)
    if found.is_empty():
        return TABLES["corporate_actions"].empty()
    ratios = [
        _split_ratio(growth, noise) for growth, noise in found.select("growth", "noise").iter_rows()
    ]
    ex_dates: list[date] = found["session"].to_list()
    openings = [_first_open(day, calendar) for day in ex_dates]
    beyond = pl.col("growth") - pl.col("split_ratio")
    has_cash = beyond.abs() > pl.col("noise") * pl.col("growth")
    table = found.with_columns(
        pl.Series("split_ratio", ratios, dtype=pl.Float64),
        pl.Series("knowledge_time", openings).cast(pl.Datetime("us", "UTC")),
    ).select(
        "symbol",
        pl.col("session").alias("ex_date"),
        pl.when(pl.col("split_ratio") == 1)
        .then(pl.lit("dividend"))
        .otherwise(pl.lit("split"))
        .alias("kind"),
        "split_ratio",
        pl.when(has_cash).then(pl.col("close") * beyond).otherwise(0.0).alias("cash_usd"),
        pl.lit(None, dtype=pl.String).alias("new_symbol"),
        "knowledge_time",
        pl.lit(ORIGIN).alias("origin"),
    )
    return conform("corporate_actions", table).sort("symbol", "ex_date", "kind")


def _growth_beyond_noise(rows: pl.DataFrame) -> pl.DataFrame:
    close, adjusted = pl.col("close"), pl.col("vendor_adjusted_close")
    # Digits the vendor prints: how many roundings still change some value of the symbol.
    decimals = pl.sum_horizontal(
        ((adjusted.round(d) - adjusted).abs() > 4e-16 * adjusted.abs()).any().cast(pl.Int32)
        for d in range(_MAX_DECIMALS)
    ).over("symbol")
    half_unit = 0.5 * pl.lit(10.0).pow(-decimals.cast(pl.Float64))
    printed_noise = half_unit * (1 / adjusted + 1 / adjusted.shift(1).over("symbol"))
    deviation = (pl.col("growth") - 1).abs()
    median_noise = (
        pl.when(deviation.count().over("symbol") >= _MIN_ROWS_FOR_MEDIAN)
        .then(deviation.median().over("symbol"))
        .otherwise(0.0)
    )
    return (
        rows.select("symbol", "session", "close", "vendor_adjusted_close")
        .filter(close.is_finite() & (close > 0) & adjusted.is_finite() & (adjusted > 0))
        .sort("symbol", "session")
        .with_columns(
            (adjusted / adjusted.shift(1) * close.shift(1) / close).over("symbol").alias("growth"),
            pl.col("session").diff().over("symbol").alias("gap"),
            printed_noise.alias("printed"),
        )
        .with_columns(
            (
                _NOISE_MARGIN * pl.max_horizontal(pl.col("printed") + _FLOAT_NOISE, median_noise)
            ).alias("noise")
        )
        .filter((deviation > pl.col("noise")) & (pl.col("gap") <= _MAX_GAP))
    )


def _split_ratio(growth: float, noise: float) -> float:
    whole = float(round(growth)) if growth >= 1 else 1.0 / round(1 / growth)
    nearest = min((whole, *_FRACTIONAL_RATIOS), key=lambda ratio: abs(growth / ratio - 1))
    if abs(growth / nearest - 1) <= noise:
        return nearest
    if growth < 1:  # no dividend is negative, so this is a reverse split, 1 for n, with cash
        return 1.0 / math.ceil(1 / growth)
    return float(math.floor(growth))


def _first_open(day: date, calendar: ExchangeCalendar) -> datetime:
    return calendar.open_time(day if calendar.is_session(day) else calendar.next_session(day))


def _require_unique(rows: pl.DataFrame) -> None:
    twice = rows.filter(pl.struct("symbol", "session").is_duplicated())
    if not twice.is_empty():
        symbol, session = twice.select("symbol", "session").row(0)
        msg = (
            f"{symbol} has more than one row on {session}; expected one, so pass the rows through"
            " as_known_at first"
        )
        raise DataError(msg)
