"""Dagster's own daemon on a real code server: what is asked for becomes runs."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs

from trading_assets_tests.pipeline.conftest import use_folder
from trading_assets_tests.pipeline.live_world import LiveWorld, declare, ny
from trading_assets_tests.pipeline.test_sensors import store_report

LOG = logging.getLogger("daemon")
TARGET = ModuleTarget(
    module_name="trading_assets.definitions",
    attribute=None,
    working_directory=None,
    location_name="trading_assets.definitions",
)


@dataclass
class Daemon:
    """The daemon's two loops, an iteration at a time, over one world."""

    world: LiveWorld
    context: WorkspaceProcessContext

    def iterate_schedules(self, now: datetime) -> list[dg.DagsterRun]:
        """Let the scheduler look at a moment; return the runs that it queued."""
        before = {run.run_id for run in self.world.instance.get_runs()}
        with freeze_time(now):
            list(launch_scheduled_runs(self.context, LOG, now.astimezone(UTC), {}))
        return [run for run in self.world.instance.get_runs() if run.run_id not in before]

    def iterate_sensors(self, now: datetime) -> list[dg.DagsterRun]:
        """Let the sensor daemon look at a moment; return the runs that it queued."""
        before = {run.run_id for run in self.world.instance.get_runs()}
        with freeze_time(now):
            list(
                execute_sensor_iteration(
                    self.context, LOG, threadpool_executor=None, submit_threadpool_executor=None
                )
            )
        return [run for run in self.world.instance.get_runs() if run.run_id not in before]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    root = tmp_path_factory.mktemp("daemon")
    declared = declare(root, "on_drift")
    (root / "instance").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        use_folder(patch, root)
        patch.setenv("TRADING_ASSETS_ONLY", "tiny")
        with (
            dg.instance_for_test(temp_dir=str(root / "instance")) as instance,
            create_test_daemon_workspace_context(TARGET, instance) as context,
        ):
            yield Daemon(LiveWorld(root, instance, declared), context)


def assets_of(run: dg.DagsterRun) -> set[str]:
    return {key.to_user_string() for key in run.asset_selection or ()}


def test_a_night_becomes_runs_without_anyone_switching_it_on(daemon: Daemon) -> None:
    # The first look notes that the schedules run from now on.
    assert daemon.iterate_schedules(ny("2022-07-29", "00:50")) == []
    (run,) = daemon.iterate_schedules(ny("2022-07-29", "01:00"))
    assert assets_of(run) == {
        f"tiny_daily/{name}" for name in ("raw_bars", "corporate_actions", "validated_bars")
    }
    assert run.tags["dagster/asset_partition_range_start"] == "2021-08-01"
    assert run.tags["dagster/asset_partition_range_end"] == "2022-07-01"
    # The daemon's run queue would start it next; here it stays where it is.
    assert run.status is dg.DagsterRunStatus.QUEUED
    assert daemon.iterate_schedules(ny("2022-07-29", "01:10")) == []


def test_a_session_becomes_a_run_of_its_partition(daemon: Daemon) -> None:
    (run,) = daemon.iterate_schedules(ny("2022-07-29", "09:15"))
    assert assets_of(run) == {"tiny/paper_session", "tiny/shadow_session"}
    assert run.tags["dagster/partition"] == "2022-07-29"


def test_drift_becomes_one_run_however_often_the_sensor_looks(daemon: Daemon) -> None:
    moment = ny("2022-07-29", "10:00")
    store_report(daemon.world, "2022-07-29", is_alarm=True)
    (run,) = daemon.iterate_sensors(moment)
    assert assets_of(run) == {"tiny/challenger", "tiny/champion"}
    assert run.tags["trigger"] == "drift"
    daemon.world.instance.report_run_failed(run)
    for minutes in (6, 12):
        assert daemon.iterate_sensors(moment + timedelta(minutes=minutes)) == []
