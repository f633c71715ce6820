import time
from datetime import UTC, date, datetime

import polars as pl
import pytest

from trading_assets.bars.sources.build import build_source
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.errors import UserError
from trading_assets.schema import conform
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec

FIRST, LAST = date(2000, 3, 1), date(2013, 3, 1)


@pytest.fixture(scope="module")
def everything() -> FetchedBars:
    return build_source(make_spec(), CALENDAR, {}).fetch(FIRST, LAST, NOW)


def test_the_whole_sample_has_12154_bars_of_five_symbols(everything: FetchedBars) -> None:
    counts = dict(everything.rows.group_by("symbol").len().iter_rows())
    assert counts == {"AAPL": 3270, "FB": 196, "GOOG": 2148, "IBM": 3270, "MSFT": 3270}
    assert conform("raw_bars", everything.rows).equals(everything.rows)
    assert everything.series.is_empty()


def test_a_bar_carries_the_closing_prices_and_the_four_times(everything: FetchedBars) -> None:
    row = everything.rows.filter(symbol="AAPL", session=date(2012, 11, 23)).row(0, named=True)
    assert row["event_time"] == datetime(2012, 11, 23, 18, 0, tzinfo=UTC)
    assert row["knowledge_time"] == datetime(2012, 11, 23, 18, 15, tzinfo=UTC)
    assert row["ingest_time"] == NOW
    assert (row["revision"], row["feed"], row["adjustment"]) == (0, "sample", "raw")
    assert row["close"] == 571.5


def test_a_month_is_the_slice_of_the_whole(everything: FetchedBars) -> None:
    start, end = date(2005, 2, 1), date(2005, 2, 28)
    month = build_source(make_spec(), CALENDAR, {}).fetch(start, end, NOW)
    within = pl.col("session").is_between(start, end)
    assert month.rows.equals(everything.rows.filter(within))
    assert month.actions["ex_date"].to_list() == [
        date(2005, 2, 28), date(2005, 2, 8), date(2005, 2, 15)
    ]  # fmt: skip


def test_bars_not_yet_published_are_left_out() -> None:
    as_of = datetime(2005, 2, 28, 21, 14, tzinfo=UTC)
    fetched = build_source(make_spec(), CALENDAR, {}).fetch(date(2005, 2, 25), LAST, as_of)
    assert fetched.rows["session"].unique().to_list() == [date(2005, 2, 25)]
    # The split's ex date has opened, so the split is known, though its bar is not.
    assert fetched.actions["ex_date"].to_list() == [date(2005, 2, 28)]


def test_a_symbol_outside_the_sample_is_refused_with_those_that_exist() -> None:
    spec = make_spec(universe=("AAPL", "TSLA"))
    with pytest.raises(UserError, match=r"TSLA, not in the sample.*AAPL, FB, GOOG, IBM, MSFT"):
        build_source(spec, CALENDAR, {}).fetch(FIRST, LAST, NOW)


@pytest.mark.parametrize(("start", "end"), [(date(2000, 2, 29), LAST), (FIRST, date(2013, 3, 2))])
def test_a_day_outside_the_sample_is_refused(start: date, end: date) -> None:
    with pytest.raises(UserError, match="covers 2000-03-01 to 2013-03-01"):
        build_source(make_spec(), CALENDAR, {}).fetch(start, end, NOW)


def test_a_symbol_that_is_not_asked_for_is_not_delivered() -> None:
    spec = make_spec(universe=("IBM",))
    fetched = build_source(spec, CALENDAR, {}).fetch(FIRST, LAST, NOW)
    assert fetched.rows["symbol"].unique().to_list() == ["IBM"]
    assert fetched.actions["symbol"].unique().to_list() == ["IBM"]


def test_fetching_a_month_takes_less_than_a_tenth_of_a_second() -> None:
    durations: list[float] = []
    for _ in range(5):
        started = time.perf_counter()
        build_source(make_spec(), CALENDAR, {}).fetch(date(2005, 2, 1), date(2005, 2, 28), NOW)
        durations.append(time.perf_counter() - started)
    assert min(durations) < 0.1
