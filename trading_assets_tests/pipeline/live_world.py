"""A small live declaration, and a machine that ticks its schedules and runs what they ask for.

The clock is the test's own: a schedule is asked as if it were that moment, and what it asks for
runs in this process, on an instance of its own, with the lake's clock at the same moment.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from trading_assets.lake.store import Lake, PartitionRecord, PartitionWrite, Provenance
from trading_assets.periods import Axis
from trading_assets.pipeline.component import market_data_definitions, strategy_definitions
from trading_assets.pipeline.declared import Declared, declared_strategy
from trading_assets.pipeline.resources import LakeResource, resources
from trading_assets.pipeline.schedules import NEW_YORK
from trading_assets.pipeline.settings import read_settings

NY = ZoneInfo(NEW_YORK)
DATA, NAME = "tiny_daily", "tiny"

MARKET_DATA = """
type: trading_assets.pipeline.component.MarketData
attributes:
  source: {kind: world, seed: 7}
  universe: [W1]
  start: 2021-08-02
"""

# Windows are as short as the rooms allow, since each test that runs a night trains.
STRATEGY = """
type: trading_assets.pipeline.component.TradingPipeline
attributes:
  market_data: tiny_daily
  schedules: running
  costs: {fee_bps: 0, half_spread_bps: 0, quadratic_lambda: 250}
  features:
    names: [signal, log_return_1, log_return_5, ewma_volatility]
    scale_bars: 20
  forecast:
    {horizon_bars: 2, window_bars: 10, network: small, members: 1, epochs: 1, cross_fit_parts: 2}
  policy:
    agents:
      ppo: {seeds: 1, total_steps: 2000, n_envs: 16, n_steps: 32, n_epochs: 2, batch_size: 128}
    fallback: equal_weight
    position: long_short
    sizing: constant_notional
    observed_features: [signal]
    uses_forecasts: false
  folds: {period: quarter, first: 2022-07-01, train_months: 6, validation_months: 1}
  risk: {max_weight: 1.0, max_gross: 1.0, max_order_notional_usd: 3000000}
  governance:
    retrain: RETRAIN
    challenger_sessions: 200
    validation_sessions: 40
    drift_sessions: 30
"""


def ny(day: str, clock: str) -> datetime:
    """Return a moment in New York, such as ny("2022-07-29", "01:00")."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NY)


@dataclass
class LiveWorld:
    """One data folder, one instance and one declaration, looked at from chosen moments."""

    root: Path
    instance: dg.DagsterInstance
    declared: Declared
    manifest_url: str = ""
    _repositories: dict[datetime, dg.RepositoryDefinition] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "data", lambda: datetime.now(NY), self.manifest_url or None)

    def records(self, asset: str) -> Mapping[str, PartitionRecord]:
        return self.lake.records(self.key(asset))

    def key(self, asset: str) -> str:
        data = [f"{DATA}/{name}" for name in ("raw_bars", "corporate_actions", "validated_bars")]
        return f"{DATA}/{asset}" if f"{DATA}/{asset}" in data else f"{NAME}/{asset}"

    def repository(self, now: datetime) -> dg.RepositoryDefinition:
        """Return the code location as it is at a moment."""
        if now not in self._repositories:
            with self._environment():
                parts = [market_data_definitions(DATA), strategy_definitions(NAME)]
                given = {**resources(), "lake": self.lake_at(now)}
            self._repositories[now] = dg.Definitions.merge(
                *parts, dg.Definitions(resources=given, executor=dg.in_process_executor)
            ).get_repository_def()
        return self._repositories[now]

    def lake_at(self, now: datetime) -> LakeResource:
        return LakeResource(
            root=str(self.root / "data"),
            manifest_url=self.manifest_url,
            fixed_now=now.isoformat(),
        )

    def tick(self, schedule: str, now: datetime) -> list[dg.RunRequest] | str:
        """Ask a schedule at a moment; return its run requests, or why it skipped."""
        repository = self.repository(now)
        with dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=now,
            repository_def=repository,
            resources={"lake": self.lake_at(now)},
        ) as context:
            found = repository.get_schedule_def(f"{NAME}_{schedule}").evaluate_tick(context)
        return list(found.run_requests or ()) or str(found.skip_message)

    def watch(self, now: datetime) -> list[dg.RunRequest] | str:
        """Ask the drift sensor at a moment; return its run requests, or why it skipped."""
        repository = self.repository(now)
        with dg.build_sensor_context(
            instance=self.instance,
            repository_def=repository,
            resources={"lake": self.lake_at(now)},
        ) as context:
            found = repository.get_sensor_def(f"{NAME}_drift_retrain").evaluate_tick(context)
        return list(found.run_requests or ()) or str(found.skip_message)

    def execute(self, request: dg.RunRequest, now: datetime) -> dg.ExecuteInProcessResult:
        """Execute what was requested, as a run with the request's assets, partition and tags."""
        repository = self.repository(now)
        assert request.asset_selection is not None
        selection = list(request.asset_selection)
        job = repository.get_implicit_job_def_for_assets(selection)
        assert job is not None
        return job.execute_in_process(
            instance=self.instance,
            asset_selection=selection,
            partition_key=request.partition_key,
            tags=dict(request.tags),
            raise_on_error=False,
        )

    def start(self, request: dg.RunRequest, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """Put a run of a request on the instance with a status, without executing it."""
        assert request.asset_selection is not None
        return self.instance.add_run(
            dg.DagsterRun(
                job_name="__ASSET_JOB",
                tags=dict(request.tags),
                status=status,
                asset_selection=frozenset(request.asset_selection),
            )
        )

    def store(self, key: str, partition: str, **content: Any) -> None:
        """Commit a partition as fresh as if its asset had been run with this content."""
        _, node = self.declared.upstream(key)
        write = PartitionWrite(key, node.stage, partition, **content)
        made_by = Provenance(
            run_id="a run before",
            code_version=node.code_version,
            declaration_digest=node.declaration_digest,
            config={},
            environment={},
        )
        self.lake.commit([write], made_by)

    def store_months(self, now: datetime) -> None:
        """Store every month of bars and features, so that only the session is left to do."""
        nothing = {"nothing.json": b"{}"}
        raw, months = f"{DATA}/raw_bars", self.declared.graph.periods.keys(Axis.MONTH, now)
        for month in months:
            for key in (raw, f"{DATA}/validated_bars", f"{NAME}/features"):
                self.store(key, month, blobs=nothing)
        read = self.lake.inputs_for(raw, months)
        self.store(f"{DATA}/corporate_actions", "", blobs=nothing, inputs=read)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        from trading_assets_tests.pipeline.conftest import use_folder

        with pytest.MonkeyPatch.context() as patch:
            use_folder(patch, self.root)
            yield


@contextmanager
def open_world(root: Path, retrain: str = "nightly") -> Iterator[LiveWorld]:
    """Write the declarations below a folder and open an instance there."""
    declared = declare(root, retrain)
    (root / "instance").mkdir()
    with dg.instance_for_test(temp_dir=str(root / "instance")) as instance:
        yield LiveWorld(root, instance, declared)


def declare(root: Path, retrain: str = "nightly") -> Declared:
    """Write the declarations below a folder and read them back."""
    from trading_assets_tests.pipeline.conftest import use_folder

    for name, text in ((DATA, MARKET_DATA), (NAME, STRATEGY.replace("RETRAIN", retrain))):
        folder = root / "defs" / name
        folder.mkdir(parents=True)
        (folder / "defs.yaml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        use_folder(patch, root)
        return declared_strategy(NAME, read_settings().declarations())


def asked(requests: list[dg.RunRequest] | str) -> list[tuple[tuple[str, ...], str]]:
    """Return assets and partitions of run requests, for comparing."""
    assert not isinstance(requests, str), requests
    return [(assets_of(request), partitions_of(request)) for request in requests]


def assets_of(request: dg.RunRequest) -> tuple[str, ...]:
    assert request.asset_selection is not None
    return tuple(sorted(key.to_user_string() for key in request.asset_selection))


def partitions_of(request: dg.RunRequest) -> str:
    if request.partition_key is not None:
        return request.partition_key
    ends = [f"dagster/asset_partition_range_{end}" for end in ("start", "end")]
    if ends[0] not in request.tags:
        return ""
    return " to ".join(request.tags[end] for end in ends)


def failures_of(result: dg.ExecuteInProcessResult) -> list[str]:
    """Return the error of each failed step, its innermost cause last."""
    failures: list[str] = []
    for event in result.all_events:
        if event.is_step_failure:
            error, chain = event.step_failure_data.error, []
            while error is not None:
                chain.append(str(error.message).strip())
                error = error.cause
            failures.append(f"{event.step_key}: {' <- '.join(chain)}")
    return failures
