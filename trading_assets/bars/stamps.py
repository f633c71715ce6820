"""The times and identity every stored bar carries, added to a vendor's plain prices."""

from datetime import date, datetime, timedelta

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.calendars.grid import bar_closes, session_dates, sessions_between
from trading_assets.bars.sources.source import declared_feed
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, conform
from trading_assets.source_specs import BAR_MINUTES, BarLength


def stamp_bars(
    prices: pl.DataFrame,
    spec: MarketDataSpec,
    calendar: ExchangeCalendar,
    as_of: datetime,
    feed: str | None = None,
) -> pl.DataFrame:
    """Return `prices` as table `raw_bars`, without what was not published at `as_of`.

    Parameters
    ----------
    prices : DataFrame
        Columns symbol, open, high, low, close, volume, optionally vendor_adjusted_close; and the
        time: for daily bars `session`, for shorter ones `event_time` (the bar's close) or, where
        that is absent, `bar_open`, of any aware type.
    spec : MarketDataSpec
        Gives bar length (`raw_bar_length`) and publication lag: `knowledge_time` is `event_time`
        plus the lag.
    calendar : ExchangeCalendar
        Gives a daily bar's `event_time`, the session's close, and a shorter bar's `session`. What
        lies outside any session gets the regular close, or the date in the exchange's zone, so
        that the row is stored and validation can refuse it.
    as_of : datetime
        Aware moment of the fetch, stored as `ingest_time`.
    feed : str, optional
        Where the rows came from; the feed of the declared source when absent.

    Raises
    ------
    UserError
        If `as_of` has no time zone.
    DataError
        If an intraday row has no time, a time without a zone, or a start off the calendar's grid
        whose end is on it.
    """
    length = spec.raw_bar_length
    timed = (
        _with_session_close(prices, calendar)
        if length == "1d"
        else _with_session(prices, calendar, length)
    )
    stamped = _with_knowledge(timed, spec, as_of).with_columns(
        pl.lit(feed or declared_feed(spec.source)).alias("feed"),
        pl.lit("raw").alias("adjustment"),
        pl.lit(length).alias("bar_length"),
    )
    if "vendor_adjusted_close" not in stamped.columns:
        stamped = stamped.with_columns(vendor_adjusted_close=pl.lit(None, dtype=pl.Float64))
    return _in_order("raw_bars", stamped)


def stamp_series(
    values: pl.DataFrame, spec: MarketDataSpec, calendar: ExchangeCalendar, as_of: datetime
) -> pl.DataFrame:
    """Return `values` (series, symbol, session, value) as table `series`, published by `as_of`.

    A value that describes session t is known at t's close plus the publication lag, like the bar.
    """
    return _in_order("series", _with_knowledge(_with_session_close(values, calendar), spec, as_of))


def _with_session_close(frame: pl.DataFrame, calendar: ExchangeCalendar) -> pl.DataFrame:
    _require_complete(frame, "session")
    days: list[date] = frame["session"].unique().sort().to_list()
    closes = [
        calendar.close_time(day) if calendar.is_session(day) else calendar.regular_close_time(day)
        for day in days
    ]
    close_times = pl.DataFrame(
        {"session": days, "event_time": closes},
        schema={"session": pl.Date, "event_time": UTC_TIME},
    )
    return frame.join(close_times, on="session", how="left")


def _with_session(
    frame: pl.DataFrame, calendar: ExchangeCalendar, length: BarLength
) -> pl.DataFrame:
    """Derive session and, from `bar_open`, event_time; a session that is given is not trusted."""
    if "event_time" in frame.columns:
        timed = _in_utc(frame, "event_time")
    elif "bar_open" in frame.columns:
        timed = _with_bar_end(_in_utc(frame, "bar_open"), calendar, length)
    else:
        msg = (
            f"bars of {length} came with columns {', '.join(frame.columns)}; expected event_time or"
            " bar_open, because a date does not say which bar of the session it is"
        )
        raise DataError(msg)
    return timed.with_columns(session_dates(pl.col("event_time"), calendar).alias("session"))


def _in_utc(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    dtype = frame.schema[column]
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
        msg = (
            f"column {column} was of type {dtype}; expected times with a time zone, so state the"
            " zone they are in"
        )
        raise DataError(msg)
    _require_complete(frame, column)
    return frame.with_columns(pl.col(column).dt.convert_time_zone("UTC").cast(UTC_TIME))


def _require_complete(frame: pl.DataFrame, column: str) -> None:
    if frame[column].has_nulls():
        row = frame.filter(pl.col(column).is_null()).row(0, named=True)
        msg = (
            f"a bar of {str(row['symbol'])[:40]} has no {column}; expected a time in every row,"
            " because a bar without one belongs to no month"
        )
        raise DataError(msg)


def _with_bar_end(
    frame: pl.DataFrame, calendar: ExchangeCalendar, length: BarLength
) -> pl.DataFrame:
    days = frame["bar_open"].dt.convert_time_zone(calendar.time_zone.key).dt.date()
    first, last = days.min(), days.max()
    assert isinstance(first, date | None)
    assert isinstance(last, date | None)
    grid = bar_closes(calendar, sessions_between(calendar, first, last), length)
    # The session's last bar may be shorter, so an end is looked up and not only computed.
    ends = frame.join(grid.drop("session"), on="bar_open", how="left", maintain_order="left")
    full = pl.col("bar_open") + timedelta(minutes=BAR_MINUTES[length])
    off_grid = ends.filter(pl.col("event_time").is_null()).with_columns(full.alias("event_time"))
    ambiguous = off_grid.join(grid, on="event_time", how="semi")
    if not ambiguous.is_empty():
        row = ambiguous.row(0, named=True)
        msg = (
            f"a bar of {row['symbol']} starts at {row['bar_open']:%Y-%m-%d %H:%M} UTC, off the"
            f" {length} grid of {calendar.name}, but ends where another bar does; expected starts"
            " counted from the session's open, so fetch finer bars by fetched_bar_length"
        )
        raise DataError(msg)
    return ends.with_columns(pl.col("event_time").fill_null(full))


def _with_knowledge(frame: pl.DataFrame, spec: MarketDataSpec, as_of: datetime) -> pl.DataFrame:
    if as_of.tzinfo is None:
        msg = f"as_of was {as_of} without a time zone; expected an aware time such as UTC"
        raise UserError(msg)
    lag = timedelta(minutes=spec.publication_lag_minutes)
    return frame.with_columns(
        (pl.col("event_time") + lag).alias("knowledge_time"),
        pl.lit(as_of).cast(UTC_TIME).alias("ingest_time"),
        pl.lit(0, dtype=pl.Int32).alias("revision"),
    ).filter(pl.col("knowledge_time") <= pl.col("ingest_time"))


def _in_order(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    declared = TABLES[table]
    return conform(table, frame.select(declared.names)).sort(declared.key)
