"""Dagster's partitions and lineage against our own keys and windows, computed by Dagster itself."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from trading_assets.graph import AssetGraph, AssetNode, Reads, market_data_graph, strategy_graph
from trading_assets.periods import NEW_YORK, Axis, Periods
from trading_assets.pipeline.partitions import mapping_of, partitions_of
from trading_assets.plan import upstream_keys
from trading_assets.strategy import MarketDataSpec, Strategy
from trading_assets_tests.pipeline.shipped import (
    FIXED_NOW,
    Shipped,
    mapped,
    sample,
    shows_own_month,
)
from trading_assets_tests.pipeline.snapshots import hold_against_snapshot

NY = ZoneInfo(NEW_YORK)

# Reader, read, key of the reader and what the row is about; the order of the table.
TABLE = (
    ("us_daily/validated_bars", "us_daily/raw_bars", "2009-01-01", "the month and the one before"),
    ("us_daily/corporate_actions", "us_daily/raw_bars", "", "all months"),
    ("us_equities/features", "us_daily/validated_bars", "2009-01-01", "25 months"),
    ("us_equities/features", "us_daily/validated_bars", "2000-05-01", "what there is"),
    ("us_equities/forecaster", "us_equities/features", "2009-01-01", "36 months before the test"),
    ("us_equities/forecasts", "us_equities/features", "2009-01-01", "train and test"),
    ("us_equities/policy/ppo", "us_equities/features", "2009-01-01", "36 months before the test"),
    ("us_equities/policy/ppo", "us_equities/forecasts", "2009-01-01", "the same fold"),
    ("us_equities/backtest", "us_equities/policy/ppo", "2009-01-01", "the same fold"),
    ("us_equities/backtest", "us_equities/features", "2009-01-01", "test and the year before"),
    ("us_equities/walk_forward_report", "us_equities/backtest", "", "all folds"),
    ("quarterly/forecaster", "quarterly/features", "2024-04-01", "36 months before the test"),
    ("quarterly/forecasts", "quarterly/features", "2024-04-01", "train and test"),
    ("quarterly/backtest", "quarterly/features", "2024-04-01", "test and the quarter before"),
    ("known_optimum/challenger", "known_optimum/features", "2025-06-16", "504 sessions before"),
    ("known_optimum/champion", "known_optimum/challenger", "2025-06-16", "the same session"),
    ("known_optimum/drift_report", "known_optimum/features", "2025-06-16", "504 sessions before"),
    ("known_optimum/paper_session", "known_optimum/champion", "2025-06-16", "the same session"),
    ("known_optimum/paper_session", "known_optimum/features", "2025-06-16", "Monday <- Friday"),
    ("known_optimum/paper_session", "known_optimum/features", "2025-07-01", "Tuesday <- Monday"),
    ("known_optimum/paper_session", "known_optimum/features", "2025-09-02", "after Labor Day"),
    ("known_optimum/paper_session", "w1_daily/validated_bars", "2025-06-16", "575 sessions, today"),
)

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


def live_market(**values: object) -> MarketDataSpec:
    return MarketDataSpec.model_validate(
        {"source": {"kind": "synthetic"}, "universe": ["W1"], "start": "2019-01-02", **values}
    )


def strategy_over(market_data: str, folds: dict[str, object], sessions: int = 504) -> Strategy:
    return Strategy.model_validate(
        {
            "market_data": market_data,
            "policy": {"agents": {"ppo": {}}},
            "folds": folds,
            "governance": {"challenger_sessions": sessions},
        }
    )


def lineage(
    graphs: list[AssetGraph],
    reader: AssetNode,
    key: str,
    now: datetime,
    least_offset: int = -(10**6),
) -> dict[str, tuple[list[str], list[str]]]:
    """Return, for each edge between partitioned assets, Dagster's upstream keys and the plan's."""
    nodes = {node.key: (graph, node) for graph in graphs for node in graph.nodes}
    owner = nodes[reader.key][0]
    planned = upstream_keys(graphs, reader, key, now)
    found: dict[str, tuple[list[str], list[str]]] = {}
    for edge in reader.reads:
        graph, upstream = nodes[edge.asset]
        mapping = mapping_of(owner, reader, upstream, edge)
        if mapping is None or edge.start_offset < least_offset:
            continue
        own = partitions_of(owner.periods, reader.axis)
        other = partitions_of(graph.periods, upstream.axis)
        seen = mapped(mapping, own, other, key, now)
        found[edge.asset] = (seen, as_dagster_shows(owner, reader, upstream, edge, key, planned))
    return found


def as_dagster_shows(
    owner: AssetGraph,
    reader: AssetNode,
    upstream: AssetNode,
    edge: Reads,
    key: str,
    planned: dict[str, list[str]],
) -> list[str]:
    own_month = [f"{key[:7]}-01"] if shows_own_month(owner, reader, upstream, edge, key) else []
    return sorted({*planned[edge.asset], *own_month})


def quarterly() -> list[AssetGraph]:
    market = live_market()
    folds = {"period": "quarter", "first": "2022-01-01"}
    strategy = strategy_over("daily", folds)
    return [market_data_graph("daily", market), strategy_graph("quarterly", strategy, market)]


def test_the_table_of_mappings_is_the_one_checked_in(shipped: Shipped) -> None:
    graphs = quarterly()
    lines = [
        "| reader | partition | reads | keys | first | last | what |",
        "|---|---|---|---|---|---|---|",
    ]
    for reader, read, key, what in TABLE:
        if reader.startswith("quarterly/"):
            keys = lineage(graphs, graphs[1].node(reader), key, FIXED_NOW)[read][0]
        else:
            keys = shipped.dagster_upstream(reader, read, key, FIXED_NOW)
        first, last = (keys[0], keys[-1]) if keys else ("none", "none")
        lines.append(
            f"| {reader} | {key or 'all'} | {read} | {len(keys)} | {first} | {last} | {what} |"
        )
    hold_against_snapshot("snapshot_mappings.md", "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("reader", "read", "key", "count", "first", "last"),
    [
        ("features", "us_daily/validated_bars", "2009-01-01", 25, "2007-01-01", "2009-01-01"),
        ("forecaster", "us_equities/features", "2009-01-01", 36, "2006-01-01", "2008-12-01"),
        ("policy/ppo", "us_equities/features", "2009-01-01", 36, "2006-01-01", "2008-12-01"),
        ("backtest", "us_equities/forecasts", "2009-01-01", 1, "2009-01-01", "2009-01-01"),
    ],
)
def test_a_training_window_ends_before_its_test_window(
    shipped: Shipped, reader: str, read: str, key: str, count: int, first: str, last: str
) -> None:
    keys = shipped.dagster_upstream(f"us_equities/{reader}", read, key, FIXED_NOW)
    assert (len(keys), keys[0], keys[-1]) == (count, first, last)


def test_a_quarter_is_trained_on_the_36_months_before_it() -> None:
    graphs = quarterly()
    node = graphs[1].node("quarterly/forecaster")
    keys = lineage(graphs, node, "2024-04-01", FIXED_NOW)["quarterly/features"][0]
    assert (len(keys), keys[0], keys[-1]) == (36, "2021-04-01", "2024-03-01")


@pytest.mark.parametrize(
    ("session", "first"), [("2025-06-05", "2023-06-01"), ("2025-06-04", "2023-05-01")]
)
def test_a_challenger_reads_exactly_504_sessions_back(session: str, first: str) -> None:
    # 504 sessions of the exchange lie from 1 June 2023 to 4 June 2025.
    graphs = quarterly()
    node = graphs[1].node("quarterly/challenger")
    keys = lineage(graphs, node, session, FIXED_NOW)["quarterly/features"][0]
    assert (keys[0], keys[-1]) == (first, "2025-06-01")


def test_a_first_session_of_a_month_reads_the_month_before(shipped: Shipped) -> None:
    upstream = shipped.dagster_upstream
    paper, features = "known_optimum/paper_session", "known_optimum/features"
    assert upstream(paper, features, "2025-07-01", FIXED_NOW) == ["2025-06-01"]


def test_after_closed_days_dagster_shows_one_month_more_than_is_read(shipped: Shipped) -> None:
    paper, features = "known_optimum/paper_session", "known_optimum/features"
    seen = shipped.dagster_upstream(paper, features, "2025-09-02", FIXED_NOW)
    node = shipped.assets[paper][1]
    read = upstream_keys(shipped.read_by("known_optimum"), node, "2025-09-02", FIXED_NOW)[features]
    assert read == ["2025-08-01"]
    assert seen == ["2025-08-01", "2025-09-01"]


@pytest.mark.parametrize("owner", ["us_equities", "known_optimum", "us_equities_paper"])
def test_lineage_of_shipped_months_and_folds_is_what_is_read(shipped: Shipped, owner: str) -> None:
    graphs = shipped.read_by(owner)
    for node in [node for graph in graphs for node in graph.nodes]:
        periods = shipped.assets[node.key][0].periods
        if node.axis not in (Axis.MONTH, Axis.FOLD):
            continue
        for key in sample(periods.keys(node.axis, FIXED_NOW), 40):
            for read, (seen, expected) in lineage(graphs, node, key, FIXED_NOW).items():
                assert seen == expected, (node.key, key, read)


@pytest.mark.parametrize("owner", ["us_equities", "known_optimum", "us_equities_paper"])
def test_lineage_of_shipped_sessions_is_what_is_read(shipped: Shipped, owner: str) -> None:
    graphs = shipped.read_by(owner)
    keys = graphs[1].periods.keys(Axis.SESSION, FIXED_NOW)
    # Dagster walks a window session by session: few keys of long windows, many of short ones.
    for node in [node for node in graphs[1].nodes if node.axis is Axis.SESSION]:
        for key in sample(keys, 3):
            for read, (seen, expected) in lineage(graphs, node, key, FIXED_NOW).items():
                assert seen == expected, (node.key, key, read)
        for key in sample(keys, 40):
            for read, (seen, expected) in lineage(graphs, node, key, FIXED_NOW, -1).items():
                assert seen == expected, (node.key, key, read)


@settings(max_examples=40, deadline=None)
@given(
    period=st.sampled_from(["year", "quarter"]),
    start=st.dates(date(2018, 1, 2), date(2019, 12, 31)),
    today=st.dates(date(2022, 1, 3), date(2026, 12, 31)),
    hour=st.integers(0, 23),
    place=st.floats(0, 1),
    sessions=st.integers(60, 90),
)
@example("year", date(2019, 1, 2), date(2024, 1, 2), 1, 0.0, 60)
@example("quarter", date(2019, 6, 1), date(2024, 7, 5), 0, 1.0, 60)
def test_lineage_of_any_declaration_is_what_is_read(
    period: str, start: date, today: date, hour: int, place: float, sessions: int
) -> None:
    market = live_market(start=start)
    folds = {"period": period, "first": "2022-01-01", "train_months": 24}
    strategy = strategy_over("daily", folds, sessions)
    graphs = [market_data_graph("daily", market), strategy_graph("any", strategy, market)]
    now = datetime.combine(today, time(hour), NY)
    for node in [node for graph in graphs for node in graph.nodes if node.axis is not Axis.NONE]:
        keys = graphs[1].periods.keys(node.axis, now)
        if not keys:
            continue
        key = keys[round(place * (len(keys) - 1))]
        for read, (seen, expected) in lineage(graphs, node, key, now, -100).items():
            assert seen == expected, (node.key, key, read)


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
