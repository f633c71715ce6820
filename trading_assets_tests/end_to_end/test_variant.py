"""A declaration varied on the command line, and a driver that was killed while it ran."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from trading_assets.lake.store import Lake
from trading_assets.pipeline.instance import PROCESS_TAG
from trading_assets_tests.end_to_end.conftest import FinishedProject
from trading_assets_tests.end_to_end.projects import FOLD, Project

VARIANT = ("tiny", "--set", "costs.fee_bps=2", "--as", "tiny_fee2")
DEADLINE_SECONDS = 180.0


def _stored(lake: Lake, owner: str) -> dict[tuple[str, str], str]:
    return {
        (asset, key): record.content_digest
        for asset in lake.assets()
        if asset.startswith(f"{owner}/")
        for key, record in lake.records(asset).items()
    }


def _await(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def _training_process(instance: dg.DagsterInstance) -> int | None:
    """Return the process that trains the variant's fold, once it does."""
    tags = {"strategy": "tiny_fee2", "dagster/partition": FOLD}
    for run in instance.get_runs(filters=dg.RunsFilter(tags=tags)):
        if instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START):
            return int(run.tags[PROCESS_TAG].rsplit(":", 1)[-1])
    return None


def _is_alive(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def test_a_killed_run_of_a_variant_is_finished_by_running_again(own_project: Project) -> None:
    with own_project.lake() as lake:
        base, data = _stored(lake, "tiny"), _stored(lake, "tiny_bars")
    driver = own_project.start("run", *VARIANT)
    with own_project.instance() as instance:
        _await(lambda: _training_process(instance) is not None)
        worker = _training_process(instance)
        assert worker is not None
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        # A run that went on without its driver would race against its own repetition.
        _await(lambda: not _is_alive(worker))

    finished = own_project.trading_assets("run", "tiny_fee2")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "1 earlier runs had died and are marked failed" in finished.stdout

    with own_project.instance() as instance:
        runs = instance.get_runs(filters=dg.RunsFilter(tags={"strategy": "tiny_fee2"}))
    assert Counter(run.status for run in runs) == {
        dg.DagsterRunStatus.SUCCESS: 4,  # features, fold, report, session
        dg.DagsterRunStatus.FAILURE: 1,
    }
    with own_project.lake() as lake:
        varied = _stored(lake, "tiny_fee2")
        assert {(asset.replace("tiny_fee2/", "tiny/"), key) for asset, key in varied} == set(base)
        commits = {len(lake.history(asset, key)) for asset, key in varied}
        assert commits == {1}
        assert _stored(lake, "tiny") == base
        assert _stored(lake, "tiny_bars") == data
        assert [trial.strategy for trial in lake.trials("tiny_bars")] == ["tiny", "tiny_fee2"]
        policy = lake.record("tiny_fee2/policy/ppo", FOLD)
        assert policy is not None
        assert lake.document(policy.config_digest)["costs"]["fee_bps"] == 2
    assert (own_project.data / "lake" / "tiny_fee2" / "policy").is_dir()
    assert [path.name for path in (own_project.data / "declarations").iterdir()] == ["tiny_fee2"]


def test_overrides_are_refused_in_the_production_profile(tiny_project: FinishedProject) -> None:
    refused = tiny_project.project.trading_assets(
        "run", *VARIANT, TRADING_ASSETS_PROFILE="production"
    )
    assert refused.returncode == 2
    assert "--set was given in the production profile" in refused.stderr
    assert not (tiny_project.project.data / "declarations").exists()
