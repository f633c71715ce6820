"""Further series of a data set, such as macro figures and news, in the time model of the bars.

A value is about a period that ends at `event_time` and was published at `knowledge_time`. A figure
that was published again is a further row, the next vintage. A row belongs to the first session at
whose close it was known, so a month of sessions holds what became known in it.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, conform
from trading_assets.source_specs import ArchSeries, FilesSeries

MARKET_WIDE = "*"
_PERIOD = ["series", "symbol", "event_time"]
# Longer than any closure of a market.
_LONGEST_CLOSURE = timedelta(days=31)


class SeriesReader(Protocol):
    """One declared source of series."""

    def fetch(self, start: date, end: date, as_of: datetime) -> pl.DataFrame:
        """Return table `series` of the sessions `start` to `end`, both inclusive.

        All vintages are there, in order of publication as revisions 0, 1, ..., counted from the
        first one ever published. Rows carry `as_of` as `ingest_time`; rows with `knowledge_time`
        after `as_of` are left out. A range within another gives the rows of the other within it.

        Raises
        ------
        UserError
            If what is declared is not there.
        DataError
            If the source holds something that is no series.
        """
        ...


def build_series_sources(spec: MarketDataSpec, calendar: ExchangeCalendar) -> list[SeriesReader]:
    """Return a reader of each series that `spec` declares; nothing is read before a fetch."""
    # Readers import this module, and a run should not pay for packages that it does without.
    readers: list[SeriesReader] = []
    for source in spec.series:
        if isinstance(source, FilesSeries):
            from trading_assets.bars.series.files import FileVintages

            readers.append(FileVintages(spec, source, calendar))
        elif isinstance(source, ArchSeries):
            from trading_assets.bars.series.arch import ArchData

            readers.append(ArchData(source, calendar))
        else:
            from trading_assets.bars.series.news import NewsSentiment

            readers.append(NewsSentiment(spec, source, calendar))
    return readers


def fetch_series(
    spec: MarketDataSpec, calendar: ExchangeCalendar, start: date, end: date, as_of: datetime
) -> pl.DataFrame:
    """Return all declared series of a range of sessions.

    Parameters
    ----------
    spec : MarketDataSpec
        Data set's declaration.
    calendar : ExchangeCalendar
        Says at which close a value was first known.
    start, end : date
        Sessions, both inclusive.
    as_of : datetime
        Aware moment of the fetch; what became known later is left out.

    Returns
    -------
    DataFrame
        Table `series`, sorted by its key.

    Raises
    ------
    UserError
        If two declared sources give the same series of one symbol, or one has nothing to read.
    DataError
        If a source holds something that is no series.
    """
    if as_of.tzinfo is None:
        msg = f"as_of was {as_of} without a time zone; expected an aware time such as UTC"
        raise UserError(msg)
    fetched = [reader.fetch(start, end, as_of) for reader in build_series_sources(spec, calendar)]
    _require_one_source_each(fetched)
    table = TABLES["series"]
    return pl.concat([table.empty(), *fetched]).sort(table.key)


def stamp_vintages(
    values: pl.DataFrame, calendar: ExchangeCalendar, start: date, end: date, as_of: datetime
) -> pl.DataFrame:
    """Return table `series` with the rows that became known in the sessions `start` to `end`.

    Parameters
    ----------
    values : DataFrame
        Every vintage of whole series: series, symbol, event_time, knowledge_time, value.
    calendar : ExchangeCalendar
        Says at which close a value was first known.
    start, end : date
        Sessions, both inclusive.
    as_of : datetime
        Aware moment; rows known later are left out.

    Raises
    ------
    DataError
        If a value is known before its period ends, or one vintage has two values.
    """
    values = values.unique(maintain_order=True)
    _require_no_foresight(values)
    _require_one_value_each(values)
    known = (
        values.sort(*_PERIOD, "knowledge_time")
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over(_PERIOD).alias("revision"))
        .filter(pl.col("knowledge_time") <= pl.lit(as_of).cast(UTC_TIME))
        .sort("knowledge_time", maintain_order=True)
    )
    closes = session_closes(calendar, start, end)
    return conform(
        "series",
        known.join_asof(closes, left_on="knowledge_time", right_on="close", strategy="forward")
        .filter(pl.col("knowledge_time") > pl.col("previous_close"))
        .with_columns(pl.lit(as_of).cast(UTC_TIME).alias("ingest_time"))
        .select(TABLES["series"].names)
        .sort(TABLES["series"].key),
    )


def session_closes(calendar: ExchangeCalendar, start: date, end: date) -> pl.DataFrame:
    """Return the sessions `start` to `end` with their own close and the one before, UTC.

    Returns
    -------
    DataFrame
        session, previous_close, close; in order of time. What lies in (previous_close, close]
        becomes known at the session's close.
    """
    sessions = calendar.sessions(start, end)
    closes = [calendar.close_time(session) for session in sessions]
    before: list[datetime] = []
    if sessions:
        earliest = max(calendar.first_day, start - _LONGEST_CLOSURE)
        earlier = calendar.sessions(earliest, sessions[0])[:-1]
        before = [_previous_close(calendar, earlier, earliest), *closes[:-1]]
    return pl.DataFrame(
        {"session": sessions, "previous_close": before, "close": closes},
        schema={"session": pl.Date, "previous_close": UTC_TIME, "close": UTC_TIME},
    )


def _previous_close(
    calendar: ExchangeCalendar, earlier: Sequence[date], earliest: date
) -> datetime:
    if earlier:
        return calendar.close_time(earlier[-1])
    # The calendar begins here: what was known before it belongs to no session.
    midnight = datetime(earliest.year, earliest.month, earliest.day, tzinfo=calendar.time_zone)
    return midnight.astimezone(UTC)


def _require_no_foresight(values: pl.DataFrame) -> None:
    early = values.filter(pl.col("knowledge_time") < pl.col("event_time"))
    if not early.is_empty():
        row = early.sort(*_PERIOD, "knowledge_time").row(0, named=True)
        msg = (
            f"{_title(row)} is said to be known at {row['knowledge_time']:%Y-%m-%d %H:%M} UTC,"
            f" before its period ends at {row['event_time']:%Y-%m-%d %H:%M} UTC; expected a"
            " knowledge_time not before the reference_time, because it would leak, so correct the"
            " row"
        )
        raise DataError(msg)


def _require_one_value_each(values: pl.DataFrame) -> None:
    vintage = [*_PERIOD, "knowledge_time"]
    twice = values.filter(pl.struct(vintage).is_duplicated())
    if not twice.is_empty():
        twice = twice.sort(*vintage, "value")
        row = twice.row(0, named=True)
        msg = (
            f"{_title(row)} has the values {row['value']} and {twice['value'][1]}, both known at"
            f" {row['knowledge_time']:%Y-%m-%d %H:%M} UTC; expected one value, so give the later"
            " one its own knowledge_time or remove one"
        )
        raise DataError(msg)


def _require_one_source_each(fetched: Sequence[pl.DataFrame]) -> None:
    delivered: set[tuple[str, str]] = set()
    for rows in fetched:
        names = set(rows.select("series", "symbol").unique().rows())
        both = sorted(names & delivered)
        if both:
            series, symbol = both[0]
            msg = (
                f"two declared sources give the series {series} of {symbol}; expected one, so"
                " rename it in one of them"
            )
            raise UserError(msg)
        delivered |= names


def _title(row: dict[str, object]) -> str:
    symbol = "" if row["symbol"] == MARKET_WIDE else f" of {row['symbol']}"
    return f"series {row['series']}{symbol} for the period to {row['event_time']:%Y-%m-%d %H:%M}"
