from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.build import build_source
from trading_assets.bars.sources.contract import check_source
from trading_assets.bars.sources.source import BarSource, FetchedBars
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec
from trading_assets_tests.bars.sources.own_bars import FAULTS, FlatBars

START, END = date(2005, 1, 3), date(2005, 3, 31)


def check(spec: MarketDataSpec, source: BarSource | None = None) -> list[str]:
    calendar = get_calendar(spec.calendar)
    source = source or build_source(spec, calendar, {})
    return check_source(source, spec, calendar, START, END, NOW)


def own_spec(**options: Any) -> MarketDataSpec:
    factory = "trading_assets_tests.bars.sources.own_bars:FlatBars"
    source = {"kind": "module", "factory": factory, "feed": "mine", "options": options}
    return make_spec(source=source, universe=("A", "B"), start=date(2005, 1, 3))


EVENTFUL = {"gap_share": 0.05, "halts_a_year": 9, "splits_a_year": 3, "dividends_a_year": 12}


@pytest.mark.parametrize(
    "spec",
    [
        make_spec(),
        make_spec(source={"kind": "world"}, universe=("W1",), start=START, end=None),
        make_spec(source={"kind": "synthetic", **EVENTFUL}, start=START),
        make_spec(source={"kind": "synthetic", **EVENTFUL}, start=START, bar_length="1h"),
        make_spec(source={"kind": "synthetic"}, start=START, calendar="24/7", bar_length="1h"),
        own_spec(),
        make_spec(source={"kind": "synthetic", "delisting_share": 1, "listing_days": 60},
                  fallback={"kind": "sample"}, start=START),
    ],
    ids=["sample", "world", "synthetic", "hourly", "crypto", "own", "fallback"],
)  # fmt: skip
def test_every_source_keeps_its_promises(spec: MarketDataSpec) -> None:
    assert check(spec) == []


def test_files_keep_the_promises_too(tmp_path: Path) -> None:
    sample = build_source(make_spec(), CALENDAR, {}).fetch(START, END, NOW).rows
    sample.select("symbol", pl.col("session").alias("time"), "open", "high", "low", "close",
                  "volume").write_csv(tmp_path / "x.csv")  # fmt: skip
    source = {"kind": "files", "folder": str(tmp_path), "feed": "vendor"}
    assert check(make_spec(source=source)) == []


SENTENCES = {
    "column": "table raw_bars lacks volume",
    "type": "column close of table raw_bars was Float32; expected",
    "feed": r"bar of A at .* is not of feed mine",
    "bar_length": "is not of bar length 1d",
    "adjustment": "is not of adjustment raw",
    "revision": "is not of revision 0",
    "ingest_time": "has another ingest_time than the moment of the fetch",
    "future": "became known after the moment of the fetch",
    "clairvoyant": "became known before it ended",
    "range": "is of a session outside 2005-01-03 to 2005-03-31",
    "twice": "occurs more than once",
    "unsorted": "bars are not sorted by symbol",
    "price": "has a price that is not finite and above 0",
    "low": "has a low above open or close",
    "high": "has a high below open or close",
    "volume": "has a volume that is not finite or negative",
    "symbol": "is of a symbol outside the universe",
    "random": "a second fetch of the same range gives other rows",
    "range_dependent": r"a fetch of 2005-01-03 to 2005-02-.* gives other rows",
    "hindsight": r"asked as of 2005-02-.*, 1 rows came, but \d+ of a later fetch were known",
    "empty": "no bar came from 2005-01-03 to 2005-03-31",
    "action_range": "action of A at 1999-01-04 has an ex date outside",
    "action_future": r"action of A at .* became known after the moment of the fetch",
    "no_bars": "fetch returned DataFrame; expected FetchedBars",
    "fails": "fetch raised DataError: the vendor sleeps",
}


@pytest.mark.parametrize("fault", SENTENCES)
def test_a_broken_promise_is_named(fault: str) -> None:
    spec = own_spec()
    broken = FlatBars(spec, CALENDAR, {"fault": fault}, {})
    problems = check(spec, broken)
    assert any(pl.Series([problem]).str.contains(SENTENCES[fault]).all() for problem in problems), (
        problems
    )


def test_each_fault_is_tried() -> None:
    assert set(SENTENCES) == {*FAULTS, "fails"}


@pytest.mark.parametrize("ahead", [timedelta(days=4000), timedelta(hours=1)])
def test_a_source_that_looks_ahead_is_seen(ahead: timedelta) -> None:
    class Leaking(FlatBars):
        def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
            bars = super().fetch(start, end, as_of + ahead)
            now = pl.lit(as_of).cast(pl.Datetime("us", "UTC"))
            return replace(bars, rows=bars.rows.with_columns(ingest_time=now))

    spec = own_spec()
    problems = check(spec, Leaking(spec, CALENDAR, {}, {}))
    assert len(problems) == 1
    assert "asked as of 2005-02-" in problems[0]
    assert "became known after the moment of the fetch" in problems[0]
