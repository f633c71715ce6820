from dataclasses import replace

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.policy.rollout import build_task, policy_decision, roll_rows
from trading_assets.simulation.compiled.layout import EQUITY
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets_tests.policy.tasks import make_policy
from trading_assets_tests.simulation.rewards.tasks import (
    MARKET,
    OBSERVED,
    REWARDS,
    TABLES,
    random_actions,
    strategy_paid,
    task_paid,
)
from trading_assets_tests.simulation.trajectories import require_equal_trajectories

EPISODES = Episodes(first_row=2, last_row=115, length_bars=20, reward_scale=10.0)
EACH = pytest.mark.parametrize("name", REWARDS)


@EACH
def test_one_environment_follows_a_row_of_the_vector_exactly(name):
    assert require_equal_trajectories(task_paid(REWARDS[name]), EPISODES) > 75


@EACH
def test_books_are_traded_alike_at_any_number_of_them(name):
    task = task_paid(REWARDS[name])
    actions = random_actions(30, 9)
    rows = np.arange(5, 14)
    many = TradedBooks(task, 9)
    many.open(slice(None), rows, [np.random.default_rng(k) for k in range(9)])
    one = TradedBooks(task, 1)
    one.open(slice(None), rows[4:5], [np.random.default_rng(4)])
    for action in actions:
        np.testing.assert_array_equal(many.observe()[4:5], one.observe())
        paid = many.trade(task.view.target_weights(action, many.rows, many.held))
        alone = one.trade(task.view.target_weights(action[4:5], one.rows, one.held))
        np.testing.assert_array_equal(paid[4:5], alone)


@EACH
def test_a_rolled_policy_earns_what_the_environment_pays(name):
    strategy = strategy_paid(REWARDS[name])
    task = build_task(MARKET, *TABLES, strategy)
    policy = make_policy(strategy, MARKET.symbols)
    rolled = roll_rows([policy], task, range(20, 60))
    env = MarketVecEnv(task, Episodes(20, 60, 40, 1.0), 1)
    seen = env.reset()
    if task.reward.needs[:1] == ("preference",):
        # An episode draws its preference; a rollout has the declared one.
        env.traded.open(slice(None), np.array([20]))
        seen = env.traded.observe()
    for expected in rolled.rewards:
        seen, reward, _, _ = env.step(policy.act(seen))
        assert reward[0] == np.float32(expected)


@EACH
def test_a_backtest_decides_what_the_rollout_does(name):
    strategy = strategy_paid(REWARDS[name])
    task = build_task(MARKET, *TABLES, strategy)
    policies = [make_policy(strategy, MARKET.symbols, seed) for seed in range(2)]
    rolled = roll_rows(policies, task, range(10, 110))
    decide = policy_decision(policies, task)
    traded = TradedBooks(task, 1)
    traded.open(slice(None), np.array([10]))
    for row, expected in zip(range(10, 110), rolled.weights, strict=True):
        weights = decide(row, traded.books())
        np.testing.assert_allclose(weights, expected, atol=1e-6)
        traded.trade(weights[None])


def test_a_training_episode_draws_a_preference_and_shows_it_throughout():
    task = task_paid(REWARDS["chebyshev"])
    column = task.n_inputs - sum(len(t.inputs) for t in task.trackers)
    names = [name for tracker in task.trackers for name in tracker.inputs]
    assert names[:2] == ["prefers_return", "prefers_turnover"]
    env = MarketVecEnv(task, EPISODES, 16)
    env.seed(1)
    first = env.reset()[:, column : column + 2]
    np.testing.assert_allclose(first.sum(axis=1), 1.0, rtol=1e-6)
    assert len(np.unique(first[:, 0])) == 16
    seen, dones = first, np.zeros(16, dtype=bool)
    for actions in random_actions(20, 16):
        observed, _, dones, _ = env.step(actions)
        seen = observed[:, column : column + 2]
        if not dones.any():
            np.testing.assert_array_equal(seen, first)
    assert dones.all()
    assert (seen != first).any(axis=1).all()


def test_preferences_change_what_is_paid_and_not_what_is_traded():
    task = task_paid(REWARDS["linear"])
    traded = TradedBooks(task, 2)
    traded.open(slice(None), np.array([20, 20]), [np.random.default_rng(k) for k in (1, 2)])
    paid = [
        traded.trade(task.view.target_weights(action[[0, 0]], traded.rows, traded.held))
        for action in random_actions(10, 1)
    ]
    assert (np.diff(paid, axis=1) != 0.0).all()
    assert np.ptp(traded.held, axis=0).max() == 0.0


def test_the_confidence_paid_for_is_that_of_the_forecasts_shown():
    features, forecasts = TABLES
    known = forecasts.filter(forecasts["symbol"] != MARKET.symbols[1])
    strategy = strategy_paid("composite")
    task = build_task(MARKET, features, known, strategy)
    for row in (3, 40):
        day = MARKET.sessions[row].item()
        said = known.filter(known["session"] == day).sort("symbol")
        expected = (said["p_up"] - said["p_down"]).to_numpy()
        others = task.confidence[row, [0, *range(2, len(MARKET.symbols))]]
        np.testing.assert_allclose(others, expected, atol=1e-6)
        assert task.confidence[row, 1] == 0.0
    silent = build_task(MARKET, *TABLES, strategy_paid("mean_variance", uses_forecasts=False))
    assert silent.confidence is None


def test_log_wealth_of_a_rollout_is_its_growth():
    strategy = strategy_paid("log_wealth")
    task = build_task(MARKET, *TABLES, strategy)
    rolled = roll_rows([make_policy(strategy, MARKET.symbols)], task, range(10, 110))
    growth = rolled.steps[-1].equity[0] / rolled.steps[0].equity_before[0]
    assert rolled.rewards.sum() == pytest.approx(np.log(growth), rel=1e-9)


def test_trackers_say_the_same_as_the_account_itself():
    task = task_paid("mean_variance", observed_account=["drawdown", "recent_turnover"])
    traded = TradedBooks(task, 1)
    traded.open(slice(None), np.array([10]))
    equity, turnover = [task.initial_usd], 0.0
    weight = 1.0 - 0.5 ** (1.0 / 20.0)
    for action in random_actions(60, 1):
        traded.trade(task.view.target_weights(action, traded.rows, traded.held))
        step = traded.result()
        equity.append(float(traded._outcome[0, EQUITY]))
        share = np.abs(step.trade * step.fill_price).sum() / equity[-2]
        turnover += weight * (share - turnover)
    seen = traded.observe()[0, -2:]
    expected = [5.0 * (1.0 - equity[-1] / max(equity)), 10.0 * turnover]
    np.testing.assert_allclose(seen, np.clip(expected, -5.0, 5.0), rtol=1e-5)
    assert 0.0 < expected[0] < 5.0


def test_a_policy_is_refused_where_other_trackers_are_shown():
    strategy = strategy_paid("mean_variance")
    policy = make_policy(strategy, MARKET.symbols)
    others = (
        strategy_paid("mean_variance", observed_account=OBSERVED[::-1]),
        strategy_paid({"kind": "differential_sharpe", "eta": 0.02}),
        strategy_paid("mean_variance", observed_account=[]),
    )
    for other in others:
        task = build_task(MARKET, *TABLES, other)
        with pytest.raises(DataError, match=r"trained to see .* and is shown"):
            roll_rows([policy], task, range(10, 20))
        with pytest.raises(DataError, match=r"trained to see .* and is shown"):
            policy_decision([policy], task)


def test_rules_name_the_trackers_and_count_their_inputs():
    for reward in REWARDS.values():
        strategy = strategy_paid(reward)
        task = build_task(MARKET, *TABLES, strategy)
        policy = make_policy(strategy, MARKET.symbols)
        assert policy.rules.n_inputs == task.n_inputs
        again = type(policy).from_files(policy.to_files())
        assert again.rules == policy.rules
        assert [card.name for card in again.rules.trackers] == [t.name for t in task.trackers]
    fewer = replace(policy.rules, trackers=policy.rules.trackers[:-1])
    with pytest.raises(DataError, match="train again"):
        replace(policy, rules=fewer)
