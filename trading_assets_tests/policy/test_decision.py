import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.encoder_specs import LstmEncoderSpec
from trading_assets.errors import DataError
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.compute import compute_features
from trading_assets.forecast.forecaster import Forecaster
from trading_assets.forecast.tables import ForecastTables
from trading_assets.forecast.train import train_forecaster
from trading_assets.paper.account_memory import memory_after, memory_before
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.decision import decide, decide_by_fallback, decide_fallback
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.rollout import roll_policy
from trading_assets.rebalance_specs import NoTradeBandSpec, WeeklySpec
from trading_assets.risk.limits import WeightLimits
from trading_assets.risk_specs import RiskSpec
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.core import held_weights
from trading_assets.simulation.market import build_market
from trading_assets_tests.policy.tasks import make_policy, make_strategy

SYMBOLS = ("AAA", "BBB", "CCC")
LSTM = LstmEncoderSpec(kind="lstm", hidden_units=3)
# Seeds, and units of their memories.
MIXED = ((0, 4), (1, 0), (2, 3))
NAMES = ("log_return_1", "log_return_5", "ewma_volatility")
START = date(2018, 1, 1)


def weekdays(count):
    days = [START + timedelta(days=k) for k in range(2 * count)]
    return [day for day in days if day.weekday() < 5][:count]


def make_tables(count=640, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for symbol in SYMBOLS:
        close = 50.0
        for index, day in enumerate(weekdays(count)):
            opened = close * np.exp(rng.normal(0, 0.004))
            close = opened * np.exp(rng.normal(3e-4, 0.015))
            # A split of AAA on a known day; CCC lists late.
            if symbol == "AAA" and index == 600:
                opened, close = opened / 2, close / 2
            if symbol == "CCC" and index < 590:
                continue
            known = datetime(day.year, day.month, day.day, 21, 15, tzinfo=UTC)
            rows.append(
                {
                    "symbol": symbol,
                    "session": day,
                    "event_time": known - timedelta(minutes=15),
                    "knowledge_time": known,
                    "revision": 0,
                    "feed": "test",
                    "open": opened,
                    "high": max(opened, close) * 1.001,
                    "low": min(opened, close) * 0.999,
                    "close": close,
                    "volume": 1e6,
                }
            )
    schema = {c.name: c.dtype for c in TABLES["validated_bars"].columns}
    bars = pl.DataFrame(rows, schema=schema)
    split_day = weekdays(count)[600]
    action = {
        "symbol": "AAA",
        "ex_date": split_day,
        "kind": "split",
        "split_ratio": 2.0,
        "cash_usd": 0.0,
        "knowledge_time": datetime(split_day.year, split_day.month, split_day.day, tzinfo=UTC),
        "origin": "test",
        "new_symbol": None,
    }
    schema = {c.name: c.dtype for c in TABLES["corporate_actions"].columns}
    return conform("validated_bars", bars), pl.DataFrame([action], schema=schema)


BARS, ACTIONS = make_tables()
SERIES = TABLES["series"].empty()
DAYS = weekdays(640)
SPEC = FeaturesSpec(names=NAMES)
FEATURES = compute_features(BARS, ACTIONS, SERIES, SPEC, DAYS)
KNOWN = ForecastTables(FEATURES, BARS, ACTIONS)
STRATEGY = make_strategy(
    features={"names": NAMES},
    forecast={"window_bars": 12, "network": "small", "members": 2, "epochs": 1},
    # Weights as they are wanted: those by the confidence of forecasts are tested where that is.
    policy={
        "observed_features": ["log_return_5", "ewma_volatility"],
        "confidence_sizing": "none",
    },
)


@pytest.fixture(scope="module")
def bundle():
    forecaster = train_forecaster(KNOWN, DAYS[300:520], DAYS[520:570], STRATEGY.forecast, NAMES)
    policies = {"ppo": [make_policy(STRATEGY, SYMBOLS, seed) for seed in range(3)]}
    return Bundle.from_parts(STRATEGY, NAMES, forecaster, policies)


def forecaster_of(bundle):
    return Forecaster.from_files(dict(bundle.forecaster_files))


def backtest(bundle, sessions, strategy=STRATEGY, earlier=0):
    """Return a bundle's rollout, and the forecasts that it was shown."""
    first = DAYS.index(sessions[0]) - earlier
    shown = DAYS[first : DAYS.index(sessions[-1]) + 1]
    forecasts = forecaster_of(bundle).predict(KNOWN, shown)
    market = build_market(BARS, ACTIONS, SYMBOLS, DAYS)
    return roll_policy(bundle.members, market, FEATURES, forecasts, sessions, strategy), forecasts


def decide_daily(bundle, sessions, rolled, summary=None):
    """Decide session after session; memory travels as a record's summary keeps it, in JSON."""
    for index, session in enumerate(sessions):
        memory = memory_before(summary, bundle)
        following = DAYS[DAYS.index(session) + 1]
        decision = decide(
            bundle,
            BARS,
            ACTIONS,
            SERIES,
            account_at(rolled, index),
            session,
            None,
            memory.states,
            memory.carried,
            memory.forecast_state,
            following.isocalendar().week != session.isocalendar().week,
        )
        decided = memory.to_summary(decision.carried, decision.forecast_state)
        summary = memory_after(json.loads(json.dumps(decided)), 0.01, 0.1)
        yield decision


@pytest.fixture(scope="module")
def rolled(bundle):
    return backtest(bundle, DAYS[585:620])[0]


def account_at(rolled, index):
    if index == 0:
        return {}
    books = rolled.steps[index - 1].books
    return dict(zip(SYMBOLS, held_weights(books, "equity", 1.0)[0].tolist(), strict=True))


def test_day_by_day_decisions_are_the_weights_of_the_backtest(bundle, rolled):
    # Across the late listing, the split and a change of month.
    loaded, sessions = Bundle.from_files(bundle.to_files()), DAYS[585:620]
    forecasts = forecaster_of(bundle).predict(KNOWN, sessions)
    for index, decision in enumerate(decide_daily(loaded, sessions, rolled)):
        np.testing.assert_array_equal(decision.weights, rolled.weights[index])
        np.testing.assert_array_equal(decision.raw_weights, rolled.raw_weights[index])
        assert decision.decided_by == bundle.digest
        assert decision.forecasts.equals(forecasts.filter(pl.col("session") == sessions[index]))
    assert (rolled.weights[:5, 2] == 0.0).all()
    assert (rolled.weights[-1, 2] > 0.0).all()


def test_decisions_with_unequal_weights_are_the_weights_of_the_backtest(bundle):
    weights = {"ppo/seed-0": 0.05, "ppo/seed-1": 0.8, "ppo/seed-2": 0.15}
    weighted = replace(bundle, ensemble_rule="exponentiated_gradient", weights=weights)
    loaded = Bundle.from_files(weighted.to_files(), weighted.digest)
    sessions = DAYS[585:600]
    rolled, _ = backtest(weighted, sessions)
    plain, _ = backtest(bundle, sessions)
    for index, decision in enumerate(decide_daily(loaded, sessions, rolled)):
        np.testing.assert_array_equal(decision.weights, rolled.weights[index])
        np.testing.assert_array_equal(decision.raw_weights, rolled.raw_weights[index])
        assert decision.decided_by == weighted.digest != bundle.digest
    assert (rolled.raw_weights != plain.raw_weights).any(axis=1).all()


@pytest.mark.parametrize(
    ("bars", "encoder"), [(6, None), (6, LSTM), (25, None)], ids=["flat", "lstm", "long"]
)
def test_decisions_on_windows_are_the_weights_of_the_backtest(bundle, bars, encoder):
    policy = STRATEGY.policy.model_copy(update={"window_bars": bars})
    strategy = STRATEGY.model_copy(update={"policy": policy})
    policies = [make_policy(strategy, SYMBOLS, seed, encoder=encoder) for seed in range(2)]
    shown = Bundle.from_parts(strategy, NAMES, forecaster_of(bundle), {"ppo": policies})
    loaded = Bundle.from_files(shown.to_files(), shown.digest)
    # Across the late listing or what is shown of it, and the split.
    sessions = DAYS[582 + bars : 606 + bars]
    rolled, forecasts = backtest(shown, sessions, strategy, bars - 1)
    for index, decision in enumerate(decide_daily(loaded, sessions, rolled)):
        np.testing.assert_array_equal(decision.raw_weights, rolled.raw_weights[index])
        np.testing.assert_array_equal(decision.weights, rolled.weights[index])
        assert decision.forecasts.equals(forecasts.filter(pl.col("session") == sessions[index]))


RULES = {
    "weekly": WeeklySpec(kind="weekly"),
    "edge": NoTradeBandSpec(kind="no_trade_band", band=0.03, trade_to="edge"),
    "target": NoTradeBandSpec(kind="no_trade_band", band=0.03, trade_to="target"),
}


@pytest.mark.parametrize("rule", RULES)
def test_decisions_under_a_rebalance_rule_are_the_weights_of_the_backtest(bundle, rule):
    strategy = STRATEGY.model_copy(update={"rebalance": RULES[rule]})
    policies = [make_policy(strategy, SYMBOLS, seed) for seed in range(2)]
    ruled = Bundle.from_parts(strategy, NAMES, forecaster_of(bundle), {"ppo": policies})
    loaded = Bundle.from_files(ruled.to_files(), ruled.digest)
    sessions = DAYS[585:606]
    rolled, _ = backtest(ruled, sessions, strategy)
    held_back = []
    for index, decision in enumerate(decide_daily(loaded, sessions, rolled)):
        np.testing.assert_array_equal(decision.raw_weights, rolled.raw_weights[index])
        np.testing.assert_array_equal(decision.weights, rolled.weights[index])
        held_back.append(any("rebalance" in name for name in decision.binding_limits))
    assert sum(held_back) > 0
    traded = [np.abs(step.trade).sum() > 0.0 for step in rolled.steps]
    if rule == "weekly":
        begins = [DAYS[DAYS.index(day) + 1].weekday() == 0 for day in sessions]
        assert [not named for named in held_back] == begins
        assert np.array(traded)[begins].all()


def test_a_weekly_decision_needs_to_know_whether_a_week_begins(bundle):
    strategy = STRATEGY.model_copy(update={"rebalance": RULES["weekly"]})
    rules = declared_rules(strategy, SYMBOLS)
    with pytest.raises(DataError, match="begins_week was missing at the close of"):
        decide_by_fallback("equal_weight", rules, BARS, {}, DAYS[580])
    assert not decide_by_fallback("equal_weight", rules, BARS, {}, DAYS[580], False).weights.any()
    policies = [make_policy(strategy, SYMBOLS, seed) for seed in range(2)]
    ruled = Bundle.from_parts(strategy, NAMES, forecaster_of(bundle), {"ppo": policies})
    with pytest.raises(DataError, match="begins_week was missing at the close of"):
        decide(ruled, BARS, ACTIONS, SERIES, {}, DAYS[585])


def test_decisions_of_policies_that_remember_are_the_weights_of_the_backtest(bundle):
    forecaster = forecaster_of(bundle)
    policies = [make_policy(STRATEGY, SYMBOLS, seed, memory_units=units) for seed, units in MIXED]
    remembering = Bundle.from_parts(STRATEGY, NAMES, forecaster, {"ppo": policies})
    sessions = DAYS[585:600]
    rolled, _ = backtest(remembering, sessions)
    for index, decision in enumerate(decide_daily(remembering, sessions, rolled)):
        np.testing.assert_array_equal(decision.raw_weights, rolled.raw_weights[index])
    held, session = account_at(rolled, len(sessions) - 1), sessions[-1]
    state = decision.forecast_state
    forgetful = decide(remembering, BARS, ACTIONS, SERIES, held, session, forecast_state=state)
    assert (forgetful.raw_weights != rolled.raw_weights[-1]).any()
    # Another bundle's members know nothing of the account.
    summary = memory_before(None, remembering).to_summary(decision.carried, state)
    summary = memory_after(summary, 0.01, 0.1)
    assert memory_before(summary, remembering).carried == decision.carried
    other = Bundle.from_parts(STRATEGY, NAMES, forecaster, {"ppo": policies[:2]})
    assert memory_before(summary, other).carried == [[0.0] * 8, []]
    with pytest.raises(DataError, match=r"expected as many finite numbers as \[8, 0, 6\]"):
        decide(remembering, BARS, ACTIONS, SERIES, held, session, None, {}, [[0.0], [], [0.0]])


def test_decisions_under_every_limit_are_the_weights_of_the_backtest(bundle):
    risk = {
        "max_weight": 0.5,
        "max_gross": 0.9,
        "min_net": 0.2,
        "max_net": 0.7,
        "max_sector_gross": 0.45,
        "max_turnover": 0.15,
        "sectors": {"AAA": "one", "BBB": "one"},
    }
    strategy = STRATEGY.model_copy(update={"risk": RiskSpec.model_validate(risk)})
    policies = [make_policy(strategy, SYMBOLS, seed) for seed in range(3)]
    limited = Bundle.from_parts(strategy, NAMES, forecaster_of(bundle), {"ppo": policies})
    sessions = DAYS[585:597]
    rolled, _ = backtest(limited, sessions, strategy)
    named = set()
    for index, decision in enumerate(decide_daily(limited, sessions, rolled)):
        held = account_at(rolled, index)
        np.testing.assert_array_equal(decision.weights, rolled.weights[index])
        turnover = np.abs(decision.weights - [held.get(s, 0.0) for s in SYMBOLS])
        assert turnover[decision.tradable].sum() <= 0.2 + 1e-12
        named.update("+".join(decision.binding_limits).split("+"))
    assert {"max_turnover", "max_sector_gross"} <= named


def test_bars_after_the_session_change_no_decision(bundle, rolled):
    session = DAYS[599]
    held = account_at(rolled, 14)
    full = decide(bundle, BARS, ACTIONS, SERIES, held, session)
    upto = decide(
        bundle,
        BARS.filter(pl.col("session") <= session),
        ACTIONS.clear(),
        SERIES,
        held,
        session,
    )
    np.testing.assert_array_equal(full.weights, upto.weights)
    assert full.forecasts.equals(upto.forecasts)


def test_a_decision_depends_on_what_is_held(bundle):
    flat = decide(bundle, BARS, ACTIONS, SERIES, {}, DAYS[610])
    full = decide(bundle, BARS, ACTIONS, SERIES, {"AAA": 0.5, "BBB": 0.4}, DAYS[610])
    assert (flat.raw_weights != full.raw_weights).any()


def test_a_held_symbol_outside_the_bundle_is_refused(bundle):
    with pytest.raises(DataError, match="ZZZ"):
        decide(bundle, BARS, ACTIONS, SERIES, {"ZZZ": 0.1}, DAYS[610])


def test_a_session_without_bars_is_refused(bundle):
    with pytest.raises(DataError, match="no symbol has a validated bar"):
        decide(bundle, BARS, ACTIONS, SERIES, {}, DAYS[610] + timedelta(days=400))


def test_each_changed_weight_names_its_limit(bundle):
    decision = decide(bundle, BARS, ACTIONS, SERIES, {}, DAYS[620])
    for raw, weight, name in zip(
        decision.raw_weights, decision.weights, decision.binding_limits, strict=True
    ):
        assert (name != "") == (abs(raw - weight) > 1e-12)


def test_equal_weight_spreads_over_tradable_symbols_within_limits():
    limits = WeightLimits(0.4, 0.9, is_long_only=True)
    tradable = np.array([True, True, False, True])
    weights = decide_fallback("equal_weight", tradable, limits)
    np.testing.assert_allclose(weights, [0.3, 0.3, 0.0, 0.3])
    assert (decide_fallback("cash", tradable, limits) == 0.0).all()
    assert (decide_fallback("equal_weight", np.zeros(4, dtype=bool), limits) == 0.0).all()


def test_a_fallback_decision_says_who_decided():
    rules = declared_rules(STRATEGY, SYMBOLS)
    before = decide_by_fallback("equal_weight", rules, BARS, {}, DAYS[580])
    np.testing.assert_allclose(before.weights, [0.45, 0.45, 0.0])
    assert before.decided_by == "equal_weight"
    assert before.binding_limits == ("max_gross", "max_gross", "")
    # On its first session CCC cannot be held: nothing is known of its volatility.
    assert decide_by_fallback("equal_weight", rules, BARS, {}, DAYS[590]).weights[2] == 0.0
    assert decide_by_fallback("equal_weight", rules, BARS, {}, DAYS[591]).weights[2] > 0.0


def test_a_fallback_goes_from_what_is_held_as_far_as_turnover_allows():
    risk = RiskSpec(max_weight=0.5, max_gross=0.9, max_turnover=0.2)
    rules = declared_rules(STRATEGY.model_copy(update={"risk": risk}), SYMBOLS)
    held = {"AAA": 0.3, "BBB": 0.3}
    decision = decide_by_fallback("equal_weight", rules, BARS, held, DAYS[580])
    np.testing.assert_allclose(decision.weights, [0.4, 0.4, 0.0])
    assert decision.binding_limits == ("max_turnover", "max_turnover", "")
