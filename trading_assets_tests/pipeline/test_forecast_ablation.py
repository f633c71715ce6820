"""Agents trained without forecasts too: what is stored, who reads it, and who must not."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from trading_assets.asset_nodes import AssetNode
from trading_assets.backtest.baselines import BASELINES
from trading_assets.graph import strategy_graph
from trading_assets.lake.records import PartitionWrite
from trading_assets.pipeline.report_inputs import ablation_keys, ablation_refs, read_ablations
from trading_assets.policy.fold import read_seeds
from trading_assets.policy.reference_names import REFERENCES
from trading_assets.stage_code import PACKAGE, STAGE_CODE
from trading_assets_tests.lake.samples import made_by, open_lake
from trading_assets_tests.pipeline import live_world
from trading_assets_tests.pipeline.live_world import LiveWorld, failures_of, ny, open_world

FOLD, NOW = "2022-07-01", ny("2022-10-04", "01:00")
MONTHS = ("2021-08-01", "2022-09-01")
ABLATION = "tiny/forecast_ablation/ppo"
CHECK = "both_arms_are_complete_and_alike"
FOLD_ASSETS = [
    "forecaster",
    "forecasts",
    "policy/ppo",
    "forecast_ablation/ppo",
    "references",
    "backtest",
]


def declare_ablation() -> str:
    text = live_world.STRATEGY.replace("train_months: 6", "train_months: 9")
    text = text.replace("seeds: 1", "seeds: 2")
    return text.replace("uses_forecasts: false", "ablation: forecasts")


def materialize(
    world: LiveWorld, names: Sequence[str], *, is_good: bool = True, **where: Any
) -> dg.ExecuteInProcessResult:
    keys = [dg.AssetKey(world.key(name).split("/")) for name in names]
    job = world.repository(NOW).get_implicit_job_def_for_assets(keys)
    assert job is not None
    result = job.execute_in_process(
        instance=world.instance, asset_selection=keys, raise_on_error=False, **where
    )
    assert not (is_good and failures_of(result))
    return result


@dataclass(frozen=True)
class Finished:
    world: LiveWorld
    folds: dg.ExecuteInProcessResult
    report: dg.ExecuteInProcessResult


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    ends = zip(("start", "end"), MONTHS, strict=True)
    months = {f"dagster/asset_partition_range_{end}": month for end, month in ends}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_world, "STRATEGY", declare_ablation())
        with open_world(tmp_path_factory.mktemp("ablation")) as world:
            materialize(world, ["raw_bars", "corporate_actions", "validated_bars"], tags=months)
            materialize(world, ["features"], tags=months)
            folds = materialize(world, FOLD_ASSETS, partition_key=FOLD)
            yield Finished(world, folds, materialize(world, ["walk_forward_report"]))


def test_both_arms_are_stored_with_their_policies_and_pass(finished: Finished) -> None:
    record = finished.world.records("forecast_ablation/ppo")[FOLD]
    assert record.verdict == "passed"
    assert {file.name for file in record.files} == {
        "ablation.parquet",
        "card.json",
        "without/validation.json",
        *(
            f"without/seed-{seed}/{name}"
            for seed in (0, 1)
            for name in ("card.json", "weights.safetensors")
        ),
    }
    table = finished.world.lake.read(ABLATION, [FOLD], "ablation")
    assert table.group_by("agent", "arm", "seed").len().sort("arm", "seed").rows() == [
        ("ppo", arm, seed, 64) for arm in ("with", "without") for seed in (0, 1)
    ]
    checks = finished.folds.get_asset_check_evaluations()
    assert [c.passed for c in checks if c.check_name == CHECK] == [True]


def test_forecasts_show_how_they_did_in_the_ui_and_in_mlflow(finished: Finished) -> None:
    from mlflow import MlflowClient

    shown = {
        event.asset_key.path[-1]: {name: value.value for name, value in event.metadata.items()}
        for event in finished.folds.get_asset_materialization_events()
        for event in [event.materialization]
    }
    client = MlflowClient(tracking_uri=f"sqlite:///{finished.world.root}/data/mlflow/mlflow.db")
    for asset, names in (
        ("forecaster", ("accuracy_served_low", "brier_served", "base_rate", "temperature")),
        ("forecasts", ("test_interval_coverage", "test_interval_half_width", "test_accuracy_high")),
    ):
        own = shown[asset]
        assert own["plot"].startswith("![")
        run = client.get_run(own["mlflow_run"])
        assert run.info.status == "FINISHED"
        assert run.data.tags["partition"] == FOLD
        assert len(run.data.tags["data_sha256"]) == 64
        for name in names:
            assert run.data.metrics[name] == pytest.approx(own[name])
        curve = client.get_metric_history(own["mlflow_run"], "accuracy_of_most_confident")
        assert [point.step for point in curve] == list(range(5, 101, 5))
    assert "| network |" in shown["forecaster"]["candidates"]


def test_the_declared_arm_earns_what_the_backtest_records(finished: Finished) -> None:
    table = finished.world.lake.read(ABLATION, [FOLD], "ablation")
    equity = finished.world.lake.read("tiny/backtest", [FOLD], "equity")
    for seed in (0, 1):
        own = table.filter((pl.col("arm") == "with") & (pl.col("seed") == seed))
        recorded = equity.filter(pl.col("portfolio") == f"ppo/seed-{seed}").sort("session")
        before = recorded["equity_usd"].shift(1, fill_value=1e6)
        expected = (recorded["equity_usd"] / before - 1.0).to_list()
        assert own["net_return"].to_list() == expected


def test_the_arm_without_forecasts_is_the_same_agent_blind(finished: Finished) -> None:
    blobs = finished.world.lake.read_blobs(ABLATION, FOLD)
    shown = read_seeds(finished.world.lake.read_blobs("tiny/policy/ppo", FOLD))
    files = {name.removeprefix("without/"): own for name, own in blobs.items()}
    blind = read_seeds({name: own for name, own in files.items() if name.startswith("seed-")})
    assert [policy.seed for policy in blind] == [policy.seed for policy in shown] == [0, 1]
    for with_forecasts, without in zip(shown, blind, strict=True):
        unseen = {"uses_forecasts": False, "confidence_sizing": "none"}
        assert replace(with_forecasts.rules, **unseen) == without.rules
        assert [p.steps for p in with_forecasts.history] == [p.steps for p in without.history]
    card = json.loads(blobs["card.json"])
    assert card["arms"]["with"]["steps"] == card["arms"]["without"]["steps"]


def test_what_is_trained_without_forecasts_is_traded_nowhere_and_no_trial(
    finished: Finished,
) -> None:
    lake = finished.world.lake
    assert read_seeds(lake.read_blobs(ABLATION, FOLD)) == []
    portfolios = lake.read("tiny/backtest", [FOLD], "equity")["portfolio"].unique().sort()
    learned = ("ppo/ensemble", "ppo/seed-0", "ppo/seed-1")
    assert portfolios.to_list() == sorted({*BASELINES, *REFERENCES, *learned})
    assert [(trial.agent, trial.seeds) for trial in lake.trials("tiny_daily")] == [("ppo", 2)]
    nodes = finished.world.declared.graph.nodes
    readers = [n.key for n in nodes if any(e.asset == ABLATION for e in n.reads)]
    assert readers == ["tiny/walk_forward_report"]


def test_the_report_says_what_forecasts_add(finished: Finished) -> None:
    lake = finished.world.lake
    blobs = lake.read_blobs("tiny/walk_forward_report")
    said = json.loads(blobs["figures.json"])["forecasts_add"]["ppo"]
    assert re.match(r"(Forecasts (add|take away|make)|What forecasts add)", said["sentence"])
    assert (said["folds"], said["seeds"], said["bars"]) == ([FOLD], [0, 1], 64)
    assert b"<h2>What forecasts add</h2>" in blobs["report.html"]
    record = finished.world.records("walk_forward_report")[""]
    assert (ABLATION, FOLD) in {(item.asset, item.partition) for item in record.inputs}
    (event,) = finished.report.asset_materializations_for_node("tiny__walk_forward_report")
    assert event.metadata["forecasts"].value == said["sentence"]
    assert event.metadata["ppo_forecast_difference_bps"].value == pytest.approx(
        1e4 * said["mean_return"]["difference"]
    )


def ablation_of(fold: str, verdict: str = "passed") -> PartitionWrite:
    table = pl.DataFrame({"arm": ["with"], "net_return": [0.5]})
    card = b'{"agent":"ppo","arms":{"with":{"steps":{"0":512}}}}'
    return PartitionWrite(
        ABLATION, "policy", fold, {"ablation": table}, {"card.json": card}, verdict=verdict
    )


def test_only_folds_of_interest_that_passed_are_read(tmp_path: Path) -> None:
    lake, folds = open_lake(tmp_path / "data"), ["2020-01-01", "2021-01-01", "2022-01-01"]
    stored = [ablation_of(folds[0]), ablation_of(folds[1], "failed"), ablation_of("2019-01-01")]
    lake.commit(stored, made_by())
    found = read_ablations(lake, {"ppo": ABLATION}, folds)
    assert {fold: list(own) for fold, own in found.items()} == {
        folds[0]: ["ppo"],
        folds[1]: [],
        folds[2]: [],
    }
    assert found[folds[0]]["ppo"].steps == {"with": {0: 512}}
    refs = ablation_refs(lake, {"ppo": ABLATION}, found)
    assert [(ref.asset, ref.partition) for ref in refs] == [(ABLATION, folds[0])]
    lake.close()


def node_of(world: LiveWorld, ablation: str, name: str) -> AssetNode:
    declared = world.declared
    policy = declared.trading.policy.model_copy(update={"ablation": ablation})
    strategy = declared.trading.model_copy(update={"policy": policy})
    return strategy_graph("tiny", strategy, declared.market).node(f"tiny/{name}")


def test_declaring_an_ablation_trains_and_trades_nothing_again(finished: Finished) -> None:
    for name in ("forecaster", "forecasts", "policy/ppo", "backtest"):
        digests = {
            node_of(finished.world, ablation, name).declaration_digest
            for ablation in ("none", "forecasts")
        }
        assert len(digests) == 1, name
    report = "walk_forward_report"
    plain, ablated = (node_of(finished.world, a, report) for a in ("none", "forecasts"))
    assert plain.declaration_digest != ablated.declaration_digest
    assert ABLATION not in {edge.asset for edge in plain.reads}
    assert list(ablation_keys(finished.world.declared)) == ["ppo"]


def test_every_module_of_the_backtest_that_an_ablation_trades_with_makes_it_stale() -> None:
    listed = {part for part in STAGE_CODE["forecast_ablation"] if part.startswith("backtest/")}
    imported = {
        f"backtest/{name}.py"
        for part in listed
        for name in re.findall(
            r"^from trading_assets\.backtest\.(\w+)", (PACKAGE / part).read_text(), re.MULTILINE
        )
    }
    assert imported <= listed
    assert "backtest" not in STAGE_CODE["forecast_ablation"]


# The last one: it puts a fold in place of the one that the others look at.
def test_arms_of_other_sizes_fail_and_are_done_without(finished: Finished) -> None:
    world = finished.world
    config = {"ops": {"tiny__forecast_ablation__ppo": {"config": {"total_steps": 1_000}}}}
    result = materialize(
        world, ["forecast_ablation/ppo"], is_good=False, partition_key=FOLD, run_config=config
    )
    assert not result.success
    record = world.records("forecast_ablation/ppo")[FOLD]
    assert record.verdict == "failed"
    assert "expected the same: materialize policy and ablation" in record.reasons[0]
    materialize(world, ["walk_forward_report"])
    figures = json.loads(world.lake.read_blobs("tiny/walk_forward_report")["figures.json"])
    assert figures["forecasts_add"]["ppo"]["folds"] == []
