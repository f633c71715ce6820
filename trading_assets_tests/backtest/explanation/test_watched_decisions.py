"""Decisions once more: the same as were traded, with what they were made from."""

from dataclasses import replace

import numpy as np
import pytest

from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.explanation.watched_decisions import watch_decisions
from trading_assets.policy.acting import Acting
from trading_assets.policy.differentiable_policy import act_on
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.rollout import build_task, policy_decision
from trading_assets_tests.backtest.explanation.explained import NAME, Case, train_case
from trading_assets_tests.backtest.planted_forecasts import STRATEGY, plant
from trading_assets_tests.policy.tasks import make_policy


@pytest.fixture(scope="module")
def case() -> Case:
    return train_case(total_steps=6_000)


def watch(case):
    return watch_decisions(NAME, case.ensemble, case.task, case.strategy, case.planted.fold)


def test_watching_changes_nothing(case):
    watched = watch(case)
    assert watched.tables.weights.equals(case.recorded.weights)
    assert watched.tables.equity.equals(case.recorded.equity)
    weights = case.recorded.weights.sort("session", "symbol")["weight"].to_numpy()
    np.testing.assert_array_equal(watched.weights.ravel(), weights)
    assert len(watched.rows) == len(case.planted.test_days)


def test_what_was_seen_is_the_context_of_the_row_and_the_account(case):
    watched = watch(case)
    width = case.task.view.context.shape[1]
    np.testing.assert_array_equal(
        watched.observations[:, :width], case.task.view.context[watched.rows]
    )
    # Weights held are shown over a quarter of the largest one.
    held = watched.observations[:, width : width + 3] * case.task.view.held_scale
    np.testing.assert_allclose(held, watched.held, atol=1e-6)
    np.testing.assert_array_equal(watched.held[0], 0.0)


def test_what_was_wished_is_what_limits_were_put_on(case):
    watched = watch(case)
    view, rows = case.task.view, watched.rows
    np.testing.assert_array_equal(view.project(watched.wished, rows, watched.held), watched.weights)
    raw = act_on(case.ensemble, watched.observations, watched.memories)
    np.testing.assert_array_equal(view.size_weights(raw, rows), watched.wished)


def test_memories_are_those_before_each_decision():
    planted = plant(0.3)
    policies = Ensemble((make_policy(STRATEGY, memory_units=4), make_policy(STRATEGY, seed=1)))
    task = build_task(planted.market, planted.tables.features, planted.tables.forecasts, STRATEGY)
    watched = watch_decisions(NAME, policies, task, STRATEGY, planted.fold)
    assert [memory.shape for memory in watched.memories] == [(len(watched.rows), 8), (119, 0)]
    np.testing.assert_array_equal(watched.memories[0][0], 0.0)
    acting = Acting(policies, 1)
    for at, seen in enumerate(watched.observations[:5]):
        np.testing.assert_array_equal(acting.carried()[0], watched.memories[0][at])
        acting.raw_weights(seen[None])
    decide = policy_decision(policies, task)
    traded = run_backtest(planted.market, {NAME: decide}, STRATEGY, planted.fold)
    assert watched.tables.weights.equals(traded.weights)


def test_later_bars_change_nothing_of_what_was_seen_before(case):
    watched, cut = watch(case), 50
    context = case.task.view.context.copy()
    context[watched.rows[cut] :] += 1.0
    changed = replace(case.task, view=replace(case.task.view, context=context))
    again = watch_decisions(NAME, case.ensemble, changed, case.strategy, case.planted.fold)
    np.testing.assert_array_equal(again.observations[:cut], watched.observations[:cut])
    np.testing.assert_array_equal(again.weights[:cut], watched.weights[:cut])
    assert (again.observations[cut] != watched.observations[cut]).any()
