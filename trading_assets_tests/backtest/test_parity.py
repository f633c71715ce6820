import math

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from trading_assets.backtest import event_engine
from trading_assets.backtest.baselines import baseline_decisions
from trading_assets.backtest.engine import fixed_targets, run_backtest
from trading_assets.backtest.parity import (
    PARITY_TOLERANCE,
    parity_gap_usd,
    vectorised_gaps_usd,
)
from trading_assets.backtest.referee import referee_equity
from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import LINEAR as LINEAR_COST
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets_tests.backtest.markets import FOLD, market_of, random_market, strategy_of

TOLERANCE_USD = PARITY_TOLERANCE * 1_000_000
LINEAR = {"fee_bps": 1, "half_spread_bps": 2}
CASES = {
    "free": {},
    "linear costs": {"costs": LINEAR},
    "square-root impact": {"costs": {**LINEAR, "impact_coefficient": 1.0}},
    "whole shares and cents": {"costs": {**LINEAR, "lot_shares": 1, "tick_usd": 0.01}},
    "a share of the volume": {"costs": {**LINEAR, "max_participation": 0.004}},
    "three bars of latency": {"costs": {**LINEAR, "latency_bars": 3}},
    "three bars of latency under a quadratic cost": {
        "costs": {"fee_bps": 0, "half_spread_bps": 0, "quadratic_lambda": 5, "latency_bars": 3},
        "policy": {"position": "long_short", "sizing": "constant_notional"},
    },
    "whole lots of a share of the volume": {
        "costs": {**LINEAR, "max_participation": 0.004, "lot_shares": 100}
    },
    "long and short on credit": {
        "costs": {**LINEAR, "financing_bps_per_year": 400, "borrow_bps_per_year": 150},
        "policy": {"position": "long_short"},
        "risk": {"max_weight": 1, "max_gross": 2},
    },
    "quadratic cost on constant notional": {
        "costs": {"fee_bps": 0, "half_spread_bps": 0, "quadratic_lambda": 5},
        "policy": {"position": "long_short", "sizing": "constant_notional"},
    },
}


def gap_of(market, strategy, tables, portfolio):
    mine = pl.col("portfolio") == portfolio
    return parity_gap_usd(market, tables.weights.filter(mine), tables.equity.filter(mine), strategy)


def run_random(case, seed):
    market, strategy = random_market(seed), strategy_of(**CASES[case])
    weights = np.random.default_rng(seed).uniform(-0.5, 1.0, (len(market.sessions) - 1, 4))
    decisions = {**baseline_decisions(market, FOLD), "a": fixed_targets(market, FOLD, weights)}
    return market, strategy, run_backtest(market, decisions, strategy, FOLD)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_the_referee_agrees_with_the_core(case: str, seed: int):
    market, strategy, tables = run_random(case, seed)
    for portfolio in ("a", "buy_and_hold", "equal_weight", "cash"):
        assert gap_of(market, strategy, tables, portfolio) < TOLERANCE_USD


def test_buys_beyond_the_cash_are_scaled_alike():
    # Fully invested into an open 10 % above the close: the buys have to shrink.
    close = np.array([[100.0, 80.0]] * 4)
    market = market_of(close, opens=close * 1.1)
    strategy = strategy_of(costs={**LINEAR, "impact_coefficient": 1.0})
    decisions = {"a": fixed_targets(market, FOLD, np.array([[0.5, 0.5], [0.9, 0.1], [0.0, 1.0]]))}
    tables = run_backtest(market, decisions, strategy, FOLD)
    assert tables.equity["cash_usd"].to_list()[0] == pytest.approx(0.0, abs=200.0)
    assert tables.equity["cash_usd"].min() >= 0.0
    assert gap_of(market, strategy, tables, "a") < TOLERANCE_USD


def test_the_referee_equals_a_hand_computed_account():
    market = market_of([[100.0], [110.0], [60.0]], ratio=[[1], [1], [2]], cash=[[0], [0], [1.5]])
    weights = pl.DataFrame(
        {
            "portfolio": ["a", "a"],
            "session": market.sessions[:2],
            "symbol": ["A", "A"],
            "weight": [0.5, 0.0],
        }
    ).with_columns(pl.col("session").cast(pl.Date))
    equity = referee_equity(
        market, weights, strategy_of(costs={"fee_bps": 10, "half_spread_bps": 0})
    )
    # 5,000 shares at 110 cost 550,000 and 550 USD; then 1.5 USD a share, and 10,000 sold at 60.
    after_purchase = 1_000_000 - 550
    assert float(equity[FOLD.test_start]) == pytest.approx(after_purchase, abs=1e-9)
    final = after_purchase - 550_000 + 7_500 + 600_000 - 600
    assert float(list(equity.values())[-1]) == pytest.approx(final, abs=1e-9)


def test_a_core_that_forgets_a_cost_is_noticed(monkeypatch: pytest.MonkeyPatch):
    market, strategy = random_market(0), strategy_of(costs=LINEAR)
    correct = event_engine.carry_books

    def without_costs(cash, positions, target, tape, row, terms, fills, outcome):
        free = terms.copy()
        free[:, LINEAR_COST] = 0.0
        correct(cash, positions, target, tape, row, free, fills, outcome)

    monkeypatch.setattr(event_engine, "carry_books", without_costs)
    tables = run_backtest(market, baseline_decisions(market, FOLD), strategy, FOLD)
    assert gap_of(market, strategy, tables, "equal_weight") > 1.0
    assert vectorised_gaps_usd(market, tables.weights, tables.equity, strategy)["equal_weight"] > 1


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_the_vectorised_engine_equals_the_event_driven_one(case: str, seed: int):
    market, strategy, tables = run_random(case, seed)
    gaps = vectorised_gaps_usd(market, tables.weights, tables.equity, strategy)
    assert sorted(gaps) == sorted({*tables.equity["portfolio"].to_list()})
    # What was decided as weights is the same number; shares that are kept were recorded as weights.
    assert gaps["a"] == 0.0
    assert max(gaps.values()) < TOLERANCE_USD


def test_a_missing_decision_is_refused_by_the_vectorised_engine():
    market, strategy, tables = run_random("free", 0)
    with pytest.raises(DataError, match="one for each of"):
        vectorised_gaps_usd(market, tables.weights[1:], tables.equity, strategy)


class RecordedView:
    """Trades the recorded weights of each row, whatever the action."""

    window_bars = 1
    held_scale = 1.0
    shows_cash = False

    def __init__(self, weights: NDArray[np.float64]) -> None:
        self.weights = weights
        self.context = np.zeros((len(weights) + 1, 1), dtype=np.float32)

    def target_weights(self, actions, rows, held):
        return self.weights[rows]


@pytest.mark.parametrize(
    "case",
    [
        "square-root impact",
        "quadratic cost on constant notional",
        "three bars of latency",
        "three bars of latency under a quadratic cost",
        "a share of the volume",
    ],
)
def test_the_training_environment_reaches_the_same_equity(case: str):
    market, strategy, tables = run_random(case, 4)
    mine = pl.col("portfolio") == "a"
    weights = tables.weights.filter(mine)["weight"].to_numpy().reshape(-1, 4)
    equity = tables.equity.filter(mine)["equity_usd"].to_list()
    task = TradingTask(
        market=market,
        view=RecordedView(weights),
        covariance=np.zeros((len(market.sessions), 4, 4)),
        costs=strategy.costs,
        sizing=strategy.policy.sizing,
        is_long_only=strategy.policy.position == "long_only",
        initial_usd=1_000_000.0,
        reward=MeanVariance(0.0),
    )
    env = MarketVecEnv(task, Episodes(0, len(weights), len(weights), 1.0), n_envs=5)
    env.reset()
    # The last step of an episode starts the next one, so its books are not seen.
    for expected in equity[:-1]:
        env.step(np.zeros((5, 4), dtype=np.float32))
        books = env.traded.books()
        reached = books.cash + (books.quantity * books.price).sum(axis=1)
        assert np.abs(reached - expected).max() < TOLERANCE_USD


def test_a_missing_session_is_refused():
    market, strategy, tables = run_random("free", 0)
    mine = pl.col("portfolio") == "a"
    with pytest.raises(DataError, match="one equity row for each decision"):
        parity_gap_usd(
            market, tables.weights.filter(mine), tables.equity.filter(mine)[1:], strategy
        )


def test_several_portfolios_are_refused():
    market, strategy, tables = run_random("free", 0)
    with pytest.raises(DataError, match="4 portfolios"):
        parity_gap_usd(market, tables.weights, tables.equity, strategy)


def test_an_equity_that_is_no_number_gives_no_gap():
    market, strategy, tables = run_random("free", 0)
    mine = pl.col("portfolio") == "a"
    broken = tables.equity.filter(mine).with_columns(
        equity_usd=pl.when(pl.int_range(pl.len()) == 3)
        .then(float("nan"))
        .otherwise(pl.col("equity_usd"))
    )
    assert math.isnan(parity_gap_usd(market, tables.weights.filter(mine), broken, strategy))
