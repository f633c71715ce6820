"""The stress of a fold as an asset: what is stored, who reads it, and when it is refused."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from trading_assets.backtest import stress as stress_module
from trading_assets.fold_graph import REPORTED
from trading_assets.graph import strategy_graph
from trading_assets.lake.records import PartitionWrite
from trading_assets.pipeline.report_inputs import STRESS, read_stress
from trading_assets.schema import TABLES
from trading_assets.stage_code import PACKAGE, STAGE_CODE
from trading_assets_tests.lake.samples import made_by, open_lake
from trading_assets_tests.pipeline import live_world
from trading_assets_tests.pipeline.live_world import LiveWorld, open_world
from trading_assets_tests.pipeline.test_forecast_ablation import FOLD, MONTHS, materialize

ASSET = "tiny/stress"
COMPLETE, AGREES = "every_scenario_is_complete", "unshocked_path_earns_what_was_recorded"
RULES = "{max_daily_loss: 0.02, max_total_loss: 0.05, profit_target: 0.01, days_allowed: 30}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    ends = zip(("start", "end"), MONTHS, strict=True)
    months = {f"dagster/asset_partition_range_{end}": month for end, month in ends}
    declared = live_world.STRATEGY.replace("train_months: 6", "train_months: 9")
    declared += f"  backtest: {{stress_paths: 2, prop_firm: {RULES}}}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_world, "STRATEGY", declared)
        with open_world(tmp_path_factory.mktemp("stress")) as world:
            materialize(world, ["raw_bars", "corporate_actions", "validated_bars"], tags=months)
            materialize(world, ["features"], tags=months)
            names = ["forecaster", "forecasts", "policy/ppo", "references", "backtest"]
            materialize(world, names, partition_key=FOLD)
            materialize(world, ["walk_forward_report"])
            yield world


def report_of(world: LiveWorld) -> tuple[dict[str, dict[str, object]], str]:
    files = world.lake.read_blobs("tiny/walk_forward_report")
    return json.loads(files["figures.json"]), files["report.html"].decode()


def test_a_report_without_stress_names_the_fold_and_passes(world: LiveWorld) -> None:
    figures, page = report_of(world)
    assert figures["stress"] == {}
    assert f"Not stressed: fold {FOLD}." in page
    assert "<h2>Evaluation account</h2>" in page


@pytest.fixture(scope="module")
def stressed(world: LiveWorld) -> LiveWorld:
    result = materialize(world, ["stress"], partition_key=FOLD)
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {name: check.passed for name, check in checks.items()} == {COMPLETE: True, AGREES: True}
    materialize(world, ["walk_forward_report"])
    return world


def test_a_world_without_actions_is_decided_anew_to_the_cent(stressed: LiveWorld) -> None:
    table = stressed.lake.read(ASSET, [FOLD], STRESS)
    assert table.columns == TABLES["stress"].names
    key = ["portfolio", "sum_return", "costs_usd"]
    both = [
        table.filter(pl.col("scenario") == scenario).select(key).sort("portfolio")
        for scenario in ("recorded", "as_it_was")
    ]
    assert both[0]["portfolio"].equals(both[1]["portfolio"])
    for name in key[1:]:
        assert (both[0][name] - both[1][name]).abs().max() < 1e-3


def test_one_symbol_of_a_world_is_stressed_without_halts_and_correlation(
    stressed: LiveWorld,
) -> None:
    scenarios = set(stressed.lake.read(ASSET, [FOLD], STRESS)["scenario"])
    assert {"volatility", "gap", "stale_feed", "path", "cost_factor", "volatility_tercile"} <= (
        scenarios
    )
    assert not scenarios & {"correlation", "halts"}


def test_the_report_shows_and_names_what_it_read(stressed: LiveWorld) -> None:
    figures, page = report_of(stressed)
    assert figures["stress"]["folds"] == [FOLD]
    assert figures["stress"]["paths"]["ppo/ensemble"]["count"] == 2
    assert "<h2>Under stress</h2>" in page
    assert "Not stressed" not in page
    assert "Correlation and halts are not judged: the universe has one symbol." in page
    record = stressed.records("walk_forward_report")[""]
    assert (ASSET, FOLD) in {(item.asset, item.partition) for item in record.inputs}


def test_stressing_again_gives_the_same_bytes(stressed: LiveWorld) -> None:
    before = stressed.records("stress")[FOLD].content_digest
    materialize(stressed, ["stress"], partition_key=FOLD)
    assert stressed.records("stress")[FOLD].content_digest == before


def test_only_folds_of_interest_that_passed_are_read(tmp_path: Path) -> None:
    lake, folds = open_lake(tmp_path / "data"), ["2020-01-01", "2021-01-01"]
    tables = {STRESS: TABLES["stress"].empty()}
    stored = [
        PartitionWrite(ASSET, "backtest", fold, tables, {}, verdict=verdict)
        for fold, verdict in zip(folds, ("passed", "failed"), strict=True)
    ]
    lake.commit([*stored, PartitionWrite(ASSET, "backtest", "2019-01-01", tables, {})], made_by())
    assert list(read_stress(lake, ASSET, folds)) == folds[:1]
    lake.close()


def test_what_is_only_reported_makes_nothing_stale_that_is_trained_or_traded(
    world: LiveWorld,
) -> None:
    declared = world.declared
    assert set(REPORTED) == {"stress_paths", "prop_firm", "cross_validation"}
    for changes, stale in (
        ({"stress_paths": 7}, {"stress", "walk_forward_report"}),
        ({"prop_firm": None}, {"walk_forward_report"}),
        (
            {"initial_equity_usd": 5.0},
            {
                "policy/ppo",
                "references",
                "backtest",
                "explanation",
                "stress",
                "walk_forward_report",
            },
        ),
    ):
        backtest = declared.trading.backtest.model_copy(update=changes)
        other = declared.trading.model_copy(update={"backtest": backtest})
        nodes = strategy_graph("tiny", other, declared.market).nodes
        changed = {
            node.key.removeprefix("tiny/")
            for node in nodes
            if not node.is_record
            and node.declaration_digest != declared.graph.node(node.key).declaration_digest
        }
        assert changed == stale, changes


def test_every_module_of_the_backtest_that_stress_trades_with_makes_it_stale() -> None:
    listed = {part for part in STAGE_CODE["stress"] if part.startswith("backtest/")}
    imported = {
        f"backtest/{name}.py"
        for part in listed
        for name in re.findall(
            r"^\s*from trading_assets\.backtest\.(\w+)", (PACKAGE / part).read_text(), re.MULTILINE
        )
    }
    assert imported <= listed
    assert not any(part.startswith("backtest/report") for part in listed)


# The last one: it puts a refused table in place of the one that the others look at.
def test_stress_that_is_not_complete_is_refused_and_named(
    stressed: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stress_module.stress_fold

    def shortened(*given: object) -> stress_module.FoldStress:
        found = whole(*given)  # type: ignore[arg-type]
        is_gone = (pl.col("scenario") == "gap") & (pl.col("portfolio") == "ppo/ensemble")
        apart = {**found.apart_bps, "equal_weight": 2.0}
        return replace(found, table=found.table.filter(~is_gone), apart_bps=apart)

    monkeypatch.setattr(stress_module, "stress_fold", shortened)
    result = materialize(stressed, ["stress"], is_good=False, partition_key=FOLD)
    assert not result.success
    record = stressed.records("stress")[FOLD]
    assert record.verdict == "failed"
    assert record.reasons[0] == "gap -3 lacks ppo/ensemble"
    materialize(stressed, ["walk_forward_report"])
    assert f"Not stressed: fold {FOLD}." in report_of(stressed)[1]
