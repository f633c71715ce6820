"""What members' wishes gained, and what the market was at each session."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.backtest.attribution.by_member import Wishes, member_gains, sum_by_agent
from trading_assets.backtest.attribution.market_states import (
    market_returns,
    market_states,
    symbol_returns,
)
from trading_assets.backtest.engine import decision_rows, fixed_targets, run_backtest
from trading_assets.backtest.explanation.member_wishes import member_names, member_table
from trading_assets.backtest.explanation.watched_decisions import watch_decisions
from trading_assets.policy.ensemble import Ensemble
from trading_assets_tests.backtest.explanation.explained import NAME, Case, train_case
from trading_assets_tests.backtest.markets import FOLD, random_market, strategy_of


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_parts_of_members_add_up_to_the_gain_of_the_ensemble(seed, latency):
    market, members = random_market(seed, 50), 3
    strategy = strategy_of(
        costs={"fee_bps": 2, "half_spread_bps": 2, "latency_bars": latency},
        policy={"position": "long_short"},
        risk={"max_weight": 0.9, "max_gross": 3.0},
    )
    rng = np.random.default_rng(seed)
    wished = rng.normal(0.0, 0.06, (members, 49, 4))
    decide = fixed_targets(market, FOLD, wished.sum(axis=0))
    tables = run_backtest(market, {"mine": decide}, strategy, FOLD)
    gains = tables.holdings.group_by("session").agg(pl.col("gain_usd").sum()).sort("session")
    equity = tables.equity["equity_usd"].to_numpy()
    base = np.concatenate([[strategy.backtest.initial_equity_usd], equity[:-1]])
    found = member_gains(
        Wishes(wished, base, decision_rows(market, FOLD), latency),
        market,
        gains["gain_usd"].to_numpy(),
    )
    np.testing.assert_allclose(found.sum(axis=0), gains["gain_usd"], atol=1e-6)


def test_without_limits_lots_and_missing_bars_members_explain_all_of_it():
    market = random_market(1, 60)
    whole = replace(
        market,
        close=market.close[:40, :3].copy(),
        open=market.open[:40, :3].copy(),
        volume=market.volume[:40, :3],
        tradable=np.ones((40, 3), bool),
        split_ratio=market.split_ratio[:40, :3],
        cash_per_share=market.cash_per_share[:40, :3],
        volatility=market.volatility[:40, :3],
        adv_usd=market.adv_usd[:40, :3],
        payout_per_share=None,
        sessions=market.sessions[:40],
        symbols=market.symbols[:3],
    )
    for panel in (whole.close, whole.open):
        panel[~np.isfinite(panel)] = 50.0
    strategy = strategy_of(
        policy={"position": "long_short"}, risk={"max_weight": 1, "max_gross": 3}
    )
    wished = np.random.default_rng(0).normal(0.0, 0.1, (2, 39, 3))
    tables = run_backtest(
        whole, {"mine": fixed_targets(whole, FOLD, wished.sum(axis=0))}, strategy, FOLD
    )
    gains = tables.holdings.group_by("session").agg(pl.col("gain_usd").sum()).sort("session")
    equity = tables.equity["equity_usd"].to_numpy()
    base = np.concatenate([[strategy.backtest.initial_equity_usd], equity[:-1]])
    found = member_gains(
        Wishes(wished, base, decision_rows(whole, FOLD), 1), whole, gains["gain_usd"].to_numpy()
    )
    assert np.abs(found[-1]).max() < 1e-3
    assert np.abs(found[0]).max() > 100.0
    # Splits and dividends are among them.
    assert (whole.split_ratio != 1.0).any()
    assert (whole.cash_per_share != 0.0).any()


@pytest.fixture(scope="module")
def case() -> Case:
    return train_case(total_steps=6_000)


def test_members_of_an_ensemble_are_told_by_name_and_weight(case):
    watched = watch_decisions(NAME, case.ensemble, case.task, case.strategy, case.planted.fold)
    names = member_names(NAME, {NAME: case.ensemble})
    assert names == ["mine/seed-0", "mine/seed-1"]
    table = member_table(NAME, watched, case.ensemble, names, case.task)
    summed = table.group_by("session").agg(pl.col("gain_usd").sum()).sort("session")
    gains = case.recorded.holdings.group_by("session").agg(pl.col("gain_usd").sum())
    np.testing.assert_allclose(summed["gain_usd"], gains.sort("session")["gain_usd"], atol=1e-6)
    alone = Ensemble(case.ensemble.policies, (1.0, 0.0))
    other = watch_decisions(NAME, alone, case.task, case.strategy, case.planted.fold)
    weighted = member_table(NAME, other, alone, names, case.task)
    assert weighted.filter(pl.col("member") == "mine/seed-1")["gain_usd"].abs().max() == 0.0


def test_members_of_all_agents_come_in_order_of_agents(case):
    single = Ensemble(case.ensemble.policies[:1])
    ensembles = {
        "b/ensemble": case.ensemble,
        "a/ensemble": single,
        "ensemble": Ensemble((*single.policies, *case.ensemble.policies)),
    }
    assert member_names("ensemble", ensembles) == ["a/seed-0", "b/seed-0", "b/seed-1"]
    assert sum_by_agent(["a/seed-0", "b/seed-0", "b/seed-1", "rest"], [1.0, 2.0, 3.0, 4.0]) == {
        "a": 1.0,
        "b": 5.0,
        "rest": 4.0,
    }


def states_of(market, features=None):
    features = pl.DataFrame({"session": [], "symbol": []}) if features is None else features
    days = market.sessions.astype("datetime64[D]").tolist()
    fold = replace(
        FOLD, train_start=days[0], train_end=days[199], test_start=days[200], test_end=days[-1]
    )
    return market_states(market, features, fold), fold, days


def test_regimes_are_those_of_the_close_before_by_terciles_of_the_train_window():
    market = random_market(3, 320)
    table, _, days = states_of(market)
    assert table["session"].to_list() == days[200:]
    returns = np.nanmean(market_returns(market)[1:], axis=1)
    ages = np.arange(len(returns))
    weighed = [0.94 ** ages[: i + 1][::-1] for i in ages]
    volatility = np.sqrt([w @ returns[: len(w)] ** 2 / w.sum() for w in weighed])
    # Row 1 of the market is the first with a return.
    edges = np.quantile(volatility[:199], [1 / 3, 2 / 3])
    expected = ["calm", "usual", "wild"]
    told = [expected[int((v > edges).sum())] for v in volatility[198:-1]]
    assert table["volatility_regime"].to_list() == told
    np.testing.assert_allclose(table["market"], returns[199:], atol=1e-12)


def test_a_session_changes_no_regime_up_to_the_next():
    market = random_market(3, 320)
    table, _, _ = states_of(market)
    close = market.close.copy()
    close[260:] *= 2.0
    changed, _, _ = states_of(replace(market, close=close))
    assert changed["volatility_regime"][:61].equals(table["volatility_regime"][:61])
    assert changed["volatility_regime"][61] == "wild"


def test_the_hidden_regime_is_the_likeliest_of_the_stored_feature():
    market = random_market(3, 320)
    _, _, days = states_of(market)
    features = pl.DataFrame(
        {
            "session": days[199:202],
            "symbol": ["A"] * 3,
            "regime_calm": [0.7, 0.1, None],
            "regime_stressed": [0.1, 0.3, None],
        }
    )
    table, _, _ = states_of(market, features)
    assert table["hidden_regime"][:4].to_list() == ["calm", "between", None, None]
    assert states_of(market)[0]["hidden_regime"].null_count() == 120


def test_symbols_without_a_return_have_no_row():
    market = random_market(3, 320)
    _, fold, days = states_of(market)
    table = symbol_returns(market, fold)
    returns = market_returns(market)[200:]
    assert len(table) == int(np.isfinite(returns).sum())
    first = table.filter((pl.col("session") == days[200]) & (pl.col("symbol") == "A"))
    assert first["total_return"][0] == pytest.approx(returns[0, 0])
    assert table["session"].min() == days[200] > date(2019, 12, 31)
