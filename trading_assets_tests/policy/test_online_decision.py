"""Decisions from what was prepared before the bars came are those of the whole tables."""

import pytest

from trading_assets.encoder_specs import LstmEncoderSpec
from trading_assets.policy.online_decision import OnlineDecider
from trading_assets_tests.policy.online_tables import (
    DAYS,
    Days,
    account_of,
    bundle_of,
    on,
    require_same,
    strategy_of,
    train,
    upto,
    whole,
)

LSTM = LstmEncoderSpec(kind="lstm", hidden_units=3)
# LATE is listed on the first of these that is decided on whole tables.
LISTED = DAYS[12]


def decide_all(bundle, days, symbols=None):
    """Decide each day by both paths; return the paths taken and the decisions."""
    decider, paths, decisions = None, [], []
    run = Days(bundle, days, symbols)
    for inputs in run:
        decider = OnlineDecider.prepare(inputs.asked, upto(inputs.session), decider)
        found = decider.decide_arrived(on(inputs.session), account_of(inputs))
        require_same(found.decision, whole(inputs))
        run.settle(found.decision)
        paths.append((found.path, found.why))
        decisions.append(found.decision)
    return paths, decisions


@pytest.fixture(scope="module")
def forecaster():
    return train(strategy_of())


def test_days_are_decided_at_once_as_on_whole_tables(forecaster):
    bundle = bundle_of(strategy_of(), forecaster)
    paths, decisions = decide_all(bundle, DAYS)
    print([p for p in paths])
    assert len(decisions) > 30
