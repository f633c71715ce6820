from dataclasses import replace

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import QUANTITY, TARGET_WEIGHT
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets.simulation.worlds.execution import (
    Liquidation,
    best_holdings,
    decay_rate,
    evaluate_schedule,
    even_holdings,
    immediate_holdings,
)
from trading_assets_tests.learning.executor import make_task

TASK = Liquidation()
BEST = best_holdings(TASK)


def objective(task, holdings):
    return evaluate_schedule(task, holdings).objective_usd


def test_the_published_figures_are_reproduced():
    assert decay_rate(TASK) == pytest.approx(3.99336, rel=2e-6)
    assert objective(TASK, BEST) == pytest.approx(9.05671e6, rel=1e-6)
    assert objective(TASK, even_holdings(TASK)) == pytest.approx(14.85e6, rel=1e-12)
    assert objective(TASK, immediate_holdings(TASK)) == pytest.approx(50e6, rel=1e-12)
    assert BEST[10] / TASK.shares == pytest.approx(0.1333, abs=0.5e-4)


def test_holdings_equal_the_numerical_optimum():
    # The objective is quadratic in the holdings between first and last: its gradient is linear.
    inner = 19
    per_trade = TASK.temporary_impact / TASK.trade_days
    per_holding = TASK.risk_aversion * TASK.volatility_usd**2 * TASK.trade_days
    matrix = np.eye(inner) * (2.0 * per_trade + per_holding)
    matrix -= per_trade * (np.eye(inner, k=1) + np.eye(inner, k=-1))
    right = np.zeros(inner)
    right[0] = per_trade * TASK.shares
    np.testing.assert_allclose(BEST[1:-1], np.linalg.solve(matrix, right), rtol=0.0, atol=5e-9)


def test_no_other_schedule_is_better():
    rng = np.random.default_rng(0)
    for _ in range(200):
        other = BEST.copy()
        other[1:-1] += 10.0 ** rng.uniform(0, 5) * rng.standard_normal(19)
        assert objective(TASK, other) > objective(TASK, BEST)


def test_cost_and_variance_are_those_of_drawn_sales():
    rng = np.random.default_rng(1)
    moves = TASK.volatility_usd * TASK.trade_days**0.5 * rng.standard_normal((100_000, 20))
    walk = np.cumsum(moves, axis=1) - moves
    sold = -np.diff(BEST)
    received = TASK.price_usd + walk - TASK.temporary_impact * sold / TASK.trade_days
    shortfall = TASK.shares * TASK.price_usd - (received * sold).sum(axis=1)
    value = evaluate_schedule(TASK, BEST)
    error = shortfall.std() / 100_000**0.5
    assert abs(shortfall.mean() - value.cost_usd) < 4.0 * error
    assert shortfall.var() == pytest.approx(value.variance_usd2, rel=0.03)
    assert value.cost_bps == pytest.approx(value.cost_usd / 1e8 * 1e4)


def test_without_risk_aversion_trades_are_even():
    for aversion in (0.0, 1e-30):
        task = replace(TASK, risk_aversion=aversion)
        np.testing.assert_allclose(best_holdings(task), even_holdings(task), atol=1e-3)


def test_extreme_risk_aversion_sells_at_once():
    task = replace(TASK, risk_aversion=1e6)
    holdings = best_holdings(task)
    assert np.isfinite(holdings).all()
    np.testing.assert_allclose(holdings, immediate_holdings(task), atol=0.01)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"n_trades": 0}, "n_trades was 0"),
        ({"horizon_days": 0.0}, "horizon_days was 0.0"),
        ({"temporary_impact": 0.0}, "temporary_impact was 0.0"),
        ({"risk_aversion": -1.0}, "risk_aversion was -1.0"),
    ],
)
def test_a_task_without_a_closed_form_is_refused(changes, rule):
    with pytest.raises(DataError, match=rule):
        replace(TASK, **changes)


@pytest.mark.parametrize("holdings", [BEST[:-1], BEST + 1.0, np.append(BEST[:-1], 5.0)])
def test_a_schedule_that_does_not_sell_all_is_refused(holdings):
    with pytest.raises(DataError, match=r"expected 21 numbers from 1000000\.0 to 0"):
        evaluate_schedule(TASK, holdings)


def core_rewards(task, holdings, seed=0):
    """Return what the market core pays for a schedule, bar by bar, and its costs in USD."""
    trading = make_task(task, task.n_trades + 1, np.random.default_rng(seed))
    books = TradedBooks(trading, 1)
    books.open(slice(None), np.array([0]))
    arrays = books.get_state()
    arrays["cash"][:] = 0.0
    arrays["positions"][:, QUANTITY] = task.notional_usd / trading.market.close[0]
    arrays["positions"][:, TARGET_WEIGHT] = 1.0
    books.set_state(arrays)
    paid, cost = [], 0.0
    for share in holdings[1:] / task.shares:
        paid.append(books.trade(np.array([[share]]))[0])
        cost += books.result().costs[0]
    returns = trading.market.close[1:, 0] / trading.market.close[:-1, 0] - 1.0
    return np.array(paid) - holdings[1:] / task.shares * returns, cost


@pytest.mark.parametrize("task", [TASK, replace(TASK, n_trades=5, shares=3e5, volatility_usd=1.0)])
def test_the_market_core_charges_a_schedule_what_the_world_does(task):
    for holdings in (best_holdings(task), even_holdings(task), immediate_holdings(task)):
        # Without what the drawn prices gave, on any path of prices.
        paid, cost = core_rewards(task, holdings)
        value = evaluate_schedule(task, holdings)
        assert cost == pytest.approx(value.cost_usd, rel=1e-9)
        assert -paid.sum() * task.notional_usd == pytest.approx(value.objective_usd, rel=1e-9)
