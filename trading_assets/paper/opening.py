"""The first half of a session: decide on what is known before the open and send the orders.

Every order's intent is on disk before it is sent. A run that was interrupted finds its intents in
the log and asks the broker for them before it sends anything again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from trading_assets.errors import DataError
from trading_assets.paper.audit_log import AuditLog
from trading_assets.paper.deciding import DecidedSession, decide_session
from trading_assets.paper.gateways import BrokerError, BrokerOrder, require_same_order
from trading_assets.paper.inputs import SessionInputs
from trading_assets.paper.ledger import AccountState, reconcile
from trading_assets.paper.orders import ZERO, Order
from trading_assets.paper.record import SessionRecord, Status, empty_tables
from trading_assets.paper.tables import decisions_table, orders_table


def open_session(inputs: SessionInputs) -> SessionRecord:
    """Decide the session and send its orders, unless the broker's clock or books forbid it.

    Returns
    -------
    SessionRecord
        `awaiting_fill`; or, with nothing sent, `missed` or `halted`.

    Raises
    ------
    DataError
        If data reaches past the open or the decision breaks a limit.
    BrokerError
        If an order's fate is unknown.
    """
    if inputs.decision_time >= inputs.calendar.open_time(inputs.session):
        msg = (
            f"decision time was {inputs.decision_time}; expected a time before the open of"
            f" {inputs.session}, so that nothing of the session is known"
        )
        raise DataError(msg)
    kept = b"" if inputs.stored is None else inputs.stored.audit
    with inputs.audit_log(inputs.session, kept) as log:
        intended = _intended_orders(log)
        opening = _opening_state(inputs)
        _log_start(log, inputs, opening)
        refusal = inputs.gateway.refusal(inputs.session)
        if refusal and not intended:
            log.append_once("MISSED", reason=refusal)
            return _record(inputs, log, opening, _Outcome("missed", refusal))
        differences = [] if intended else reconcile(opening, inputs.gateway.account())
        if differences:
            log.append_once("HALT", reason="; ".join(differences))
            halted = _Outcome("halted", "ledger and broker differ", tuple(differences))
            return _record(inputs, log, opening, halted)
        decided = decide_session(inputs, opening)
        _log_decision(log, decided)
        if refusal:
            sent = [_adopt(inputs, log, order) for order in intended.values()]
        else:
            sent = [_send(inputs, log, order, intended) for order in decided.plan.orders]
        return _record(inputs, log, opening, _Outcome("awaiting_fill", ""), decided, sent)


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: Status
    reason: str
    differences: tuple[str, ...] = ()


def _opening_state(inputs: SessionInputs) -> AccountState:
    """Return the ledger before the session: the record before, or a new account as found."""
    if inputs.previous is not None:
        return inputs.previous.latest_state
    if inputs.stored is not None:
        return inputs.stored.opening
    return inputs.gateway.account()


def _intended_orders(log: AuditLog) -> dict[str, Order]:
    """Return the orders that an earlier run of this session may have sent."""
    return {
        record["client_order_id"]: Order(
            record["client_order_id"],
            date.fromisoformat(record["session"]),
            record["symbol"],
            "buy" if record["side"] == "buy" else "sell",
            Decimal(record["quantity"]),
        )
        for record in log.records()
        if record["event"] == "INTENT"
    }


def _send(
    inputs: SessionInputs, log: AuditLog, order: Order, intended: dict[str, Order]
) -> BrokerOrder:
    gateway = inputs.gateway
    known = None
    if order.client_order_id in intended:
        known = gateway.order_by_client_id(order.client_order_id)
    if known is not None:
        require_same_order(order, known)
    else:
        log.append_once(
            "INTENT",
            client_order_id=order.client_order_id,
            session=order.session.isoformat(),
            symbol=order.symbol,
            side=order.side,
            quantity=str(order.quantity),
            order_type=order.order_type,
            receiver=gateway.receiver,
        )
        try:
            known = gateway.submit(order)
        except BrokerError as error:
            log.append("UNKNOWN", client_order_id=order.client_order_id, reason=str(error))
            raise
    _log_acknowledged(log, known)
    return known


def _adopt(inputs: SessionInputs, log: AuditLog, order: Order) -> BrokerOrder:
    """Return an intended order as the broker has it, without sending: the window has closed."""
    known = inputs.gateway.order_by_client_id(order.client_order_id)
    if known is None:
        known = BrokerOrder(
            broker_order_id="",
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            status="rejected",
            filled_quantity=ZERO,
            reason="not sent: the run was interrupted and the decision window has closed",
        )
    require_same_order(order, known)
    _log_acknowledged(log, known)
    return known


def _log_start(log: AuditLog, inputs: SessionInputs, opening: AccountState) -> None:
    previous = inputs.previous
    log.append_once(
        "START",
        strategy=inputs.name,
        session=inputs.session.isoformat(),
        receiver=inputs.gateway.receiver,
        decision_time=inputs.decision_time.isoformat(),
        opening_cash_usd=str(opening.cash_usd),
        opening_as_of="" if opening.as_of is None else opening.as_of.isoformat(),
        # Chains the sessions: a record that was replaced does not fit what follows it.
        previous_head="" if previous is None else str(previous.summary["audit"]["hash"]),
    )


def _log_decision(log: AuditLog, decided: DecidedSession) -> None:
    for target in decided.targets:
        log.append_once(
            "DECISION",
            symbol=target.symbol,
            raw_weight=repr(target.raw_weight),
            weight=repr(target.weight),
            binding_limits=target.binding_limits,
            reference_price_usd=repr(target.reference_price_usd),
            decided_by=decided.decided_by,
        )
    for refusal in decided.plan.refusals:
        log.append_once(
            "RISK_BLOCK",
            client_order_id=refusal.client_order_id,
            symbol=refusal.symbol,
            side=refusal.side,
            quantity=str(refusal.quantity),
            reason=refusal.reason,
        )


def _log_acknowledged(log: AuditLog, known: BrokerOrder) -> None:
    log.append_once(
        "REJECTED" if known.status == "rejected" else "ACCEPTED",
        client_order_id=known.client_order_id,
        broker_order_id=known.broker_order_id,
        status=known.status,
        reason=known.reason,
    )


def _record(
    inputs: SessionInputs,
    log: AuditLog,
    opening: AccountState,
    outcome: _Outcome,
    decided: DecidedSession | None = None,
    sent: Sequence[BrokerOrder] = (),
) -> SessionRecord:
    tables = empty_tables()
    if decided is not None:
        tables["decisions"] = decisions_table(inputs, decided)
        tables["orders"] = orders_table(inputs.session, sent, decided.plan.refusals)
    summary = {
        "strategy": inputs.name,
        "receiver": inputs.gateway.receiver,
        "decision_time": inputs.decision_time.isoformat(),
        "decided_by": "" if decided is None else decided.decided_by,
        "reason": outcome.reason,
        "orders": len(sent),
        "refused": 0 if decided is None else len(decided.plan.refusals),
        "differences": list(outcome.differences),
        "audit": {"count": log.head.count, "hash": log.head.hash},
        **({} if decided is None else decided.remembered),
    }
    return SessionRecord(
        session=inputs.session,
        status=outcome.status,
        opening=opening,
        closing=None,
        tables=tables,
        audit=log.content(),
        broker_state=inputs.gateway.state(),
        summary=summary,
    )
