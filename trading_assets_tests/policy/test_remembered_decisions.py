"""Decisions of a session on what is remembered of its account."""

import json

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.features.compute import compute_features
from trading_assets.policy.bundle import Bundle
from trading_assets.policy.decision import decide
from trading_assets.policy.rollout import roll_policy
from trading_assets.simulation.core import held_weights
from trading_assets.simulation.market import build_market
from trading_assets.simulation.trackers.remembered import remember_bar, remember_nothing
from trading_assets_tests.policy.tasks import make_policy, make_strategy, no_forecasts
from trading_assets_tests.policy.test_decision import (
    ACTIONS,
    BARS,
    DAYS,
    NAMES,
    SERIES,
    SPEC,
    SYMBOLS,
)

# Around the split of a symbol on day 600.
SESSIONS = DAYS[592:606]
STRATEGY = make_strategy(
    features={"names": NAMES},
    policy={
        "observed_features": ["log_return_5", "ewma_volatility"],
        "uses_forecasts": False,
        "reward": {"kind": "multi_objective", "preference": {"return": 3, "drawdown": 1}},
        "observed_account": ["recent_turnover", "trailing_return", "bars_since_trade"],
    },
)


@pytest.fixture(scope="module")
def bundle():
    policies = {"ppo": [make_policy(STRATEGY, SYMBOLS, seed) for seed in range(2)]}
    return Bundle.from_files(Bundle.from_parts(STRATEGY, NAMES, None, policies).to_files())


def test_day_by_day_decisions_on_carried_states_are_the_weights_of_the_rollout(bundle):
    market = build_market(BARS, ACTIONS, SYMBOLS, DAYS)
    features = compute_features(BARS, ACTIONS, SERIES, SPEC, SESSIONS)
    members = bundle.members
    rolled = roll_policy(members, market, features, no_forecasts(), SESSIONS, STRATEGY)
    cards = bundle.rules.trackers
    assert [card.name for card in cards][:2] == ["preference", "drawdown"]
    remembered, held = remember_nothing(cards), {}
    for index, session in enumerate(SESSIONS):
        stored = json.loads(json.dumps(remembered))
        decision = decide(bundle, BARS, ACTIONS, SERIES, held, session, remembered=stored)
        np.testing.assert_allclose(decision.weights, rolled.weights[index], atol=1e-6)
        step = rolled.steps[index]
        before = float(step.equity_before[0])
        traded = float(np.abs(step.trade * step.fill_price).sum()) / before
        net_return = float(step.equity[0]) / before - 1.0
        remembered = remember_bar(cards, remembered, net_return, traded)
        weights = held_weights(step.books, "equity", 1.0)[0].tolist()
        held = dict(zip(SYMBOLS, weights, strict=True))
    blank = decide(bundle, BARS, ACTIONS, SERIES, held, session, remembered=remember_nothing(cards))
    assert (np.abs(blank.raw_weights - decision.raw_weights) > 1e-3).any()


def test_a_policy_that_observes_trackers_does_not_decide_without_their_states(bundle):
    with pytest.raises(DataError, match="observes preference, drawdown, recent_turnover"):
        decide(bundle, BARS, ACTIONS, SERIES, {}, SESSIONS[0])
