"""Decisions on the intervals that forecasts go on from, session by session."""

import json

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.train import train_forecaster
from trading_assets.paper.account_memory import MEMORY, memory_after, memory_before
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.decision import decide, decide_by_fallback
from trading_assets.policy.decision_rules import FORECAST_INPUTS, declared_rules
from trading_assets_tests.policy.tasks import make_policy
from trading_assets_tests.policy.test_decision import (
    ACTIONS,
    BARS,
    DAYS,
    KNOWN,
    NAMES,
    SERIES,
    STRATEGY,
    SYMBOLS,
    backtest,
    decide_daily,
)

FIRST = 571
LIMITS = ("interval_low", "interval_high", "prediction_set", "abstains")


@pytest.fixture(scope="module")
def forecaster():
    return train_forecaster(
        KNOWN, DAYS[300:520], DAYS[520:570], STRATEGY.forecast, NAMES, candidates=["logistic"]
    )


def bundle_of(forecaster, seeds=2):
    policies = {"ppo": [make_policy(STRATEGY, SYMBOLS, seed) for seed in range(seeds)]}
    return Bundle.from_parts(STRATEGY, NAMES, forecaster, policies)


@pytest.fixture(scope="module")
def bundle(forecaster):
    return bundle_of(forecaster)


@pytest.fixture(scope="module")
def year(forecaster):
    """Forecasts of all sessions after training in one run."""
    return forecaster.predict(KNOWN, DAYS[FIRST:])


def on(table, session):
    return table.filter(pl.col("session") == session)


def decide_at(bundle, session, state=None):
    return decide(bundle, BARS, ACTIONS, SERIES, {}, session, forecast_state=state)


def as_json(state):
    return json.loads(json.dumps(state))


@pytest.fixture(scope="module")
def first(bundle):
    """The state after the first ten sessions."""
    state = None
    for session in DAYS[FIRST : FIRST + 10]:
        state = as_json(decide_at(bundle, session, state).forecast_state)
    return state


def test_policies_see_the_intervals_of_a_backtest_only_on_the_state_carried(
    bundle, forecaster, year
):
    # Up to a session whose interval is another one when it starts anew.
    moved = [s for s in DAYS[590:612] if not forecaster.predict(KNOWN, [s]).equals(on(year, s))]
    sessions = DAYS[FIRST : DAYS.index(moved[-1]) + 1]
    rolled, _ = backtest(bundle, sessions)
    decisions = list(decide_daily(bundle, sessions, rolled))
    for index, decision in enumerate(decisions):
        assert decision.forecasts.equals(on(year, sessions[index]))
        np.testing.assert_array_equal(decision.raw_weights, rolled.raw_weights[index])
    seen_otherwise = False
    for index, session in enumerate(sessions[-9:], start=len(sessions) - 9):
        anew = decide_at(bundle, session)
        assert anew.forecasts.drop(LIMITS).equals(on(year, session).drop(LIMITS))
        assert not anew.forecasts.equals(on(year, session))
        carried = decide_at(bundle, session, decisions[index - 1].forecast_state)
        seen_otherwise |= bool((anew.raw_weights != carried.raw_weights).any())
    assert seen_otherwise
    assert "interval_over_sigma" in FORECAST_INPUTS


@pytest.mark.parametrize("missed", [1, 5, 21])
def test_intervals_go_on_after_sessions_without_a_decision(bundle, year, first, missed):
    session = DAYS[FIRST + 10 + missed]
    decision = decide_at(bundle, session, first)
    assert decision.forecasts.equals(on(year, session))
    after = decide_at(bundle, DAYS[FIRST + 11 + missed], as_json(decision.forecast_state))
    assert after.forecasts.equals(on(year, DAYS[FIRST + 11 + missed]))


def test_intervals_start_anew_after_more_than_21_sessions(bundle, forecaster, year, first):
    session = DAYS[FIRST + 10 + 22]
    decision = decide_at(bundle, session, first)
    assert decision.forecasts.equals(forecaster.predict(KNOWN, [session]))
    assert not decision.forecasts.equals(on(year, session))
    assert decision.forecast_state == decide_at(bundle, session).forecast_state


def test_a_session_decided_again_has_the_intervals_it_was_issued_with(bundle, year, first):
    again = decide_at(bundle, DAYS[FIRST + 9], first)
    assert again.forecasts.equals(on(year, DAYS[FIRST + 9]))
    assert as_json(again.forecast_state) == first


def test_a_state_that_is_none_is_refused(bundle, first):
    with pytest.raises(DataError, match="conformal state: interval_alpha is wrong"):
        decide_at(bundle, DAYS[FIRST + 10], {**first, "interval_alpha": "wide"})


def test_a_policy_without_forecasts_carries_no_state():
    policy = STRATEGY.policy.model_copy(update={"uses_forecasts": False})
    strategy = STRATEGY.model_copy(update={"policy": policy})
    blind = Bundle.from_parts(strategy, NAMES, None, {"ppo": [make_policy(strategy, SYMBOLS)]})
    assert decide_at(blind, DAYS[FIRST]).forecast_state == {}
    assert memory_before(None, blind).to_summary() == {}


def remembered(bundle, first, is_settled=True):
    """Return a record's summary that keeps a state."""
    summary = as_json(memory_before(None, bundle).to_summary((), first))
    return memory_after(summary, 0.01, 0.1) if is_settled else summary


@pytest.mark.parametrize("is_settled", [True, False])
def test_a_record_keeps_the_state_whether_or_not_it_was_settled(bundle, first, is_settled):
    # Intervals learn from returns of the market and not from those of the account.
    memory = memory_before(remembered(bundle, first, is_settled), bundle)
    assert memory.forecast_state == first


def test_the_state_of_another_bundle_is_not_taken(bundle, forecaster, first):
    summary = remembered(bundle, first)
    assert memory_before(summary, bundle_of(forecaster, 3)).forecast_state == {}
    assert summary[MEMORY]["bundle"] == bundle.digest


def test_a_fallback_session_in_between_drops_the_state(bundle, forecaster, first):
    rules = declared_rules(STRATEGY, SYMBOLS)
    decision = decide_by_fallback("equal_weight", rules, BARS, {}, DAYS[FIRST + 10])
    summary = memory_after(dict(decision.remembered), 0.01, 0.1)
    memory = memory_before(summary, bundle)
    assert memory.forecast_state == {}
    session = DAYS[FIRST + 11]
    after = decide_at(bundle, session, memory.forecast_state)
    assert after.forecasts.equals(forecaster.predict(KNOWN, [session]))
    assert first["session"] < str(session)


@pytest.fixture(scope="module")
def started(forecaster):
    """A bundle that keeps the state after the first five sessions."""
    state = forecaster.forecast(KNOWN, DAYS[FIRST : FIRST + 5]).state.to_json()
    policies = {"ppo": [make_policy(STRATEGY, SYMBOLS)]}
    bundle = Bundle.from_parts(STRATEGY, NAMES, forecaster, policies, None, state)
    return Bundle.from_files(bundle.to_files(), bundle.digest)


@pytest.mark.parametrize("missed", [0, 21])
def test_the_first_decision_goes_on_from_the_state_of_the_bundle(started, year, first, missed):
    session = DAYS[FIRST + 5 + missed]
    decision = decide_at(started, session)
    assert decision.forecasts.equals(on(year, session))
    # Later ones go on from their own, and so does one after a night of the fallback.
    late = DAYS[FIRST + 10]
    assert decide_at(started, late, first).forecasts.equals(on(year, late))
    assert decide_at(started, late, {}).forecasts.equals(on(year, late))
    assert decision.forecast_state["session"] == str(session)


def test_the_state_of_an_old_bundle_is_not_taken(started, forecaster):
    session = DAYS[FIRST + 5 + 22]
    assert decide_at(started, session).forecasts.equals(forecaster.predict(KNOWN, [session]))


def test_the_state_of_a_bundle_is_renamed_with_its_companies(started, year):
    session = DAYS[FIRST + 5]
    named = {"AAA": "AAZ", "BBB": "BBZ", "CCC": "CCZ"}
    bars, actions = (
        table.with_columns(pl.col("symbol").replace(named)) for table in (BARS, ACTIONS)
    )
    symbols = list(named.values())
    decision = decide(started, bars, actions, SERIES, {}, session, symbols)
    control = decide_at(started, session)
    expected = control.forecasts.with_columns(pl.col("symbol").replace(named))
    assert decision.forecasts.equals(expected)
    # What ended by that close has taught alike under both names.
    for key in ("interval_alpha", "set_alpha", "interval_scores", "set_scores"):
        assert decision.forecast_state[key] == control.forecast_state[key]
    waiting = {w["symbol"] for each in decision.forecast_state["issued"] for w in each["waiting"]}
    assert waiting == {"AAZ", "BBZ"}
    assert control.forecasts.equals(on(year, session))


def test_a_bundle_of_files_goes_on_with_the_same_state(bundle, year, first):
    loaded = Bundle.from_files(bundle.to_files(), bundle.digest)
    decision = decide_at(loaded, DAYS[FIRST + 10], first)
    assert decision.forecasts.equals(on(year, DAYS[FIRST + 10]))
    assert Forecaster.from_files(dict(loaded.forecaster_files)).served == "logistic"
