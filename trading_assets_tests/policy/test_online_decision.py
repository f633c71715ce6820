"""Decisions from what was prepared before the bars came are those of the whole tables."""

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.encoder_specs import LstmEncoderSpec
from trading_assets.errors import DataError
from trading_assets.features.scrambling import FeatureInputs, scramble, truncate
from trading_assets.policy.decision import Account
from trading_assets.policy.online_decision import OnlineDecider
from trading_assets_tests.policy.online_tables import (
    DAYS,
    FIRST,
    HALTED,
    SYMBOLS,
    TABLES,
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
# LATE is listed on the thirteenth day, and a month begins on the ninth.
LISTED, MONTH = DAYS[12], DAYS[8]
UNHELD = "bars came of LATE, which was not held"
LIMITS = {
    "max_weight": 0.5,
    "max_gross": 0.9,
    "min_net": 0.2,
    "max_turnover": 0.15,
    "max_sector_gross": 0.45,
    "sectors": {"AAA": "one", "BBB": "one"},
}


def decide_all(bundle, days, symbols=None):
    """Decide each day by both paths; return the reasons for whole tables, and the decisions."""
    decider, reasons, decisions = None, [], []
    run = Days(bundle, days, symbols)
    for inputs in run:
        decider = OnlineDecider.prepare(inputs.asked, upto(inputs.session), decider)
        found = decider.decide_arrived(on(inputs.session), account_of(inputs))
        require_same(found.decision, whole(inputs))
        assert (found.path == "online") == (not found.why)
        run.settle(found.decision)
        reasons.append(found.why)
        decisions.append(found.decision)
    return reasons, decisions


def at(bundle, day, **changes):
    """Return the inputs of a decision on an account that was just opened."""
    (inputs,) = Days(bundle, [day])
    return replace(inputs, **changes)


@pytest.fixture(scope="module")
def forecaster():
    return train(strategy_of())


@pytest.fixture(scope="module")
def bundle(forecaster):
    return bundle_of(strategy_of(), forecaster)


def test_days_are_decided_at_once_as_on_whole_tables(bundle):
    reasons, decisions = decide_all(bundle, DAYS)
    assert [day for day, why in zip(DAYS, reasons, strict=True) if why] == [LISTED]
    assert reasons[DAYS.index(LISTED)].startswith(UNHELD)
    # Intervals learned, what is held moved, and LATE and OLD came and went.
    alphas = {decision.forecast_state["interval_alpha"] for decision in decisions}
    assert len(alphas) > 10
    assert len({decision.weights.tobytes() for decision in decisions}) == len(DAYS)
    may_hold = np.array([decision.tradable for decision in decisions])
    assert may_hold[:, 3].tolist() == [day > LISTED for day in DAYS]
    assert 0 < may_hold[:, 4].sum() < len(DAYS)
    assert may_hold.sum(axis=0)[:3].tolist() == [len(DAYS) - len(HALTED[s]) for s in SYMBOLS[:3]]


VARIANTS = {
    # Policy, forecast, candidate, risk and units of the members' memories.
    "windows": ({"window_bars": 6}, {}, "logistic", {}, (0, 0)),
    "remembering": ({"observed_account": ["drawdown"]}, {}, "prior", {}, (4, 0, 3)),
    "barriers": (
        {"confidence_sizing": "twice_confidence"},
        {"labels": "triple_barrier", "fractional_difference": True, "horizon_bars": 4},
        "logistic",
        {},
        (0,),
    ),
    "next_bar": (
        {"confidence_sizing": "none", "sizing": "constant_notional"},
        {"labels": "triple_barrier", "horizon_bars": 1, "principal_components": 3},
        "boosting",
        LIMITS,
        (0,),
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_kind_of_policy_and_forecast_is_decided_as_on_whole_tables(name):
    policy, forecast, served, risk, units = VARIANTS[name]
    strategy = strategy_of(policy, forecast, risk)
    encoder = LSTM if name == "windows" else None
    own = bundle_of(strategy, train(strategy, served), units, encoder)
    reasons, decisions = decide_all(own, DAYS[5:19])
    assert [why[: len(UNHELD)] for why in reasons if why] == [UNHELD]
    assert {len(memory) for memory in decisions[-1].carried} == {2 * count for count in units}
    if name == "next_bar":
        limits = "+".join(limit for each in decisions for limit in each.binding_limits)
        assert "max_turnover" in limits
    if name == "barriers":
        assert train_order(own) is not None


def train_order(bundle):
    from trading_assets.policy.loaded_bundle import read_forecaster

    return read_forecaster(bundle).models.transforms.fractional_order


@pytest.mark.parametrize("sizing", ["posterior_mean", "none"])
def test_policies_without_forecasts_are_decided_as_on_whole_tables(sizing):
    strategy = strategy_of({"uses_forecasts": False, "window_bars": 2, "confidence_sizing": sizing})
    reasons, decisions = decide_all(bundle_of(strategy, None), DAYS[6:11])
    assert reasons == [""] * 5
    assert decisions[0].forecasts.is_empty()
    assert decisions[0].forecast_state == {}


def test_each_session_may_be_prepared_from_its_tables_alone(bundle):
    run = Days(bundle, DAYS[7:14])
    for inputs in run:
        decider = OnlineDecider.prepare(inputs.asked, TABLES)
        assert decider.is_prepared
        found = decider.decide(inputs)
        require_same(found.decision, whole(inputs))
        assert found.path == ("batch" if inputs.session == LISTED else "online"), found.why
        run.settle(found.decision)
    assert DAYS[7] < MONTH < DAYS[13]


@pytest.mark.parametrize("missed", [3, 20, 23])
def test_sessions_that_were_missed_are_made_up_for(bundle, missed):
    first, last = at(bundle, DAYS[2]), DAYS[2 + missed]
    state = whole(first).forecast_state
    inputs = at(bundle, last, forecast_state=state)
    found = OnlineDecider.prepare(inputs.asked, upto(last)).decide(inputs)
    assert found.path == "online"
    require_same(found.decision, whole(inputs))


def test_what_came_true_of_bars_that_were_filled_in_later_is_learned(bundle):
    is_missing = (pl.col("symbol") == "BBB") & pl.col("session").is_in(DAYS[3:6])
    holed = replace(TABLES, bars=TABLES.bars.filter(~is_missing))
    run = Days(bundle, DAYS[:6], tables=holed)
    for inputs in run:
        decision = whole(inputs)
        run.settle(decision)
    state = decision.forecast_state
    assert {w["symbol"] for w in state["issued"][-5]["waiting"]} == {"BBB"}
    inputs = at(bundle, DAY, forecast_state=state)
    found = OnlineDecider.prepare(inputs.asked, upto(DAY)).decide(inputs)
    assert found.path == "online"
    require_same(found.decision, whole(inputs))


def test_a_close_that_was_decided_on_before_is_decided_on_whole_tables(bundle):
    state = whole(at(bundle, DAY)).forecast_state
    inputs = at(bundle, DAY, forecast_state=state)
    found = OnlineDecider.prepare(inputs.asked, upto(DAY)).decide(inputs)
    assert found.path == "batch"
    assert f"intervals go on from {DAY}" in found.why
    require_same(found.decision, whole(inputs))
    assert found.decision.forecast_state == state


def test_a_company_that_was_renamed_is_decided_on_under_its_name_now(bundle, forecaster):
    trained = tuple("OLDNAME" if name == "BBB" else name for name in SYMBOLS)
    own = bundle_of(strategy_of(), forecaster, symbols=trained)
    reasons, decisions = decide_all(own, DAYS[5:9], SYMBOLS)
    assert reasons == [""] * 4
    assert decisions[-1].symbols == SYMBOLS
    _, plain = decide_all(bundle, DAYS[5:6])
    np.testing.assert_array_equal(plain[0].raw_weights, decisions[0].raw_weights)


@pytest.mark.parametrize("place", [6, 8, 14])
def test_no_later_row_has_a_say(bundle, place):
    day = DAYS[place]
    inputs = at(bundle, day, forecast_state=whole(at(bundle, DAYS[3])).forecast_state)
    wanted = whole(replace(inputs, tables=truncate(TABLES, day)))
    for seed in range(2):
        rng = np.random.default_rng(seed)
        # Until the session another future is prepared on than comes with it.
        prepared = scramble(TABLES, DAYS[place - 1], rng)
        prepared = replace(prepared, actions=TABLES.actions.filter(pl.col("ex_date") < day))
        decider = OnlineDecider.prepare(inputs.asked, prepared)
        found = decider.decide(replace(inputs, tables=scramble(TABLES, day, rng)))
        assert found.path == "online", found.why
        require_same(found.decision, wanted)


def revised(tables, day, column="close"):
    is_one = (pl.col("session") == day) & (pl.col("symbol") == "AAA")
    moved = pl.when(is_one).then(pl.col(column) * 1.01).otherwise(column).alias(column)
    return replace(tables, bars=tables.bars.with_columns(moved))


def dividend(day):
    row = TABLES.actions.filter(pl.col("kind") == "dividend").head(1)
    return row.with_columns(pl.lit(day).alias("ex_date"), pl.lit("AAA").alias("symbol"))


def late_value(day):
    return TABLES.series.filter(pl.col("session") == day).with_columns(revision=pl.lit(7, pl.Int32))


DAY, EVE = DAYS[6], DAYS[5]
# What is asked for in place of what was prepared, and what the answer names.
MISFITS = {
    "an earlier bar": (lambda i: replace(i, tables=revised(i.tables, EVE)), "bars before"),
    "an old bar": (lambda i: replace(i, tables=revised(i.tables, DAYS[0])), "bars before"),
    "a late action": (
        lambda i: replace(
            i, tables=replace(i.tables, actions=pl.concat([i.tables.actions, dividend(EVE)]))
        ),
        "actions before",
    ),
    "a late value": (
        lambda i: replace(
            i, tables=replace(i.tables, series=pl.concat([i.tables.series, late_value(EVE)]))
        ),
        "series before",
    ),
    "another session": (lambda i: replace(i, session=DAYS[7]), "session .* is asked for"),
    "another bundle": (
        lambda i: replace(
            i,
            bundle=replace(i.bundle, policies={"ppo": i.bundle.policies["ppo"][:1]}),
            carried=None,
        ),
        "bundle .* is asked for",
    ),
    "other names": (lambda i: replace(i, symbols=("BBB", "AAA", *SYMBOLS[2:])), "symbols .* is"),
    "another state": (
        lambda i: replace(i, forecast_state=whole(at(i.bundle, EVE)).forecast_state),
        "another state",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_decided_on_whole_tables(bundle, name):
    change, why = MISFITS[name]
    inputs = at(bundle, DAY)
    decider = OnlineDecider.prepare(inputs.asked, upto(DAY))
    asked = change(inputs)
    found = decider.decide(asked)
    assert found.path == "batch"
    assert re.search(why, found.why)
    require_same(found.decision, whole(asked))
    # Nothing was used up by it.
    again = decider.decide(inputs)
    assert again.path == "online"
    require_same(again.decision, whole(inputs))


def merged(arrived):
    """Return the tables in which what arrived takes the place of rows with its key."""
    known = upto(DAY)
    return FeatureInputs(
        pl.concat([known.bars, arrived.bars]).unique(["symbol", "session"], keep="last"),
        pl.concat([TABLES.actions.filter(pl.col("ex_date") <= DAY), arrived.actions]).unique(),
        pl.concat([known.series, arrived.series]),
    )


def test_rows_that_revise_earlier_ones_take_their_place_on_whole_tables(bundle):
    arrived = on(DAY)
    inputs = at(bundle, DAY)
    plain, changed = whole(inputs), []
    for more in (
        replace(arrived, bars=pl.concat([arrived.bars, revised(on(EVE), EVE).bars])),
        replace(arrived, actions=pl.concat([arrived.actions, dividend(EVE)])),
        replace(arrived, series=pl.concat([arrived.series, late_value(EVE)])),
    ):
        decider = OnlineDecider.prepare(inputs.asked, upto(DAY))
        found = decider.decide_arrived(more, account_of(inputs))
        assert (found.path, found.why.split(" came")[0][-10:]) == ("batch", str(EVE))
        require_same(found.decision, whole(replace(inputs, tables=merged(more))))
        changed.append((plain.raw_weights != found.decision.raw_weights).any())
    assert changed[0]


def test_an_action_that_was_announced_counts_once(bundle):
    day = next(d for d in DAYS if d.isoformat() == "2006-06-06")
    inputs = at(bundle, day)
    assert len(upto(day).actions.filter(pl.col("ex_date") == day)) == 1
    assert len(on(day).actions) == 2
    found = OnlineDecider.prepare(inputs.asked, upto(day)).decide_arrived(
        on(day), account_of(inputs)
    )
    assert found.path == "online"
    require_same(found.decision, whole(inputs))


def test_a_session_is_decided_at_once_only_once(bundle):
    inputs = at(bundle, DAY)
    decider = OnlineDecider.prepare(inputs.asked, upto(DAY))
    paths = [decider.decide(inputs) for _ in range(2)]
    assert [found.path for found in paths] == ["online", "batch"]
    assert paths[1].why == "the session was decided before"
    require_same(paths[1].decision, paths[0].decision)


@pytest.mark.parametrize("place", [1, -40])
def test_features_are_gone_on_from_only_on_the_tables_they_knew(bundle, place):
    first = at(bundle, EVE)
    decider = OnlineDecider.prepare(first.asked, upto(EVE))
    state = decider.decide(first).decision.forecast_state
    tables = revised(TABLES, DAYS[5] if place == 1 else TABLES.bars["session"].unique()[FIRST - 40])
    inputs = at(bundle, DAY, forecast_state=state, tables=tables)
    found = OnlineDecider.prepare(inputs.asked, tables, decider).decide(inputs)
    assert found.path == "online"
    require_same(found.decision, whole(inputs))


def test_what_cannot_be_decided_is_refused_as_by_whole_tables(bundle):
    inputs = at(bundle, DAY)

    def decider(asked=inputs.asked):
        return OnlineDecider.prepare(asked, upto(DAY))

    arrived, account = on(DAY), account_of(inputs)
    with pytest.raises(DataError, match="no symbol has a validated bar"):
        decider().decide_arrived(replace(arrived, bars=arrived.bars.clear()), account)
    twice = pl.concat([arrived.bars, arrived.bars.head(1)])
    with pytest.raises(DataError, match="expected one bar a session"):
        decider().decide(replace(inputs, tables=merged_twice(twice)))
    with pytest.raises(DataError, match="ZZZ"):
        decider().decide_arrived(arrived, Account({"ZZZ": 0.1}))
    seen = replace(inputs.asked, session=DAYS[0] - timedelta(days=60))
    early = OnlineDecider.prepare(seen, upto(seen.session))
    assert not early.is_prepared
    with pytest.raises(DataError, match="was asked of a forecaster trained up to"):
        early.decide(replace(inputs, session=seen.session))


def merged_twice(bars):
    return replace(TABLES, bars=pl.concat([upto(DAY).bars, bars]))


def test_a_bundle_for_later_fills_is_not_prepared_and_refused(bundle):
    rules = replace(bundle.rules, latency_bars=2)
    inputs = at(bundle, DAY)
    late = replace(inputs.asked, bundle=LateBundle(rules, bundle))
    decider = OnlineDecider.prepare(late, upto(DAY))
    assert not decider.is_prepared


class LateBundle:
    """A bundle whose rules are of a later fill."""

    def __init__(self, rules, bundle):
        self.rules, self.features, self.digest = rules, bundle.features, bundle.digest
