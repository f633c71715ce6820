"""What a challenger is held against: all naive portfolios that could begin, and its own twin."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.baselines import BASELINES
from trading_assets.backtest.engine import decision_rows, fixed_targets, run_backtest
from trading_assets.backtest.matched_control import ControlledBacktest
from trading_assets.governance import judged_days
from trading_assets.governance.judged_days import JudgedDays, trade_judged_days
from trading_assets.governance.promotion import net_utility
from trading_assets_tests.backtest.markets import FOLD, market_with_past, strategy_of

STRATEGY = strategy_of(costs={"fee_bps": 1, "half_spread_bps": 2})


def judged(past: int = 260, seed: int = 1) -> JudgedDays:
    market = market_with_past(seed, past=past)
    draws = np.random.default_rng(0).uniform(0.0, 0.25, (len(decision_rows(market, FOLD)), 4))
    decisions = {"challenger": fixed_targets(market, FOLD, draws)}
    return trade_judged_days(market, decisions, STRATEGY, FOLD)


def test_every_naive_portfolio_is_traded_beside_the_challenger():
    found = judged()
    assert set(found.returns) == {"challenger", *BASELINES}
    assert found.missing_baselines == ()
    assert len({len(series) for series in found.returns.values()}) == 1


def test_returns_are_those_of_equity_from_its_start_on():
    market = market_with_past(1)
    draws = np.random.default_rng(0).uniform(0.0, 0.25, (len(decision_rows(market, FOLD)), 4))
    own = {"challenger": fixed_targets(market, FOLD, draws)}
    equity = run_backtest(market, own, STRATEGY, FOLD).equity["equity_usd"].to_numpy()
    growth = np.cumprod(1.0 + judged().returns["challenger"])
    np.testing.assert_allclose(growth * STRATEGY.backtest.initial_equity_usd, equity, rtol=1e-12)


def test_the_random_portfolio_has_the_turnover_of_the_challenger(monkeypatch: pytest.MonkeyPatch):
    seen: list[pl.DataFrame] = []
    trade = judged_days.backtest_with_control

    def watch(*arguments):
        traded = trade(*arguments)
        seen.append(traded.tables.equity)
        return traded

    monkeypatch.setattr(judged_days, "backtest_with_control", watch)
    judged()
    total = seen[0].group_by("portfolio").agg(pl.col("turnover").sum())
    turnover = dict(total.iter_rows())
    assert turnover["challenger"] > 10.0
    assert turnover["random"] == pytest.approx(turnover["challenger"], rel=0.02)


def test_a_random_portfolio_that_lost_everything_is_left_out_too(monkeypatch: pytest.MonkeyPatch):
    trade = judged_days.backtest_with_control

    def ruin(*arguments):
        tables = trade(*arguments).tables
        kept = tables.equity.filter(pl.col("portfolio") != "random")
        return ControlledBacktest(replace(tables, equity=kept), {"random": "it lost all"})

    monkeypatch.setattr(judged_days, "backtest_with_control", ruin)
    found = judged()
    assert found.missing_baselines == ("random",)
    assert "random" not in found.returns
    assert found.best_baseline(0.0) in found.returns


def test_the_best_is_above_all_others_in_mean_net_utility():
    found = judged()
    best = found.best_baseline(2.0)
    utility = {name: net_utility(found.returns[name], 2.0).mean() for name in BASELINES}
    assert utility[best] == max(utility.values())


def test_who_fears_risk_more_holds_another_one_for_the_best():
    steady, wild = np.full(40, 0.001), 0.002 + 0.05 * np.tile([1.0, -1.0], 20)
    returns = {**dict.fromkeys(BASELINES, np.zeros(40)), "trend": steady, "random": wild}
    found = JudgedDays(returns, ())
    assert found.best_baseline(0.0) == "random"
    assert found.best_baseline(5.0) == "trend"
    # Of equal ones the first by name.
    assert JudgedDays(dict.fromkeys(BASELINES, steady), ()).best_baseline(1.0) == "buy_and_hold"


def test_rules_without_data_are_left_out_of_the_choice_and_named():
    found = judged(past=90)
    missing = set(BASELINES) - {"buy_and_hold", "cash", "equal_weight", "random"}
    assert set(found.missing_baselines) == missing
    assert not missing & set(found.returns)
    assert found.best_baseline(1.0) not in missing
