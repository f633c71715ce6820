"""Textbook rules as portfolios: when they trade, what they see, and what they lack."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.baselines import BASELINES, baseline_absences, baseline_decisions
from trading_assets.backtest.engine import decision_rows, run_backtest
from trading_assets.backtest.parity import PARITY_TOLERANCE, parity_gap_usd
from trading_assets.backtest.periodic_rules import REBALANCE_BARS, RULES, rule_decisions
from trading_assets.simulation.core import Books, open_books
from trading_assets.simulation.market import Market, total_returns_of
from trading_assets_tests.backtest.markets import (
    FOLD,
    market_of,
    market_with_past,
    random_market,
    strategy_of,
)

COSTS = {"fee_bps": 1, "half_spread_bps": 2}


def flat_books(market: Market, row: int) -> Books:
    return open_books(1, 1e6, market.close[row])


def weights_of(tables, portfolio: str) -> np.ndarray:
    mine = tables.weights.filter(pl.col("portfolio") == portfolio)
    return mine["weight"].to_numpy().reshape(mine["session"].n_unique(), -1)


def test_every_baseline_but_the_random_one_is_decided_without_another_portfolio():
    market = market_with_past(1)
    assert sorted({*baseline_decisions(market, FOLD), "random"}) == sorted(BASELINES)
    assert baseline_absences(market, FOLD) == {}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_decides_at_the_first_decision_and_every_21_after_it(name: str):
    market = market_with_past(2)
    rows = decision_rows(market, FOLD)
    decide = rule_decisions(market, FOLD)[name]
    decided = [row for row in rows if decide(row, flat_books(market, row)) is not None]
    assert REBALANCE_BARS == 21
    assert decided == list(rows)[::21]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_sees_total_returns_up_to_the_row_it_decides_at(name: str):
    market = market_with_past(3)
    rows = decision_rows(market, FOLD)
    returns = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    decide = rule_decisions(market, FOLD)[name]
    for row in list(rows)[::21]:
        expected = RULES[name](returns[: row + 1])
        np.testing.assert_array_equal(decide(row, flat_books(market, row)), expected)
        assert (expected > 0.0).any()


def scrambled_after(market: Market, row: int) -> Market:
    """The same market up to a row, and another one after it in everything that it holds."""
    rng = np.random.default_rng(row)
    later = slice(row + 1, None)

    def scramble(values: np.ndarray) -> np.ndarray:
        changed = values.copy()
        changed[later] *= rng.uniform(0.2, 5.0, changed[later].shape)
        return changed

    tradable = market.tradable.copy()
    tradable[later] ^= rng.random(tradable[later].shape) < 0.3
    changed = {
        name: scramble(getattr(market, name))
        for name in ("open", "close", "volume", "volatility", "adv_usd", "split_ratio")
    }
    cash = market.cash_per_share.copy()
    cash[later] += rng.uniform(0.0, 3.0, cash[later].shape)
    return replace(market, **changed, cash_per_share=cash, tradable=tradable)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "random"])
@pytest.mark.parametrize("place", [0, 21, 42, 63])
def test_nothing_after_the_row_changes_a_bit_of_a_decision(name: str, place: int):
    market = market_with_past(4)
    row = decision_rows(market, FOLD).start + place
    changed = scrambled_after(market, row)
    assert not np.array_equal(changed.close, market.close, equal_nan=True)
    before, after = (
        baseline_decisions(each, FOLD)[name](row, flat_books(each, row))
        for each in (market, changed)
    )
    assert (None if before is None else before.tobytes()) == (
        None if after is None else after.tobytes()
    )


def test_what_happens_does_change_later_decisions():
    rng = np.random.default_rng(4)
    steps = rng.normal(0, 0.01, (400, 1)) * [0.5, 1.0, 1.5, 2.0] + rng.normal(0, 0.005, (400, 4))
    first_day = FOLD.test_start - timedelta(days=300)
    market = market_of(np.exp(steps.cumsum(axis=0)), first_day=first_day)
    row = decision_rows(market, FOLD).start + 63
    # Momentum leaves the last month out.
    changed = scrambled_after(market, row - 40)
    for name in RULES:
        before, after = (
            rule_decisions(each, FOLD)[name](row, flat_books(each, row))
            for each in (market, changed)
        )
        assert not np.array_equal(before, after), name


def test_shares_are_kept_between_decisions_and_limits_are_kept_at_them():
    market, strategy = market_with_past(5), strategy_of(risk={"max_weight": 0.4, "max_gross": 0.8})
    tables = run_backtest(market, rule_decisions(market, FOLD), strategy, FOLD)
    days = market.sessions[decision_rows(market, FOLD).start + 1 :][::21].astype(object).tolist()
    for name in RULES:
        trades = tables.trades.filter(pl.col("portfolio") == name)
        assert set(trades["session"]) <= set(days)
        weights = weights_of(tables, name)
        assert weights.min() >= 0.0
        assert weights[::21].max() <= 0.4 + 1e-12
        assert weights[::21].sum(axis=1).max() <= 0.8 + 1e-12


def test_rules_are_long_only_where_shorts_are_allowed():
    market = market_with_past(6)
    free = strategy_of(policy={"position": "long_short"}, risk={"max_weight": 1, "max_gross": 2})
    tables = run_backtest(market, rule_decisions(market, FOLD), free, FOLD)
    assert tables.weights["weight"].min() >= 0.0
    bound = run_backtest(market, rule_decisions(market, FOLD), strategy_of(), FOLD)
    first = pl.col("session") == tables.weights["session"].min()
    np.testing.assert_array_equal(
        tables.weights.filter(first)["weight"], bound.weights.filter(first)["weight"]
    )


def test_two_symbols_are_weighed_as_their_deviations_say():
    # Deviations of 1 and 2 %, never at the same time: correlation 0.
    steps = np.zeros((300, 2))
    steps[:, 0] = 0.01 * np.tile([1, 0, -1, 0], 75)
    steps[:, 1] = 0.02 * np.tile([0, 1, 0, -1], 75)
    close = 100.0 * np.cumprod(1.0 + steps, axis=0)
    market = replace(
        market_of(close), sessions=market_of(close).sessions - np.timedelta64(260, "D")
    )
    tables = run_backtest(market, rule_decisions(market, FOLD), strategy_of(), FOLD)
    inverse = weights_of(tables, "inverse_volatility")[0]
    # 1 / 1 to 1 / 2.
    np.testing.assert_allclose(inverse, [2 / 3, 1 / 3], atol=0.005)
    by_variance = weights_of(tables, "hierarchical_risk_parity")[0]
    # 1 / 1 to 1 / 4.
    np.testing.assert_allclose(by_variance, [0.8, 0.2], atol=0.005)
    # The same of variances s and 4 s that are shrunk toward their mean of 2.5 s: nearer to equal.
    least = weights_of(tables, "minimum_variance")[0]
    np.testing.assert_allclose(least, [0.8, 0.2], atol=0.03)
    assert least[0] < by_variance[0]


@pytest.mark.parametrize("costs", [COSTS, {**COSTS, "latency_bars": 3}])
def test_a_referee_comes_to_the_same_equity(costs: dict[str, float]):
    market, strategy = market_with_past(7), strategy_of(costs=costs)
    tables = run_backtest(market, rule_decisions(market, FOLD), strategy, FOLD)
    for name in RULES:
        mine = pl.col("portfolio") == name
        gap = parity_gap_usd(
            market, tables.weights.filter(mine), tables.equity.filter(mine), strategy
        )
        assert gap < PARITY_TOLERANCE * 1e6


@pytest.mark.parametrize("past", [1, 2, 64, 126, 127])
def test_a_rule_without_its_returns_does_not_trade_and_says_what_is_missing(past: int):
    close = np.exp(np.random.default_rng(8).normal(0, 0.01, (past + 30, 3)).cumsum(axis=0))
    market = market_of(close, first_day=FOLD.test_start - timedelta(days=past))
    lacking = baseline_absences(market, FOLD)
    # The first session has no return yet.
    known = past - 1
    assert set(lacking) == (set(RULES) if known < 126 else set())
    assert set(baseline_decisions(market, FOLD)) == set(BASELINES) - set(lacking) - {"random"}
    assert set(lacking.values()) <= {
        f"{known} of the 126 sessions of returns that are needed lie before 2020-01-01"
    }


def test_one_symbol_with_enough_returns_is_enough():
    market = market_with_past(9, past=200)
    close = market.close.copy()
    close[:150, 1:] = np.nan
    market = replace(market, close=close)
    assert baseline_absences(market, FOLD) == {}
    row = decision_rows(market, FOLD).start
    for name in RULES:
        found = rule_decisions(market, FOLD)[name](row, flat_books(market, row))
        assert found[1:].tolist() == [0.0] * 3


def test_symbols_that_do_not_trade_on_the_first_day_are_no_data():
    market = market_with_past(10)
    close = market.close.copy()
    row = decision_rows(market, FOLD).start
    close[row] = np.nan
    lacking = baseline_absences(replace(market, close=close), FOLD)
    assert lacking["momentum"] == (
        "no symbol with the 126 sessions of returns that are needed has one on 2019-12-31, the"
        " day of the first decision"
    )


def test_a_market_without_a_past_still_has_the_baselines_that_need_none():
    market = random_market(11)
    assert market.sessions[0].astype(object) == date(2019, 12, 31)
    assert set(baseline_decisions(market, FOLD)) == {"buy_and_hold", "cash", "equal_weight"}
