"""What a second command does in a finished project: nothing, or exactly what is asked."""

import json
import re
from pathlib import Path

from trading_assets_tests.end_to_end.conftest import FinishedProject
from trading_assets_tests.end_to_end.projects import FOLD, SESSION, Project


def _run_count(project: Project) -> int:
    with project.instance() as instance:
        return instance.get_runs_count()


def test_a_second_run_launches_nothing(tiny_project: FinishedProject) -> None:
    before = _run_count(tiny_project.project)
    again = tiny_project.project.trading_assets("run", "tiny")
    assert again.returncode == 0
    assert "tiny: nothing to do, 96 partitions are fresh" in again.stdout
    assert _run_count(tiny_project.project) == before


def test_a_plan_of_an_up_to_date_strategy_holds_no_run(tiny_project: FinishedProject) -> None:
    shown = tiny_project.project.trading_assets("plan", "tiny")
    assert shown.returncode == 0
    assert "tiny/policy/ppo" in shown.stdout
    assert "would run" not in shown.stdout


def test_running_a_recorded_session_again_sends_nothing_and_changes_nothing(
    own_project: Project,
) -> None:
    log = own_project.data / "paper" / "tiny" / f"{SESSION}.jsonl"
    with own_project.lake() as lake:
        before = lake.record("tiny/paper_session", SESSION)
    sent = log.read_bytes()
    select = 'key:"tiny/paper_session"'
    again = own_project.materialize("--select", select, "--partition", SESSION)
    assert again.returncode == 0, again.stderr
    with own_project.lake() as lake:
        after = lake.record("tiny/paper_session", SESSION)
        assert len(lake.history("tiny/paper_session", SESSION)) == 1
    assert after == before
    assert log.read_bytes() == sent


def test_a_lost_file_is_refused_by_name_and_healed_by_one_materialize(
    own_project: Project,
) -> None:
    asset, month = "tiny/features", "2006-05-01"
    with own_project.lake() as lake:
        record = lake.record(asset, month)
    assert record is not None
    (own_project.data / record.file("rows.parquet").path).unlink()
    query = "select count(*) from tiny.features"

    refused = own_project.trading_assets("sql", query)
    assert refused.returncode == 2
    assert f"of {asset} {month} is missing" in refused.stderr
    assert f"materialize {asset} {month} again" in refused.stderr
    assert "Traceback" not in refused.stderr

    healed = own_project.materialize("--select", f'key:"{asset}"', "--partition", month)
    assert healed.returncode == 0, healed.stderr
    assert own_project.trading_assets("sql", query).returncode == 0
    with own_project.lake() as lake:
        restored = lake.record(asset, month)
    assert restored is not None
    assert restored.content_digest == record.content_digest
    assert "would run" not in own_project.trading_assets("plan", "tiny").stdout


def test_a_lost_month_of_bars_is_fetched_again(own_project: Project) -> None:
    asset, month = "tiny_bars/raw_bars", "2006-05-01"
    with own_project.lake() as lake:
        record = lake.record(asset, month)
        assert record is not None
        before = lake.read(asset, [month])
    (own_project.data / record.file("rows.parquet").path).unlink()
    healed = own_project.materialize("--select", f'key:"{asset}"', "--partition", month)
    assert healed.returncode == 0, healed.stderr
    assert "fetched as if for the first time" in healed.stderr
    with own_project.lake() as lake:
        assert lake.read(asset, [month]).drop("ingest_time").equals(before.drop("ingest_time"))


def test_only_and_from_and_to_narrow_a_run(tmp_path: Path) -> None:
    project = Project.tiny(tmp_path / "narrow")
    window = ("--from", "2006-02-01", "--to", "2006-03-31")
    only = ("--only", "raw_bars", "--only", "corporate_actions")
    ran = project.trading_assets("run", "tiny", *only, *window)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    with project.lake() as lake:
        assert lake.assets() == ["tiny_bars/corporate_actions", "tiny_bars/raw_bars"]
        assert list(lake.records("tiny_bars/raw_bars")) == ["2006-02-01", "2006-03-01"]


def test_launchpad_sizes_other_than_declared_leave_the_partition_stale(
    own_project: Project,
) -> None:
    config = {"ops": {"tiny__policy__ppo": {"config": {"total_steps": 1000, "seeds": 1}}}}
    select = ("--select", 'key:"tiny/policy/ppo"', "--partition", FOLD)
    ran = own_project.materialize(*select, "--config-json", json.dumps(config))
    assert ran.returncode == 0, ran.stderr
    with own_project.lake() as lake:
        record = lake.record("tiny/policy/ppo", FOLD)
        assert record is not None
        ran_as = lake.document(record.config_digest)["agent"]
    assert (ran_as["total_steps"], ran_as["seeds"]) == (1000, 1)
    shown = own_project.trading_assets("plan", "tiny")
    assert "launchpad sizes differed" in shown.stdout
    assert re.search(rf"would run: .*{FOLD}.*tiny/policy/ppo", shown.stdout)

    cleaned = own_project.trading_assets("clean")
    assert cleaned.returncode == 0
    # Two seeds and their cards were superseded by one; seed 0 has other weights, too.
    assert "lake/tiny/policy" in cleaned.stdout
    with own_project.lake() as lake:
        assert lake.read_blobs("tiny/policy/ppo", FOLD)
