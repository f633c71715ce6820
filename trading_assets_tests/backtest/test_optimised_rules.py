"""Optimisers as portfolios: when they trade, what they see, and that costs hold them back."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.engine import decision_rows, run_backtest
from trading_assets.backtest.optimised_rules import optimised_decision
from trading_assets.optimiser_specs import OptimiserKind, OptimiserSpec
from trading_assets.risk.optimisers import optimise_weights
from trading_assets.simulation.core import Books, held_weights, open_books
from trading_assets.simulation.market import Market, total_returns_of
from trading_assets_tests.backtest.markets import FOLD, market_with_past, strategy_of
from trading_assets_tests.backtest.test_periodic_rules import scrambled_after

KINDS: tuple[OptimiserKind, ...] = (
    "mean_variance",
    "minimum_variance",
    "risk_parity",
    "hierarchical_risk_parity",
    "cvar",
)
STRATEGY = strategy_of(costs={"fee_bps": 3, "half_spread_bps": 4})


def half_invested(market: Market, row: int) -> Books:
    """A book that holds half of its equity in the first symbol."""
    books = open_books(1, 5e5, market.close[row])
    quantity = np.zeros(books.quantity.shape)
    quantity[0, 0] = 5e5 / books.price[0, 0]
    return replace(books, quantity=quantity)


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimiser_sees_returns_book_and_costs_of_its_row(kind: OptimiserKind):
    market = market_with_past(1)
    rows = decision_rows(market, FOLD)
    spec = OptimiserSpec(kind=kind)
    decide = optimised_decision(market, STRATEGY, spec, rows.start)
    returns = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    symbols = len(market.symbols)
    for row in list(rows)[:43:21]:
        books = half_invested(market, row)
        held = held_weights(books, "equity", 1e6)[0]
        assert held[0] == pytest.approx(0.5)
        expected = optimise_weights(returns[: row + 1], held, np.full(symbols, 7.0), spec)
        np.testing.assert_array_equal(decide(row, books), expected.weights)
        assert decide(row + 1, books) is None
        assert decide(row + 20, books) is None


@pytest.mark.parametrize("kind", KINDS)
def test_an_optimiser_knows_nothing_after_its_row(kind: OptimiserKind):
    market = market_with_past(2)
    rows = decision_rows(market, FOLD)
    spec = OptimiserSpec(kind=kind)
    for row in (rows.start, rows.start + 42):
        books = half_invested(market, row)
        found, again = (
            optimised_decision(one, STRATEGY, spec, rows.start)(row, books)
            for one in (market, scrambled_after(market, row))
        )
        np.testing.assert_array_equal(found, again)


def test_dear_trades_are_made_less():
    market = market_with_past(3)
    first = decision_rows(market, FOLD).start
    spec = OptimiserSpec(kind="mean_variance")
    traded: list[float] = []
    for fee in (0.0, 200.0):
        own = strategy_of(costs={"fee_bps": fee, "half_spread_bps": 0})
        decide = optimised_decision(market, own, spec, first)
        free = strategy_of(costs={"fee_bps": 0, "half_spread_bps": 0})
        tables = run_backtest(market, {"own": decide}, free, FOLD)
        usd = pl.col("quantity").abs() * pl.col("price_usd")
        traded.append(tables.trades.select(usd.sum()).item())
    assert traded[1] < 0.7 * traded[0]
