"""The cross-validation as an asset: what is stored, who reads it, and when it is refused."""

import json
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from trading_assets.asset_nodes import AssetNode
from trading_assets.backtest.cross_validation import cross_validate as cross_validate_module
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.errors import DataError
from trading_assets.graph import strategy_graph
from trading_assets.lake.records import PartitionWrite
from trading_assets.periods import Axis
from trading_assets.pipeline.cross_validation import covered_days
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.report_inputs import (
    PATH_FACTS_FILE,
    PATH_FORECASTS,
    PATH_RETURNS,
    read_cross_validation,
)
from trading_assets.pipeline.task import Task
from trading_assets.schema import TABLES
from trading_assets.stage_code import PACKAGE, STAGE_CODE
from trading_assets.strategy import Strategy
from trading_assets_tests.lake.samples import made_by, open_lake
from trading_assets_tests.pipeline import live_world
from trading_assets_tests.pipeline.live_world import LiveWorld, open_world
from trading_assets_tests.pipeline.test_forecast_ablation import FOLD, MONTHS, NOW, materialize

ASSET, TITLE = "tiny/cross_validation", "<h2>Combinatorial purged cross-validation</h2>"
APART, COMPLETE = "no_label_reaches_into_a_test_group", "every_policy_is_on_every_path"
DECLARED = "{cross_validation: {groups: 4, test_groups: 2}, stress_paths: 1}"


STRATEGY = live_world.STRATEGY.replace("train_months: 6", "train_months: 9")
STRATEGY += f"  backtest: {DECLARED}\n"


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Declared:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_world, "STRATEGY", STRATEGY)
        return live_world.declare(tmp_path_factory.mktemp("declared"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    ends = zip(("start", "end"), MONTHS, strict=True)
    months = {f"dagster/asset_partition_range_{end}": month for end, month in ends}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_world, "STRATEGY", STRATEGY)
        with open_world(tmp_path_factory.mktemp("validated")) as world:
            materialize(world, ["raw_bars", "corporate_actions", "validated_bars"], tags=months)
            materialize(world, ["features"], tags=months)
            names = ["forecaster", "forecasts", "policy/ppo", "references", "backtest"]
            materialize(world, names, partition_key=FOLD)
            materialize(world, ["walk_forward_report"])
            yield world


def report_of(world: LiveWorld) -> tuple[dict[str, dict[str, object]], str]:
    files = world.lake.read_blobs("tiny/walk_forward_report")
    return json.loads(files["figures.json"]), files["report.html"].decode()


def test_a_report_without_it_says_so_and_passes(world: LiveWorld) -> None:
    figures, page = report_of(world)
    assert figures["cross_validation"] == {}
    assert TITLE in page
    assert "Nothing is cross-validated: the asset cross_validation is missing or" in page


@pytest.fixture(scope="module")
def validated(world: LiveWorld) -> LiveWorld:
    result = materialize(world, ["cross_validation"])
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {name: check.passed for name, check in checks.items()} == {APART: True, COMPLETE: True}
    materialize(world, ["walk_forward_report"])
    return world


def test_the_sessions_of_all_closed_folds_are_covered(validated: LiveWorld) -> None:
    returns = validated.lake.read(ASSET, [""], PATH_RETURNS)
    assert returns.columns == TABLES[PATH_RETURNS].names
    # One fold: nine months from October on, and the quarter that it tests.
    days = returns["session"]
    assert (days.min(), days.max()) == (date(2021, 10, 4), date(2022, 9, 30))
    assert set(returns.filter(pl.col("path") > 0)["portfolio"]) == {
        "garleanu_pedersen",
        "logistic_rule",
    }
    assert validated.lake.read(ASSET, [""], PATH_FORECASTS)["path"].to_list() == [1, 2, 3]
    facts = json.loads(validated.lake.read_blobs(ASSET)[PATH_FACTS_FILE])
    assert len(facts["splits"]) == 6
    assert set(facts["absences"]) >= {"momentum", "trend"}
    # Bars of earlier months are read where there are any, later ones are not.
    read = {item.partition for item in validated.records("cross_validation")[""].inputs}
    assert min(read - {""}) == "2021-08-01"
    assert max(read) == "2022-09-01"


def test_the_report_shows_it_and_names_what_it_read(validated: LiveWorld) -> None:
    figures, page = report_of(validated)
    found = figures["cross_validation"]
    assert set(found["policies"]) == {"garleanu_pedersen", "logistic_rule"}
    assert (found["paths"], len(found["splits"])) == (3, 6)
    assert "is missing or was refused" not in page
    assert "Not among the baselines: hierarchical_risk_parity, inverse_volatility" in page
    record = validated.records("walk_forward_report")[""]
    assert (ASSET, "") in {(item.asset, item.partition) for item in record.inputs}


def test_again_it_is_the_same_bytes(validated: LiveWorld) -> None:
    before = validated.records("cross_validation")[""].content_digest
    materialize(validated, ["cross_validation"])
    assert validated.records("cross_validation")[""].content_digest == before


def test_folds_are_covered_once_all_their_months_are_stored(
    declared: Declared, tmp_path: Path
) -> None:
    lake = open_lake(tmp_path / "data")
    task = Task(declared, declared.node("cross_validation"), lake, NOW, [""], "")
    months = declared.graph.periods.keys(Axis.MONTH, NOW)
    assert months[-1] == "2022-10-01"
    rows = {"rows": pl.DataFrame({"a": [1]})}
    for month in months[:-2]:
        for asset in ("tiny/features", "tiny_daily/validated_bars"):
            lake.commit([PartitionWrite(asset, "features", month, rows)], made_by())
    with pytest.raises(DataError, match=r"needs the months of a whole fold, .* 13 are stored"):
        covered_days(task)
    for asset in ("tiny/features", "tiny_daily/validated_bars"):
        lake.commit([PartitionWrite(asset, "features", "2022-09-01", rows)], made_by())
    again = Task(declared, declared.node("cross_validation"), lake, NOW, [""], "")
    assert covered_days(again) == (date(2021, 10, 1), date(2022, 9, 30))
    lake.close()


def nodes_of(declared: Declared, strategy: Strategy) -> dict[str, AssetNode]:
    nodes = strategy_graph("tiny", strategy, declared.market).nodes
    return {node.key.removeprefix("tiny/"): node for node in nodes if not node.is_record}


def changed_by(declared: Declared, strategy: Strategy) -> set[str]:
    before, after = nodes_of(declared, declared.trading), nodes_of(declared, strategy)
    return {
        name
        for name in before.keys() | after.keys()
        if name not in before
        or name not in after
        or before[name].declaration_digest != after[name].declaration_digest
    }


@pytest.mark.parametrize("spec", [CrossValidationSpec(groups=5), None])
def test_declaring_it_otherwise_trains_and_trades_nothing_else_again(
    declared: Declared, spec: CrossValidationSpec | None
) -> None:
    backtest = declared.trading.backtest.model_copy(update={"cross_validation": spec})
    other = declared.trading.model_copy(update={"backtest": backtest})
    assert changed_by(declared, other) == {"cross_validation", "walk_forward_report"}


def test_agents_have_no_say_in_it_and_costs_do(declared: Declared) -> None:
    trading = declared.trading
    agent = trading.policy.agents["ppo"].model_copy(update={"total_steps": 4000})
    policy = trading.policy.model_copy(update={"agents": {"ppo": agent}})
    changed = changed_by(declared, trading.model_copy(update={"policy": policy}))
    assert "policy/ppo" in changed
    assert "cross_validation" not in changed
    costs = trading.costs.model_copy(update={"fee_bps": 3.0})
    other = trading.model_copy(update={"costs": costs})
    assert "cross_validation" in changed_by(declared, other)


def test_where_it_is_not_declared_there_is_no_such_asset(declared: Declared) -> None:
    backtest = declared.trading.backtest.model_copy(update={"cross_validation": None})
    nodes = nodes_of(declared, declared.trading.model_copy(update={"backtest": backtest}))
    assert "cross_validation" not in nodes
    assert ASSET not in {edge.asset for edge in nodes["walk_forward_report"].reads}


def test_every_module_of_the_backtest_that_it_trades_with_makes_it_stale() -> None:
    listed = {part for part in STAGE_CODE["cross_validation"] if part.startswith("backtest/")}
    files = {
        path.relative_to(PACKAGE).as_posix()
        for part in listed
        for path in (
            (PACKAGE / part).rglob("*.py") if (PACKAGE / part).is_dir() else [PACKAGE / part]
        )
    }
    imported = {
        f"backtest/{name.replace('.', '/')}.py"
        for part in files
        for name in re.findall(
            r"^\s*from trading_assets\.backtest\.([\w.]+)",
            (PACKAGE / part).read_text(),
            re.MULTILINE,
        )
    }
    assert imported <= files
    assert not any(part.startswith("backtest/report") for part in files)


def test_one_that_was_refused_is_not_read(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "data")
    tables = {name: TABLES[name].empty() for name in (PATH_RETURNS, PATH_FORECASTS)}
    facts = {PATH_FACTS_FILE: b'{"absences":{"trend":"why"},"paths":3}'}
    assert read_cross_validation(lake, ASSET) is None
    lake.commit([PartitionWrite(ASSET, "backtest", "", tables, facts)], made_by())
    found = read_cross_validation(lake, ASSET)
    assert (found.absences, found.facts) == ({"trend": "why"}, {"paths": 3})
    refused = PartitionWrite(ASSET, "backtest", "", tables, facts, verdict="failed")
    lake.commit([refused], made_by())
    assert read_cross_validation(lake, ASSET) is None
    lake.close()


# The last one: it puts a refused commit in place of the one that the others look at.
def test_a_label_that_reaches_into_a_test_group_refuses_it_and_the_report_says_so(
    validated: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = "split 1: 4 labels that forecaster was fitted on live in group 2"
    monkeypatch.setattr(cross_validate_module, "find_reaching", lambda *_: [found])
    result = materialize(validated, ["cross_validation"], is_good=False)
    assert not result.success
    record = validated.records("cross_validation")[""]
    assert (record.verdict, record.reasons) == ("failed", (found,))
    materialize(validated, ["walk_forward_report"])
    figures, page = report_of(validated)
    assert figures["cross_validation"] == {}
    assert "Nothing is cross-validated: the asset cross_validation is missing or" in page
