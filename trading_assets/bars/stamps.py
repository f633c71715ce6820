"""The times and identity every stored bar carries, added to a vendor's plain prices."""

from datetime import date, datetime, timedelta

import polars as pl

from trading_assets.bars.calendar import ExchangeCalendar
from trading_assets.bars.sources import declared_feed
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME, conform


def stamp_bars(
    prices: pl.DataFrame, spec: MarketDataSpec, calendar: ExchangeCalendar, as_of: datetime
) -> pl.DataFrame:
    """Return `prices` as table `raw_bars`, without what was not published at `as_of`.

    Parameters
    ----------
    prices : DataFrame
        Columns symbol, session, open, high, low, close, volume, vendor_adjusted_close.
    spec : MarketDataSpec
        Gives feed, bar length and publication lag.
    calendar : ExchangeCalendar
        Gives `event_time`, the session's close. A day without a session gets the regular close, so
        that the row is stored and validation can refuse it.
    as_of : datetime
        Moment of the fetch, stored as `ingest_time`.
    """
    stamped = _with_times(prices, spec, calendar, as_of).with_columns(
        pl.lit(declared_feed(spec.source)).alias("feed"),
        pl.lit("raw").alias("adjustment"),
        pl.lit(spec.bar_length).alias("bar_length"),
    )
    return _in_order("raw_bars", stamped)


def stamp_series(
    values: pl.DataFrame, spec: MarketDataSpec, calendar: ExchangeCalendar, as_of: datetime
) -> pl.DataFrame:
    """Return `values` (series, symbol, session, value) as table `series`, published by `as_of`.

    A value that describes session t is known at t's close plus the publication lag, like the bar.
    """
    return _in_order("series", _with_times(values, spec, calendar, as_of))


def _with_times(
    frame: pl.DataFrame, spec: MarketDataSpec, calendar: ExchangeCalendar, as_of: datetime
) -> pl.DataFrame:
    if as_of.tzinfo is None:
        msg = f"as_of was {as_of} without a time zone; expected an aware time such as UTC"
        raise UserError(msg)
    days: list[date] = frame["session"].unique().sort().to_list()
    closes = [
        calendar.close_time(day) if calendar.is_session(day) else calendar.regular_close_time(day)
        for day in days
    ]
    close_times = pl.DataFrame(
        {"session": days, "event_time": closes},
        schema={"session": pl.Date, "event_time": UTC_TIME},
    )
    lag = timedelta(minutes=spec.publication_lag_minutes)
    return (
        frame.join(close_times, on="session", how="left")
        .with_columns(
            (pl.col("event_time") + lag).alias("knowledge_time"),
            pl.lit(as_of).cast(UTC_TIME).alias("ingest_time"),
            pl.lit(0, dtype=pl.Int32).alias("revision"),
        )
        .filter(pl.col("knowledge_time") <= pl.col("ingest_time"))
    )


def _in_order(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    declared = TABLES[table]
    return conform(table, frame.select(declared.names)).sort(declared.key)
