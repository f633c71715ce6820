"""Dagster's lineage against the windows that are read, computed by Dagster itself."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trading_assets.asset_nodes import AssetGraph, AssetNode, Reads
from trading_assets.backtest.folds import month_keys
from trading_assets.graph import market_data_graph, strategy_graph
from trading_assets.periods import Axis
from trading_assets.pipeline.partitions import mapping_of, partitions_of
from trading_assets.pipeline.schedules import NEW_YORK
from trading_assets.upstream import upstream_keys
from trading_assets_tests.pipeline.shipped import (
    FIXED_NOW,
    Shipped,
    live_market,
    mapped,
    quarterly,
    sample,
    shows_own_month,
    strategy_over,
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
    (
        "us_equities/forecast_ablation/ppo",
        "us_equities/features",
        "2009-01-01",
        "train and test",
    ),
    (
        "us_equities/forecast_ablation/ppo",
        "us_equities/policy/ppo",
        "2009-01-01",
        "the same fold",
    ),
    ("us_equities/backtest", "us_equities/policy/ppo", "2009-01-01", "the same fold"),
    ("us_equities/backtest", "us_equities/features", "2009-01-01", "test and the year before"),
    ("us_equities/backtest", "us_daily/validated_bars", "2009-01-01", "test and two years before"),
    ("us_equities/walk_forward_report", "us_equities/backtest", "", "all folds"),
    ("us_equities/walk_forward_report", "us_equities/forecaster", "", "all folds"),
    ("us_equities/explanation", "us_equities/backtest", "2009-01-01", "the same fold"),
    ("us_equities/explanation", "us_equities/features", "2009-01-01", "train and test window"),
    ("us_equities/walk_forward_report", "us_equities/explanation", "", "all folds"),
    ("us_equities/stress", "us_equities/backtest", "2009-01-01", "the same fold"),
    ("us_equities/stress", "us_daily/validated_bars", "2009-01-01", "train and test window"),
    ("us_equities/walk_forward_report", "us_equities/stress", "", "all folds"),
    ("us_equities/walk_forward_report", "us_equities/forecast_ablation/ppo", "", "all folds"),
    ("quarterly/forecaster", "quarterly/features", "2024-04-01", "36 months before the test"),
    ("quarterly/forecasts", "quarterly/features", "2024-04-01", "train and test"),
    ("quarterly/backtest", "quarterly/features", "2024-04-01", "test and the quarter before"),
    ("quarterly/backtest", "daily/validated_bars", "2024-04-01", "test and 15 months before"),
    ("quarterly/stress", "daily/validated_bars", "2024-04-01", "train and test window"),
    ("known_optimum/challenger", "known_optimum/features", "2025-06-16", "504 sessions before"),
    ("known_optimum/champion", "known_optimum/challenger", "2025-06-16", "the same session"),
    ("known_optimum/drift_report", "known_optimum/features", "2025-06-16", "504 sessions before"),
    ("known_optimum/paper_session", "known_optimum/champion", "2025-06-16", "the same session"),
    ("known_optimum/paper_session", "known_optimum/features", "2025-06-16", "Monday <- Friday"),
    ("known_optimum/paper_session", "known_optimum/features", "2025-07-01", "Tuesday <- Monday"),
    ("known_optimum/paper_session", "known_optimum/features", "2025-09-02", "after Labor Day"),
    ("known_optimum/paper_session", "w1_daily/validated_bars", "2025-06-16", "598 sessions, today"),
    ("known_optimum/session_replay", "known_optimum/paper_session", "2025-06-16", "a month, today"),
    (
        "known_optimum/session_replay",
        "w1_daily/validated_bars",
        "2025-06-16",
        "598 sessions, today",
    ),
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
        ("features", "us_daily/validated_bars", "2009-01-01", 26, "2006-12-01", "2009-01-01"),
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


@pytest.mark.parametrize("period", ["year", "quarter"])
@pytest.mark.parametrize("last", [None, "2025-01-01"])
def test_an_anchored_fold_reads_every_month_from_the_anchor_on(
    period: str, last: str | None
) -> None:
    market = live_market(start=date(2018, 3, 5))
    folds = {"period": period, "first": "2022-01-01", "last": last, "window": "anchored"}
    strategy = strategy_over("daily", {**folds, "train_months": 24}, 60)
    graphs = [market_data_graph("daily", market), strategy_graph("any", strategy, market)]
    node = graphs[1].node("any/forecaster")
    keys = graphs[1].periods.keys(Axis.FOLD, FIXED_NOW)
    assert keys[:4:3] == ["2022-01-01", {"year": "2025-01-01", "quarter": "2022-10-01"}[period]]
    for key in keys:
        for asset in ("any/features", "daily/validated_bars"):
            read = upstream_keys(graphs, node, key, FIXED_NOW)[asset]
            assert read == month_keys(date(2020, 1, 1), date.fromisoformat(key) - timedelta(days=1))
            # Offsets know no day: what the data has before the anchor may be shown too.
            seen = lineage(graphs, node, key, FIXED_NOW)[asset][0]
            assert [month for month in seen if month >= "2020-01-01"] == read


def test_an_anchored_fold_is_explained_and_stressed_by_bars_before_the_anchor_if_need_be() -> None:
    market = live_market(start=date(2018, 3, 5))
    folds = {"period": "quarter", "first": "2022-01-01", "window": "anchored", "train_months": 9}
    strategy = strategy_over("daily", folds, 60)
    graphs = [market_data_graph("daily", market), strategy_graph("any", strategy, market)]
    first: dict[str, str] = {}
    for name in ("explanation", "stress"):
        read = upstream_keys(graphs, graphs[1].node(f"any/{name}"), "2023-04-01", FIXED_NOW)
        assert read["any/features"][0] == "2021-04-01"
        first[name] = read["daily/validated_bars"][0]
    # 13 months in five quarters, 25 in nine.
    assert first == {"explanation": "2020-10-01", "stress": "2019-10-01"}


@pytest.mark.parametrize("period", ["year", "quarter"])
def test_a_backtest_reads_13_months_of_bars_or_more_before_its_window(period: str) -> None:
    market = live_market()
    strategy = strategy_over("daily", {"period": period, "first": "2022-01-01"})
    graphs = [market_data_graph("daily", market), strategy_graph("any", strategy, market)]
    node = graphs[1].node("any/backtest")
    for key in graphs[1].periods.keys(Axis.FOLD, FIXED_NOW):
        bars = lineage(graphs, node, key, FIXED_NOW)["daily/validated_bars"][0]
        # Whole windows: two of 12 months, five of 3.
        assert sum(month < key for month in bars) == {"year": 24, "quarter": 15}[period]


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
