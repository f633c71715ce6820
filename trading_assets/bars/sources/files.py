"""Bars from a folder of CSV or Parquet files, whatever the vendor's layout; no network."""

import re
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from urllib.parse import unquote

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.calendars.grid import session_dates
from trading_assets.bars.sources.file_actions import read_file_actions
from trading_assets.bars.sources.file_tables import (
    DataFile,
    column_map,
    is_folder,
    read_tables,
    symbols_in,
)
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.bars.stamps import stamp_bars
from trading_assets.errors import DataError, UserError
from trading_assets.file_specs import FilesSource
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME
from trading_assets.symbols import normalize_symbol

_SUFFIXES = (".csv", ".csv.gz", ".parquet")
_NAMED = 5
_LONGEST_SHOWN = 300


class FileBars:
    """Bars that a folder holds, as it holds them: prices are taken for unadjusted ones.

    Tickers are those of the day, too: a file of actions says which companies were renamed.

    Every fetch reads the folder again, so files may be added or corrected between two; what
    changed becomes revisions. Rows of symbols outside the universe are not delivered. Nothing in a
    file is ever used as a path.

    Parameters
    ----------
    spec, source : MarketDataSpec, FilesSource
        Universe, bar length and lag; folder, column map and what times mean.
    calendar : ExchangeCalendar
        Says which session a time belongs to, and when it ends.

    Raises
    ------
    UserError
        If times are declared to be session dates although a session has many bars.
    """

    def __init__(
        self, spec: MarketDataSpec, source: FilesSource, calendar: ExchangeCalendar
    ) -> None:
        if source.time_is == "session" and spec.raw_bar_length != "1d":
            msg = (
                f"time_is was session for bars of {spec.raw_bar_length}; expected bar_open or"
                " bar_close, because a date does not say which bar of the session it is"
            )
            raise UserError(msg)
        self._spec = spec
        self._source = source
        self._calendar = calendar

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return the files' bars of the sessions `start` to `end`, and the declared actions.

        Raises
        ------
        UserError
            If the file of actions or one of its columns is missing.
        DataError
            If the folder or its files are missing, unreadable, or not as declared.
        """
        files = self._files()
        if not files:
            msg = self._nothing_found("a file name that is one of them")
            raise DataError(msg)
        table = read_tables(files, self._source, self._in_range(start, end))
        if table.is_empty():
            self._require_known_symbols(files)
        stamped = stamp_bars(self._dated(table), self._spec, self._calendar, as_of)
        rows = stamped.filter(pl.col("session").is_between(start, end))
        return FetchedBars(rows, TABLES["series"].empty(), self._actions(start, end, as_of))

    def _actions(self, start: date, end: date, as_of: datetime) -> pl.DataFrame:
        if self._source.actions is None:
            return TABLES["corporate_actions"].empty()
        spec = self._spec
        found = read_file_actions(
            self._source.actions,
            spec.folder,
            spec.universe,
            self._calendar,
            spec.publication_lag_minutes,
        )
        is_asked_for = pl.col("ex_date").is_between(start, end)
        return found.filter(
            is_asked_for & (pl.col("knowledge_time") <= pl.lit(as_of).cast(UTC_TIME))
        )

    @property
    def _folder(self) -> Path:
        return self._spec.folder / self._source.folder

    def _files(self) -> list[DataFile]:
        paths = self._paths()
        if self._source.symbol_from == "column":
            return [DataFile(path, None) for path in paths]
        files = [DataFile(path, _symbol_of(path)) for path in paths]
        return [file for file in files if file.symbol in self._spec.universe]

    def _paths(self) -> list[Path]:
        folder, pattern = self._folder, self._source.pattern
        if not is_folder(folder):
            msg = (
                f"{str(folder)[:_LONGEST_SHOWN]} is no folder; expected the folder of the data"
                " files, so check `folder`"
            )
            raise DataError(msg)
        declared = self._source.actions
        actions = None if declared is None else self._spec.folder / declared.file
        paths = sorted(
            path
            for path in folder.glob(pattern)
            if path != actions
            and path.name.endswith(_SUFFIXES)
            and not path.name.startswith(".")
            and path.is_file()
        )
        if not paths:
            msg = (
                f"{folder} has no file {pattern} that ends in {', '.join(_SUFFIXES)}; put the data"
                " files there, or check `folder` and `pattern`"
            )
            raise DataError(msg)
        return paths

    def _in_range(self, start: date, end: date) -> pl.Expr:
        of_universe = pl.col("symbol").is_in(list(self._spec.universe))
        if self._source.time_is == "session":
            return of_universe & pl.col("time").is_between(start, end)
        # Wider than any session of any zone; exact is the filter by session that follows.
        first, last = (datetime.combine(day, time(), tzinfo=UTC) for day in (start, end))
        first, last = first - timedelta(days=2), last + timedelta(days=3)
        return of_universe & pl.col("time").is_between(
            pl.lit(first).cast(UTC_TIME), pl.lit(last).cast(UTC_TIME)
        )

    def _dated(self, table: pl.DataFrame) -> pl.DataFrame:
        time_is, moment = self._source.time_is, pl.col("time")
        if time_is == "session":
            return table.rename({"time": "session"})
        if self._spec.raw_bar_length != "1d":
            return table.rename({"time": "event_time" if time_is == "bar_close" else "bar_open"})
        if time_is == "bar_close":
            return table.with_columns(session_dates(moment, self._calendar).alias("session"))
        zone = self._calendar.time_zone.key
        return table.with_columns(moment.dt.convert_time_zone(zone).dt.date().alias("session"))

    def _require_known_symbols(self, files: list[DataFile]) -> None:
        found = symbols_in(files, self._source)
        if not set(found) & set(self._spec.universe):
            shown = ", ".join(repr(symbol[:20]) for symbol in found[:_NAMED])
            msg = self._nothing_found(
                f"them in column {column_map(self._source)['symbol']}, which has {shown or 'none'}"
            )
            raise DataError(msg)

    def _nothing_found(self, expected: str) -> str:
        symbols = ", ".join(self._spec.universe[:_NAMED])
        return (
            f"the files of {self._folder} hold no symbol of the universe ({symbols}); expected"
            f" {expected}, so check `universe`, `symbol_from` and `columns`"
        )


def _symbol_of(path: Path) -> str:
    name = unquote(re.sub(r"(\.csv|\.csv\.gz|\.parquet)$", "", path.name))
    symbol = normalize_symbol(name)
    if symbol is None:
        msg = (
            f"file name {path.name[:60]!r} in {path.parent} is no symbol; expected capitals, digits"
            " and . - or %2F, such as BRK.B.csv, so rename the file or narrow `pattern`"
        )
        raise DataError(msg)
    return symbol
