"""Dagster's partition keys against our own, at many moments."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from trading_assets.graph import strategy_graph
from trading_assets.periods import Axis, Periods
from trading_assets.pipeline.partitions import partitions_of
from trading_assets.pipeline.schedules import NEW_YORK
from trading_assets_tests.pipeline.shipped import (
    FIXED_NOW,
    Shipped,
    live_market,
    quarterly,
    strategy_over,
)

NY = ZoneInfo(NEW_YORK)

CLOSED_DAYS = {
    # Saturday, Sunday, 4 July, New Year's Day, Labor Day, a Sunday that ends a month
    "2024-07-06": "2024-07-08",
    "2024-07-07": "2024-07-08",
    "2024-07-04": "2024-07-05",
    "2025-01-01": "2025-01-02",
    "2024-09-02": "2024-09-03",
    "2024-06-30": "2024-07-01",
}
OPEN_DAYS = ("2024-07-03", "2024-07-05", "2024-12-31", "2025-01-02", "2024-07-31", "2024-08-01")
CHANGES_OF_CLOCK = ("2024-03-11", "2024-11-04")


def both_keys(periods: Periods, axis: Axis, now: datetime) -> tuple[list[str], list[str]]:
    definition = partitions_of(periods, axis)
    assert definition is not None
    with dg.partition_loading_context(effective_dt=now):
        return list(definition.get_partition_keys()), periods.keys(axis, now)


@pytest.mark.parametrize("hour", [0, 1, 12, 23])
@pytest.mark.parametrize("day", [*OPEN_DAYS, *CHANGES_OF_CLOCK])
def test_on_an_open_day_dagster_has_our_keys(shipped: Shipped, day: str, hour: int) -> None:
    now = datetime.combine(date.fromisoformat(day), time(hour), NY)
    for graph in shipped.graphs.values():
        for axis in {node.axis for node in graph.nodes} - {Axis.NONE}:
            seen, expected = both_keys(graph.periods, axis, now)
            assert seen == expected, (graph.owner, axis)


@pytest.mark.parametrize("day", CLOSED_DAYS)
def test_on_a_closed_day_dagster_has_the_next_session_too(shipped: Shipped, day: str) -> None:
    now = datetime.combine(date.fromisoformat(day), time(12), NY)
    for graph in shipped.graphs.values():
        for axis in {node.axis for node in graph.nodes} - {Axis.NONE}:
            seen, expected = both_keys(graph.periods, axis, now)
            is_open_ended = axis is Axis.SESSION and graph.periods.market.is_live
            extra = [CLOSED_DAYS[day]] if is_open_ended else []
            assert seen == [*expected, *extra], (graph.owner, axis)


def test_todays_session_and_month_exist_before_they_have_begun_to_trade() -> None:
    periods = quarterly()[1].periods
    just_after_midnight = datetime(2024, 8, 1, 0, 1, tzinfo=NY)
    for axis, newest in ((Axis.SESSION, "2024-08-01"), (Axis.MONTH, "2024-08-01")):
        seen, expected = both_keys(periods, axis, just_after_midnight)
        assert seen[-1] == expected[-1] == newest


def test_a_fold_exists_from_the_day_after_its_test_window() -> None:
    periods = quarterly()[1].periods
    last_evening = datetime(2024, 6, 30, 23, 59, tzinfo=NY)
    next_morning = datetime(2024, 7, 1, 0, 1, tzinfo=NY)
    assert both_keys(periods, Axis.FOLD, last_evening)[0][-1] == "2024-01-01"
    assert both_keys(periods, Axis.FOLD, next_morning)[0][-1] == "2024-04-01"


@settings(max_examples=60, deadline=None)
@given(
    start=st.dates(date(2016, 1, 1), date(2021, 6, 30)),
    length=st.one_of(st.none(), st.integers(1, 3000)),
    first_year=st.integers(2017, 2022),
    period=st.sampled_from(["year", "quarter"]),
    today=st.dates(date(2021, 7, 1), date(2027, 12, 31)),
    hour=st.integers(0, 23),
)
@example(date(2020, 1, 1), 1500, 2021, "year", date(2022, 3, 2), 12)  # the data's end is to come
def test_dagster_has_our_keys_at_any_moment(
    start: date, length: int | None, first_year: int, period: str, today: date, hour: int
) -> None:
    end = None if length is None else start + timedelta(days=length)
    market = live_market(start=start, end=end)
    folds = {"period": period, "first": f"{first_year}-01-01", "train_months": 12}
    strategy = strategy_over("daily", folds)
    periods = strategy_graph("any", strategy, market).periods
    assume(end is None or end > date(first_year, 1, 10))
    now = datetime.combine(today, time(hour), NY)
    for axis in (Axis.MONTH, Axis.FOLD, Axis.SESSION):
        seen, expected = both_keys(periods, axis, now)
        is_closed = not periods.calendar.is_session(today)
        if axis is Axis.SESSION and is_closed and (end is None or today <= end):
            # The next session, where the data reaches it.
            assert seen[: len(expected)] == expected
            assert all(date.fromisoformat(key) > today for key in seen[len(expected) :])
            assert len(seen) - len(expected) <= 1
            continue
        assert seen == expected, axis


def test_sessions_of_all_declared_years_are_the_calendars(shipped: Shipped) -> None:
    for owner, graph in shipped.graphs.items():
        periods = graph.periods
        keys, _ = both_keys(periods, Axis.SESSION, FIXED_NOW)
        days = periods.calendar.sessions(periods.first_session_day, periods.last_day(FIXED_NOW))
        assert keys == [day.isoformat() for day in days], owner
