"""The lineage of all shipped declarations, as a text that is checked in, and as our own graph."""

import dagster as dg
import pytest

from trading_assets.periods import Axis
from trading_assets_tests.pipeline.shipped import FIXED_NOW, Shipped
from trading_assets_tests.pipeline.snapshots import hold_against_snapshot

OWNERS = (
    "us_daily",
    "w1_daily",
    "us_daily_alpaca",
    "us_equities",
    "known_optimum",
    "us_equities_paper",
)


def describe_asset(shipped: Shipped, key: str) -> list[str]:
    node = shipped.dagster_node(key)
    pools = ", ".join(sorted(node.pools or ())) or "none"
    lines = [
        key,
        f"  group {node.group_name}, kinds {', '.join(sorted(node.kinds))}, pool {pools}",
        f"  partitions {describe_partitions(shipped, key)}",
    ]
    for parent in sorted(node.parent_keys, key=str):
        mapping = node.partition_mappings.get(parent)
        window = "" if mapping is None else f" ({mapping.start_offset}, {mapping.end_offset})"
        lines.append(f"  reads {parent.to_user_string()}{window}")
    for check in sorted(node.check_keys, key=lambda check: check.name):
        blocks = shipped.repository.asset_graph.get(check).blocking
        lines.append(f"  check {check.name}, {'blocks' if blocks else 'reports'}")
    return lines


def describe_partitions(shipped: Shipped, key: str) -> str:
    definition = shipped.dagster_node(key).partitions_def
    if definition is None:
        return "none"
    keys = shipped.dagster_keys(key, FIXED_NOW)
    first, last = (keys[0], keys[-1]) if keys else ("none", "none")
    kind = {
        "0 0 1 * *": "months",
        "0 0 1 1 *": "folds of a year",
        "0 0 1 1,4,7,10 *": "folds of a quarter",
        "0 0 * * *": "sessions",
    }[definition.cron_schedule]
    return f"{kind}, {first} to {last} ({len(keys)})"


def test_every_declaration_shipped_is_looked_at(shipped: Shipped) -> None:
    assert set(shipped.graphs) == set(OWNERS)


def test_the_lineage_is_the_one_checked_in(shipped: Shipped) -> None:
    lines = [f"# {FIXED_NOW:%A %Y-%m-%d}, {FIXED_NOW.tzname()}"]
    for owner in OWNERS:
        for node in shipped.graphs[owner].nodes:
            lines += ["", *describe_asset(shipped, node.key)]
    for schedule in sorted(shipped.repository.schedule_defs, key=lambda s: s.name):
        status, cron = schedule.default_status.value, schedule.cron_schedule
        lines += [
            "",
            f"schedule {schedule.name}",
            f"  {cron} {schedule.execution_timezone}, {status}",
        ]
    for sensor in sorted(shipped.repository.sensor_defs, key=lambda s: s.name):
        seconds, status = sensor.minimum_interval_seconds, sensor.default_status.value
        lines += ["", f"sensor {sensor.name}", f"  every {seconds} s, {status}"]
    hold_against_snapshot("snapshot_graph.txt", "\n".join(lines) + "\n")


def test_dagster_and_the_graph_have_the_same_assets(shipped: Shipped) -> None:
    keys = {key.to_user_string() for key in shipped.repository.asset_graph.get_all_asset_keys()}
    controls = {f"{owner}/account_control" for owner in OWNERS if _is_strategy(shipped, owner)}
    assert keys == set(shipped.assets) | controls


def test_the_control_of_an_account_is_read_by_nothing_and_reads_nothing(shipped: Shipped) -> None:
    node = shipped.dagster_node("us_equities/account_control")
    assert not node.parent_keys
    assert not node.child_keys
    assert node.partitions_def is None
    assert not node.pools
    assert node.group_name == "paper"


def _is_strategy(shipped: Shipped, owner: str) -> bool:
    return any(node.key == f"{owner}/paper_session" for node in shipped.graphs[owner].nodes)


@pytest.mark.parametrize("owner", OWNERS)
def test_dagster_and_the_graph_agree_on_every_asset(shipped: Shipped, owner: str) -> None:
    for node in shipped.graphs[owner].nodes:
        seen = shipped.dagster_node(node.key)
        assert seen.group_name == node.stage, node.key
        assert seen.code_version == node.code_version, node.key
        assert (seen.partitions_def is None) == (node.axis is Axis.NONE), node.key
        assert seen.is_executable, node.key
        parents = {parent.to_user_string() for parent in seen.parent_keys}
        assert parents == {edge.asset for edge in node.reads}, node.key


@pytest.mark.parametrize("owner", OWNERS)
def test_dagster_and_the_graph_agree_on_every_window(shipped: Shipped, owner: str) -> None:
    for node in shipped.graphs[owner].nodes:
        mappings = shipped.dagster_node(node.key).partition_mappings
        for edge in node.reads:
            mapping = mappings.get(dg.AssetKey(edge.asset.split("/")))
            upstream = shipped.assets[edge.asset][1]
            if Axis.NONE in (node.axis, upstream.axis):
                assert mapping is None, (node.key, edge)
                continue
            offsets = (mapping.start_offset, mapping.end_offset)
            assert offsets == (edge.start_offset, edge.end_offset), (node.key, edge)


def test_every_asset_is_checked_and_blocked_by_at_least_one_check_unless_it_only_reports(
    shipped: Shipped,
) -> None:
    graph = shipped.repository.asset_graph
    for key in shipped.assets:
        checks = shipped.dagster_node(key).check_keys
        assert checks, key
        is_report = key.endswith("/drift_report")
        assert any(graph.get(check).blocking for check in checks) != is_report, key


def test_only_months_are_backfilled_in_one_run(shipped: Shipped) -> None:
    for key, (_, node) in shipped.assets.items():
        policy = shipped.dagster_node(key).backfill_policy
        is_single = policy is not None and policy.max_partitions_per_run is None
        if node.axis in (Axis.FOLD, Axis.SESSION):
            assert policy is None, key
        else:
            assert is_single or node.axis is Axis.NONE, key
