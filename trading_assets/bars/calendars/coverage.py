"""Which bars the calendar promises, and which of them are missing or no promised bar at all."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from trading_assets.bars.actions.renames import ticker_turns
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.calendars.grid import bar_closes, sessions_between
from trading_assets.bars.calendars.listing_spans import expected_spans
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import UTC_TIME
from trading_assets.source_specs import BarLength

_NAMED = 5
_EXPECTED = {"symbol": pl.String, "session": pl.Date, "event_time": UTC_TIME, "month": pl.String}


def month_key(session: str = "session") -> pl.Expr:
    """Return the expression for a session's month, its first day as `YYYY-MM-DD`."""
    return pl.col(session).dt.truncate("1mo").dt.to_string("%Y-%m-%d").alias("month")


def expected_bars(
    spec: MarketDataSpec,
    first_sessions: Mapping[str, date],
    as_of: datetime,
    months: Collection[str] | None = None,
    actions: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the bars of `spec.raw_bar_length` that should exist at `as_of`.

    Parameters
    ----------
    spec : MarketDataSpec
        Universe and membership, start, end, calendar, bar length and publication lag.
    first_sessions : mapping of str to date
        First stored bar of each symbol in the data set. A symbol is expected in its declared
        membership; without one from its first stored bar on, and nowhere if it has none
        (`silent_symbols` names those).
    as_of : datetime
        Aware moment; a bar counts once its close plus the publication lag has passed.
    months : collection of str, optional
        Months to look at, first days as `YYYY-MM-DD`; all when absent.
    actions : DataFrame, optional
        Table `corporate_actions`: its renames say when a ticker's company leaves or arrives.

    Returns
    -------
    DataFrame
        symbol, session, event_time, month; by symbol in the order of the universe, then by time.

    Raises
    ------
    UserError
        If `as_of` has no time zone, or a day is outside the calendar.
    """
    grid = _promised_bars(spec, as_of, months)
    days = grid["session"]
    pieces: list[pl.DataFrame] = []
    turns = None if actions is None else ticker_turns(actions)
    for span in expected_spans(spec, first_sessions, turns):
        first = days.search_sorted(span.first, side="left")
        last = days.search_sorted(span.last, side="right") if span.last else len(days)
        # A slice shares the grid's memory, so a year of minutes of many symbols stays quick.
        piece = grid.slice(first, max(0, last - first))
        pieces.append(piece.select(pl.lit(span.symbol).alias("symbol"), pl.all()))
    return pl.concat(pieces) if pieces else pl.DataFrame(schema=_EXPECTED)


def missing_bars(rows: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `expected` that have no bar in `rows`, by month, symbol and time.

    A daily bar counts as received by its session, whatever its time says; a shorter one by its
    close.

    Parameters
    ----------
    rows : DataFrame
        Columns symbol, session, event_time.
    expected : DataFrame
        What `expected_bars` returns.
    """
    is_daily = expected["event_time"].n_unique() == expected["session"].n_unique()
    missing = (
        expected.join(rows, on=["symbol", "session"], how="anti")
        if is_daily
        else _without_close(rows, expected)
    )
    return missing.sort("month", "symbol", "event_time")


def extra_bars(rows: pl.DataFrame, spec: MarketDataSpec) -> pl.DataFrame:
    """Return the rows that are no bar of the calendar, in their order.

    That is a bar on a day without a session, outside its hours, or off the grid of
    `spec.raw_bar_length` that starts at its open.

    Parameters
    ----------
    rows : DataFrame
        Columns session and event_time, and any others.
    spec : MarketDataSpec
        Calendar and bar length.

    Raises
    ------
    UserError
        If a session is outside the calendar.
    """
    first, last = rows["session"].min(), rows["session"].max()
    assert isinstance(first, date | None)
    assert isinstance(last, date | None)
    calendar = get_calendar(spec.calendar)
    grid = bar_closes(calendar, sessions_between(calendar, first, last), spec.raw_bar_length)
    # No two bars of a calendar end together; one key is quicker than two.
    promised = grid.select("event_time", pl.col("session").alias("session_of_grid"))
    return (
        rows.join(promised, on="event_time", how="left", maintain_order="left")
        .filter(pl.col("session_of_grid").ne_missing(pl.col("session")))
        .drop("session_of_grid")
    )


def missing_sessions(
    rows: pl.DataFrame, spec: MarketDataSpec, as_of: datetime, actions: pl.DataFrame | None = None
) -> list[str]:
    """Return one sentence for each month in which too many expected bars are missing.

    Parameters
    ----------
    rows : DataFrame
        Table `raw_bars` of consecutive months. Months before the first or after the last row are
        not judged, nor are sessions before a symbol's first row unless its membership is declared.
    spec : MarketDataSpec
        Its `validation.max_missing_share` bounds the share.
    as_of : datetime
        Aware moment of the fetch.
    actions : DataFrame, optional
        Table `corporate_actions`, one version of each, of these months.
    """
    listed = rows.group_by("symbol").agg(pl.col("session").min())
    first_sessions: dict[str, date] = dict(listed.iter_rows())
    if not first_sessions:
        return []
    months = _months_between(rows["session"])
    expected = expected_bars(spec, first_sessions, as_of, months, actions)
    missing = missing_bars(rows, expected)
    shares = (
        expected.group_by("month")
        .agg(pl.len().alias("expected"))
        .join(
            missing.group_by("month").agg(
                pl.len().alias("missing"),
                # One more than are named, so that the sentence can say that there are others.
                bar_name(spec.raw_bar_length).head(_NAMED + 1).alias("bars"),
            ),
            on="month",
        )
        .with_columns(
            (pl.col("missing") / pl.col("expected")).alias("missing_share"),
            pl.lit(spec.validation.max_missing_share).alias("max_missing_share"),
        )
        .filter(pl.col("missing_share") > pl.col("max_missing_share"))
        .sort("month")
    )
    return [missing_sentence(row, first_few(row["bars"])) for row in shares.iter_rows(named=True)]


def bar_name(bar_length: BarLength) -> pl.Expr:
    """Return the expression for a bar's name: symbol and session, or symbol and close in UTC."""
    if bar_length == "1d":
        return pl.format("{} {}", "symbol", "session")
    return pl.format("{} {}", "symbol", pl.col("event_time").dt.to_string("%Y-%m-%d %H:%M UTC"))


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


def _promised_bars(
    spec: MarketDataSpec, as_of: datetime, months: Collection[str] | None
) -> pl.DataFrame:
    if as_of.tzinfo is None:
        msg = f"as_of was {as_of} without a time zone; expected an aware time such as UTC"
        raise UserError(msg)
    calendar = get_calendar(spec.calendar)
    today = as_of.astimezone(calendar.time_zone).date()
    last = today if spec.end is None else min(spec.end, today)
    sessions = calendar.sessions(spec.start, last)
    if months is not None:
        wanted = set(months)
        sessions = [day for day in sessions if day.replace(day=1).isoformat() in wanted]
    # Text is made once a session and not once a bar, which would take longer than all the rest.
    keys = pl.DataFrame({"session": sessions}, schema={"session": pl.Date}).with_columns(
        month_key()
    )
    published_until = pl.lit(as_of - timedelta(minutes=spec.publication_lag_minutes))
    return (
        bar_closes(calendar, sessions, spec.raw_bar_length)
        .filter(pl.col("event_time") <= published_until.cast(UTC_TIME))
        .join(keys, on="session", how="left", maintain_order="left")
        .select("session", "event_time", "month")
    )


def _without_close(rows: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    # One column of integers a symbol takes a third of the time of a join on symbol and time.
    received = rows.select("symbol", "event_time").partition_by(
        "symbol", as_dict=True, include_key=False
    )
    pieces = [
        bars.filter(~pl.col("event_time").is_in(received[symbol]["event_time"].implode()))
        if symbol in received
        else bars
        for symbol, bars in expected.partition_by("symbol", as_dict=True).items()
    ]
    return pl.concat(pieces) if pieces else expected


def _months_between(sessions: pl.Series) -> list[str]:
    months = sessions.dt.truncate("1mo").to_frame("month")
    return (
        months.select(pl.date_range(pl.col("month").min(), pl.col("month").max(), "1mo"))
        .to_series()
        .dt.to_string("%Y-%m-%d")
        .to_list()
    )
