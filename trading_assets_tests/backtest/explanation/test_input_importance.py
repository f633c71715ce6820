"""What inputs are worth: planted ones are found by trading without them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.explanation.input_importance import (
    CONFIDENCE,
    FORECASTS,
    Shuffled,
    measure_inputs,
    shuffle_task,
    shuffled_inputs,
    watched_returns,
)
from trading_assets.backtest.explanation.watched_decisions import watch_decisions
from trading_assets.block_permutation import shuffle_blocks
from trading_assets.policy.action_attribution import attribute_actions, baseline_observation
from trading_assets.policy.decision_rules import FORECAST_INPUTS, declared_rules
from trading_assets.policy.input_names import symbol_places
from trading_assets_tests.backtest.explanation.explained import NAME, Case, train_case
from trading_assets_tests.policy.tasks import SYMBOLS, make_strategy

GROUPS = {"momentum": "returns", "reversal": "trend"}


@pytest.fixture(scope="module")
def case() -> Case:
    return train_case()


@pytest.fixture(scope="module")
def watched(case):
    return watch_decisions(NAME, case.ensemble, case.task, case.strategy, case.planted.fold)


@pytest.fixture(scope="module")
def measured(case, watched):
    rules = case.ensemble[0].rules
    found = measure_inputs(
        watched,
        case.ensemble,
        case.task,
        case.strategy,
        case.planted.fold,
        shuffled_inputs(rules, GROUPS, is_sized=True),
    )
    return {(each.shuffled.level, each.shuffled.name): each.measures for each in found}


def test_groups_and_then_each_input_are_tried():
    rules = declared_rules(make_strategy(), SYMBOLS)
    tried = shuffled_inputs(rules, GROUPS, is_sized=True)
    assert [(each.level, each.name) for each in tried[:3]] == [
        ("group", "returns"),
        ("group", "trend"),
        ("group", FORECASTS),
    ]
    assert tried[2].inputs == (*FORECAST_INPUTS, CONFIDENCE)
    singles = ["momentum", "reversal", *FORECAST_INPUTS, CONFIDENCE]
    assert [each.name for each in tried[3:]] == singles
    blind = replace(rules, uses_forecasts=False)
    assert [each.name for each in shuffled_inputs(blind, GROUPS, is_sized=False)] == [
        "returns",
        "trend",
        "momentum",
        "reversal",
    ]


def test_forecasts_that_know_the_next_bar_earn_and_noise_does_not(measured):
    lost = {name: m["return_lost_bps"] for (level, name), m in measured.items() if level == "group"}
    assert lost[FORECASTS].low > 10.0
    for noise in ("returns", "trend"):
        assert lost[noise].low < 0.0 or lost[noise].mean < 0.1 * lost[FORECASTS].mean
    moved = {name: m["weight_change"].mean for (level, name), m in measured.items()}
    assert moved[FORECASTS] > 3.0 * max(moved["returns"], moved["trend"])


def test_a_group_of_one_input_is_that_input(measured):
    assert measured["group", "returns"] == measured["input", "momentum"]


def test_what_nobody_is_shown_is_worth_nothing(case, watched):
    nothing = Shuffled("group", "nothing", ())
    (found,) = measure_inputs(
        watched, case.ensemble, case.task, case.strategy, case.planted.fold, [nothing]
    )
    assert {name: (m.mean, m.error) for name, m in found.measures.items()} == {
        "weight_change": (0.0, 0.0),
        "return_lost_bps": (0.0, 0.0),
    }


def test_watched_returns_are_those_of_the_recorded_equity(case, watched):
    equity = case.recorded.equity.sort("session")["equity_usd"].to_numpy()
    start = case.strategy.backtest.initial_equity_usd
    found = watched_returns(watched, case.strategy)
    assert np.prod(1.0 + found) == pytest.approx(equity[-1] / start, rel=1e-12)
    assert len(found) == len(watched.rows)


def test_only_the_named_inputs_move_and_only_in_the_window(case, watched):
    shuffled = shuffle_task(case.task, watched.rows, ["reversal"], 0).view
    own = case.task.view
    shape = (len(own.context), 3, -1)
    before, after = own.context.reshape(shape), shuffled.context.reshape(shape)
    place = symbol_places(own.rules, ["reversal"])[0]
    others = [p for p in range(before.shape[2]) if p != place]
    np.testing.assert_array_equal(before[:, :, others], after[:, :, others])
    outside = np.setdiff1d(np.arange(len(before)), watched.rows)
    np.testing.assert_array_equal(before[outside], after[outside])
    source = shuffle_blocks(len(watched.rows), 0)
    inside = before[watched.rows][:, :, place]
    known = before[watched.rows][:, :, -1] == 1.0
    moves = known & known[source]
    expected = np.where(moves, inside[source], inside)
    np.testing.assert_array_equal(after[watched.rows][:, :, place], expected)
    assert 0.5 < moves.mean() < 1.0
    assert shuffled.factors is own.factors


def test_confidence_is_what_weights_are_sized_by(case, watched):
    shuffled = shuffle_task(case.task, watched.rows, [CONFIDENCE], 1).view
    own = case.task.view
    np.testing.assert_array_equal(shuffled.context, own.context)
    assert (shuffled.factors[watched.rows] != own.factors[watched.rows]).mean() > 0.5
    sizes = [np.sort(view.factors[watched.rows].ravel()) for view in (own, shuffled)]
    assert np.abs(sizes[0].mean() - sizes[1].mean()) < 0.05


def test_all_bars_that_windows_show_are_permuted():
    strategy = make_strategy(policy={"window_bars": 5})
    case = train_case(0.2, total_steps=2_000)
    from trading_assets.policy.rollout import build_task

    tables = case.planted.tables
    task = build_task(case.planted.market, tables.features, tables.forecasts, strategy)
    rows = np.arange(400, 500)
    shuffled = shuffle_task(task, rows, ["momentum"], 0).view.context
    changed = np.flatnonzero((shuffled != task.view.context).any(axis=1))
    assert (changed.min(), changed.max()) == (396, 499)


@pytest.mark.slow
def test_planted_forecasts_move_actions_most_in_38_of_40_seeds():
    first = 0
    for seed in range(40):
        case = train_case(0.5, seed, seeds=1, total_steps=6_000)
        watched = watch_decisions(NAME, case.ensemble, case.task, case.strategy, case.planted.fold)
        baseline = baseline_observation(case.task, np.arange(0, 330))
        found = attribute_actions(case.ensemble, watched.observations, baseline)
        moved = pl.DataFrame(
            {
                "kind": [each.kind for each in found.inputs],
                "name": [each.name for each in found.inputs],
                "moved": np.abs(found.contributions).mean(axis=(0, 1)),
            }
        )
        by_input = moved.group_by("kind", "name").agg(pl.col("moved").sum())
        # The edge and the expected return both tell what was planted.
        top = by_input.sort("moved", descending=True)["name"][0]
        first += top in ("edge", "expected_return_over_sigma")
    assert first >= 38
