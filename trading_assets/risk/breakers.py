"""Circuit breakers: once one has tripped, nothing is sent until a named person re-arms them.

A pure state machine: what is observed goes in, a new state comes out, and whoever calls stores it
before anything else is sent. A breaker whose cause goes on, such as a day's loss, trips again at
the next evaluation after a re-arm: raise its limit, or wait for the next session.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal, localcontext

from trading_assets.errors import DataError
from trading_assets.risk.breaker_limits import BreakerLimits
from trading_assets.risk.proposed_orders import EXACT, ZERO, is_workable
from trading_assets.risk.rearming import Rearm

_PERCENT = Decimal(100)


@dataclass(frozen=True, slots=True)
class Counts:
    """Orders and requests of a session so far.

    Attributes
    ----------
    orders, rejected : int
        Orders that the broker has answered, and those of them that it rejected.
    requests, errors : int
        Requests that were sent, and those of them that failed.
    """

    orders: int = 0
    rejected: int = 0
    requests: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Observations:
    """What is known at one moment; None where a thing was not looked at.

    Attributes
    ----------
    at : datetime
        UTC.
    equity_usd, session_equity_usd : Decimal or None
        Equity now, and the first of the session; not a number trips what is held against them.
    counts : Counts or None
        Since the session's start.
    model_age_sessions : int or None
        Sessions since the last bar that the deciding model was trained on.
    feed_age_seconds : Decimal or None
        Seconds since the newest data.
    """

    at: datetime
    equity_usd: Decimal | None = None
    session_equity_usd: Decimal | None = None
    counts: Counts | None = None
    model_age_sessions: int | None = None
    feed_age_seconds: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Trip:
    """A breaker that has tripped: when, by what, and the sentence for a person."""

    at: datetime
    limit: str
    observed: str
    sentence: str


@dataclass(frozen=True, slots=True)
class BreakerState:
    """What breakers remember.

    Attributes
    ----------
    trips : mapping of str to Trip
        First trip of each breaker since the last re-arm, by the name of its limit.
    equity_usd : Decimal or None
        Equity observed last.
    counts : Counts
        Counts observed last.
    counted_from : Counts
        Counts at the last re-arm, from which rates are taken.
    rearmed : Rearm or None
        The last re-arm.
    """

    trips: Mapping[str, Trip] = field(default_factory=dict[str, Trip])
    equity_usd: Decimal | None = None
    counts: Counts = Counts()
    counted_from: Counts = Counts()
    rearmed: Rearm | None = None

    @property
    def is_tripped(self) -> bool:
        """Whether anything may be sent no more."""
        return bool(self.trips)

    def rearm(self, by: str, reason: str, at: datetime) -> "BreakerState":
        """Return the state after a named person has re-armed all breakers.

        Raises
        ------
        UserError
            If name or reason is empty.
        """
        rearmed = Rearm.of(by, reason, at)
        return replace(self, trips={}, counted_from=self.counts, rearmed=rearmed)


def evaluate(observed: Observations, limits: BreakerLimits, state: BreakerState) -> BreakerState:
    """Return the state after an observation; what has tripped stays tripped.

    Parameters
    ----------
    observed : Observations
        What is known now.
    limits : BreakerLimits
        What is declared.
    state : BreakerState
        The state before.

    Raises
    ------
    DataError
        If the observation has no time zone or counts that cannot be.
    """
    if observed.at.utcoffset() is None:
        msg = f"time of the observation was {observed.at}; expected one with a time zone"
        raise DataError(msg)
    state = _counted(observed, state)
    with localcontext(EXACT):
        found = {
            **_losses(observed, limits),
            **_jumps(observed, limits, state),
            **_rates(limits, state),
            **_ages(observed, limits),
        }
    at = observed.at.astimezone(UTC)
    new = {name: Trip(at, *texts) for name, texts in found.items()}
    equity = observed.equity_usd
    known = equity if equity is not None and is_workable(equity) else state.equity_usd
    return replace(state, trips={**new, **state.trips}, equity_usd=known)


_Found = dict[str, tuple[str, str, str]]


def _counted(observed: Observations, state: BreakerState) -> BreakerState:
    counts = observed.counts
    if counts is None:
        return state
    values = (counts.orders, counts.rejected, counts.requests, counts.errors)
    if min(values) < 0 or counts.rejected > counts.orders or counts.errors > counts.requests:
        msg = f"counts were {counts}; expected none below 0 and no part above its whole"
        raise DataError(msg)
    before = state.counts
    # Fewer than before: another session has begun to count.
    is_new = counts.orders < before.orders or counts.requests < before.requests
    return replace(state, counts=counts, counted_from=Counts() if is_new else state.counted_from)


def _losses(observed: Observations, limits: BreakerLimits) -> _Found:
    name, limit = "max_daily_loss_pct", limits.max_daily_loss_pct
    equity, first = observed.equity_usd, observed.session_equity_usd
    if limit is None or (equity is None and first is None):
        return {}
    if equity is None or first is None or not _are_equities(equity, first):
        return _unknown(name, f"equity was {equity}, the session's first {first}", limit)
    lost = (first - equity) * _PERCENT
    if lost <= limit * first:
        return {}
    what = f"equity was {equity:f} USD after {first:f} at the session's start"
    return {name: (f"{limit:f}", f"{equity:f}", f"{what}; expected {name} {limit:f} at most lost")}


def _jumps(observed: Observations, limits: BreakerLimits, state: BreakerState) -> _Found:
    name, limit = "max_equity_jump_pct", limits.max_equity_jump_pct
    equity, before = observed.equity_usd, state.equity_usd
    if limit is None or equity is None:
        return {}
    if not is_workable(equity):
        return _unknown(name, f"equity was {equity}", limit)
    if before is None or abs(equity - before) * _PERCENT <= limit * abs(before):
        return {}
    what = f"equity was {equity:f} USD after {before:f} when last observed"
    return {name: (f"{limit:f}", f"{equity:f}", f"{what}; expected it within {name} {limit:f}")}


def _rates(limits: BreakerLimits, state: BreakerState) -> _Found:
    now, start = state.counts, state.counted_from
    judged = (
        ("max_order_reject_rate_pct", limits.max_order_reject_rate_pct, "orders were rejected",
         now.rejected - start.rejected, now.orders - start.orders),
        ("max_error_rate_pct", limits.max_error_rate_pct, "requests failed",
         now.errors - start.errors, now.requests - start.requests),
    )  # fmt: skip
    found: _Found = {}
    for name, limit, what, part, whole in judged:
        if limit is None or whole < limits.min_rated_count or part * _PERCENT <= limit * whole:
            continue
        sentence = f"{part} of {whole} {what}; expected at most {name} {limit:f}"
        found[name] = (f"{limit:f}", f"{part} of {whole}", sentence)
    return found


def _ages(observed: Observations, limits: BreakerLimits) -> _Found:
    model, feed = observed.model_age_sessions, observed.feed_age_seconds
    judged = (
        ("max_model_age_sessions", limits.max_model_age_sessions, "model", "sessions",
         None if model is None else Decimal(model)),
        ("max_feed_age_seconds", limits.max_feed_age_seconds, "newest data", "seconds", feed),
    )  # fmt: skip
    found: _Found = {}
    for name, limit, what, unit, age in judged:
        if limit is None or age is None:
            continue
        if not is_workable(age) or not ZERO <= age <= limit:
            sentence = f"{what} was {age} {unit} old; expected from 0 to {name} {limit:f}"
            found[name] = (f"{limit:f}", str(age), sentence)
    return found


def _are_equities(equity: Decimal, first: Decimal) -> bool:
    return is_workable(equity) and is_workable(first) and first > ZERO


def _unknown(name: str, what: str, limit: Decimal) -> _Found:
    return {name: (f"{limit:f}", "unknown", f"{what}; expected numbers to hold against {name}")}
