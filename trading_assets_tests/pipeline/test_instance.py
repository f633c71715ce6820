"""The instance of a checkout, and runs whose process died."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from trading_assets.pipeline.instance import (
    PROCESS_TAG,
    instance_ref,
    open_instance,
    process_identity,
    set_pool_limits,
    sweep_dead_runs,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a checkout's root, as the current one."""
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def instance(checkout: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(checkout / "data") as opened:
        yield opened


def add_run(
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    parent: dg.DagsterRun | None = None,
    **tags: str,
) -> dg.DagsterRun:
    ids = {} if parent is None else {"parent_run_id": parent.run_id, "root_run_id": parent.run_id}
    return instance.add_run(dg.DagsterRun(job_name="__ASSET_JOB", status=status, tags=tags, **ids))


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def dead_identity() -> str:
    """Return what a process would say of itself that has ended since."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    host, boot, _ = process_identity().rsplit(":", 2)
    return f"{host}:{boot}:{ended.pid}"


def test_history_persists_below_the_data_folder(checkout: Path) -> None:
    with open_instance(checkout / "data") as instance:
        run = add_run(instance)
    assert (checkout / "data" / "dagster" / "history" / "runs.db").is_file()
    with open_instance(checkout / "data") as instance:
        assert instance.get_run_by_id(run.run_id) is not None


def test_dagsters_own_commands_see_the_same_instance(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_instance(checkout / "data") as instance:
        run = add_run(instance)
    monkeypatch.setenv("DAGSTER_HOME", str(checkout))
    with dg.DagsterInstance.get() as instance:
        assert instance.get_run_by_id(run.run_id) is not None
    with open_instance(checkout / "data") as instance:
        assert instance.get_run_by_id(run.run_id) is not None


def test_a_home_elsewhere_is_used(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = checkout / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with open_instance(checkout / "data") as instance:
        run = add_run(instance)
    assert (home / "history" / "runs.db").is_file()
    assert run.run_id


def test_without_a_configuration_the_data_folder_keeps_the_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    with open_instance(tmp_path / "elsewhere") as instance:
        add_run(instance)
    assert (tmp_path / "elsewhere" / "dagster" / "history" / "runs.db").is_file()


def test_another_process_opens_the_same_instance_by_its_reference(checkout: Path) -> None:
    with open_instance(checkout / "data") as instance:
        run = add_run(instance)
    with dg.DagsterInstance.from_ref(instance_ref(checkout / "data")) as instance:
        assert instance.get_run_by_id(run.run_id) is not None


def test_a_killed_run_gives_its_slots_back_and_only_crashes_are_tried_again(
    instance: dg.DagsterInstance,
) -> None:
    assert instance.run_monitoring_enabled
    monitoring = instance.get_settings("run_monitoring")
    assert monitoring["free_slots_after_run_end_seconds"] == 60
    retries = instance.get_settings("run_retries")
    assert retries == {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}
    assert not instance.telemetry_enabled


def test_a_run_whose_process_is_gone_is_marked_failed(instance: dg.DagsterInstance) -> None:
    run = add_run(instance, **{PROCESS_TAG: dead_identity()})
    assert sweep_dead_runs(instance) == [run.run_id]
    assert status_of(instance, run) is dg.DagsterRunStatus.FAILURE
    assert sweep_dead_runs(instance) == []


def test_a_run_of_an_earlier_boot_is_marked_failed(instance: dg.DagsterInstance) -> None:
    host, _, process = process_identity().rsplit(":", 2)
    run = add_run(instance, **{PROCESS_TAG: f"{host}:another boot:{process}"})
    assert sweep_dead_runs(instance) == [run.run_id]


def test_a_living_run_is_left_alone(instance: dg.DagsterInstance) -> None:
    run = add_run(instance, **{PROCESS_TAG: process_identity()})
    assert sweep_dead_runs(instance) == []
    assert status_of(instance, run) is dg.DagsterRunStatus.STARTED


def test_a_run_of_another_host_is_left_to_that_host(instance: dg.DagsterInstance) -> None:
    _, boot, process = dead_identity().rsplit(":", 2)
    run = add_run(instance, **{PROCESS_TAG: f"elsewhere:{boot}:{process}"})
    assert sweep_dead_runs(instance) == []
    assert status_of(instance, run) is dg.DagsterRunStatus.STARTED


def test_a_run_without_a_process_and_one_that_ended_are_left_alone(
    instance: dg.DagsterInstance,
) -> None:
    add_run(instance)
    add_run(instance, dg.DagsterRunStatus.SUCCESS, **{PROCESS_TAG: dead_identity()})
    assert sweep_dead_runs(instance) == []


def test_a_repeated_run_is_not_judged_by_the_process_of_the_run_it_repeats(
    instance: dg.DagsterInstance,
) -> None:
    # Dagster's daemon repeats a crashed run with all its tags.
    dead = dead_identity()
    crashed = add_run(instance, dg.DagsterRunStatus.FAILURE, **{PROCESS_TAG: dead})
    add_run(instance, dg.DagsterRunStatus.STARTING, parent=crashed, **{PROCESS_TAG: dead})
    assert sweep_dead_runs(instance) == []


def test_a_repeated_run_that_died_in_its_own_process_is_marked_failed(
    instance: dg.DagsterInstance,
) -> None:
    crashed = add_run(instance, dg.DagsterRunStatus.FAILURE, **{PROCESS_TAG: dead_identity()})
    own = {PROCESS_TAG: dead_identity()}
    repeated = add_run(instance, parent=crashed, **own)
    assert sweep_dead_runs(instance) == [repeated.run_id]


def test_a_swept_run_gives_its_slot_back(instance: dg.DagsterInstance) -> None:
    run = add_run(instance, **{PROCESS_TAG: dead_identity()})
    storage = instance.event_log_storage
    storage.set_concurrency_slots("training", 1)
    assert storage.claim_concurrency_slot("training", run.run_id, "step").is_claimed
    assert not storage.claim_concurrency_slot("training", "another", "step").is_claimed
    sweep_dead_runs(instance)
    assert storage.get_concurrency_info("training").active_slot_count == 0


def test_an_account_trades_one_session_at_a_time_while_two_models_train(
    instance: dg.DagsterInstance,
) -> None:
    set_pool_limits(instance)
    for pool, limit in (("training", 2), ("us_equities_account", 1)):
        with ExitStack() as stack:
            contexts = [
                stack.enter_context(InstanceConcurrencyContext(instance, add_run(instance)))
                for _ in range(3)
            ]
            claims = [context.claim(pool, "step") for context in contexts]
        assert sum(claims) == limit, pool


def test_a_process_says_who_it_is() -> None:
    host, boot, process = process_identity().rsplit(":", 2)
    assert host
    assert len(boot) == 36
    assert int(process) == os.getpid()
