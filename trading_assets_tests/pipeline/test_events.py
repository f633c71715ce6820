"""Partitions that a run stored and never reported."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from trading_assets.asset_nodes import AssetGraph
from trading_assets.graph import market_data_graph
from trading_assets.lake.store import Lake
from trading_assets.pipeline.events import report_lost_materializations
from trading_assets_tests.lake.samples import BARS, commit, open_lake
from trading_assets_tests.pipeline.shipped import live_market

MONTHS = ("2019-02-01", "2019-03-01")
KEY = dg.AssetKey(BARS.split("/"))


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    opened = open_lake(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as opened:
        yield opened


@pytest.fixture
def graphs() -> list[AssetGraph]:
    return [market_data_graph("us_daily", live_market())]


def test_a_stored_partition_without_an_event_is_reported_once(
    instance: dg.DagsterInstance, lake: Lake, graphs: list[AssetGraph]
) -> None:
    commit(lake, *MONTHS)
    reported = report_lost_materializations(instance, lake, graphs)
    assert [record.partition for record in reported] == list(MONTHS)
    assert instance.get_materialized_partitions(KEY) == set(MONTHS)
    assert report_lost_materializations(instance, lake, graphs) == []


def test_the_report_says_which_run_stored_it(
    instance: dg.DagsterInstance, lake: Lake, graphs: list[AssetGraph]
) -> None:
    commit(lake, MONTHS[0])
    report_lost_materializations(instance, lake, graphs)
    event = instance.get_latest_materialization_event(KEY)
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["stored_by_run"].value == "run-1"
    assert metadata["dagster/partition_row_count"].value == 20


def test_a_run_that_is_still_at_work_reports_for_itself(
    instance: dg.DagsterInstance, lake: Lake, graphs: list[AssetGraph]
) -> None:
    commit(lake, MONTHS[0])
    instance.add_run(
        dg.DagsterRun(job_name="job", run_id="run-1", status=dg.DagsterRunStatus.STARTED)
    )
    assert report_lost_materializations(instance, lake, graphs) == []


def test_a_refused_partition_is_not_called_materialized(
    instance: dg.DagsterInstance, lake: Lake, graphs: list[AssetGraph]
) -> None:
    commit(lake, MONTHS[0], verdict="failed", reasons=["half of it is missing"])
    assert report_lost_materializations(instance, lake, graphs) == []
