"""References: what they are fitted on, that they learn, and that files hold all of them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.metrics import sharpe_annual
from trading_assets.policy import references as module
from trading_assets.policy.references import (
    References,
    reference_decisions,
    reference_strategy,
    train_references,
)
from trading_assets.rebalance_specs import WeeklySpec
from trading_assets_tests.backtest.planted_forecasts import STRATEGY, plant
from trading_assets_tests.policy.tasks import days_of


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch):
    """A direct trainer of a second, and no logistic forecaster, whose tables the plant lacks."""
    monkeypatch.setattr(module, "DirectSpec", _small_direct)


def _small_direct(**values):
    from trading_assets.agent_specs import DirectSpec

    return DirectSpec(**{**values, "total_steps": 200_000, "episode_bars": 32})


def fitted(planted, monkeypatch, strategy=STRATEGY):
    for name in ("market_of",):
        monkeypatch.setattr(module, name, lambda *_: planted.market)
    from trading_assets.policy import fold as fold_module

    monkeypatch.setattr(fold_module, "market_of", lambda *_: planted.market)
    window = planted.tables.between(planted.fold.train_start, planted.fold.train_end)
    known = replace(planted, tables=window)
    return train_references(known.tables, planted.fold, strategy, None)


def test_direct_and_garleanu_pedersen_find_a_planted_signal(quick, monkeypatch):
    planted = plant(0.6)
    found = fitted(planted, monkeypatch)
    assert set(found.absences) == {"logistic_rule"}
    decisions, absences = reference_decisions(found, planted.tables, planted.market, STRATEGY)
    assert sorted(decisions) == ["direct", "garleanu_pedersen"]
    assert absences == found.absences
    tables = run_backtest(planted.market, decisions, STRATEGY, planted.fold)
    for name in decisions:
        equity = tables.equity.filter(pl.col("portfolio") == name)["equity_usd"].to_numpy()
        assert sharpe_annual(equity[1:] / equity[:-1] - 1.0) > 3.0


def test_without_a_signal_nothing_is_found(quick, monkeypatch):
    planted = plant(0.0)
    found = fitted(planted, monkeypatch)
    assert float(np.abs(found.expected.slopes).max()) < 0.15


def test_what_lies_after_the_train_window_changes_no_reference(quick, monkeypatch):
    planted = plant(0.6)
    later = days_of(planted.market).index(planted.fold.train_end) + 1
    noise = np.random.default_rng(1).uniform(0.5, 2.0, planted.market.close[later:].shape)
    changed = replace(
        planted.market,
        close=np.vstack([planted.market.close[:later], planted.market.close[later:] * noise]),
        open=np.vstack([planted.market.open[:later], planted.market.open[later:] * noise]),
        volatility=np.vstack(
            [planted.market.volatility[:later], planted.market.volatility[later:] * noise]
        ),
    )
    before = fitted(planted, monkeypatch).to_files()
    after = fitted(replace(planted, market=changed), monkeypatch).to_files()
    assert before == after
    earlier = replace(
        planted.market, close=planted.market.close[::-1], open=planted.market.open[::-1]
    )
    assert fitted(replace(planted, market=earlier), monkeypatch).to_files() != before


def test_files_hold_everything(quick, monkeypatch):
    planted = plant(0.6)
    found = fitted(planted, monkeypatch)
    again = References.from_files(found.to_files())
    assert again.to_files() == found.to_files()
    weights = []
    for own in (found, again):
        decisions, _ = reference_decisions(own, planted.tables, planted.market, STRATEGY)
        weights.append(run_backtest(planted.market, decisions, STRATEGY, planted.fold).weights)
    assert weights[0].equals(weights[1])


def test_the_declared_risk_aversion_and_costs_are_kept_and_the_reward_is_not():
    declared = STRATEGY.model_copy(
        update={"policy": STRATEGY.policy.model_copy(update={"window_bars": 5})}
    )
    plain = reference_strategy(declared)
    assert plain.policy.window_bars == 1
    assert plain.policy.reward.kind == "mean_variance"
    assert plain.policy.risk_aversion == declared.policy.risk_aversion
    assert plain.costs == declared.costs


def test_what_cannot_be_fitted_is_named_with_its_reason(quick, monkeypatch):
    planted = plant(0.6)
    policy = STRATEGY.policy.model_copy(
        update={"observed_features": (), "uses_forecasts": False, "ablation": "none"}
    )
    blind = STRATEGY.model_copy(update={"policy": policy})
    found = fitted(planted, monkeypatch, blind)
    assert "the policy observes no features or forecasts" in found.absences["garleanu_pedersen"]


def test_under_a_rule_that_holds_trades_back_there_is_no_direct_reference(quick, monkeypatch):
    planted = plant(0.6)
    weekly = STRATEGY.model_copy(update={"rebalance": WeeklySpec(kind="weekly")})
    found = fitted(planted, monkeypatch, weekly)
    assert found.direct is None
    assert found.absences["direct"] == "its gradient does not pass through rebalance weekly"
    decisions, absences = reference_decisions(found, planted.tables, planted.market, weekly)
    assert sorted(decisions) == ["garleanu_pedersen"]
    assert "direct" in absences
    tables = run_backtest(planted.market, decisions, weekly, planted.fold)
    every = run_backtest(planted.market, decisions, STRATEGY, planted.fold)
    # Applied by the reference itself, and not again by the engine.
    assert tables.trades.equals(every.trades)
    always, _ = reference_decisions(found, planted.tables, planted.market, STRATEGY)
    free = run_backtest(planted.market, always, STRATEGY, planted.fold)
    turnover = [t.equity["turnover"].sum() for t in (tables, free)]
    assert 0.0 < turnover[0] < 0.5 * turnover[1]
