"""What the orchestrator counts by itself, and mirrors to MLflow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.metrics import sharpe_annual
from trading_assets.errors import DataError
from trading_assets.governance.trial_mirror import mirror_trials
from trading_assets_tests.pipeline import live_world
from trading_assets_tests.pipeline.live_world import LiveWorld, open_world
from trading_assets_tests.pipeline.test_forecast_ablation import FOLD, MONTHS, materialize

DATA = "tiny_daily"
AGENTS = """\
      ppo: {seeds: 2, total_steps: 2000, n_envs: 16, n_steps: 32, n_epochs: 2, batch_size: 128}
      a2c: {algorithm: a2c, seeds: 1, total_steps: 1000, n_envs: 8}
"""
TRAINED = ["forecaster", "forecasts", "policy/ppo", "policy/a2c", "references"]


def declare_two() -> str:
    lines = live_world.STRATEGY.splitlines(keepends=True)
    text = "".join(AGENTS if line.strip().startswith("ppo:") else line for line in lines)
    return text.replace("train_months: 6", "train_months: 9")


@dataclass(frozen=True)
class Made:
    world: LiveWorld
    before_backtest: list[tuple[str, int, int]]


def counted(world: LiveWorld) -> list[tuple[str, int, int]]:
    return [
        (own.trial.agent, own.trial.seeds, len(own.returns))
        for own in world.lake.counted_trials(DATA)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    ends = zip(("start", "end"), MONTHS, strict=True)
    months = {f"dagster/asset_partition_range_{end}": month for end, month in ends}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_world, "STRATEGY", declare_two())
        with open_world(tmp_path_factory.mktemp("trials")) as world:
            materialize(world, ["raw_bars", "corporate_actions", "validated_bars"], tags=months)
            materialize(world, ["features"], tags=months)
            materialize(world, TRAINED, partition_key=FOLD)
            before = counted(world)
            materialize(world, ["backtest"], partition_key=FOLD)
            materialize(world, ["walk_forward_report"])
            yield Made(world, before)


def test_what_is_trained_counts_before_anyone_trades_it(made: Made) -> None:
    assert sorted(made.before_backtest) == [("a2c", 1, 0), ("ppo", 2, 0)]


def test_agents_and_their_ensemble_count_once_with_the_returns_of_the_fold(made: Made) -> None:
    assert sorted(counted(made.world)) == [("a2c", 1, 1), ("ensemble", 3, 1), ("ppo", 2, 1)]
    equity = made.world.lake.read(made.world.key("backtest"), [FOLD], "equity")
    for own in made.world.lake.counted_trials(DATA):
        agent = own.trial.agent
        name = agent if agent == "ensemble" else f"{agent}/ensemble"
        (kept,) = own.returns
        assert kept.window == f"test {FOLD}"
        traded = equity.filter(pl.col("portfolio") == name).sort("session")
        assert kept.sessions.tolist() == traded["session"].to_list()
        chained = 1e6 * np.cumprod(1.0 + kept.returns)
        np.testing.assert_allclose(chained, traded["equity_usd"].to_numpy(), rtol=1e-12)


def test_the_same_again_counts_nothing_new_and_keeps_the_newest_returns(made: Made) -> None:
    before = counted(made.world)
    kept = [own.returns[0].returns for own in made.world.lake.counted_trials(DATA)]
    materialize(made.world, ["policy/ppo", "backtest"], partition_key=FOLD)
    assert counted(made.world) == before
    again = [own.returns[0].returns for own in made.world.lake.counted_trials(DATA)]
    for first, second in zip(kept, again, strict=True):
        np.testing.assert_array_equal(first, second)


def mirrored_runs(made: Made) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{made.world.root}/data/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name(f"{DATA}/trials")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def mirrored_agents(made: Made) -> set[str]:
    return {run.data.params["agent"] for run in mirrored_runs(made)}


def test_the_report_has_every_trial_and_mirrors_each_once(made: Made) -> None:
    asset = made.world.key("walk_forward_report")
    assert b'"counted": 3' in made.world.lake.read_blobs(asset)["figures.json"]
    materialize(made.world, ["walk_forward_report"])
    runs = mirrored_runs(made)
    by_agent = {run.data.params["agent"]: run.data for run in runs}
    assert (len(runs), set(by_agent)) == (3, {"ppo", "a2c", "ensemble"})
    assert by_agent["ppo"].params["total_steps"] == "2000"
    assert by_agent["ensemble"].params["members.ppo.seeds"] == "2"
    for own in made.world.lake.counted_trials(DATA):
        mirrored = by_agent[own.trial.agent].metrics["sharpe_annual"]
        assert mirrored == pytest.approx(sharpe_annual(own.returns[0].returns))


def test_a_trial_on_a_copy_of_the_data_set_under_another_name_counts_too(made: Made) -> None:
    lake, asset = made.world.lake, made.world.key("walk_forward_report")
    own = lake.counted_trials(DATA)[0]
    lake.keep_trial_returns(replace(own.trial, data_set="copy", agent="bold"), own.returns[0])
    materialize(made.world, ["walk_forward_report"])
    assert b'"counted": 4' in lake.read_blobs(asset)["figures.json"]
    assert lake.read(asset, [""], "counted_trials")["agent"].unique().to_list().count("bold") == 1
    assert len(lake.counted_trials(DATA)) == 3
    # The mirror of a data set has its own trials alone.
    assert mirrored_agents(made) == {"ppo", "a2c", "ensemble"}


def test_a_store_that_refuses_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the trials are counted in the manifest all the same"):
        mirror_trials(f"nonsense:///{tmp_path}", tmp_path / "artifacts", "data/trials", [])
