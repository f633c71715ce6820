"""Series that ship with the PyPI package `arch`: the S&P 500 index and corporate bond yields."""

from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar, get_calendar
from trading_assets.bars.series.readers import MARKET_WIDE, stamp_vintages
from trading_assets.errors import DataError
from trading_assets.schema import UTC_TIME
from trading_assets.source_specs import ArchSeries

if TYPE_CHECKING:
    import pandas as pd

_INDEX = {
    "Open": "sp500_open",
    "High": "sp500_high",
    "Low": "sp500_low",
    "Close": "sp500_close",
    "Volume": "sp500_volume",
}
_YIELDS = {"AAA": "aaa_yield", "BAA": "baa_yield"}


class ArchData:
    """The series of one module of `arch.data`, none of which is about a single symbol.

    `sp500`, daily from 1999 to 2018: sp500_open, sp500_high, sp500_low, sp500_close in index points
    and sp500_volume in shares; a day's values are complete at the close in New York. `default`,
    monthly from 1919 to 2018: aaa_yield and baa_yield of corporate bonds and default_premium, the
    second less the first, in percent a year; a month is labelled by its first day but complete only
    when it is over. Neither has revisions: the figures are those of the last vintage.
    """

    def __init__(self, source: ArchSeries, calendar: ExchangeCalendar) -> None:
        self._source = source
        self._calendar = calendar

    def fetch(self, start: date, end: date, as_of: datetime) -> pl.DataFrame:
        """Return what became known in the sessions `start` to `end`.

        Raises
        ------
        DataError
            If its tables have other columns than expected.
        """
        return stamp_vintages(self._values, self._calendar, start, end, as_of)

    @cached_property
    def _values(self) -> pl.DataFrame:
        # Both are American, whatever calendar the data set follows.
        exchange = get_calendar("XNYS")
        zone = exchange.time_zone.key
        values = _index(exchange) if self._source.data == "sp500" else _yields(zone)
        lag = f"{self._source.release_lag_days}d"
        return values.select(
            "series",
            pl.lit(MARKET_WIDE).alias("symbol"),
            "event_time",
            pl.col("event_time")
            .dt.convert_time_zone(zone)
            .dt.offset_by(lag)
            .dt.convert_time_zone("UTC")
            .alias("knowledge_time"),
            "value",
        )


def _index(exchange: ExchangeCalendar) -> pl.DataFrame:
    from arch.data import sp500

    days = _days_and_values(sp500.load(), _INDEX)
    closes = [
        exchange.close_time(day) if exchange.is_session(day) else exchange.regular_close_time(day)
        for day in days["day"].to_list()
    ]
    return _long(days.with_columns(pl.Series("event_time", closes, dtype=UTC_TIME)))


def _yields(zone: str) -> pl.DataFrame:
    from arch.data import default

    months = _days_and_values(default.load(), _YIELDS).with_columns(
        (pl.col("baa_yield") - pl.col("aaa_yield")).alias("default_premium"),
        pl.col("day")
        .dt.month_start()
        .dt.offset_by("1mo")
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone(zone)
        .dt.convert_time_zone("UTC")
        .alias("event_time"),
    )
    return _long(months)


def _days_and_values(frame: "pd.DataFrame", columns: dict[str, str]) -> pl.DataFrame:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        msg = f"the tables of the package arch lack {', '.join(missing)}; install arch 8"
        raise DataError(msg)
    return pl.DataFrame(
        {
            "day": pl.Series(frame.index.to_numpy()).cast(pl.Date),
            **{
                ours: pl.Series(frame[theirs].to_numpy()).cast(pl.Float64)
                for theirs, ours in columns.items()
            },
        }
    )


def _long(wide: pl.DataFrame) -> pl.DataFrame:
    return wide.drop("day").unpivot(index="event_time", variable_name="series")
