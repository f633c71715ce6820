from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.agent_specs import DirectSpec
from trading_assets.forecast.train import train_forecaster
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.confidence import confidence_factors
from trading_assets.policy.decision import decide
from trading_assets.policy.decision_rules import DecisionRules, declared_rules
from trading_assets.policy.direct import _Ascent
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import raw_weights
from trading_assets.policy.rollout import build_task, policy_decision, roll_rows
from trading_assets.policy.training import Training
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets_tests.policy import test_decision as decisions
from trading_assets_tests.policy.tasks import (
    SYMBOLS,
    make_policy,
    make_strategy,
    make_tables,
    no_forecasts,
    random_market,
)

MARKET = random_market(120)
FEATURES, FORECASTS = make_tables(MARKET)
ERROR = "sigma_expected_return"
SIZINGS = ("posterior_mean", "twice_confidence")


def strategy_of(sizing, **policy):
    return make_strategy(policy={"confidence_sizing": sizing, **policy})


def factors_of(sizing, forecasts=FORECASTS):
    rules = declared_rules(strategy_of(sizing), SYMBOLS)
    return confidence_factors(forecasts, rules, MARKET.sessions)


def said(column, forecasts=FORECASTS):
    wide = forecasts.pivot(on="symbol", index="session", values=column).sort("session")
    return wide.select(SYMBOLS).to_numpy().astype(np.float64)


def test_a_posterior_mean_is_the_share_of_the_estimate_that_is_left():
    deviation = np.linspace(0.0, 0.02, len(FORECASTS), dtype=np.float32)
    forecasts = FORECASTS.with_columns(pl.Series(ERROR, deviation))
    found = factors_of("posterior_mean", forecasts)
    prior, tau = 0.1 * said("sigma_return", forecasts), said(ERROR, forecasts)
    np.testing.assert_allclose(found, prior**2 / (prior**2 + tau**2), rtol=1e-12)
    assert found[0, 0] == 1.0
    assert found[:, 2].mean() < 0.5


def test_weights_are_taken_as_they_are_where_nothing_is_forecast_or_sized():
    unseen = declared_rules(strategy_of("posterior_mean", uses_forecasts=False), SYMBOLS)
    assert confidence_factors(FORECASTS, unseen, MARKET.sessions) is None
    assert factors_of("none") is None
    for sizing in SIZINGS:
        nothing = factors_of(sizing, no_forecasts())
        np.testing.assert_array_equal(nothing, np.zeros((120, 3)))


def test_twice_the_confidence_is_cut_at_one_and_sees_no_direction_in_a_flat_market():
    rows = {"p_down": [0.1, 0.2, 0.45], "p_flat": [0.8, 0.1, 0.2], "p_up": [0.1, 0.7, 0.35]}
    day = FORECASTS.filter(pl.col("session") == MARKET.sessions[5].item()).sort("symbol")
    table = day.with_columns(**{name: pl.Series(name, values) for name, values in rows.items()})
    found = factors_of("twice_confidence", table)
    np.testing.assert_allclose(found[5], [0.0, 1.0, 0.2], atol=1e-12)
    np.testing.assert_array_equal(found[6], 0.0)


@pytest.mark.parametrize("sizing", SIZINGS)
def test_a_factor_is_a_share_and_what_is_not_forecast_has_none(sizing):
    broken = FORECASTS.with_columns(
        pl.when(pl.int_range(pl.len()) % 3 > 0).then(pl.col(ERROR, "p_up"))
    )
    found = factors_of(sizing, broken)
    assert ((found >= 0.0) & (found <= 1.0)).all()
    is_missing = np.isnan(said("p_up", broken))
    np.testing.assert_array_equal(found[is_missing], 0.0)
    assert (found[~is_missing] > 0.0).mean() > 0.9


def test_posterior_means_are_the_default_and_twice_the_confidence_needs_forecasts():
    rules = declared_rules(make_strategy(), SYMBOLS)
    assert rules.confidence_sizing == "posterior_mean"
    with pytest.raises(ValueError, match="twice_confidence and uses_forecasts false; expected"):
        strategy_of("twice_confidence", uses_forecasts=False)


def test_rules_carry_the_sizing_and_a_card_of_a_time_before_it_means_none():
    rules = declared_rules(strategy_of("twice_confidence"), SYMBOLS)
    assert DecisionRules.from_card(rules.to_card()) == rules
    card = rules.to_card()
    assert card.pop("confidence_sizing") == "twice_confidence"
    assert DecisionRules.from_card(card) == replace(rules, confidence_sizing="none")


LIMITS = [{}, {"risk": {"max_weight": 0.5, "max_gross": 0.9, "max_turnover": 0.2}}]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("position", ["long_only", "long_short"])
@pytest.mark.parametrize("sizing", SIZINGS)
def test_training_rollout_and_watched_account_size_alike(sizing, position, limits):
    policy = {"confidence_sizing": sizing, "position": position}
    strategy = make_strategy(policy=policy, **limits)
    task = build_task(MARKET, FEATURES, FORECASTS, strategy)
    policies = [make_policy(strategy, seed=seed) for seed in range(2)]
    rolled = roll_rows(policies, task, range(20, 60))
    decide_watched = policy_decision(policies, task)
    traded = TradedBooks(task, 1)
    traded.open(slice(None), np.array([20]))
    for row, expected in zip(range(20, 60), rolled.weights, strict=True):
        actions = np.stack([p.act(traded.observe()) for p in policies]).mean(axis=0)
        np.testing.assert_array_equal(
            rolled.raw_weights[row - 20],
            (raw_weights(actions, task.view.rules) * factors_of(sizing)[row])[0],
        )
        trained = task.view.target_weights(actions, traded.rows, traded.held)[0]
        np.testing.assert_array_equal(trained, expected)
        np.testing.assert_array_equal(decide_watched(row, traded.books()), expected)
        traded.trade(expected[None])


def test_the_direct_trainer_is_paid_for_what_the_sized_policy_earns():
    strategy = make_strategy(
        policy={"confidence_sizing": "posterior_mean", "position": "long_short"}
    )
    task = build_task(MARKET, FEATURES, FORECASTS, strategy)
    spec = DirectSpec(algorithm="direct", paths=30, unroll_bars=8, total_steps=1_000)
    training = Training(task, Episodes(1, 80, 16, 1.0), task.view.rules, spec, 0, lambda _: None)
    ascent = _Ascent(training, spec)
    rows = 1 + np.arange(30) + np.arange(8)[:, None]
    ascent._rows, ascent._books = rows[0], ascent._market.open_books(30)
    rewards, _ = ascent._unroll(rows)
    policy = TrainedPolicy(training.rules, ascent.actor.tensors(), "direct", 0, (), 0)
    books = TradedBooks(task, 30)
    books.open(slice(None), rows[0])
    earned = []
    for _ in range(8):
        weights = task.view.target_weights(policy.act(books.observe()), books.rows, books.held)
        earned.append(books.trade(weights))
    np.testing.assert_allclose(rewards.detach().numpy(), earned, atol=2e-6)
    without = {"confidence_sizing": "none", "position": "long_short"}
    unsized = build_task(MARKET, FEATURES, FORECASTS, make_strategy(policy=without))
    assert replace(training, task=unsized, rules=unsized.view.rules).key != training.key


def test_a_changed_forecast_error_is_another_training():
    forecasts = FORECASTS.with_columns(pl.lit(0.01).alias(ERROR))
    strategy = strategy_of("posterior_mean")
    keys = {
        Training(
            task,
            Episodes(1, 80, 16, 1.0),
            task.view.rules,
            DirectSpec(algorithm="direct"),
            0,
            lambda _: None,
        ).key
        for task in (
            build_task(MARKET, FEATURES, table, strategy) for table in (FORECASTS, forecasts)
        )
    }
    assert len(keys) == 2


@pytest.mark.parametrize("sizing", SIZINGS)
def test_day_by_day_decisions_are_the_weights_of_the_backtest(sizing):
    # Across a late listing, whose first sessions have no forecast, and a split.
    policy = {
        "observed_features": ["log_return_5", "ewma_volatility"],
        "confidence_sizing": sizing,
    }
    strategy = make_strategy(
        features={"names": decisions.NAMES},
        forecast={"window_bars": 12, "network": "small", "members": 2, "epochs": 1},
        policy=policy,
    )
    days = decisions.DAYS
    forecaster = train_forecaster(
        decisions.KNOWN, days[300:520], days[520:570], strategy.forecast, decisions.NAMES
    )
    policies = [make_policy(strategy, decisions.SYMBOLS, seed) for seed in range(2)]
    bundle = Bundle.from_parts(strategy, decisions.NAMES, forecaster, {"ppo": policies})
    loaded = Bundle.from_files(bundle.to_files(), bundle.digest)
    sessions = days[588:606]
    rolled, _ = decisions.backtest(bundle, sessions, strategy)
    for index, decision in enumerate(decisions.decide_daily(loaded, sessions, rolled)):
        np.testing.assert_array_equal(decision.raw_weights, rolled.raw_weights[index])
        np.testing.assert_array_equal(decision.weights, rolled.weights[index])
    unsized = replace(bundle.rules, confidence_sizing="none")
    plain = replace(
        bundle, rules=unsized, policies={"ppo": tuple(replace(p, rules=unsized) for p in policies)}
    )
    tables = (decisions.BARS, decisions.ACTIONS, decisions.SERIES)
    free = decide(plain, *tables, {}, sessions[0])
    sized = decide(loaded, *tables, {}, sessions[0])
    assert (sized.raw_weights < free.raw_weights).all()
