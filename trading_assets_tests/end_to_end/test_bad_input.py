"""What a user gets wrong: one sentence, exit code 2, and nothing half-written."""

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from trading_assets_tests.end_to_end.conftest import FinishedProject
from trading_assets_tests.end_to_end.projects import COMMANDS, TINY, TINY_BARS, Project, environment

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def _sentence(refused: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence of a refused command."""
    assert refused.returncode == 2, refused.stdout + refused.stderr
    lines = refused.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("trading-assets: ")
    return lines[0].removeprefix("trading-assets: ")


def _stored_assets(project: Project) -> list[str]:
    with project.lake() as lake:
        return lake.assets()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.tiny(tmp_path / "project")


@pytest.mark.parametrize(
    ("wrong", "line", "said"),
    [
        (("members: 1", "members: many"), "members", "was 'many'; input should be"),
        (("epochs: 1", "epoch: 1"), "epoch", "unknown field; did you mean 'epochs'?"),
        (("train_months: 12", "train_months: 13"), "folds", "expected a multiple of 3"),
        (("market_data: tiny_bars", "market_data: tiny_bar"), "market_data", "'tiny_bars'"),
        (("seeds: 2", "seeds: 2: 3"), "seeds", "not YAML: mapping values are not allowed"),
    ],
)
def test_a_mistake_in_the_yaml_names_file_line_field_and_expectation(
    project: Project, wrong: tuple[str, str], line: str, said: str
) -> None:
    path = project.folder / "defs" / "tiny" / "defs.yaml"
    text = path.read_text(encoding="utf-8")
    assert wrong[0] in text
    path.write_text(text.replace(*wrong), encoding="utf-8")
    sentence = _sentence(project.trading_assets("run", "tiny"))
    place, _, rest = sentence.removeprefix(f"{path}:").partition(": ")
    assert line in path.read_text(encoding="utf-8").splitlines()[int(place) - 1]
    assert said in rest
    assert not project.data.exists()


def test_an_unknown_strategy_is_answered_with_a_close_name(project: Project) -> None:
    sentence = _sentence(project.trading_assets("run", "us_equitys"))
    assert sentence == "strategy 'us_equitys' is not declared; did you mean 'us_equities'?"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "feature"), "asset 'feature' is not part of tiny; expected one of tiny/"),
        (("--from", "2020-01-01"), "no partition lies between 2020-01-01 and now; tiny_bars has"),
        (("--from", "2007-01-01", "--to", "2006-01-01"), "expected it on or after"),
        (("--set", "costs.fee_bps=2"), "--set and --as belong together"),
        (("--as", "other"), "--set and --as belong together"),
        (("--set", "costs.fee=2", "--as", "other"), "costs.fee: unknown field"),
        (("--set", "costs.fee_bps=2", "--as", "us_equities"), "choose another name"),
        (("--set", "costs.fee_bps=2", "--as", "../up"), "expected lower-case letters"),
    ],
)
def test_a_mistaken_option_is_one_sentence(
    project: Project, arguments: tuple[str, ...], said: str
) -> None:
    assert said in _sentence(project.trading_assets("run", "tiny", *arguments))
    assert not (project.data / "lake").exists()
    assert not (project.data / "declarations").exists()


def test_an_unknown_symbol_is_named_with_those_there_are(project: Project) -> None:
    project.declare("tiny_bars", "MarketData", {**TINY_BARS, "universe": ["IBM", "ZZZ"]})
    sentence = _sentence(project.trading_assets("run", "tiny"))
    assert "ZZZ, not in the sample; expected symbols out of AAPL, FB, GOOG, IBM, MSFT" in sentence
    assert _stored_assets(project) == []
    with project.instance() as instance:
        (run,) = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.FAILURE
        # A mistake is no failure of the vendor: trying it again would only take time.
        retried = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_UP_FOR_RETRY)
        assert retried == []


def test_days_outside_the_sample_are_answered_with_its_range(project: Project) -> None:
    early = {"start": "2000-02-01", "end": "2000-04-28"}
    project.declare("tiny_bars", "MarketData", {**TINY_BARS, **early})
    sentence = _sentence(project.trading_assets("run", "tiny"))
    assert "the sample covers 2000-03-01 to 2013-03-01" in sentence
    assert _stored_assets(project) == []


def test_a_missing_key_is_named(project: Project) -> None:
    window = ("--from", "2024-01-01", "--to", "2024-01-31")
    sentence = _sentence(project.trading_assets("run", "us_equities_paper", *window))
    assert "ALPACA_API_KEY and ALPACA_SECRET_KEY" in sentence
    assert _stored_assets(project) == []


def test_a_fold_with_too_little_history_is_refused(own_project: Project) -> None:
    fold = "2006-07-01"
    early = {"first": fold, "last": fold, "train_months": 6}
    own_project.declare("tiny", "TradingPipeline", {**TINY, "folds": {**TINY["folds"], **early}})
    sentence = _sentence(own_project.trading_assets("run", "tiny"))
    assert "train windows" in sentence
    assert "raise folds.train_months" in sentence
    with own_project.lake() as lake:
        assert lake.record("tiny/forecaster", fold) is None


@pytest.mark.parametrize("data", ["locked", "locked/data"])
def test_an_unwritable_data_folder_is_named(project: Project, tmp_path: Path, data: str) -> None:
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    sentence = _sentence(
        _run_without_privilege(project, "run", "tiny", TRADING_ASSETS_DATA=str(tmp_path / data))
    )
    assert sentence == (
        f"data folder {tmp_path / data} cannot be written; allow it, or name another in"
        " TRADING_ASSETS_DATA"
    )
    assert list(locked.iterdir()) == []


def _run_without_privilege(
    project: Project, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMANDS / "trading-assets"), *arguments],
        cwd=project.folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_bound_by_modes(),
    )


def _bound_by_modes() -> Callable[[], Any] | None:
    """Return what makes a started process obey the modes of files, also root's."""
    if os.geteuid() != 0:
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def test_sql_other_than_a_select_is_refused(tiny_project: FinishedProject) -> None:
    refused = tiny_project.project.trading_assets("sql", "create table t (a int)")
    assert "SELECT" in _sentence(refused)
