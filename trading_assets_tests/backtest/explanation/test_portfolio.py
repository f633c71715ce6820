"""One portfolio explained: sums, evidence, and what is left out by name."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.explanation.stored_tables import action_table
from trading_assets.backtest.explanation.watched_decisions import WatchedDecisions
from trading_assets.policy.action_attribution import ActionAttributions
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.input_names import ObservedInput
from trading_assets_tests.backtest.explanation.explained import NAME, Case, explain, train_case

TARGET = ["portfolio", "session", "symbol"]


@pytest.fixture(scope="module")
def case() -> Case:
    return train_case(total_steps=6_000)


@pytest.fixture(scope="module")
def explained(case):
    return explain(case)


def test_contributions_of_a_target_add_up_to_what_was_recorded(case, explained):
    summed = explained.actions.group_by(TARGET).agg(pl.col("contribution").sum())
    both = case.recorded.weights.join(summed, on=TARGET, how="left")
    gap = (both["weight"] - both["contribution"].fill_null(0.0)).abs()
    assert gap.max() <= 0.01 * both["weight"].abs().mean()
    assert len(both) == 3 * len(case.planted.test_days)
    assert explained.problems == []
    assert explained.figures["completeness_error"] <= 0.01


def test_steps_of_a_decision_are_told_beside_its_inputs(explained):
    kinds = set(explained.actions["kind"])
    assert kinds == {"baseline", "confidence", "feature", "forecast", "known", "account"}
    assert explained.left_out == []


def test_every_trade_of_the_portfolio_has_a_reason(case, explained):
    traded = case.recorded.trades.filter(pl.col("quantity") != 0.0)
    assert len(explained.reasons) == len(traded) > 100
    assert set(explained.reasons["reason"].str.slice(0, 4)) <= {"boug", "sold"}


def test_decisions_that_were_recorded_otherwise_contradict_the_explanation(case):
    weights = case.recorded.weights.with_columns(pl.col("weight") + 1e-6)
    other = explain(case, replace(case.traded, weights=weights))
    assert other.problems == [
        f"{NAME} decides otherwise than its backtest recorded: backtest the fold again"
    ]
    gone = explain(case, replace(case.traded, weights=weights.head(0)))
    assert len(gone.problems) == 1


def test_levels_are_left_out_by_name_and_still_measured(case):
    first = case.ensemble[0]
    tensors = dict(first.tensors)
    tensors["action.weight"] = np.repeat(tensors["action.weight"], 3, axis=0)
    tensors["action.bias"] = np.tile(np.array([0.1, 0.0, -0.1], np.float32), 3)
    policy = replace(first, tensors=tensors, output="levels", levels=(-1.0, 0.0, 1.0))
    choosing = Case(case.planted, case.strategy, Ensemble((policy,)))
    found = explain(choosing)
    assert found.left_out == [
        f"what moved {NAME}: {policy.algorithm} chooses among levels, which have no gradient"
    ]
    assert found.actions is None
    assert found.problems == []
    assert len(found.importances) > 0


def test_a_window_too_short_for_blocks_is_named(case):
    fold = replace(case.planted.fold, test_end=case.planted.test_days[29])
    short = Case(replace(case.planted, fold=fold), case.strategy, case.ensemble)
    found = explain(short)
    assert found.importances == []
    assert found.left_out == [
        f"what inputs were worth to {NAME}: its 30 test sessions hold no two blocks of 20"
    ]
    assert found.problems == []


def attributions(n_symbols):
    symbols = [f"S{n}" for n in range(n_symbols)]
    inputs = tuple(ObservedInput("feature", "momentum", symbol) for symbol in symbols)
    rng = np.random.default_rng(0)
    owed = rng.normal(size=(4, n_symbols, n_symbols))
    raw = owed.sum(axis=2)
    found = ActionAttributions(inputs, owed, raw, np.zeros((4, n_symbols)), 0.0, 0.0)
    days = np.arange(4).astype("datetime64[D]")
    watched = WatchedDecisions(np.arange(4), days, raw, (), raw, raw, raw, None)
    return symbols, found, watched


def test_what_limits_change_is_a_step_of_the_decision():
    symbols, found, watched = attributions(2)
    halved = replace(watched, weights=0.5 * watched.wished)
    table = action_table("mine", halved, found, symbols)
    limits = table.filter(pl.col("kind") == "limits")["contribution"].to_numpy()
    np.testing.assert_allclose(limits, -0.5 * watched.wished.ravel(), atol=1e-12)
    total = float(table["contribution"].sum())
    assert total == pytest.approx(float(halved.weights.sum()), abs=1e-12)


@pytest.mark.parametrize(("n_symbols", "rows_a_target"), [(8, 8), (9, 2)])
def test_in_a_large_universe_inputs_of_others_are_summed(n_symbols, rows_a_target):
    symbols, found, watched = attributions(n_symbols)
    table = action_table("mine", watched, found, symbols)
    assert len(table) == 4 * n_symbols * rows_a_target
    summed = table.group_by("session", "symbol", maintain_order=True).agg(
        pl.col("contribution").sum()
    )
    np.testing.assert_allclose(summed["contribution"], watched.weights.ravel(), atol=1e-12)
    assert ("*" in set(table["of_symbol"])) == (n_symbols > 8)
