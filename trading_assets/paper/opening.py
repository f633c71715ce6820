"""The first half of a session: reconcile, decide on what is known before the open, send.

A run that was interrupted finds its decision in the log: it is not taken again, and every order is
looked up before it is sent. Nothing leaves before our books and the broker's agree.
"""

from datetime import date

from trading_assets.errors import DataError, UserError
from trading_assets.paper.acceptance import strangers_left, take_over_accepted
from trading_assets.paper.audit_log import AuditWriteError
from trading_assets.paper.deciding import DecidedSession, decide_session, known_row
from trading_assets.paper.decision_records import kept_decision, note_decision
from trading_assets.paper.inputs import SessionInputs, orders_since
from trading_assets.paper.journal import Journal
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.marks import market_values
from trading_assets.paper.order_desk import OrderDesk
from trading_assets.paper.order_records import state_fields
from trading_assets.paper.orders import ZERO
from trading_assets.paper.reconciliation import Span, find_differences, read_broker
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.recording import Outcome, make_record
from trading_assets.risk.breakers import Observations

_START_FACTS = ("model_digest", "config_digest", "code_version")

_DIFFER = "ledger and broker differ"


def open_session(inputs: SessionInputs) -> SessionRecord:
    """Decide the session and send its orders, unless something forbids it.

    Returns
    -------
    SessionRecord
        `awaiting_fill`; or, with nothing sent, `missed` or `halted`.

    Raises
    ------
    DataError
        If data reaches past the open or the decision breaks a limit.
    BrokerError
        If the broker could not be read, or an order's fate is unknown.
    """
    if inputs.decision_time >= inputs.calendar.open_time(inputs.session):
        msg = (
            f"decision time was {inputs.decision_time}; expected a time before the open of"
            f" {inputs.session}, so that nothing of the session is known"
        )
        raise DataError(msg)
    with inputs.open_log() as log:
        journal = Journal(log)
        decided = kept_decision(journal)
        missed = "" if inputs.gateway.is_simulated else _missed_by_our_clock(inputs)
        if missed and decided is None:
            # The broker is not asked at all: a backfill of past sessions sends no request.
            unasked = _opening_state(inputs) or AccountState(None, ZERO, {})
            outcome = Outcome("missed", missed, knows_account=_opening_state(inputs) is not None)
            return _stop(inputs, journal, unasked, outcome)
        is_first_try = decided is None
        try:
            # A log that was begun says itself what it was opened with.
            opening = journal.account.opened or _opening_state(inputs) or inputs.gateway.account()
            _note_start(journal, inputs, opening)
            outcome = Outcome("awaiting_fill", "")
            if decided is None:
                outcome, decided = _decide(inputs, journal)
            else:
                _reconcile_unsent(inputs, journal)
        except AuditWriteError:
            raise
        except UserError as error:
            _note_failure(inputs, journal, error)
            raise
        if decided is None:
            return _stop(inputs, journal, opening, outcome)
        _send(inputs, journal, decided, is_first_try=is_first_try)
        inputs.folder.checkpoint(inputs.session, journal.head)
        return make_record(inputs, journal, opening, outcome, decided)


def _decide(inputs: SessionInputs, journal: Journal) -> tuple[Outcome, DecidedSession | None]:
    """Return a durable decision, or why there is none."""
    halted = why_halted(inputs.switch)
    if halted:
        return Outcome("halted", halted), None
    refusal = inputs.gateway.refusal(inputs.session)
    if refusal:
        return Outcome("missed", refusal), None
    differences = _reconcile_or_halt(inputs, journal)
    if differences:
        return Outcome("halted", _DIFFER, tuple(differences)), None
    guard = inputs.guard
    tripped = guard.before_decision(_observations(inputs, journal))
    if tripped:
        return Outcome("halted", tripped), None
    is_reducing = inputs.switch.state().state == "REDUCING"
    decided = decide_session(inputs, journal.account, guard.state().rung, is_reducing=is_reducing)
    decision_id = f"{inputs.name}-{inputs.session}"
    note_decision(journal, decided, inputs.gateway.receiver, decision_id, inputs.facts)
    inputs.folder.checkpoint(inputs.session, journal.head)
    return Outcome("awaiting_fill", ""), decided


def why_halted(switch: KillSwitch) -> str:
    """Return why the kill switch lets no order pass, or an empty string if it does."""
    if not switch.is_halted:
        return ""
    standing = switch.state()
    return f"the account is halted by {standing.by}: {standing.reason}; a named person re-arms it"


def _observations(inputs: SessionInputs, journal: Journal) -> Observations:
    state = journal.account.state(_as_of(journal))
    values = market_values(state, inputs.market, known_row(inputs))
    equity = state.cash_usd + sum(values.values(), ZERO)
    # The equity at the last closes is the first of this session.
    return Observations(inputs.clock.now(), equity_usd=equity, session_equity_usd=equity)


def _missed_by_our_clock(inputs: SessionInputs) -> str:
    opened = inputs.calendar.open_time(inputs.session)
    if inputs.clock.now() < opened:
        return ""
    return (
        f"the session opened at {opened:%Y-%m-%d %H:%M %Z}; at a real broker only the session that"
        " opens next is traded"
    )


def _opening_state(inputs: SessionInputs) -> AccountState | None:
    """Return the ledger before the session, or None where no record knows it."""
    if inputs.previous is not None and inputs.previous.knows_account:
        return inputs.previous.latest_state
    if inputs.stored is not None and inputs.stored.knows_account:
        return inputs.stored.opening
    return None


def _as_of(journal: Journal) -> date | None:
    opened = journal.account.opened
    return None if opened is None else opened.as_of


def _note_start(journal: Journal, inputs: SessionInputs, opening: AccountState) -> None:
    journal.note_once(
        "START",
        strategy=inputs.name,
        session=inputs.session.isoformat(),
        receiver=inputs.gateway.receiver,
        decision_time=inputs.decision_time.isoformat(),
        **{name: inputs.facts[name] for name in _START_FACTS if inputs.facts.get(name)},
        **state_fields(opening),
    )
    journal.flush()


def _reconcile_unsent(inputs: SessionInputs, journal: Journal) -> None:
    """Reconcile again where an interrupted run left orders that may still have to be sent."""
    orders = journal.account.orders.values()
    if any(state.status in ("intended", "unknown") for state in orders):
        _reconcile_or_halt(inputs, journal)


def _reconcile_or_halt(inputs: SessionInputs, journal: Journal) -> list[str]:
    """Return where ledger and broker differ; then the account is halted and nothing is sent."""
    differences = _reconcile(inputs, journal)
    if differences:
        inputs.switch.halt("reconciliation", f"{_DIFFER}: {'; '.join(differences)}")
    return differences


def _reconcile(inputs: SessionInputs, journal: Journal) -> list[str]:
    blocked = inputs.gateway.blocked()
    if blocked:
        return [blocked]
    as_of = _as_of(journal)
    span = Span(as_of, inputs.session, orders_since(inputs, as_of))
    strangers = read_broker(journal, inputs.gateway, span)
    found = _differences(inputs, journal, strangers)
    switch, logs = inputs.switch, inputs.folder.logs
    if found and take_over_accepted(journal, inputs.gateway, strangers, switch, logs):
        return _differences(inputs, journal, strangers)
    return found


def _differences(inputs: SessionInputs, journal: Journal, strangers: list[str]) -> list[str]:
    left = strangers_left(journal, strangers)
    return [*left, *find_differences(journal, inputs.gateway, inputs.session)]


def _send(
    inputs: SessionInputs, journal: Journal, decided: DecidedSession, *, is_first_try: bool
) -> None:
    def why_not() -> str:
        # The switch comes last: it may be thrown while the broker is asked.
        return inputs.gateway.refusal(inputs.session) or why_halted(inputs.switch)

    desk = OrderDesk(journal, inputs.gateway, inputs.clock, why_not)
    desk.send_all(list(decided.plan.orders), is_first_try=is_first_try)
    inputs.guard.after_sending()


def _note_failure(inputs: SessionInputs, journal: Journal, error: UserError) -> None:
    """Leave on record why the session did not start; it can be run again."""
    session, reason = inputs.session.isoformat(), str(error)
    journal.forget()
    journal.note_once("STOP", session=session, status="failed", reason=reason)
    journal.flush()
    inputs.folder.checkpoint(inputs.session, journal.head)


def _stop(
    inputs: SessionInputs, journal: Journal, opening: AccountState, outcome: Outcome
) -> SessionRecord:
    event = "MISSED" if outcome.status == "missed" else "HALT"
    reason = "; ".join((outcome.reason, *outcome.differences))
    journal.note_once(event, session=inputs.session.isoformat(), reason=reason)
    journal.flush()
    inputs.folder.checkpoint(inputs.session, journal.head)
    return make_record(inputs, journal, opening, outcome)
