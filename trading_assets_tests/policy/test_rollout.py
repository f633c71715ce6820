import numpy as np
import pytest

from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.folds import Fold
from trading_assets.errors import DataError
from trading_assets.policy.rollout import build_task, policy_decision, roll_policy
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets_tests.policy.tasks import (
    days_of,
    make_policy,
    make_strategy,
    make_tables,
    random_market,
)

MARKET = random_market(120)
TABLES = make_tables(MARKET)
STRATEGY = make_strategy()
DAYS = days_of(MARKET)
POLICIES = [make_policy(STRATEGY, seed=seed) for seed in range(3)]


def test_a_rolled_policy_earns_what_the_environment_pays():
    task = build_task(MARKET, *TABLES, STRATEGY)
    env = MarketVecEnv(task, Episodes(20, 60, 40, 1.0), 1)
    seen = env.reset()
    rolled = roll_policy(POLICIES[:1], MARKET, *TABLES, DAYS[20:60], STRATEGY)
    for expected in rolled.rewards:
        seen, reward, _, _ = env.step(POLICIES[0].act(seen))
        assert reward[0] == np.float32(expected)


def test_later_rows_change_no_earlier_weight():
    features, forecasts = TABLES
    short = roll_policy(POLICIES, MARKET, features, forecasts, DAYS[20:40], STRATEGY)
    scrambled = features.with_columns(
        momentum=features["momentum"].zip_with(
            features["session"] < DAYS[40], features["reversal"] * 7
        )
    )
    long = roll_policy(POLICIES, MARKET, scrambled, forecasts, DAYS[20:80], STRATEGY)
    np.testing.assert_array_equal(long.weights[:20], short.weights)
    assert (long.weights[20:40] != short.weights).any()


def test_an_ensemble_trades_the_mean_action():
    rolled = roll_policy(POLICIES, MARKET, *TABLES, DAYS[20:21], STRATEGY)
    each = [roll_policy([p], MARKET, *TABLES, DAYS[20:21], STRATEGY) for p in POLICIES]
    mean = np.mean([one.raw_weights[0] for one in each], axis=0)
    np.testing.assert_allclose(rolled.raw_weights[0], mean, rtol=1e-12)


@pytest.mark.parametrize("latency_bars", [1, 3])
def test_a_decision_function_gives_the_weights_of_the_rollout(latency_bars):
    costs = {"impact_coefficient": 0.5, "latency_bars": latency_bars}
    strategy = make_strategy(costs=costs)
    policies = [make_policy(strategy, seed=seed) for seed in range(3)]
    task = build_task(MARKET, *TABLES, strategy)
    decide = policy_decision(policies, task)
    rolled = roll_policy(policies, MARKET, *TABLES, DAYS[20:50], strategy)
    traded = TradedBooks(task, 1)
    traded.open(slice(None), np.array([20]))
    for row, expected in zip(range(20, 50), rolled.weights, strict=True):
        weights = decide(row, traded.books())
        np.testing.assert_array_equal(weights, expected)
        traded.trade(weights[None])


def test_the_weights_of_a_rollout_keep_the_limits():
    rolled = roll_policy(POLICIES, MARKET, *TABLES, DAYS[1:119], STRATEGY)
    assert (rolled.weights >= 0.0).all()
    assert rolled.weights.max() <= 0.5
    assert rolled.weights.sum(axis=1).max() <= 0.9 * (1 + 1e-12)
    assert len(rolled.steps) == len(rolled.sessions) == 118


@pytest.mark.parametrize("sessions", [[], DAYS[10:12] + DAYS[14:15], DAYS[110:120]])
def test_sessions_without_a_next_bar_or_with_a_gap_are_refused(sessions):
    with pytest.raises(DataError, match="expected"):
        roll_policy(POLICIES, MARKET, *TABLES, sessions, STRATEGY)


BANDS = [
    {"kind": "no_trade_band", "band": 0.05, "trade_to": trade_to} for trade_to in ("edge", "target")
]


@pytest.mark.parametrize("limits", [{}, {"max_turnover": 0.15, "max_net": 0.8}])
@pytest.mark.parametrize("rule", ["weekly", *BANDS], ids=["weekly", "edge", "target"])
def test_a_rebalance_rule_is_applied_once_to_what_a_policy_decides(rule, limits):
    strategy = make_strategy(rebalance=rule, risk={"max_weight": 0.5, "max_gross": 0.9, **limits})
    policies = [make_policy(strategy, seed=seed) for seed in range(3)]
    task = build_task(MARKET, *TABLES, strategy)
    sessions = DAYS[20:60]
    rolled = roll_policy(policies, MARKET, *TABLES, sessions, strategy)
    fold = Fold("", DAYS[0], DAYS[19], DAYS[10], DAYS[21], DAYS[60])
    decide = policy_decision(policies, task)
    tables = run_backtest(MARKET, {"p": decide}, strategy, fold)
    recorded = tables.weights.sort("session", "symbol")["weight"].to_numpy().reshape(-1, 3)
    np.testing.assert_array_equal(recorded, rolled.weights)
    stepped = [float(step.equity[0]) for step in rolled.steps]
    np.testing.assert_array_equal(tables.equity["equity_usd"].to_numpy(), stepped)
    traded = np.array([step.trade[0] for step in rolled.steps])
    assert (traded == 0.0).any()
    assert (traded != 0.0).any()
    env = MarketVecEnv(task, Episodes(20, 60, 40, 1.0), 1)
    seen = env.reset()
    one = roll_policy(policies[:1], MARKET, *TABLES, sessions, strategy)
    for expected in one.rewards:
        seen, reward, _, _ = env.step(policies[0].act(seen))
        assert reward[0] == np.float32(expected)


def test_a_large_book_that_is_held_back_trades_not_the_smallest_part_of_a_share():
    strategy = make_strategy(
        rebalance="weekly", backtest={"initial_equity_usd": 1e11}, costs={"fee_bps": 0}
    )
    policies = [make_policy(strategy, seed=seed) for seed in range(3)]
    rolled = roll_policy(policies, MARKET, *TABLES, DAYS[20:60], strategy)
    weeks = [day.isocalendar()[:2] for day in DAYS]
    begins = np.array([weeks[row + 1] != weeks[row] for row in range(20, 60)])
    traded = np.array([step.trade[0] for step in rolled.steps])
    assert (traded[begins] != 0.0).any(axis=1).all()
    assert not traded[~begins].any()
    assert np.abs(rolled.steps[-1].books.quantity).max() > 1e7
