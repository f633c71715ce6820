"""Profit by symbol, side, cost and regime: by hand, and exact over random markets."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.backtest.attribution.by_cost import GAINS, profit_by_cost
from trading_assets.backtest.attribution.by_regime import UNKNOWN, profit_by_regime
from trading_assets.backtest.attribution.by_side import INTEREST, LONG, SHORT, profit_by_side
from trading_assets.backtest.attribution.by_symbol import profit_by_symbol
from trading_assets.backtest.attribution.profit_parts import EXACTNESS, as_parts, relative_gap
from trading_assets.backtest.attribution.traded_book import FINANCING, read_books, total_net
from trading_assets.backtest.engine import BacktestTables, fixed_targets, run_backtest
from trading_assets.backtest.track_record import FoldRecord
from trading_assets_tests.backtest.attribution.books import books_of, trade, two_folds
from trading_assets_tests.backtest.markets import FOLD, market_of, strategy_of


def by_name(parts):
    return {
        name: (gain, cost)
        for name, gain, cost in zip(parts.names, parts.gain_usd, parts.cost_usd, strict=True)
        if gain or cost
    }


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.booleans(), st.integers(1, 3))
def test_every_decomposition_adds_up_to_the_change_of_equity(seed, is_long_only, latency):
    books = two_folds(seed, is_long_only=is_long_only, latency=latency)
    assert len(books) == 2
    days = [day for book in books for day in book.equity["session"]]
    regimes = {day: "wild" if place % 3 else "calm" for place, day in enumerate(days) if place % 7}
    for parts in (
        profit_by_symbol(books),
        profit_by_side(books),
        profit_by_cost(books),
        profit_by_regime(books, regimes)[0],
    ):
        assert parts.gap <= EXACTNESS
        assert parts.total_usd == total_net(books) != 0.0
        assert sum(parts.net_usd) == pytest.approx(parts.total_usd, abs=1e-6)


# 100 shares at 100 USD are a hundredth of the cash; no costs.
PRICES = [[100.0], [110.0], [110.0], [90.0]]
OPENS = [[100.0], [104.0], [112.0], [100.0]]


def traded_by_hand(targets, **costs):
    market = market_of(PRICES, opens=OPENS)
    strategy = strategy_of(
        policy={"position": "long_short", "sizing": "constant_notional"},
        costs={"fee_bps": 0, "half_spread_bps": 0, **costs},
    )
    decide = fixed_targets(market, FOLD, np.array(targets)[:, None])
    return books_of(run_backtest(market, {"mine": decide}, strategy, FOLD), strategy)


def test_a_night_and_a_day_are_of_the_shares_held_in_each():
    # 10,000 long from the open of 104; from the next open of 112 on, 10,000 x 100 / 110 short.
    books = traded_by_hand([1.0, -1.0, -1.0])
    found = by_name(profit_by_side(books))
    long_gain = 10_000 * (110 - 104) + 10_000 * (112 - 110)
    short = 1_000_000 / 110
    # The same weight at the same close of 110 asks for the same shares.
    assert found[LONG][0] == pytest.approx(long_gain)
    assert found[SHORT][0] == pytest.approx(short * (112 - 110) + short * (110 - 90))
    assert profit_by_side(books).gap <= EXACTNESS


def test_each_side_pays_for_its_part_of_a_trade_that_crosses_0():
    books = traded_by_hand([1.0, -1.0, -1.0], fee_bps=10)
    found = by_name(profit_by_side(books))
    shares, short = 10_000, 1_000_000 / 110
    assert found[LONG][1] == pytest.approx(1e-3 * (shares * 104 + shares * 112))
    assert found[SHORT][1] == pytest.approx(1e-3 * short * 112)


def test_borrowing_shares_is_paid_by_the_short_side_and_cash_by_nobody():
    books = traded_by_hand([-1.0, -1.0, -1.0], borrow_bps_per_year=252)
    equity = books[0].equity
    assert by_name(profit_by_side(books))[SHORT][1] == pytest.approx(equity["borrow_usd"].sum())
    assert equity["borrow_usd"].sum() > 0.0
    borrowed = two_folds(3)
    interest = sum(float(book.equity["interest_usd"].sum()) for book in borrowed)
    assert interest > 0.0
    assert by_name(profit_by_side(borrowed))[INTEREST] == (0.0, pytest.approx(interest))


def test_dividends_and_splits_are_of_the_shares_held_before():
    market = market_of(
        [[100.0], [100.0], [49.0]],
        opens=[[100.0], [100.0], [50.0]],
        ratio=[[1.0], [1.0], [2.0]],
        cash=[[0.0], [0.0], [2.0]],
    )
    strategy = strategy_of(
        policy={"position": "long_short", "sizing": "constant_notional"},
        costs={"fee_bps": 10, "half_spread_bps": 0},
    )
    decide = fixed_targets(market, FOLD, np.array([[1.0], [-0.5]]))
    books = books_of(run_backtest(market, {"mine": decide}, strategy, FOLD), strategy)
    found = by_name(profit_by_side(books))
    # 10,000 shares are paid 2 USD each and become 20,000 at 50; then 10,000 are short down to 49.
    assert found[LONG][0] == pytest.approx(10_000 * 2.0)
    assert found[SHORT][0] == pytest.approx(10_000 * 1.0)
    # Bought at 100; of 30,000 sold at 50 two thirds were held.
    assert found[LONG][1] == pytest.approx(1e-3 * (10_000 * 100 + 20_000 * 50))
    assert found[SHORT][1] == pytest.approx(1e-3 * 10_000 * 50)


def test_a_symbols_part_is_its_gain_less_its_costs():
    _, strategy, tables = trade(5)
    books = books_of(tables, strategy)
    found = by_name(profit_by_symbol(books))
    own = tables.holdings.filter(pl.col("symbol") == "B")["gain_usd"].sum()
    cost = tables.trades.filter(pl.col("symbol") == "B")["cost_usd"].sum()
    assert found["B"] == (pytest.approx(own), pytest.approx(cost))
    assert found[FINANCING] == (0.0, pytest.approx(tables.equity["financing_usd"].sum()))


def test_kinds_of_costs_are_those_of_the_tables():
    _, strategy, tables = trade(6)
    found = by_name(profit_by_cost(books_of(tables, strategy)))
    assert list(found) == [
        GAINS,
        "commission",
        "half spread",
        "market impact",
        "interest",
        "borrow fees",
    ]
    assert found["market impact"][1] == pytest.approx(tables.trades["impact_usd"].sum())
    assert found["borrow fees"][1] == pytest.approx(tables.equity["borrow_usd"].sum())


def test_sessions_whose_regime_is_not_told_are_unknown():
    _, strategy, tables = trade(7)
    books = books_of(tables, strategy)
    day = books[0].equity["session"][0]
    parts, sessions = profit_by_regime(books, {day: "calm", date(1999, 1, 4): "wild"})
    assert sessions == {"calm": 1, UNKNOWN: 58}
    assert parts.names == ("calm", UNKNOWN)
    first = books[0].session_nets["net_usd"][0]
    assert parts.net_usd[0] == pytest.approx(first)


def test_a_fold_without_the_portfolio_or_part_of_it_is_named():
    _, strategy, tables = trade(8)
    initial = strategy.backtest.initial_equity_usd
    records = [FoldRecord(replace(FOLD, key="2021-01-01"), tables), FoldRecord(FOLD, tables)]
    books, lacking = read_books(records, "mine", initial)
    assert ([book.fold for book in books], lacking) == (["2020-01-01", "2021-01-01"], [])
    assert read_books(records, "other", initial) == ([], ["2020-01-01", "2021-01-01"])
    last = tables.equity["session"].max()
    cut = BacktestTables(
        tables.weights,
        tables.trades,
        tables.equity,
        tables.holdings.filter(pl.col("session") < last),
    )
    assert read_books([FoldRecord(FOLD, cut)], "mine", initial) == ([], ["2020-01-01"])


def test_a_gap_is_relative_to_what_is_summed():
    assert relative_gap((3.0, -2.0), 1.0) == 0.0
    assert relative_gap((3.0, -2.0), 1.5) == pytest.approx(0.1)
    assert relative_gap((), 0.0) == 0.0
    assert as_parts({"a": 1.0}, {"b": 0.25}, 0.75).gap == 0.0
    assert as_parts({"a": 1.0}, {"b": 0.25}, 0.80).gap == pytest.approx(0.04)
