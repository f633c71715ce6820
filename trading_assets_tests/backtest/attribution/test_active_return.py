"""Brinson-Fachler effects and Carino linking: by hand, and exact over random books."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.backtest.attribution.brinson_fachler import sector_effects
from trading_assets.backtest.attribution.by_sector import active_return
from trading_assets.backtest.attribution.carino import compound, link_effects
from trading_assets.backtest.attribution.market_states import market_returns
from trading_assets.backtest.attribution.profit_parts import EXACTNESS
from trading_assets_tests.backtest.attribution.books import books_of, trade

SECTORS = ("tech", "tech", "oil")


def test_effects_of_a_session_by_hand():
    # Equal weights: tech 2/3 at (6 % + 0) / 2, oil 1/3 at -3 %; benchmark 1 %.
    returns = np.array([[0.06, 0.0, -0.03]])
    weights = np.array([[0.5, 0.0, 0.1]])
    found = sector_effects(weights * returns, weights, returns, SECTORS)
    assert found.sectors == ("oil", "tech", "cash")
    assert found.benchmark == pytest.approx([0.01])
    oil, tech, cash = found.allocation[0]
    assert oil == pytest.approx((0.1 - 1 / 3) * (-0.03 - 0.01))
    assert tech == pytest.approx((0.5 - 2 / 3) * (0.03 - 0.01))
    assert cash == pytest.approx(0.4 * (0.0 - 0.01))
    # Of tech only the one that rose 6 % was held.
    assert found.selection[0].tolist() == pytest.approx([0.0, 0.5 * (0.06 - 0.03), 0.0])


def test_equal_weights_have_no_effect():
    returns = np.random.default_rng(0).normal(0, 0.02, (20, 3))
    weights = np.full((20, 3), 1 / 3)
    found = sector_effects(weights * returns, weights, returns, SECTORS)
    assert np.abs(found.allocation).max() < 1e-15
    assert np.abs(found.selection).max() < 1e-15


def test_a_sector_that_the_benchmark_lacks_is_selection():
    returns = np.array([[0.02, 0.04, np.nan]])
    weights = np.array([[0.0, 0.0, 0.5]])
    gains = np.array([[0.0, 0.0, 0.05]])
    found = sector_effects(gains, weights, returns, SECTORS)
    assert found.allocation[0][0] == 0.0
    assert found.selection[0][0] == pytest.approx(0.05 - 0.5 * 0.03)


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 6))
def test_effects_add_up_to_the_active_return_of_each_session(seed, bars, n_symbols):
    rng = np.random.default_rng(seed)
    returns = rng.normal(0, 0.05, (bars, n_symbols))
    returns[rng.random(returns.shape) < 0.2] = np.nan
    weights = rng.normal(0, 0.5, returns.shape)
    gains = weights * rng.normal(0, 0.05, returns.shape)
    sectors = tuple(rng.choice(["a", "b", "c"], n_symbols).tolist())
    found = sector_effects(gains, weights, returns, sectors)
    summed = (found.allocation + found.selection).sum(axis=1)
    np.testing.assert_allclose(summed, gains.sum(axis=1) - found.benchmark, atol=1e-14)


def test_linked_effects_by_hand():
    # 10 % and 20 % against 0 and 10 %: 32 % less 10 %.
    portfolio, benchmark = np.array([0.1, 0.2]), np.array([0.0, 0.1])
    effects = (portfolio - benchmark)[:, None]
    assert link_effects(effects, portfolio, benchmark) == pytest.approx([0.22])
    slope = (np.log(1.32) - np.log(1.1)) / 0.22
    first = np.log(1.1) / 0.1
    apart = np.array([[0.1, 0.0], [0.0, 0.1]])
    assert link_effects(apart, portfolio, benchmark)[0] == pytest.approx(0.1 * first / slope)


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_linked_effects_add_up_to_the_compounded_active_return(seed, bars):
    rng = np.random.default_rng(seed)
    benchmark = rng.normal(0, 0.02, bars)
    effects = rng.normal(0, 0.005, (bars, 4))
    # Some sessions without, and some with hardly any active return.
    effects[rng.random(bars) < 0.2] = 0.0
    effects[rng.random(bars) < 0.1] *= 1e-12
    portfolio = benchmark + effects.sum(axis=1)
    linked = link_effects(effects, portfolio, benchmark)
    active = compound(portfolio) - compound(benchmark)
    # Returns are known to 1e-16 of the price, whatever is left of them.
    scale = max(abs(active), np.abs(linked).sum(), 1e-6)
    assert abs(linked.sum() - active) <= EXACTNESS * scale


def test_two_equal_paths_link_to_nothing():
    same = np.array([0.01, -0.02, 0.0])
    assert link_effects(np.zeros((3, 2)), same, same).tolist() == [0.0, 0.0]


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000), st.booleans())
def test_a_traded_book_adds_up_with_its_costs(seed, is_long_only):
    market, strategy, tables = trade(seed, is_long_only=is_long_only)
    books = books_of(tables, strategy)
    found = active_return(books, {"2020-01-01": returns_of(market)}, {"A": "one", "B": "one"})
    assert found.sectors == ("C", "D", "one", "cash")
    assert found.gap <= EXACTNESS
    end = books[0].equity["equity_usd"][-1] / strategy.backtest.initial_equity_usd
    assert found.portfolio == pytest.approx(end - 1.0, rel=1e-9)
    assert found.costs < 0.0
    assert found.allocation[-1] != 0.0


def returns_of(market):
    returns = market_returns(market)
    days = market.sessions.astype("datetime64[D]").tolist()
    rows = [
        (day, symbol, float(returns[row, column]))
        for row, day in enumerate(days)
        for column, symbol in enumerate(market.symbols)
        if np.isfinite(returns[row, column])
    ]
    return pl.DataFrame(rows, schema=("session", "symbol", "total_return"), orient="row")
