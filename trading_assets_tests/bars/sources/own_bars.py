"""A source of one's own as a user would write it, and broken ones for the contract."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.bars.stamps import stamp_bars
from trading_assets.errors import DataError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES

NOT_CALLABLE = 5


class FlatBars:
    """Every bar costs what the options say; `fault` breaks one promise."""

    def __init__(
        self,
        spec: MarketDataSpec,
        calendar: ExchangeCalendar,
        options: Mapping[str, Any],
        credentials: Mapping[str, str],
    ) -> None:
        self.spec, self.calendar = spec, calendar
        self.price = float(options.get("price", 100.0))
        self.fault = str(options.get("fault", ""))
        self.credentials = credentials
        self.count = 0

    def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
        self.count += 1
        if self.fault == "fails":
            msg = "the vendor sleeps; try again later"
            raise DataError(msg)
        bars = flat_bars(self.spec, self.calendar, start, end, as_of, self.price)
        return FAULTS[self.fault](self, bars, as_of) if self.fault else bars


def flat_bars(
    spec: MarketDataSpec,
    calendar: ExchangeCalendar,
    start: date,
    end: date,
    as_of: datetime,
    price: float = 100.0,
) -> FetchedBars:
    sessions = [day for day in calendar.sessions(start, end) if day >= spec.start]
    rows = pl.DataFrame({"symbol": spec.universe}, schema={"symbol": pl.String}).join(
        pl.DataFrame({"session": sessions}, schema={"session": pl.Date}), how="cross"
    )
    prices = rows.with_columns(
        *(pl.lit(price).alias(name) for name in ("open", "high", "low", "close")),
        pl.lit(1000.0).alias("volume"),
    )
    return FetchedBars(
        stamp_bars(prices, spec, calendar, as_of),
        TABLES["series"].empty(),
        TABLES["corporate_actions"].empty(),
    )


def _rows(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Any:
    return lambda source, bars, as_of: replace(bars, rows=change(bars.rows))


def _action(
    source: FlatBars, bars: FetchedBars, as_of: datetime, ex_date: date, known: datetime
) -> Any:
    row = {
        "symbol": source.spec.universe[0], "ex_date": ex_date, "kind": "dividend",
        "split_ratio": 1.0, "cash_usd": 1.0, "knowledge_time": known, "origin": "test",
    }  # fmt: skip
    schema = TABLES["corporate_actions"].empty().schema
    return replace(bars, actions=pl.DataFrame([row], schema=schema))


FAULTS: dict[str, Callable[[FlatBars, FetchedBars, datetime], Any]] = {
    "column": _rows(lambda rows: rows.drop("volume")),
    "type": _rows(lambda rows: rows.with_columns(pl.col("close").cast(pl.Float32))),
    "feed": _rows(lambda rows: rows.with_columns(feed=pl.lit("other"))),
    "bar_length": _rows(lambda rows: rows.with_columns(bar_length=pl.lit("1h"))),
    "adjustment": _rows(lambda rows: rows.with_columns(adjustment=pl.lit("split"))),
    "revision": _rows(lambda rows: rows.with_columns(revision=pl.lit(1, dtype=pl.Int32))),
    "ingest_time": _rows(
        lambda rows: rows.with_columns(pl.col("ingest_time") - timedelta(days=1))
    ),
    "future": lambda source, bars, as_of: replace(
        bars, rows=bars.rows.with_columns(knowledge_time=pl.lit(as_of) + timedelta(days=1))
    ),
    "clairvoyant": _rows(
        lambda rows: rows.with_columns(knowledge_time=pl.col("event_time") - timedelta(hours=1))
    ),
    "range": _rows(lambda rows: rows.with_columns(pl.col("session") + timedelta(days=4000))),
    "twice": _rows(lambda rows: pl.concat([rows, rows.head(1)])),
    "unsorted": _rows(lambda rows: rows.reverse()),
    "price": _rows(lambda rows: rows.with_columns(low=pl.lit(-1.0))),
    "low": _rows(lambda rows: rows.with_columns(low=pl.lit(101.0), high=pl.lit(102.0))),
    "high": _rows(lambda rows: rows.with_columns(high=pl.lit(99.0), low=pl.lit(98.0))),
    "volume": _rows(lambda rows: rows.with_columns(volume=pl.lit(-5.0))),
    "symbol": _rows(lambda rows: rows.with_columns(symbol=pl.lit("ZZZ") + pl.col("symbol"))),
    "random": lambda source, bars, as_of: replace(
        bars, rows=bars.rows.with_columns(volume=pl.lit(1000.0 + source.count))
    ),
    "range_dependent": _rows(lambda rows: rows.with_columns(volume=pl.lit(float(len(rows))))),
    "hindsight": lambda source, bars, as_of: replace(
        bars, rows=bars.rows if as_of.year > 2015 else bars.rows.head(1)
    ),
    "empty": _rows(lambda rows: rows.clear()),
    "action_range": lambda source, bars, as_of: _action(
        source, bars, as_of, date(1999, 1, 4), as_of
    ),
    "action_future": lambda source, bars, as_of: _action(
        source, bars, as_of, bars.rows["session"][0], as_of + timedelta(days=1)
    ),
    "no_bars": lambda source, bars, as_of: bars.rows,
}  # fmt: skip


def without_options(spec: MarketDataSpec, calendar: ExchangeCalendar) -> FlatBars:
    return FlatBars(spec, calendar, {}, {})


def nothing(**arguments: Any) -> None:
    return None
