"""Two agents weighed by a declared rule, and a search of one's parameters, by commands."""

import json
import shutil
from typing import Any
from uuid import uuid4

import pytest
import yaml

from trading_assets_tests.end_to_end.projects import FOLD, TINY, TINY_BARS, Project

PPO = TINY["policy"]["agents"]["ppo"]
ASSETS = (
    "raw_bars",
    "corporate_actions",
    "validated_bars",
    "features",
    "forecaster",
    "forecasts",
    "policy/a2c",
    "policy/ppo",
    "references",
    "backtest",
    "walk_forward_report",
)
POLICY = {
    "agents": {
        "a2c": {"algorithm": "a2c", "seeds": 1, "total_steps": 1000, "n_envs": 8},
        "ppo": {**PPO, "total_steps": 1000},
    },
    "ensemble": {"rule": "exponentiated_gradient", "learning_rate": 0.5, "floor": 0.1},
}
SEARCH = {
    "a2c": {
        "trials": 2,
        "seeds": 1,
        "parameters": {
            "learning_rate": {"kind": "float", "low": 1e-4, "high": 1e-2, "log": True},
            "hidden_units": {"kind": "choice", "values": [8, 16]},
        },
    }
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project.create(tmp_path_factory.mktemp("pair"))
    made.declare("tiny_bars", "MarketData", TINY_BARS)
    made.declare("pair", "TradingPipeline", {**TINY, "policy": POLICY})
    only = [word for asset in ASSETS for word in ("--only", asset)]
    ran = made.trading_assets("run", "pair", *only)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    # What is searched is no part of what was trained.
    made.declare("pair", "TradingPipeline", {**TINY, "policy": {**POLICY, "search": SEARCH}})
    return made


def read_report(project: Project) -> tuple[dict[str, Any], str]:
    with project.lake() as lake:
        files = lake.read_blobs("pair/walk_forward_report")
    return json.loads(files["figures.json"]), files["report.html"].decode()


def test_a_fold_trades_all_members_by_their_weights_and_the_report_shows_them(
    project: Project,
) -> None:
    figures, page = read_report(project)
    assert {"ensemble", "a2c/ensemble", "ppo/ensemble"} <= set(figures["portfolios"])
    assert "ensemble" in figures["sharpe_annual_differences"]
    with project.lake() as lake:
        weights = json.loads(lake.read_blobs("pair/backtest", FOLD)["member_weights.json"])
        record = lake.record("pair/backtest", FOLD)
    assert record is not None
    assert record.verdict == "passed"
    assert list(weights) == ["a2c/seed-0", "ppo/seed-0", "ppo/seed-1"]
    assert sum(weights.values()) == pytest.approx(1.0)
    assert min(weights.values()) >= 0.1 - 1e-12
    assert len(set(weights.values())) == 3
    assert "weight in the ensemble" in page


def test_a_search_counts_each_trial_and_goes_on_where_it_was(project: Project) -> None:
    before, _ = read_report(project)
    first = project.trading_assets("search", "pair")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "2 trials" in first.stdout
    second = project.trading_assets("search", "pair", "--agent", "a2c", "--trials", "1")
    assert "3 trials" in second.stdout, second.stderr
    fragment = yaml.safe_load(second.stdout.split("declaration:\n")[1])
    found = fragment["policy"]["agents"]["a2c"]
    assert found["hidden_units"] in (8, 16)
    assert found["total_steps"] == 1000
    again = project.trading_assets("run", "pair", "--only", "walk_forward_report")
    assert "nothing to do" in again.stdout, again.stdout + again.stderr
    made = project.materialize("--select", "pair/walk_forward_report")
    assert made.returncode == 0, made.stderr
    after, page = read_report(project)
    assert after["trials"] == before["trials"] + 3
    found = after["evidence"]["trials"]
    assert found["counted"] == found["with_returns"] == after["trials"]
    assert "pair/ensemble" in page
    with project.lake() as lake:
        windows = [
            [kept.window for kept in own.returns] for own in lake.counted_trials("tiny_bars")
        ]
    assert windows == [[f"test {FOLD}"]] * 3 + [[f"validation {FOLD}"]] * 3
    assert len(mirrored(project)) == after["trials"]

    # The mirror is gone, the verdict is not.
    shutil.rmtree(project.data / "mlflow")
    rebuilt = project.materialize("--select", "pair/walk_forward_report")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert read_report(project) == (after, page)
    assert len(mirrored(project)) == after["trials"]


def mirrored(project: Project) -> list[str]:
    """Return the names of the mirrored trials."""
    from mlflow import MlflowClient

    # A store that is opened stays open in this process.
    copy = project.folder / f"mirror_{uuid4().hex}"
    shutil.copytree(project.data / "mlflow", copy)
    client = MlflowClient(tracking_uri=f"sqlite:///{copy / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("tiny_bars/trials")
    assert experiment is not None
    return [str(run.info.run_name) for run in client.search_runs([experiment.experiment_id])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nobody",), "nobody"),
        (("pair", "--agent", "ppo"), "--agent was 'ppo'"),
        (("pair", "--fold", "2001-01-01"), "--fold was '2001-01-01'"),
        (("pair", "--trials", "-1"), "no count"),
        (("pair", "--storage", "what://me:secret@host/x"), "--storage what://me:***@host/x"),
    ],
)
def test_a_mistaken_search_is_named(project: Project, words: tuple[str, ...], message: str) -> None:
    done = project.trading_assets("search", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "secret" not in done.stderr + done.stdout
