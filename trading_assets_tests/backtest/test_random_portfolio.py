"""Random portfolios with the turnover of another one: how well it is met, and what is random."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.engine import decision_rows, fixed_targets, run_backtest
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.parity import PARITY_TOLERANCE, parity_gap_usd
from trading_assets.backtest.random_portfolio import random_portfolio
from trading_assets.errors import DataError, EquityLostError
from trading_assets.simulation.core import Books, equity_of, open_books
from trading_assets_tests.backtest.markets import FOLD, market_of, random_market, strategy_of

COSTS = {"fee_bps": 1, "half_spread_bps": 2, "impact_coefficient": 0.5}
RISK = {"max_weight": 0.35, "max_gross": 0.98}
SHORT = {"position": "long_short"}
BARS = 253


def walk(strategy, speed: float, seed: int = 0, symbols: int = 5) -> np.ndarray:
    """Target weights that move toward a random portfolio by `speed` of the way each bar."""
    rng = np.random.default_rng(seed)
    low = 0.0 if strategy.policy.position == "long_only" else -1.0
    targets = np.zeros((BARS - 1, symbols))
    weights = np.zeros(symbols)
    for row in range(BARS - 1):
        weights = weights + speed * (2.0 * rng.uniform(low, 1.0, symbols) / symbols - weights)
        targets[row] = weights
    return targets


def trade(market, strategy, targets: np.ndarray, fold: Fold = FOLD) -> tuple[pl.DataFrame, ...]:
    """Equity of the deployed portfolio, and all tables of the random one."""
    deployed = {"a": fixed_targets(market, fold, targets)}
    equity = run_backtest(market, deployed, strategy, fold).equity
    control = random_portfolio(market, fold, strategy, equity["turnover"].to_list())
    return equity, run_backtest(market, {"random": control}, strategy, fold)


def total(equity: pl.DataFrame) -> float:
    return equity["turnover"].sum()


CASES = {
    "as the demo": {},
    "long and short": {"policy": SHORT},
    "constant notional": {"policy": {**SHORT, "sizing": "constant_notional"}},
    "on credit": {"policy": SHORT, "risk": {"max_weight": 1.0, "max_gross": 2.0}},
    "three bars of latency": {"costs": {**COSTS, "latency_bars": 3}},
    "whole shares": {"costs": {**COSTS, "lot_shares": 1, "tick_usd": 0.01}},
    "a limit on turnover": {"risk": {**RISK, "max_turnover": 0.2}},
    "a limit on net weights": {"risk": {**RISK, "min_net": 0.5}},
}


@pytest.mark.parametrize("speed", [0.02, 0.2, 1.0])
@pytest.mark.parametrize("case", CASES)
def test_turnover_is_that_of_the_deployed_portfolio(case: str, speed: float):
    market = random_market(3, bars=BARS, symbols=5)
    strategy = strategy_of(**{"costs": COSTS, "risk": RISK, **CASES[case]})
    equity, tables = trade(market, strategy, walk(strategy, speed))
    assert total(equity) > 1.0
    assert total(tables.equity) == pytest.approx(total(equity), rel=0.005)


def test_turnover_is_met_at_each_bar():
    # Opens are the closes before, so what is ordered is what is traded.
    close = 50.0 * np.exp(np.random.default_rng(1).normal(0, 0.01, (BARS, 5)).cumsum(axis=0))
    market = market_of(close, opens=np.vstack([close[:1], close[:-1]]))
    strategy = strategy_of(risk=RISK)
    equity, tables = trade(market, strategy, walk(strategy, 0.1))
    np.testing.assert_allclose(tables.equity["turnover"], equity["turnover"], atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_a_portfolio_of_one_symbol_has_a_control_too(case: str):
    close = 50.0 * np.exp(np.random.default_rng(2).normal(0, 0.01, (BARS, 1)).cumsum(axis=0))
    parts = {"costs": COSTS, **CASES[case], "risk": {"max_weight": 1.0, "max_gross": 1.0}}
    strategy = strategy_of(**parts)
    market = market_of(close)
    equity, tables = trade(market, strategy, 0.5 * walk(strategy, 0.3, symbols=1))
    assert total(equity) > 1.0
    assert total(tables.equity) == pytest.approx(total(equity), rel=0.005)


def test_what_cannot_be_traded_in_a_bar_is_traded_later():
    close = np.full((9, 2), 100.0)
    market, strategy = market_of(close), strategy_of()
    wanted = [0.5, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    control = random_portfolio(market, FOLD, strategy, wanted)
    traded = run_backtest(market, {"random": control}, strategy, FOLD).equity["turnover"].to_list()
    assert traded[0] == pytest.approx(0.5)
    # Two portfolios within the limits are at most 2 apart.
    assert 1.0 < traded[1] <= 2.0
    assert 0.0 < traded[2] <= 2.0
    assert sum(traded) == pytest.approx(5.5, abs=0.01)


def test_more_than_lies_between_two_portfolios_stays_behind():
    market, strategy = random_market(4, bars=BARS, symbols=5), strategy_of(risk=RISK)
    control = random_portfolio(market, FOLD, strategy, [3.0] * (BARS - 1))
    equity = run_backtest(market, {"random": control}, strategy, FOLD).equity
    assert 0.3 * 3.0 * (BARS - 1) < total(equity) < 2.0 * (BARS - 1)


def test_a_cap_on_participation_leaves_it_a_little_behind():
    market = random_market(5, bars=BARS, symbols=5)
    strategy = strategy_of(costs={**COSTS, "max_participation": 1e-4}, risk=RISK)
    equity, tables = trade(market, strategy, walk(strategy, 0.1))
    assert total(tables.equity) == pytest.approx(total(equity), rel=0.1)


def test_where_nothing_is_traded_nothing_is_held():
    market, strategy = random_market(6, bars=BARS, symbols=5), strategy_of(risk=RISK)
    control = random_portfolio(market, FOLD, strategy, [0.0] * (BARS - 1))
    tables = run_backtest(market, {"random": control}, strategy, FOLD)
    assert tables.trades.is_empty()
    assert set(tables.equity["equity_usd"]) == {1_000_000.0}


def test_targets_keep_the_limits():
    market = random_market(7, bars=BARS, symbols=5)
    for policy in ({}, SHORT):
        strategy = strategy_of(costs=COSTS, risk=RISK, policy=policy)
        _, tables = trade(market, strategy, walk(strategy, 1.0))
        weights = tables.weights["weight"].to_numpy().reshape(-1, 5)
        assert np.abs(weights).max() <= 0.35 + 1e-12
        assert np.abs(weights).sum(axis=1).max() <= 0.98 + 1e-12
        assert (weights.min() < -0.05) == bool(policy)


def test_draws_are_spread_evenly_over_what_may_be_held():
    # A fold at a time, first portfolios of two symbols and cash, of which each has a third.
    market, strategy = market_of(np.full((3, 2), 100.0)), strategy_of()
    books = open_books(1, 1e6, market.close[0])
    found = []
    for number in range(400):
        fold = replace(FOLD, key=f"fold {number}")
        decide = random_portfolio(market, fold, strategy, [1e-6, 0.0])
        step = decide(0, books)
        found.append(step / step.sum())
    # The direction is that of the first portfolio drawn: its share of A is uniform in [0, 1].
    shares = np.array(found)[:, 0]
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert np.histogram(shares, 4, (0, 1))[0] == pytest.approx([100] * 4, abs=30)


def test_the_folds_key_is_the_seed():
    market = random_market(8, bars=BARS, symbols=5)
    strategy = strategy_of(costs=COSTS, risk=RISK)
    targets = walk(strategy, 0.2)
    first, again, other = (
        trade(market, strategy, targets, replace(FOLD, key=key))[1].weights["weight"]
        for key in ("2020-01-01", "2020-01-01", "2020-04-01")
    )
    assert first.to_numpy().tobytes() == again.to_numpy().tobytes()
    assert not first.equals(other)


def test_nothing_after_the_row_changes_a_bit_of_a_decision():
    market = random_market(9, bars=BARS, symbols=5)
    strategy = strategy_of(costs=COSTS, risk=RISK)
    rows = decision_rows(market, FOLD)
    turnover = np.random.default_rng(0).uniform(0.0, 0.3, len(rows))
    cut = rows.start + 100
    later = slice(cut + 1, None)
    close, opened = market.close.copy(), market.open.copy()
    noise = np.random.default_rng(1).uniform(0.7, 1.3, close[later].shape)
    close[later] *= noise
    opened[later] *= noise[::-1]
    tradable = market.tradable.copy()
    tradable[later] &= noise > 0.8
    changed = replace(market, close=close, open=opened, tradable=tradable)
    first, second = (
        run_backtest(
            each, {"random": random_portfolio(each, FOLD, strategy, turnover)}, strategy, FOLD
        ).weights
        for each in (market, changed)
    )
    known = pl.col("session") <= market.sessions[cut].astype(object)
    assert first.filter(known).equals(second.filter(known))
    assert not first.equals(second)


def test_what_is_paid_out_for_a_delisted_symbol_is_no_turnover():
    close = np.full((40, 2), 100.0)
    payout = np.full(close.shape, np.nan)
    close[20:, 1], payout[20, 1] = np.nan, 50.0
    market, strategy = market_of(close, payout=payout), strategy_of()
    wanted = [0.9] + [0.0] * 38
    control = random_portfolio(market, FOLD, strategy, wanted)
    equity = run_backtest(market, {"random": control}, strategy, FOLD).equity
    assert equity["turnover"].to_list() == pytest.approx(wanted)


def test_a_split_is_no_turnover():
    close = np.full((40, 2), 100.0)
    ratio = np.ones(close.shape)
    ratio[20, 0], close[20:, 0] = 4.0, 25.0
    for costs in ({}, {"latency_bars": 3}):
        market, strategy = market_of(close, ratio=ratio), strategy_of(costs=costs)
        wanted = [0.0] * 39
        wanted[2], wanted[19], wanted[30] = 0.9, 0.1, 0.2
        control = random_portfolio(market, FOLD, strategy, wanted)
        equity = run_backtest(market, {"random": control}, strategy, FOLD).equity
        assert equity["turnover"].to_list() == pytest.approx(wanted, abs=1e-6)


def test_turnover_is_of_equity_where_weights_are_of_a_constant_notional():
    close = np.full((12, 1), 100.0)
    close[4:] = 180.0
    policy = {**SHORT, "sizing": "constant_notional"}
    market = market_of(close)
    strategy = strategy_of(policy=policy, risk={"max_weight": 4.0, "max_gross": 4.0})
    wanted = [0.5, 0.0, 0.0, 0.0, 0.0, 0.3, 0.0, 0.1, 0.0, 0.0, 0.0]
    control = random_portfolio(market, FOLD, strategy, wanted)
    equity = run_backtest(market, {"random": control}, strategy, FOLD).equity
    # Half a notional gains or loses 80 %.
    assert equity["equity_usd"][4] in (pytest.approx(1.4e6), pytest.approx(0.6e6))
    assert equity["turnover"].to_list() == pytest.approx(wanted)


def test_without_equity_nothing_is_divided_by_it():
    close = np.full((12, 1), 100.0)
    close[4:] = 300.0
    policy = {**SHORT, "sizing": "constant_notional"}
    market = market_of(close)
    strategy = strategy_of(policy=policy, risk={"max_weight": 4.0, "max_gross": 4.0})
    ruined = 0
    for number in range(8):
        fold = replace(FOLD, key=f"fold {number}")
        control = random_portfolio(market, fold, strategy, [0.5] + [0.0] * 4 + [0.1] * 6)
        # Half a notional that trebles: gained, or lost to the last cent.
        try:
            equity = run_backtest(market, {"random": control}, strategy, fold).equity
        except EquityLostError:
            ruined += 1
        else:
            assert equity["equity_usd"][4] == pytest.approx(2e6)
    assert 0 < ruined < 8


def test_a_book_without_equity_trades_nothing_more():
    market = market_of(np.full((3, 1), 100.0))
    decide = random_portfolio(market, FOLD, strategy_of(policy=SHORT), [0.5, 0.5])
    ruined = Books(*(np.array(part) for part in ([1e4], [[-100.0]], [[100.0]], [[-1.0]])))
    assert equity_of(ruined).tolist() == [0.0]
    assert decide(0, ruined) is None


@pytest.mark.parametrize("latency_bars", [1, 3])
def test_a_referee_comes_to_the_same_equity(latency_bars: int):
    market = random_market(10, bars=BARS, symbols=4)
    strategy = strategy_of(costs={**COSTS, "latency_bars": latency_bars}, risk=RISK)
    _, tables = trade(market, strategy, walk(strategy, 0.2, symbols=4))
    gap = parity_gap_usd(market, tables.weights, tables.equity, strategy)
    assert gap < PARITY_TOLERANCE * 1e6


@pytest.mark.parametrize("bad", [[0.1], [0.1, float("nan"), 0.1], [0.1, -0.1, 0.1]])
def test_turnovers_that_do_not_fit_the_window_are_refused(bad: list[float]):
    market = market_of(np.full((4, 2), 100.0), first_day=FOLD.test_start - timedelta(days=1))
    with pytest.raises(DataError, match=r"given \d turnovers; expected a number of at least 0 for"):
        random_portfolio(market, FOLD, strategy_of(), bad)
