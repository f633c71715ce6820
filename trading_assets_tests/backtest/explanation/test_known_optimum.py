"""The optimal policy of the shipped world, traded and explained as a fold's portfolio is."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.explanation.portfolio import Desk
from trading_assets.backtest.explanation.traded_fold import TradedFold
from trading_assets.backtest.folds import Fold
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.rollout import policy_decision
from trading_assets.simulation.worlds.one_asset import trade_rate_and_aim
from trading_assets_tests.end_to_end.test_known_optimum import DATA, STRATEGY, WORLD, make_history
from trading_assets_tests.policy.test_action_attribution import linear_policy

NAME = "ppo/ensemble"
FOLD = Fold(
    key="2025-01-01",
    train_start=date(2023, 1, 3),
    train_end=date(2024, 12, 31),
    validation_start=date(2024, 7, 1),
    test_start=date(2025, 1, 2),
    test_end=date(2025, 12, 31),
)


@pytest.fixture(scope="module")
def explained():
    history = make_history(7, date(2022, 1, 3))
    kappa, aim = trade_rate_and_aim(WORLD)
    ensemble = Ensemble((linear_policy(STRATEGY, kappa * aim, 1.0 - kappa),))
    task = history.task()
    traded = run_backtest(task.market, {NAME: policy_decision(ensemble, task)}, STRATEGY, FOLD)
    fold = TradedFold(
        FOLD, STRATEGY, DATA, history.tables, history.tables, traded.weights, traded.trades
    )
    return history, traded, Desk(fold).explain(NAME, ensemble, ["ppo/seed-0"])


def test_each_target_is_owed_to_the_signal_and_the_weight_held_as_the_closed_form_says(explained):
    history, traded, found = explained
    kappa, aim = trade_rate_and_aim(WORLD)
    assert found.problems == []
    by_input = found.actions.pivot("input", index="session", values="contribution").sort("session")
    days = by_input["session"]
    signal = history.tables.features.filter(pl.col("session").is_in(days.implode()))
    seen = signal.sort("session")["signal"].cast(pl.Float64).to_numpy()
    train = history.tables.features.filter(
        pl.col("session").is_between(FOLD.train_start, FOLD.train_end)
    )
    usual = float(train["signal"].cast(pl.Float64).mean())
    owed = by_input["signal"].to_numpy()
    np.testing.assert_allclose(owed, kappa * aim * (seen - usual), rtol=1e-5, atol=1e-7)
    # Weights of constant notional are positions over the first equity.
    value = traded.holdings.sort("session")["value_usd"].to_numpy()
    held = np.concatenate([[0.0], value[:-1]]) / STRATEGY.backtest.initial_equity_usd
    own = by_input["held_weight"].fill_null(0.0).to_numpy()
    np.testing.assert_allclose(own, (1.0 - kappa) * held, rtol=1e-5, atol=1e-7)
    baseline = by_input["baseline"].to_numpy()
    np.testing.assert_allclose(baseline, kappa * aim * usual, atol=1e-7)


def test_without_the_signal_the_optimal_policy_loses_what_it_lives_on(explained):
    measures = {
        (each.shuffled.level, each.shuffled.name): each.measures
        for each in explained[2].importances
    }
    lost = measures["input", "signal"]["return_lost_bps"]
    assert lost.mean > 0.0
    # Alone in its group, the signal is all that the policy sees of the market.
    assert [name for level, name in measures if level == "input"] == ["signal"]
