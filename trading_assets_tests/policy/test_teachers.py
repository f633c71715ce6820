from dataclasses import replace

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.policy import world_task
from trading_assets.policy.observation import PolicyView
from trading_assets.policy.rollout import build_task
from trading_assets.policy.teachers import (
    ExpectedReturns,
    cost_aware_teacher,
    decision_rows,
    expect_returns,
    inputs_of,
    make_teacher,
)
from trading_assets.policy.world_task import finite_training, world_training
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.worlds.one_asset import WorldOne, best_policy, myopic_policy
from trading_assets_tests.policy.killed_training import make_training
from trading_assets_tests.policy.tasks import make_strategy, make_tables, random_market

W1 = WorldOne()
LIMITS = WeightLimits(1.0, 1.0, is_long_only=False)
RULES = ("momentum", "myopic", "garleanu_pedersen")
EPISODES = Episodes(1, 80, 16, 100.0)


@pytest.fixture
def w1_training(monkeypatch):
    monkeypatch.setattr(world_task, "HISTORY_BARS", 100_000)
    monkeypatch.setattr(world_task, "VALIDATION_PATHS", 10)
    agent = make_training("ppo", None).agent
    return world_training(W1, agent, 0, LIMITS, np.random.default_rng(3))


@pytest.mark.parametrize(("looks_ahead", "policy"), [(True, best_policy), (False, myopic_policy)])
def test_a_teacher_that_knows_w1_is_its_closed_form(w1_training, looks_ahead, policy):
    task = w1_training.task
    known = ExpectedReturns(np.array([0.1]), np.array([0.9]))
    teach = cost_aware_teacher(task, known, W1.quadratic_lambda, looks_ahead=looks_ahead)
    rows, closed = np.arange(500), policy(W1)
    held = np.random.default_rng(0).normal(0, 0.3, (500, 1))
    signal = inputs_of(task)[0][rows, :, 0]
    expected = closed.keep * held + closed.gain * signal
    np.testing.assert_allclose(teach(rows, held), expected, rtol=1e-5, atol=1e-6)


def test_estimates_on_a_long_history_are_those_of_the_world(w1_training):
    found = expect_returns(w1_training.task, decision_rows(w1_training.episodes))
    # Standard errors: 1 / sqrt(100,000) of the slope, and 0.0014 of the persistence.
    assert found.slopes[0] == pytest.approx(0.1, abs=4 * 0.0032)
    assert found.persistence[0] == pytest.approx(0.9, abs=4 * 0.0014)


def test_inputs_without_information_are_expected_to_say_little(monkeypatch):
    monkeypatch.setattr(world_task, "HISTORY_BARS", 2_000)
    agent = make_training("ppo", None).agent
    silent, rng = replace(W1, information_coefficient=0.0), np.random.default_rng(3)
    found = [
        expect_returns(training.task, decision_rows(training.episodes)).slopes[0]
        for training in (world_training(silent, agent, 0, LIMITS, rng) for _ in range(20))
    ]
    # Of a least-squares slope without information the mean is 0.8 standard errors; shrunk, 0.26.
    assert np.abs(found).mean() < 0.5 / np.sqrt(2_000)


def test_nothing_leads_from_one_history_to_the_next(monkeypatch):
    monkeypatch.setattr(world_task, "FINITE_BARS", 50)
    agent = make_training("ppo", None).agent
    training = finite_training(W1, agent, 0, LIMITS, np.random.default_rng(3), n_histories=4)
    assert decision_rows(training.episodes).tolist() == [r for r in range(160) if r % 40 != 39]


@pytest.mark.parametrize("rule", RULES)
def test_nothing_after_the_train_window_changes_a_teacher(rule):
    market = random_market(120)
    tables, strategy = make_tables(market), make_strategy()
    task = build_task(market, *tables, strategy)
    close, volatility = market.close.copy(), market.volatility.copy()
    close[81:] *= np.linspace(1.0, 3.0, 39)[:, None]
    volatility[81:] *= 2.0
    context = task.view.context.copy()
    context[80:] = -context[80:]
    later = replace(market, close=close, volatility=volatility)
    other = replace(task, market=later, view=PolicyView(task.view.rules, context, later.tradable))
    rows, held = np.arange(1, 80), np.random.default_rng(0).normal(0, 0.2, (79, 3))
    first, second = (make_teacher(rule, each, EPISODES)(rows, held) for each in (task, other))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first).max() > 0.0
    earlier = replace(market, close=np.where(np.arange(120)[:, None] < 80, close[::-1], close))
    changed = replace(task, market=earlier)
    assert not np.array_equal(make_teacher(rule, changed, EPISODES)(rows, held), first)


def test_what_is_not_tradable_is_let_go(w1_training):
    task = w1_training.task
    context = task.view.context.copy()
    context[:, -1] = 0.0
    view = PolicyView(task.view.rules, context, task.market.tradable)
    known = ExpectedReturns(np.array([0.1]), np.array([0.9]))
    teach = cost_aware_teacher(replace(task, view=view), known, 250.0, looks_ahead=True)
    rate = 1.0 - best_policy(W1).keep
    np.testing.assert_allclose(teach(np.arange(3), np.ones((3, 1))), 1.0 - rate)


def test_a_cost_aware_teacher_needs_a_risk_aversion_and_inputs():
    market = random_market(120)
    bare = {"uses_forecasts": False, "observed_features": []}
    for policy, complaint in (
        ({"reward": {"kind": "log_wealth"}}, "risk_aversion above 0"),
        ({"risk_aversion": 0}, "risk_aversion above 0"),
        (bare, "observes no features"),
    ):
        task = build_task(market, *make_tables(market), make_strategy(policy=policy))
        with pytest.raises(DataError, match=complaint):
            make_teacher("myopic", task, EPISODES)
        assert make_teacher("momentum", task, EPISODES)(np.arange(3), np.zeros((3, 3))).shape == (
            3,
            3,
        )
