"""The bars that a calendar promises: their starts and ends in every session."""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.schema import UTC_TIME
from trading_assets.source_specs import BAR_MINUTES, BarLength


def bar_closes(
    calendar: ExchangeCalendar, sessions: Sequence[date], bar_length: BarLength
) -> pl.DataFrame:
    """Return every bar that `calendar` promises in `sessions`.

    Bars begin at the session's open and follow each other without gaps; the last one ends at the
    close, so it may be shorter than `bar_length`. A bar of `1d` is the whole session.

    Parameters
    ----------
    calendar : ExchangeCalendar
        Gives opens and closes; half days and daylight saving are its matter.
    sessions : sequence of date
        Sessions in rising order.
    bar_length : {"1d", "1h", "5m", "1m"}
        Length of a bar.

    Returns
    -------
    DataFrame
        session : Date, bar_open : UTC_TIME, event_time : UTC_TIME (the bar's close), in the order
        of `sessions` and of time.

    Raises
    ------
    UserError
        If a day is no session.
    """
    hours = pl.DataFrame(
        {
            "session": sessions,
            "bar_open": [calendar.open_time(day) for day in sessions],
            "event_time": [calendar.close_time(day) for day in sessions],
        },
        schema={"session": pl.Date, "bar_open": UTC_TIME, "event_time": UTC_TIME},
    )
    if bar_length == "1d":
        return hours
    length = timedelta(minutes=BAR_MINUTES[bar_length])
    length_us = length // timedelta(microseconds=1)
    span_us = (pl.col("event_time") - pl.col("bar_open")).dt.total_microseconds()
    n_bars = (span_us + length_us - 1) // length_us
    return (
        hours.with_columns(pl.int_ranges(0, n_bars).alias("bar"))
        .explode("bar", empty_as_null=False)
        .with_columns(
            (pl.col("bar_open") + pl.duration(microseconds=pl.col("bar") * length_us)).alias(
                "bar_open"
            )
        )
        .select(
            "session",
            "bar_open",
            pl.min_horizontal(pl.col("bar_open") + length, "event_time").alias("event_time"),
        )
    )


def session_dates(event_time: pl.Expr, calendar: ExchangeCalendar) -> pl.Expr:
    """Return the session that a bar ending at `event_time` belongs to.

    A session lies within its own date, so this is the date in the exchange's zone of the last
    moment of the bar: one that ends at midnight belongs to the day before. A bar outside any
    session gets that date too, so that it can be stored and then refused.

    Parameters
    ----------
    event_time : Expr
        Bars' closes, of type UTC_TIME.
    calendar : ExchangeCalendar
        Gives the zone.
    """
    inside = event_time - pl.duration(microseconds=1)
    return inside.dt.convert_time_zone(calendar.time_zone.key).dt.date()


def sessions_between(
    calendar: ExchangeCalendar, first: date | None, last: date | None
) -> list[date]:
    """Return the sessions from `first` to `last`; none where there is no such day."""
    return [] if first is None or last is None else calendar.sessions(first, last)
