"""Declared data sets, materialized by real Dagster runs in this process at chosen moments."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from trading_assets.lake.store import Lake, PartitionRecord
from trading_assets.pipeline.component import market_data_definitions, strategy_definitions
from trading_assets.pipeline.resources import LakeResource, resources
from trading_assets_tests.pipeline.conftest import use_folder

COMPONENT = "trading_assets.pipeline.component"
BARS = ("raw_bars", "corporate_actions", "validated_bars")


@dataclass
class DataFolder:
    """A folder with declarations, a lake and an instance."""

    root: Path
    instance: dg.DagsterInstance

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "data", lambda: datetime.now().astimezone())

    def declare(self, name: str, component: str, attributes: Mapping[str, Any]) -> Path:
        folder = self.root / "defs" / name
        folder.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump({"type": f"{COMPONENT}.{component}", "attributes": dict(attributes)})
        (folder / "defs.yaml").write_text(text, encoding="utf-8")
        return folder

    def materialize(
        self, assets: Sequence[str], keys: Sequence[str], now: datetime
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets over a range of partitions as one run, whatever comes of it."""
        selection = [dg.AssetKey(asset.split("/")) for asset in assets]
        job = self.repository(now).get_implicit_job_def_for_assets(selection)
        assert job is not None
        tags = {
            "dagster/asset_partition_range_start": keys[0],
            "dagster/asset_partition_range_end": keys[-1],
        }
        return job.execute_in_process(
            instance=self.instance, asset_selection=selection, tags=tags, raise_on_error=False
        )

    def materialize_bars(self, name: str, keys: Sequence[str], now: datetime) -> None:
        """Materialize a data set over a range of months as one run, which has to succeed."""
        result = self.materialize([f"{name}/{asset}" for asset in BARS], keys, now)
        assert result.success, failures(result)

    def repository(self, now: datetime) -> dg.RepositoryDefinition:
        names = sorted(path.name for path in (self.root / "defs").iterdir())
        with pytest.MonkeyPatch.context() as patch:
            use_folder(patch, self.root)
            lake = LakeResource(root=str(self.root / "data"), fixed_now=now.isoformat())
            parts = [market_data_definitions(name) for name in names]
            parts += [strategy_definitions(name) for name in names]
            given = {**resources(), "lake": lake}
        everything = dg.Definitions(resources=given, executor=dg.in_process_executor)
        return dg.Definitions.merge(*parts, everything).get_repository_def()

    def existing_keys(self, asset: str, now: datetime) -> list[str]:
        """Return the partitions that Dagster says exist at a moment."""
        node = self.repository(now).asset_graph.get(dg.AssetKey(asset.split("/")))
        assert node.partitions_def is not None
        with dg.partition_loading_context(effective_dt=now):
            return list(node.partitions_def.get_partition_keys())

    def metadata(self, asset: str, key: str) -> dict[str, Any]:
        """Return what the UI shows of a partition's newest materialization."""
        wanted = dg.AssetRecordsFilter(dg.AssetKey(asset.split("/")), asset_partitions=[key])
        (record,) = self.instance.fetch_materializations(wanted, 1).records
        assert record.asset_materialization is not None
        found = record.asset_materialization.metadata
        return {name: value.value for name, value in found.items()}

    def records(self, asset: str) -> dict[str, PartitionRecord]:
        return self.lake.records(asset)

    def table(self, asset: str, key: str, table: str = "rows") -> pl.DataFrame:
        return self.lake.read(asset, [key], table, allow_failed=True)

    def files(self) -> set[str]:
        """Return every data file of the lake, by its path in it."""
        lake = self.root / "data" / "lake"
        return {path.relative_to(lake).as_posix() for path in lake.rglob("*") if path.is_file()}


@contextmanager
def open_folder(root: Path) -> Iterator[DataFolder]:
    """Open an instance of its own below a folder."""
    (root / "instance").mkdir(parents=True)
    (root / "defs").mkdir()
    with dg.instance_for_test(temp_dir=str(root / "instance")) as instance:
        yield DataFolder(root, instance)


def failures(result: dg.ExecuteInProcessResult) -> str:
    """Return the error of each failed step with its causes."""
    said: list[str] = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None:
                said.append(str(error.message).strip())
                error = error.cause
    return " <- ".join(said)


def check_results(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """Return the check results of one asset by name."""
    found = result.get_asset_check_evaluations()
    return {each.check_name: each for each in found if each.asset_key.path[-1] == asset}
