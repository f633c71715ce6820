"""Which bars the calendar promises, and which of them are missing."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

from trading_assets.bars.calendar import get_calendar
from trading_assets.market_data import MarketDataSpec

_NAMED = 5


def month_key(session: str = "session") -> pl.Expr:
    """Return the expression for a session's month, its first day as `YYYY-MM-DD`."""
    return pl.col(session).dt.truncate("1mo").dt.to_string("%Y-%m-%d").alias("month")


def expected_bars(
    spec: MarketDataSpec, first_sessions: Mapping[str, date], as_of: datetime
) -> pl.DataFrame:
    """Return the bars that should exist at `as_of`: columns symbol, session, month.

    Parameters
    ----------
    spec : MarketDataSpec
        Universe, start, end, calendar and publication lag.
    first_sessions : mapping of str to date
        First bar of each symbol in the data set; sessions before it are not expected, as the symbol
        was not listed yet. A symbol that is absent is expected from the data set's start.
    as_of : datetime
        Aware moment; a session counts once its close plus the publication lag has passed.
    """
    calendar = get_calendar(spec.calendar)
    last = calendar.last_completed_session(as_of, spec.publication_lag_minutes)
    sessions = calendar.sessions(spec.start, last if spec.end is None else min(spec.end, last))
    listed = pl.DataFrame(
        {
            "symbol": spec.universe,
            "first": [first_sessions.get(symbol, spec.start) for symbol in spec.universe],
        },
        schema={"symbol": pl.String, "first": pl.Date},
    )
    return (
        listed.join(pl.DataFrame({"session": sessions}, schema={"session": pl.Date}), how="cross")
        .filter(pl.col("session") >= pl.col("first"))
        .select("symbol", "session", month_key())
    )


def missing_bars(rows: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `expected` whose symbol and session have no row in `rows`."""
    return expected.join(rows, on=["symbol", "session"], how="anti").sort(
        "month", "symbol", "session"
    )


def missing_sessions(rows: pl.DataFrame, spec: MarketDataSpec, as_of: datetime) -> list[str]:
    """Return one sentence for each month in which too many expected bars are missing.

    Parameters
    ----------
    rows : DataFrame
        Table `raw_bars` of consecutive months. Months before the first or after the last row are
        not judged, nor are a symbol's sessions before its first row.
    spec : MarketDataSpec
        Its `validation.max_missing_share` bounds the share.
    as_of : datetime
        Aware moment of the fetch.
    """
    listed = rows.group_by("symbol").agg(pl.col("session").min())
    first_sessions = {symbol: day for symbol, day in listed.iter_rows() if symbol in spec.universe}
    seen = spec.model_copy(update={"universe": tuple(sorted(first_sessions))})
    months = set(rows.select(month_key()).to_series())
    if not months:
        return []
    expected = expected_bars(seen, first_sessions, as_of).filter(
        pl.col("month").is_between(pl.lit(min(months)), pl.lit(max(months)))
    )
    missing = missing_bars(rows, expected)
    bars = pl.format("{} {}", "symbol", "session")
    shares = (
        expected.group_by("month")
        .agg(pl.len().alias("expected"))
        .join(
            missing.group_by("month").agg(pl.len().alias("missing"), bars.alias("bars")), on="month"
        )
        .with_columns(
            (pl.col("missing") / pl.col("expected")).alias("missing_share"),
            pl.lit(spec.validation.max_missing_share).alias("max_missing_share"),
        )
        .filter(pl.col("missing_share") > pl.col("max_missing_share"))
        .sort("month")
    )
    return [missing_sentence(row, first_few(row["bars"])) for row in shares.iter_rows(named=True)]


def missing_sentence(row: Mapping[str, Any], named: str) -> str:
    """Return the sentence that says what a month lacks.

    Parameters
    ----------
    row : mapping
        month, missing, expected, missing_share and max_missing_share.
    named : str
        The first few missing bars.
    """
    return (
        f"{row['month'][:7]} lacks {row['missing']} of {row['expected']} expected bars"
        f" ({row['missing_share']:.1%}, expected at most {row['max_missing_share']:.1%}): {named}"
    )


def first_few(bars: Sequence[str]) -> str:
    """Return the first five of `bars` as words."""
    return ", ".join(bars[:_NAMED]) + (", ..." if len(bars) > _NAMED else "")
