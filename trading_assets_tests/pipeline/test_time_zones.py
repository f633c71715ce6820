"""Partitions of data sets whose days begin elsewhere than in New York."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trading_assets.asset_nodes import AssetGraph
from trading_assets.graph import market_data_graph, strategy_graph
from trading_assets.periods import Axis, Periods
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.partitions import mapping_of, partitions_of
from trading_assets.pipeline.schedules import strategy_schedules
from trading_assets_tests.pipeline.shipped import live_market, mapped, strategy_over

CALENDARS = ("XNYS", "24/7", "24/5")
AXES = (Axis.MONTH, Axis.FOLD, Axis.SESSION)


def graphs_of(calendar: str) -> list[AssetGraph]:
    market = live_market(calendar=calendar, start="2021-01-04")
    strategy = strategy_over("daily", {"period": "quarter", "first": "2022-07-01"})
    return [market_data_graph("daily", market), strategy_graph("any", strategy, market)]


def periods_of(calendar: str) -> Periods:
    return graphs_of(calendar)[1].periods


def dagster_keys(periods: Periods, axis: Axis, now: datetime) -> list[str]:
    definition = partitions_of(periods, axis)
    assert definition is not None
    with dg.partition_loading_context(effective_dt=now):
        return list(definition.get_partition_keys())


def newest(calendar: str, axis: Axis, now: datetime) -> str:
    periods = periods_of(calendar)
    seen, expected = dagster_keys(periods, axis, now), periods.keys(axis, now)
    assert seen == expected
    return seen[-1]


@pytest.mark.parametrize(
    ("calendar", "midnight"),
    [
        ("XNYS", datetime(2024, 10, 1, 4, tzinfo=UTC)),
        ("24/7", datetime(2024, 10, 1, tzinfo=UTC)),
        ("24/5", datetime(2024, 10, 1, tzinfo=UTC)),
    ],
)
def test_a_partition_appears_as_its_first_day_begins_where_the_market_is(
    calendar: str, midnight: datetime
) -> None:
    before = midnight - timedelta(microseconds=1)
    for axis in (Axis.MONTH, Axis.SESSION):
        assert newest(calendar, axis, midnight) == "2024-10-01"
    assert newest(calendar, Axis.MONTH, before) == "2024-09-01"
    assert newest(calendar, Axis.SESSION, before) == "2024-09-30"
    # Of a fold the last day has to be over.
    assert newest(calendar, Axis.FOLD, midnight) == "2024-07-01"
    assert newest(calendar, Axis.FOLD, before) == "2024-04-01"


def test_weekends_and_holidays_are_sessions_where_they_trade() -> None:
    # A Saturday, a Sunday that is Christmas, and Christmas on a Wednesday.
    days = ("2022-12-24", "2022-12-25", "2024-12-25")
    now = datetime(2025, 1, 2, 12, tzinfo=UTC)
    found = {name: set(dagster_keys(periods_of(name), Axis.SESSION, now)) for name in CALENDARS}
    assert [day in found["24/7"] for day in days] == [True, True, True]
    assert [day in found["24/5"] for day in days] == [False, False, True]
    assert [day in found["XNYS"] for day in days] == [False, False, False]


@settings(max_examples=60, deadline=None)
@given(
    calendar=st.sampled_from(CALENDARS),
    now=st.timedeltas(timedelta(0), timedelta(days=3000)).map(
        lambda passed: datetime(2022, 11, 1, tzinfo=UTC) + passed
    ),
)
@example("24/7", datetime(2024, 3, 1, 0, 0, 1, tzinfo=UTC))
@example("24/5", datetime(2024, 6, 30, 23, 59, tzinfo=UTC))  # a Sunday that ends a quarter
@example("XNYS", datetime(2024, 3, 1, 4, 59, tzinfo=UTC))
def test_no_partition_exists_before_its_span_begins_and_no_fold_before_it_ends(
    calendar: str, now: datetime
) -> None:
    periods = periods_of(calendar)
    today = now.astimezone(ZoneInfo(periods.time_zone)).date()
    for axis in AXES:
        spans = [periods.span(axis, key) for key in periods.keys(axis, now)]
        if axis is Axis.FOLD:
            assert all(span.last < today for span in spans)
        else:
            assert all(span.first <= today for span in spans)
        # None is late either: the next one has not begun, or not ended.
        following = spans[-1].last + timedelta(days=1)
        if axis is Axis.MONTH:
            assert following > today
        seen, expected = dagster_keys(periods, axis, now), periods.keys(axis, now)
        # On a closed day Dagster has the next session too; nothing asks for it.
        extra = [key for key in seen if key not in expected]
        assert seen[: len(expected)] == expected
        assert len(extra) <= (axis is Axis.SESSION and not periods.calendar.is_session(today))


@pytest.mark.parametrize("calendar", CALENDARS)
def test_dagsters_lineage_is_ours_in_every_zone(calendar: str) -> None:
    now = datetime(2025, 6, 18, 12, tzinfo=UTC)
    graphs = graphs_of(calendar)
    nodes = {node.key: (graph, node) for graph in graphs for node in graph.nodes}
    for graph, node in nodes.values():
        for edge in node.reads:
            upstream_graph, upstream = nodes[edge.asset]
            mapping = mapping_of(graph, node, upstream, edge)
            if mapping is None:
                continue
            key = graph.periods.keys(node.axis, now)[-1]
            seen = mapped(
                mapping,
                partitions_of(graph.periods, node.axis),
                partitions_of(upstream_graph.periods, upstream.axis),
                key,
                now,
            )
            span = graph.periods.span(node.axis, key, edge.start_offset, edge.end_offset)
            assert seen == upstream_graph.periods.keys_in(upstream.axis, span, now), edge


def test_where_sessions_follow_without_a_pause_no_decision_is_scheduled() -> None:
    names = {calendar: _schedules(calendar) for calendar in CALENDARS}
    assert sorted(names["XNYS"]) == ["any_live_inference", "any_nightly_retrain"]
    assert list(names["24/7"]) == list(names["24/5"]) == ["any_nightly_retrain"]
    # Crypto trades at weekends, so its nights are all seven.
    assert names["24/7"]["any_nightly_retrain"].endswith("* * *")
    assert names["XNYS"]["any_nightly_retrain"].endswith("* * 1-5")


def _schedules(calendar: str) -> dict[str, str]:
    graphs = graphs_of(calendar)
    strategy = strategy_over("daily", {"period": "quarter", "first": "2022-07-01"})
    declared = Declared("any", (*graphs,), live_market(calendar=calendar), strategy)
    found = strategy_schedules(declared)
    return {schedule.name: str(schedule.cron_schedule) for schedule in found}


def test_an_evening_in_new_york_is_the_next_day_for_crypto() -> None:
    evening = datetime(2024, 2, 29, 20, tzinfo=ZoneInfo("America/New_York"))
    assert periods_of("XNYS").last_day(evening) == date(2024, 2, 29)
    assert periods_of("24/7").last_day(evening) == date(2024, 3, 1)
