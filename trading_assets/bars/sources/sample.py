"""Five US stocks, 2000 to 2013, from the PyPI package `bokeh_sampledata`: no key, no network."""

import gzip
import io
from datetime import date, datetime
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import polars as pl

from trading_assets.bars.actions.corporate_actions import derive_actions
from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.bars.stamps import stamp_bars
from trading_assets.errors import DataError, NotCarriedError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES, UTC_TIME

_COLUMNS = {
    "Ticker": ("symbol", pl.String),
    "Date": ("session", pl.Date),
    "Open": ("open", pl.Float64),
    "High": ("high", pl.Float64),
    "Low": ("low", pl.Float64),
    "Close": ("close", pl.Float64),
    "Volume": ("volume", pl.Float64),
    "Adj Close": ("vendor_adjusted_close", pl.Float64),
}


class SampleBars:
    """Daily bars of AAPL, FB, GOOG, IBM and MSFT, unadjusted, with the vendor's adjusted close."""

    def __init__(self, spec: MarketDataSpec, calendar: ExchangeCalendar) -> None:
        self._spec = spec
        self._calendar = calendar

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        """Return the sample's bars and derived actions of `start` to `end`.

        Raises
        ------
        DataError
            If a symbol of the universe or a day of the range is not in the sample, or its file is
            missing or has other columns than expected.
        """
        self._require_known_symbols()
        self._require_known_days(start, end)
        wanted = pl.col("symbol").is_in(list(self._spec.universe))
        prices = self._prices.filter(wanted & pl.col("session").is_between(start, end))
        actions = self._actions.filter(
            wanted
            & pl.col("ex_date").is_between(start, end)
            & (pl.col("knowledge_time") <= pl.lit(as_of).cast(UTC_TIME))
        )
        return FetchedBars(
            stamp_bars(prices, self._spec, self._calendar, as_of),
            TABLES["series"].empty(),
            actions,
        )

    @cached_property
    def _prices(self) -> pl.DataFrame:
        return _read_sample()

    @cached_property
    def _actions(self) -> pl.DataFrame:
        return derive_actions(self._prices, self._calendar)

    def _require_known_symbols(self) -> None:
        known: list[str] = self._prices["symbol"].unique().sort().to_list()
        unknown = [symbol for symbol in self._spec.universe if symbol not in known]
        if unknown:
            msg = (
                f"universe names {', '.join(unknown)}, not in the sample; expected symbols out of"
                f" {', '.join(known)}"
            )
            raise NotCarriedError(msg)

    def _require_known_days(self, start: date, end: date) -> None:
        first, last = self._prices.select(
            pl.col("session").min().alias("first"), pl.col("session").max().alias("last")
        ).row(0)
        if start < first or end > last:
            msg = (
                f"bars were asked for from {start} to {end}; the sample covers {first} to {last},"
                " so choose start and end of the data set within"
            )
            raise NotCarriedError(msg)


def _read_sample() -> pl.DataFrame:
    # The package's own loader needs pandas; finding the package imports nothing.
    package = find_spec("bokeh_sampledata")
    if package is None or package.origin is None:
        msg = "the sample needs the package bokeh_sampledata; install it with pip"
        raise DataError(msg)
    file = Path(package.origin).parent / "_data" / "stocks.csv.gz"
    if not file.is_file():
        msg = f"the sample file {file} is missing; reinstall the package bokeh_sampledata"
        raise DataError(msg)
    try:
        text = gzip.decompress(file.read_bytes())
        table = pl.read_csv(
            io.BytesIO(text),
            schema_overrides={name: dtype for name, (_, dtype) in _COLUMNS.items()},
        )
    except (EOFError, gzip.BadGzipFile, pl.exceptions.PolarsError) as error:
        msg = f"the sample file {file} cannot be read ({error}); reinstall bokeh_sampledata"
        raise DataError(msg) from error
    missing = [name for name in _COLUMNS if name not in table.columns]
    if missing:
        msg = f"the sample file {file} lacks {', '.join(missing)}; reinstall bokeh_sampledata"
        raise DataError(msg)
    return table.select(pl.col(name).alias(column) for name, (column, _) in _COLUMNS.items()).sort(
        "symbol", "session"
    )
