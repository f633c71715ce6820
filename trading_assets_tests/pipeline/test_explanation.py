"""The explanation of a fold as an asset: what is stored, who reads it, and when it is refused."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.explanation import fold as fold_module
from trading_assets.backtest.explanation.fold_explanation import FACTS_FILE, TABLE_NAMES
from trading_assets.lake.records import PartitionWrite
from trading_assets.pipeline.explanation import rows_of_backtest
from trading_assets.pipeline.report_inputs import read_explanations
from trading_assets.policy.fold import TrainingTables
from trading_assets.schema import TABLES
from trading_assets_tests.lake.samples import made_by, open_lake
from trading_assets_tests.pipeline import live_world
from trading_assets_tests.pipeline.live_world import LiveWorld, open_world
from trading_assets_tests.pipeline.test_forecast_ablation import FOLD, MONTHS, materialize

ASSET = "tiny/explanation"
CHECK = "attributions_add_up_to_the_action"
NAME = "ppo/ensemble"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveWorld]:
    ends = zip(("start", "end"), MONTHS, strict=True)
    months = {f"dagster/asset_partition_range_{end}": month for end, month in ends}
    declared = live_world.STRATEGY.replace("train_months: 6", "train_months: 9")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_world, "STRATEGY", declared.replace("uses_forecasts: false", ""))
        with open_world(tmp_path_factory.mktemp("explanation")) as world:
            materialize(world, ["raw_bars", "corporate_actions", "validated_bars"], tags=months)
            materialize(world, ["features"], tags=months)
            names = ["forecaster", "forecasts", "policy/ppo", "references", "backtest"]
            materialize(world, names, partition_key=FOLD)
            materialize(world, ["walk_forward_report"])
            yield world


def report_of(world: LiveWorld) -> tuple[dict[str, dict[str, object]], str]:
    files = world.lake.read_blobs("tiny/walk_forward_report")
    return json.loads(files["figures.json"]), files["report.html"].decode()


def test_a_report_without_an_explanation_names_the_fold(world: LiveWorld) -> None:
    figures, page = report_of(world)
    assert figures["explanation"] == {}
    assert f"1 fold is not explained: {FOLD}." in page


@pytest.fixture(scope="module")
def explained(world: LiveWorld) -> LiveWorld:
    result = materialize(world, ["explanation"], partition_key=FOLD)
    checks = result.get_asset_check_evaluations()
    assert [(check.check_name, check.passed) for check in checks] == [(CHECK, True)]
    materialize(world, ["walk_forward_report"])
    return world


def test_tables_and_evidence_are_stored(explained: LiveWorld) -> None:
    record = explained.records("explanation")[FOLD]
    assert record.verdict == "passed"
    assert {file.name for file in record.files} == {
        FACTS_FILE,
        *(f"{name}.parquet" for name in TABLE_NAMES),
    }
    facts = json.loads(explained.lake.read_blobs(ASSET, FOLD)[FACTS_FILE])
    for each in (NAME, "forecaster"):
        assert facts["figures"][each]["completeness_error"] <= 0.01
        assert facts["figures"][each]["form_gap"] <= 1e-5
    assert facts["left_out"] == []
    for name in TABLE_NAMES:
        table = explained.lake.read(ASSET, [FOLD], name)
        assert table.columns == TABLES[name].names
        assert not table.select(TABLES[name].key).is_duplicated().any()


def test_contributions_add_up_to_the_backtests_targets(explained: LiveWorld) -> None:
    lake, target = explained.lake, ["portfolio", "session", "symbol"]
    weights = lake.read("tiny/backtest", [FOLD], "weights").filter(pl.col("portfolio") == NAME)
    actions = lake.read(ASSET, [FOLD], "action_attributions")
    summed = actions.group_by(target).agg(pl.col("contribution").sum())
    both = weights.join(summed, on=target, how="left").fill_null(0.0)
    assert (both["weight"] - both["contribution"]).abs().max() <= 1e-4
    assert len(both) > 0


def test_every_trade_of_the_deployed_portfolio_has_a_reason(explained: LiveWorld) -> None:
    trades = explained.lake.read("tiny/backtest", [FOLD], "trades")
    own = trades.filter((pl.col("portfolio") == NAME) & (pl.col("quantity") != 0.0))
    reasons = explained.lake.read(ASSET, [FOLD], "reasons")
    keys = ["portfolio", "session", "symbol"]
    assert reasons.select(keys).sort(keys).equals(own.select(keys).sort(keys))
    assert reasons["reason"].str.len_chars().min() > 10


def test_decisions_are_explained_on_the_rows_that_the_backtest_read(explained: LiveWorld) -> None:
    days = pl.DataFrame(
        {"session": pl.date_range(date(2021, 1, 1), date(2022, 12, 31), eager=True)}
    )
    tables = TrainingTables(days, days, days, days)
    read = rows_of_backtest(explained.declared, tables, FOLD)
    spans = [
        (frame["session"].min(), frame["session"].max()) for frame in (read.bars, read.features)
    ]
    # Thirteen months of bars before a fold of a quarter, and the features of the quarter before.
    assert spans == [
        (date(2021, 4, 1), date(2022, 9, 30)),
        (date(2022, 4, 1), date(2022, 9, 30)),
    ]
    assert read.actions is days


def test_importances_are_measured_of_weights_returns_and_forecasts(explained: LiveWorld) -> None:
    table = explained.lake.read(ASSET, [FOLD], "importances")
    measures = set(table.select("of", "measure").iter_rows())
    assert {(NAME, "weight_change"), (NAME, "return_lost_bps")} <= measures
    served = json.loads(explained.lake.read_blobs("tiny/forecaster", FOLD)["card.json"])["served"]
    assert (("forecaster", "log_loss") in measures) == (served != "prior")
    assert (table["low"] <= table["mean"] + 1e-12).all()
    assert np.isfinite(table["error"].to_numpy()).all()


def test_the_report_shows_and_names_what_it_read(explained: LiveWorld) -> None:
    figures, page = report_of(explained)
    assert figures["explanation"]["portfolio"] == NAME
    assert figures["explanation"]["folds"] == [FOLD]
    assert "<h2>What moves decisions and forecasts</h2>" in page
    assert "not explained" not in page
    record = explained.records("walk_forward_report")[""]
    assert (ASSET, FOLD) in {(item.asset, item.partition) for item in record.inputs}


def test_explaining_again_gives_the_same_bytes(explained: LiveWorld) -> None:
    before = explained.records("explanation")[FOLD].content_digest
    materialize(explained, ["explanation"], partition_key=FOLD)
    assert explained.records("explanation")[FOLD].content_digest == before


def test_only_folds_of_interest_that_passed_are_read(tmp_path: Path) -> None:
    lake, folds = open_lake(tmp_path / "data"), ["2020-01-01", "2021-01-01"]
    tables = {name: TABLES[name].empty() for name in TABLE_NAMES}
    card = {FACTS_FILE: b'{"figures":{},"left_out":["a"]}'}
    stored = [
        PartitionWrite(ASSET, "backtest", fold, tables, card, verdict=verdict)
        for fold, verdict in zip(folds, ("passed", "failed"), strict=True)
    ]
    lake.commit([*stored, PartitionWrite(ASSET, "backtest", "2019-01-01", tables, card)], made_by())
    found = read_explanations(lake, ASSET, folds)
    assert list(found) == folds[:1]
    assert found[folds[0]].left_out == ("a",)
    lake.close()


# The last one: it puts a refused explanation in place of the one that the others look at.
def test_an_explanation_that_does_not_add_up_is_refused_and_named(
    explained: LiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold_module, "form_problems", lambda *_: ["contributions miss"])
    result = materialize(explained, ["explanation"], is_good=False, partition_key=FOLD)
    assert not result.success
    record = explained.records("explanation")[FOLD]
    assert (record.verdict, record.reasons) == ("failed", ("contributions miss",))
    materialize(explained, ["walk_forward_report"])
    figures, page = report_of(explained)
    assert figures["explanation"] == {}
    assert f"1 fold is not explained: {FOLD}." in page
