"""Dagster's own commands, as the README gives them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.partitions.snap import TimeWindowPartitionsSnap
from dagster._serdes import deserialize_value, serialize_value

from trading_assets.market_data import MarketDataSpec
from trading_assets.periods import Axis, Periods
from trading_assets.pipeline.partitions import PeriodPartitions, partitions_of
from trading_assets.pipeline.refusal import Refusal
from trading_assets.strategy import FoldsSpec
from trading_assets_tests.end_to_end.projects import FOLD, TINY, TINY_BARS, Project

RAW_BARS = 'key:"us_daily/raw_bars"'
PERIODS = Periods(MarketDataSpec.model_validate(TINY_BARS), FoldsSpec.model_validate(TINY["folds"]))
NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A folder without declarations of its own: only the packaged ones are there."""
    return Project.create(tmp_path_factory.mktemp("packaged"))


def _stored(project: Project, asset: str) -> list[str]:
    with project.lake() as lake:
        return list(lake.records(asset))


def test_one_month_of_raw_bars(packaged: Project) -> None:
    ran = packaged.materialize("--select", RAW_BARS, "--partition", "2011-11-01")
    assert ran.returncode == 0, ran.stderr
    assert "2011-11-01" in _stored(packaged, "us_daily/raw_bars")


def test_a_range_of_raw_bars_is_one_run(packaged: Project) -> None:
    ran = packaged.materialize("--select", RAW_BARS, "--partition-range", "2012-01-01...2012-12-01")
    assert ran.returncode == 0, ran.stderr
    months = [f"2012-{month:02}-01" for month in range(1, 13)]
    assert [key for key in _stored(packaged, "us_daily/raw_bars") if key >= "2012"] == months
    with packaged.instance() as instance:
        tag = {"dagster/asset_partition_range_start": "2012-01-01"}
        assert len(instance.get_runs(filters=dg.RunsFilter(tags=tag))) == 1


def test_one_fold_asset(own_project: Project) -> None:
    before = _run_id(own_project, "tiny/backtest", FOLD)
    ran = own_project.materialize("--select", 'key:"tiny/backtest"', "--partition", FOLD)
    assert ran.returncode == 0, ran.stderr
    with own_project.instance() as instance:
        newest = instance.get_runs(limit=1)[0]
    assert newest.status is dg.DagsterRunStatus.SUCCESS
    assert newest.tags["dagster/partition"] == FOLD
    # The same content from the same inputs is the same commit.
    assert _run_id(own_project, "tiny/backtest", FOLD) == before != newest.run_id


def _run_id(project: Project, asset: str, key: str) -> str:
    with project.lake() as lake:
        record = lake.record(asset, key)
    assert record is not None
    return record.run_id


def test_features_of_one_strategy_by_group(own_project: Project) -> None:
    select = 'group:features and key:"tiny/*"'
    ran = own_project.materialize("--select", select, "--partition", "2007-03-01")
    assert ran.returncode == 0, ran.stderr
    with own_project.instance() as instance:
        newest = instance.get_runs(limit=1)[0]
    assert newest.asset_selection == {dg.AssetKey(["tiny", "features"])}


@pytest.mark.parametrize(
    ("option", "asked"),
    [("--partition", "2012-11-02"), ("--partition-range", "2012-11-02...2012-12-01")],
)
def test_a_partition_that_does_not_exist_is_answered_with_those_that_do(
    packaged: Project, option: str, asked: str
) -> None:
    ran = packaged.materialize("--select", RAW_BARS, option, asked)
    assert ran.returncode == 2
    assert (
        "Error: partition '2012-11-02' does not exist; expected one of 157 from 2000-03-01 to"
        " 2013-03-01, next to it 2012-11-01 and 2012-12-01\n"
    ) in ran.stderr
    assert "Traceback" not in ran.stderr


def _partitions(axis: Axis) -> PeriodPartitions:
    found = partitions_of(PERIODS, axis)
    assert found is not None
    return found


@pytest.mark.parametrize("axis", [Axis.MONTH, Axis.FOLD, Axis.SESSION])
def test_ui_and_daemon_hold_ordinary_time_windows_with_the_same_keys(axis: Axis) -> None:
    own = _partitions(axis)
    restored = TimeWindowPartitionsSnap.from_def(own).get_partitions_definition()
    assert type(restored) is dg.TimeWindowPartitionsDefinition
    assert restored.get_partition_keys() == own.get_partition_keys()
    assert list(own.get_partition_keys()) == PERIODS.keys(axis, NOW)


@pytest.mark.parametrize("axis", [Axis.MONTH, Axis.FOLD, Axis.SESSION])
def test_a_set_of_partitions_survives_the_way_to_the_daemon(axis: Axis) -> None:
    own = _partitions(axis)
    keys = list(own.get_partition_keys())[-2:]
    subset: Any = own.empty_subset().with_partition_keys(keys).to_serializable_subset()
    restored: Any = deserialize_value(serialize_value(subset))
    assert list(restored.get_partition_keys()) == keys


@pytest.mark.parametrize(
    ("axis", "asked", "near"),
    [
        (Axis.SESSION, "2008-03-21", "next to it 2008-03-20 and 2008-03-24"),  # Good Friday
        (Axis.SESSION, "2031-01-01", "to 2008-03-31, next to it 2008-03-31"),
        (Axis.FOLD, "2008-02-01", "expected one of 1 from 2008-01-01"),
        (Axis.MONTH, "last month", "expected one of 27 from 2006-01-01"),
    ],
)
def test_each_axis_says_which_keys_are_near(axis: Axis, asked: str, near: str) -> None:
    with pytest.raises(Refusal, match=near), partition_loading_context() as context:
        _partitions(axis).validate_partition_key(asked, context)


def test_a_mistaken_declaration_is_one_sentence_for_dagster_too(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "mistaken")
    declared = project.declare("tiny_bars", "MarketData", {**TINY_BARS, "univers": ["IBM"]})
    ran = project.materialize("--select", RAW_BARS, "--partition", "2012-11-01")
    assert ran.returncode == 2
    assert f"Error: {declared}:" in ran.stderr
    assert "univers: unknown field; did you mean 'universe'?" in ran.stderr
    assert "Traceback" not in ran.stderr
