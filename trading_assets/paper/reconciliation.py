"""Brings our account up to what the broker has, and says where the two still differ.

Orders are read before executions, so that an execution which an order's status tells of is among
those read. What is heard twice is booked once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from trading_assets.paper.fills import Fill, FillChange
from trading_assets.paper.gateways import Activities, BrokerOrder, Gateway, require_same_order
from trading_assets.paper.journal import Journal
from trading_assets.paper.ledger import AccountEvent, reconcile
from trading_assets.paper.order_records import (
    change_fields,
    event_fields,
    fill_fields,
    known_fields,
    text_of,
)
from trading_assets.paper.order_state import OrderState, status_of_word
from trading_assets.paper.orders import ZERO


@dataclass(frozen=True, slots=True)
class Span:
    """What part of a broker's history is read.

    Attributes
    ----------
    since : date or None
        Session whose close is booked already.
    until : date
        Session up to whose close is read.
    orders_since : datetime
        Moment from which orders are listed; before the account's first one still of interest.
    """

    since: date | None
    until: date
    orders_since: datetime | None


def read_broker(journal: Journal, gateway: Gateway, span: Span) -> list[str]:
    """Book what the broker tells that was not known, durably.

    Returns
    -------
    list of str
        Orders and executions at the broker that are not ours, and executions of sessions that have
        ended that were undone since; one sentence each.
    """
    changes = [(update.change, update.order) for update in gateway.updates() if update.change]
    known = {order.client_order_id: order for order in gateway.orders(span.orders_since)}
    activities = gateway.activities(span.since, span.until)
    strangers = _strange_orders(journal, known)
    for event in activities.events:
        journal.note_once("ACCOUNT_EVENT", **event_fields(event))
    strangers += _note_fills(journal, activities)
    for order in known.values():
        if order.client_order_id in journal.account.orders:
            _note_order(journal, order)
    journal.flush()
    for change, order in changes:
        # The stream may repeat what the log of an earlier session has booked.
        if order.client_order_id in journal.account.orders:
            _note_change(journal, change, order.client_order_id)
    journal.flush()
    strangers += _note_changes(journal, activities)
    _take_back_unlisted(journal, activities, known)
    journal.flush()
    return strangers


def unfinished(journal: Journal, gateway_orders: Mapping[str, BrokerOrder]) -> list[str]:
    """Return which orders are not final, or whose executions are not all listed yet.

    Parameters
    ----------
    journal : Journal
        Our account.
    gateway_orders : mapping of str to BrokerOrder
        The broker's view, by client order id.
    """
    waiting: list[str] = []
    for key, state in journal.account.orders.items():
        known = gateway_orders.get(key)
        if state.status == "not_sent" or (state.status == "rejected" and known is None):
            continue
        if not state.is_final:
            waiting.append(f"{key} is {state.status}")
        elif known is not None and known.filled_quantity != state.filled_quantity:
            waiting.append(
                f"{state.filled_quantity} of {known.filled_quantity} shares of {key} are listed"
            )
    return waiting


def find_differences(journal: Journal, gateway: Gateway, session: date) -> list[str]:
    """Compare with the broker's cash and positions; its rounding of cash, and no more, is booked.

    Returns
    -------
    list of str
        One sentence a difference; none if the two agree to the last decimal.
    """
    broker = gateway.account()
    ours = journal.account.state(session)
    rounding = broker.cash_usd - ours.cash_usd
    if rounding and abs(rounding) <= gateway.cash_tolerance_usd:
        number = sum(event.kind == "rounding" for event in journal.account.events)
        event = AccountEvent(
            f"rounding-{session}-{number}", "rounding", session, "", ZERO, rounding
        )
        journal.tell("ACCOUNT_EVENT", **event_fields(event))
        ours = journal.account.state(session)
    differences = reconcile(ours, broker)
    journal.note_once(
        "RECONCILE",
        ledger_cash_usd=text_of(ours.cash_usd),
        broker_cash_usd=text_of(broker.cash_usd),
        differences="; ".join(differences),
    )
    journal.flush()
    return differences


def _strange_orders(journal: Journal, known: Mapping[str, BrokerOrder]) -> list[str]:
    ours = journal.account.orders
    return [
        f"order {key} ({order.side} {order.quantity} {order.symbol}) is at the broker and not ours"
        for key, order in sorted(known.items())
        if key not in ours and order.status not in ("canceled", "expired", "rejected")
    ]


def _note_order(journal: Journal, known: BrokerOrder) -> None:
    state = journal.account.orders[known.client_order_id]
    require_same_order(state.order, known)
    status = status_of_word(known.status)
    heard = state.hear(
        status,
        broker_order_id=known.broker_order_id,
        reason=known.reason,
        split_ratio=known.split_ratio,
    )
    if heard == state:
        return
    event = "DONE" if heard.is_final else "ACCEPTED"
    if not heard.is_final and heard.split_ratio != state.split_ratio:
        event = "RESTATED"
    journal.note_once(event, **known_fields(status, known))


def _note_fills(journal: Journal, activities: Activities) -> list[str]:
    strangers: list[str] = []
    for fill in activities.fills:
        if journal.account.knows_execution(fill.execution_id):
            _require_unchanged(journal, fill)
        elif fill.client_order_id in journal.account.orders:
            journal.note_once("FILL", **fill_fields(fill))
        else:
            strangers.append(
                f"execution {fill.execution_id} ({fill.side} {fill.quantity} {fill.symbol} for"
                f" {fill.client_order_id}) is of no order of ours"
            )
    return strangers


def _require_unchanged(journal: Journal, fill: Fill) -> None:
    state = journal.account.orders.get(fill.client_order_id)
    if state is not None:
        state.execute(fill)


def _note_change(journal: Journal, change: FillChange, client_order_id: str) -> None:
    event = "BUST" if change.replacement is None else "CORRECT"
    journal.note_once(event, **change_fields(change, client_order_id))


def _note_changes(journal: Journal, activities: Activities) -> list[str]:
    strangers: list[str] = []
    for change in activities.changes:
        owner = _owner_of(journal, change.execution_id)
        if owner:
            _note_change(journal, change, owner)
            # The next one may undo what this one has put in its place.
            journal.flush()
        else:
            strangers.append(
                f"execution {change.execution_id} was undone at the broker ({change.kind}) and"
                " is of no order of this session"
            )
    return strangers


def _owner_of(journal: Journal, execution_id: str) -> str:
    for key, state in journal.account.orders.items():
        if execution_id in state.executions:
            return key
    return ""


def _take_back_unlisted(
    journal: Journal, activities: Activities, known: Mapping[str, BrokerOrder]
) -> None:
    """Take back an execution that the broker lists no more and no longer counts in its order.

    A bust may be told by a stream that was down; the order's filled quantity tells it, too.
    """
    listed = {fill.execution_id for fill in activities.fills}
    for key, state in journal.account.orders.items():
        broker = known.get(key)
        if broker is None:
            continue
        missing = _unlisted(state, listed)
        surplus = state.filled_quantity - broker.filled_quantity
        if missing and surplus == sum((fill.quantity for fill in missing), Decimal(0)):
            for fill in missing:
                _note_change(journal, FillChange("bust", fill.execution_id), key)


def _unlisted(state: OrderState, listed: set[str]) -> list[Fill]:
    return [
        fill
        for execution_id, fill in state.executions.items()
        if execution_id not in listed and execution_id not in state.undone
    ]
