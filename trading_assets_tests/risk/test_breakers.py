import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from trading_assets.errors import DataError, UserError
from trading_assets.risk.breaker_limits import BreakerLimits
from trading_assets.risk.breaker_texts import breaker_texts, read_breakers
from trading_assets.risk.breakers import BreakerState, Counts, Observations, evaluate
from trading_assets.risk_specs import BreakersSpec

D = Decimal
NOW = datetime(2026, 1, 5, 15, tzinfo=UTC)
LIMITS = BreakerLimits(
    max_daily_loss_pct=D(2),
    max_equity_jump_pct=D(10),
    max_order_reject_rate_pct=D(10),
    max_error_rate_pct=D(5),
    min_rated_count=20,
    max_model_age_sessions=D(30),
    max_feed_age_seconds=D("90.5"),
)
FRESH = BreakerState()
NAMES = {
    "max_daily_loss_pct",
    "max_equity_jump_pct",
    "max_order_reject_rate_pct",
    "max_error_rate_pct",
    "max_model_age_sessions",
    "max_feed_age_seconds",
}


def seen(minutes: int = 0, **values: Any) -> Observations:
    return Observations(NOW + timedelta(minutes=minutes), **values)


def tripped_by(before: BreakerState = FRESH, limits: BreakerLimits = LIMITS, **v: Any) -> set[str]:
    return {*evaluate(seen(**v), limits, before).trips}


def equities(now: str, first: str = "1000") -> dict[str, Any]:
    return {"equity_usd": D(now), "session_equity_usd": D(first)}


@pytest.mark.parametrize(
    ("name", "at", "beyond"),
    [
        ("max_daily_loss_pct", equities("980"), equities("979.999999")),
        (
            "max_order_reject_rate_pct",
            {"counts": Counts(orders=30, rejected=3)},
            {"counts": Counts(orders=29, rejected=3)},
        ),
        (
            "max_error_rate_pct",
            {"counts": Counts(requests=40, errors=2)},
            {"counts": Counts(requests=39, errors=2)},
        ),
        ("max_model_age_sessions", {"model_age_sessions": 30}, {"model_age_sessions": 31}),
        ("max_feed_age_seconds", {"feed_age_seconds": D("90.5")}, {"feed_age_seconds": D("90.6")}),
    ],
)
def test_a_breaker_holds_at_its_limit_and_trips_beyond(
    name: str, at: dict[str, Any], beyond: dict[str, Any]
) -> None:
    assert tripped_by(**at) == set()
    assert tripped_by(**beyond) == {name}
    assert tripped_by(limits=BreakerLimits(), **beyond) == set()


@pytest.mark.parametrize(("equity", "trips"), [("1100", 0), ("1100.01", 1), ("900", 0), ("899", 1)])
def test_equity_may_not_jump_either_way(equity: str, trips: int) -> None:
    limits = replace(LIMITS, max_daily_loss_pct=None)
    before = evaluate(seen(equity_usd=D(1_000)), limits, BreakerState())
    assert not before.is_tripped
    assert len(tripped_by(before, limits, equity_usd=D(equity))) == trips


def test_a_rate_of_few_is_not_judged() -> None:
    assert tripped_by(counts=Counts(orders=19, rejected=19)) == set()
    assert tripped_by(counts=Counts(orders=20, rejected=20)) == {"max_order_reject_rate_pct"}


@pytest.mark.parametrize("value", [D("NaN"), D("sNaN"), D("Infinity"), D("1e30")])
def test_what_is_no_number_trips(value: Decimal) -> None:
    named = {"max_daily_loss_pct", "max_equity_jump_pct"}
    assert tripped_by(equity_usd=value, session_equity_usd=D(1)) == named
    assert tripped_by(feed_age_seconds=value) == {"max_feed_age_seconds"}


def test_equity_without_its_first_value_trips() -> None:
    assert tripped_by(equity_usd=D(1)) == {"max_daily_loss_pct"}
    assert tripped_by(session_equity_usd=D(1)) == {"max_daily_loss_pct"}
    assert tripped_by(**equities("1", first="0")) == {"max_daily_loss_pct"}


def test_an_age_below_zero_trips() -> None:
    assert tripped_by(feed_age_seconds=D(-1)) == {"max_feed_age_seconds"}


def test_what_is_not_looked_at_trips_nothing() -> None:
    assert tripped_by() == set()


def test_a_breaker_stays_tripped_with_its_first_cause_through_good_and_bad() -> None:
    state = evaluate(seen(feed_age_seconds=D(91)), LIMITS, FRESH)
    first = state.trips["max_feed_age_seconds"]
    assert first.at == NOW
    assert first.sentence == (
        "newest data was 91 seconds old; expected from 0 to max_feed_age_seconds 90.5"
    )
    for minutes, age in enumerate((D(1), D(500), D(0)), start=1):
        state = evaluate(seen(minutes, feed_age_seconds=age), LIMITS, state)
        assert state.trips == {"max_feed_age_seconds": first}
    state = evaluate(seen(9, model_age_sessions=99), LIMITS, state)
    assert {*state.trips} == {"max_feed_age_seconds", "max_model_age_sessions"}


def test_a_named_person_re_arms_and_rates_begin_anew() -> None:
    bad = seen(counts=Counts(orders=100, rejected=50, requests=100, errors=50))
    state = evaluate(bad, LIMITS, FRESH)
    assert len(state.trips) == 2
    state = state.rearm(" Ada Lovelace ", "the broker had a fault", NOW)
    assert not state.is_tripped
    assert state.rearmed is not None
    assert state.rearmed.by == "Ada Lovelace"
    assert not evaluate(bad, LIMITS, state).is_tripped
    worse = seen(counts=Counts(orders=120, rejected=53, requests=120, errors=50))
    assert {*evaluate(worse, LIMITS, state).trips} == {"max_order_reject_rate_pct"}


def test_a_new_session_counts_from_nothing_after_a_re_arm() -> None:
    state = evaluate(seen(counts=Counts(orders=100, rejected=50)), LIMITS, FRESH)
    state = state.rearm("Ada", "looked at it", NOW)
    bad = seen(counts=Counts(orders=30, rejected=30))
    assert {*evaluate(bad, LIMITS, state).trips} == {"max_order_reject_rate_pct"}


def test_a_loss_that_is_still_there_trips_again() -> None:
    state = evaluate(seen(**equities("900")), LIMITS, FRESH)
    state = state.rearm("Ada", "raised the cash", NOW)
    assert {*evaluate(seen(**equities("900")), LIMITS, state).trips} == {"max_daily_loss_pct"}


@pytest.mark.parametrize(
    ("by", "reason"),
    [("", "why"), ("  ", "why"), ("Ada", ""), ("Ada", "\t"), ("...", "why"), ("A\x00da", "why"),
     ("A" * 101, "why"), ("Ada", "x" * 1_001)],
)  # fmt: skip
def test_nobody_re_arms_without_a_name_and_a_reason(by: str, reason: str) -> None:
    with pytest.raises(UserError, match="expected"):
        FRESH.rearm(by, reason, NOW)


def test_times_have_a_zone_and_are_kept_in_utc() -> None:
    with pytest.raises(UserError, match="time zone"):
        FRESH.rearm("Ada", "why", NOW.replace(tzinfo=None))
    with pytest.raises(DataError, match="time zone"):
        evaluate(Observations(NOW.replace(tzinfo=None)), LIMITS, FRESH)
    east = NOW.astimezone(timezone(timedelta(hours=5)))
    state = evaluate(Observations(east, model_age_sessions=99), LIMITS, FRESH)
    assert state.trips["max_model_age_sessions"].at.isoformat() == "2026-01-05T15:00:00+00:00"


@pytest.mark.parametrize(
    "counts", [Counts(orders=-1), Counts(orders=1, rejected=2), Counts(requests=1, errors=2)]
)
def test_counts_that_cannot_be_are_refused(counts: Counts) -> None:
    with pytest.raises(DataError, match="counts were"):
        evaluate(seen(counts=counts), LIMITS, FRESH)


def draw(rng: random.Random) -> dict[str, Any]:
    values = {
        "equity_usd": D(rng.randint(900, 1_100)),
        "session_equity_usd": D(1_000),
        "counts": Counts(
            rng.randint(10, 60), rng.randint(0, 5), rng.randint(10, 60), rng.randint(0, 5)
        ),
        "model_age_sessions": rng.randint(25, 33),
        "feed_age_seconds": D(rng.randint(0, 100)),
    }
    return {name: value for name, value in values.items() if rng.random() < 0.5}


def test_on_any_walk_trips_go_by_re_arms_alone_and_survive_storage() -> None:
    rng, state = random.Random(5), FRESH
    tripped: set[str] = set()
    ever: set[str] = set()
    for minute in range(3_000):
        if rng.random() < 0.1:
            state = state.rearm("Ada", "looked at it", NOW)
            tripped = set()
        state = evaluate(seen(minute, **draw(rng)), LIMITS, read_breakers(breaker_texts(state)))
        assert tripped <= {*state.trips}
        tripped = {*state.trips}
        ever |= tripped
        assert read_breakers(breaker_texts(state)) == state
    assert ever == NAMES


def test_a_stored_state_that_is_damaged_is_refused() -> None:
    state = evaluate(seen(1, equity_usd=D(1), model_age_sessions=99), LIMITS, FRESH)
    state = replace(state, rearmed=state.rearm("Ada", "why", NOW).rearmed)
    texts = breaker_texts(state)
    assert all(isinstance(text, str) for text in texts.values())
    read_breakers(texts)
    for key in texts:
        lacking = {name: text for name, text in texts.items() if name != key}
        for damaged in (lacking, {**lacking, f"{key}x": texts[key]}):
            with pytest.raises(DataError, match="state of the circuit breakers"):
                read_breakers(damaged)
    with pytest.raises(DataError, match="state of the circuit breakers"):
        read_breakers({k: text for k, text in texts.items() if not k.startswith("trips.")})
    with pytest.raises(DataError, match="no further texts"):
        read_breakers({**texts, "another": "1"})


def test_declared_breakers_become_the_decimals_they_are_written_as() -> None:
    spec = BreakersSpec(max_daily_loss_pct=0.1, max_model_age_sessions=3, min_rated_count=7)
    assert BreakerLimits.from_declared(spec) == BreakerLimits(
        max_daily_loss_pct=D("0.1"), max_model_age_sessions=D(3), min_rated_count=7
    )
