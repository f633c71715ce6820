"""Series from one CSV or Parquet file, every vintage a row: macro figures and fundamentals."""

from datetime import date, datetime
from functools import cached_property

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.series.columns import (
    end_times,
    finite_numbers,
    of_universe,
    place,
    read_columns,
)
from trading_assets.bars.series.readers import stamp_vintages
from trading_assets.errors import DataError
from trading_assets.market_data import MarketDataSpec
from trading_assets.source_specs import FilesSeries

_NAME = r"^[a-z][a-z0-9_]{0,39}$"


class FileVintages:
    """The series of one file, of the data set's symbols and of the whole market.

    A date without a time stands for all of it: a reference date for the period that contains it
    (`reference_is`), a knowledge date for the last moment of its day in the calendar's zone.
    """

    def __init__(
        self, spec: MarketDataSpec, source: FilesSeries, calendar: ExchangeCalendar
    ) -> None:
        self._spec = spec
        self._source = source
        self._calendar = calendar
        self._file = spec.folder / source.file

    def fetch(self, start: date, end: date, as_of: datetime) -> pl.DataFrame:
        """Return the file's rows that became known in the sessions `start` to `end`.

        Raises
        ------
        UserError
            If the file or a declared column is missing.
        DataError
            If a row has no readable time, no number, no name or leaks.
        """
        return stamp_vintages(self._values, self._calendar, start, end, as_of)

    @cached_property
    def _values(self) -> pl.DataFrame:
        source = self._source
        constants = {"series": source.series, "symbol": source.symbol}
        absent = {name for name, value in constants.items() if value is not None}
        if source.release_lag_days is not None:
            absent.add("knowledge_time")
        needed = [
            name
            for name in ("series", "symbol", "reference_time", "knowledge_time", "value")
            if name not in absent
        ]
        rows = read_columns(self._file, needed, source.columns, optional={"symbol"})
        rows = of_universe(
            rows.with_columns(
                pl.lit(value, dtype=pl.String).alias(name)
                for name, value in constants.items()
                if value is not None
            ),
            self._spec.universe,
            self._file,
        )
        zone = self._calendar.time_zone.key
        ends = end_times(rows, "reference_time", zone, self._file, source.reference_is)
        known = (
            ends.dt.convert_time_zone(zone)
            .dt.offset_by(f"{source.release_lag_days}d")
            .dt.convert_time_zone("UTC")
            if source.release_lag_days is not None
            else end_times(rows, "knowledge_time", zone, self._file)
        )
        return rows.select(
            self._names(rows),
            "symbol",
            ends.alias("event_time"),
            known.alias("knowledge_time"),
            finite_numbers(rows, "value", self._file),
        )

    def _names(self, rows: pl.DataFrame) -> pl.Series:
        text = rows["series"].cast(pl.String)
        names = text.replace(self._source.names) if self._source.names else text
        wrong = rows.filter(~names.str.contains(_NAME).fill_null(value=False))
        if not wrong.is_empty():
            msg = (
                f"{place(self._file, wrong)}: series was {wrong['series'][0]!r}; expected a"
                " lower-case letter, then letters, digits and _, so name it under `names`"
            )
            raise DataError(msg)
        return names.alias("series")
