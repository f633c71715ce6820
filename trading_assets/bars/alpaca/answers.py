"""Alpaca's bars as tables: read, placed on the exchange's sessions, and stamped.

Alpaca names a bar by its start, in UTC: a daily bar by the midnight in New York that begins its
session, an intraday bar by its first minute. Intraday bars come from before the open and after the
close too; only those of the session itself are kept.
"""

import logging
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.errors import DataError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, conform
from trading_assets.source_specs import BAR_MINUTES, BarLength

Json = dict[str, Any]

_LOG = logging.getLogger(__name__)
_FIELDS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_SCHEMA = {"symbol": pl.String, "bar_start": UTC_TIME, **dict.fromkeys(_FIELDS, pl.Float64)}


def read_bars(bars: Json, symbols: Collection[str]) -> pl.DataFrame:
    """Return bars by symbol as symbol, bar_start (UTC), open, high, low, close, volume.

    Raises
    ------
    DataError
        If a symbol was not asked for, a field is missing or of another type, a time has no zone, or
        a number is not finite.
    """
    unasked = sorted(symbol for symbol in bars if symbol not in symbols)
    if unasked:
        msg = (
            f"Alpaca's answer holds bars of {len(unasked)} symbols that were not asked for; check"
            " that the source's url is Alpaca's own, and try again later"
        )
        raise DataError(msg)
    frames = [_symbol_bars(symbol, bars[symbol]) for symbol in sorted(bars)]
    return pl.concat([pl.DataFrame(schema=_SCHEMA), *frames])


def place_bars(
    prices: pl.DataFrame,
    calendar: ExchangeCalendar,
    bar_length: BarLength,
    start: date,
    end: date,
) -> pl.DataFrame:
    """Return `prices` of the sessions `start` to `end` with their session and closing time.

    A daily bar ends with its session, an intraday bar after its length but not after the session's
    close. Intraday bars that start outside the session's hours are left out. A bar of a day without
    a session stays, so that validation can refuse it.

    Parameters
    ----------
    prices : DataFrame
        As `read_bars` returns them.
    calendar : ExchangeCalendar
        Gives sessions and hours.
    bar_length : str
        1d, 5m or 1m: lengths whose grid in UTC is the session's own.
    start, end : date
        First and last session, both inclusive; what reaches over is left out.

    Returns
    -------
    DataFrame
        symbol, session, event_time, open, high, low, close, volume.

    Raises
    ------
    DataError
        If a daily bar does not start at midnight in the exchange's time zone.
    """
    local = pl.col("bar_start").dt.convert_time_zone(calendar.time_zone.key)
    if bar_length == "1d":
        _require_midnight(prices.filter(local.dt.time() != pl.time(0)))
    dated = prices.with_columns(local.dt.date().alias("session")).filter(
        pl.col("session").is_between(start, end)
    )
    dated = dated.join(_hours(dated, calendar), on="session", how="left")
    if bar_length == "1d":
        placed = dated.with_columns(pl.col("closes").alias("event_time"))
    else:
        begins = pl.col("bar_start")
        inside = pl.col("opens").is_null() | (
            (begins >= pl.col("opens")) & (begins < pl.col("closes"))
        )
        length = timedelta(minutes=BAR_MINUTES[bar_length])
        placed = dated.filter(inside).with_columns(
            pl.when(pl.col("opens").is_null())
            .then(begins + length)
            .otherwise(pl.min_horizontal(begins + length, "closes"))
            .alias("event_time")
        )
        _LOG.debug("%d bars outside the session's hours are left out", len(dated) - len(placed))
    return placed.select("symbol", "session", "event_time", *_FIELDS)


def stamp_placed_bars(
    placed: pl.DataFrame, spec: MarketDataSpec, feed: str, bar_length: BarLength, as_of: datetime
) -> pl.DataFrame:
    """Return `placed` as table `raw_bars`, also what was not yet published at `as_of`."""
    lag = timedelta(minutes=spec.publication_lag_minutes)
    stamped = placed.with_columns(
        (pl.col("event_time") + lag).alias("knowledge_time"),
        pl.lit(as_of).cast(UTC_TIME).alias("ingest_time"),
        pl.lit(0, dtype=pl.Int32).alias("revision"),
        pl.lit(feed).alias("feed"),
        pl.lit("raw").alias("adjustment"),
        pl.lit(bar_length).alias("bar_length"),
        pl.lit(None, dtype=pl.Float64).alias("vendor_adjusted_close"),
    )
    # A page that is sent twice holds the same bars.
    table = conform("raw_bars", stamped.select(TABLES["raw_bars"].names))
    return table.unique(maintain_order=True).sort(TABLES["raw_bars"].key)


def _symbol_bars(symbol: str, bars: Any) -> pl.DataFrame:  # noqa: ANN401 # whatever JSON holds
    try:
        starts = [bar["t"] for bar in bars]
        columns = {
            name: _numbers([bar[field] for bar in bars], f"{field} of {symbol}")
            for name, field in _FIELDS.items()
        }
        # Parsed one by one: Alpaca may add fractions of a second.
        local = [datetime.fromisoformat(start) for start in starts]
        if any(moment.tzinfo is None for moment in local):
            raise _unreadable(where=f"a time of {symbol} without a zone")
        times = [moment.astimezone(UTC) for moment in local]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _unreadable(where=f"{type(error).__name__} in a bar of {symbol}") from None
    return pl.DataFrame(
        {
            "symbol": pl.Series([symbol], dtype=pl.String).new_from_index(0, len(times)),
            "bar_start": pl.Series(times, dtype=UTC_TIME),
            **columns,
        },
        schema=_SCHEMA,
    )


def _numbers(values: list[Any], where: str) -> pl.Series:
    if not {type(value) for value in values} <= {int, float}:
        raise _unreadable(where=f"{where} is no number")
    numbers = pl.Series([float(value) for value in values], dtype=pl.Float64)
    if not numbers.is_finite().all():
        raise _unreadable(where=f"{where} is not finite")
    return numbers


def _hours(dated: pl.DataFrame, calendar: ExchangeCalendar) -> pl.DataFrame:
    days: list[date] = dated["session"].unique().sort().to_list()
    hours = [
        (day, calendar.open_time(day), calendar.close_time(day))
        if calendar.is_session(day)
        else (day, None, calendar.regular_close_time(day))
        for day in days
    ]
    schema = {"session": pl.Date, "opens": UTC_TIME, "closes": UTC_TIME}
    return pl.DataFrame(hours, schema=schema, orient="row")


def _require_midnight(misplaced: pl.DataFrame) -> None:
    if not misplaced.is_empty():
        symbol, starts = misplaced.select("symbol", "bar_start").row(0)
        where = f"a daily bar of {symbol} starts at {starts}, not at midnight in New York"
        raise _unreadable(where=where)


def _unreadable(where: str) -> DataError:
    msg = (
        f"Alpaca's answer holds no readable bar ({where}); try again later, or report it to the"
        " vendor"
    )
    return DataError(msg)
