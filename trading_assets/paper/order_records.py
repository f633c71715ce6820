"""Orders, executions and account events as the fields of audit records, and back.

All values are strings; what was written is read back to the last decimal.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, cast

from trading_assets.paper.fills import Fill, FillChange
from trading_assets.paper.gateways import BrokerOrder
from trading_assets.paper.ledger import AccountEvent, AccountState
from trading_assets.paper.order_plan import Refusal
from trading_assets.paper.order_state import RANK, OrderStatus
from trading_assets.paper.orders import Bracket, Order, OrderType, Side, TimeInForce

# Codes of RTS 24, annex, table 2, field 21, where there is one.
EVENT_CODES = {
    "ACCEPTED": "NEWO",
    "REJECTED": "REMO",
    "filled": "FILL",
    "canceled": "CAME",
    "expired": "EXPI",
    "replaced": "REME",
}


def text_of(value: Decimal | None) -> str:
    """Return a number without an exponent, or nothing."""
    return "" if value is None else format(value, "f")


def order_fields(order: Order) -> dict[str, str]:
    """Return an order as fields; a price that it lacks is an empty one."""
    bracket = order.bracket
    return {
        "client_order_id": order.client_order_id,
        "session": order.session.isoformat(),
        "symbol": order.symbol,
        "side": order.side,
        "quantity": text_of(order.quantity),
        "order_type": order.order_type,
        "time_in_force": order.time_in_force,
        "limit_price_usd": text_of(order.limit_price_usd),
        "stop_price_usd": text_of(order.stop_price_usd),
        "take_profit_usd": "" if bracket is None else text_of(bracket.take_profit_usd),
        "stop_loss_usd": "" if bracket is None else text_of(bracket.stop_loss_usd),
    }


def order_from_fields(fields: Mapping[str, str]) -> Order:
    """Return the order that `order_fields` wrote."""
    bracket = None
    if fields["take_profit_usd"]:
        bracket = Bracket(Decimal(fields["take_profit_usd"]), Decimal(fields["stop_loss_usd"]))
    return Order(
        client_order_id=fields["client_order_id"],
        session=date.fromisoformat(fields["session"]),
        symbol=fields["symbol"],
        side=_side(fields["side"]),
        quantity=Decimal(fields["quantity"]),
        order_type=cast("OrderType", fields["order_type"]),
        time_in_force=cast("TimeInForce", fields["time_in_force"]),
        limit_price_usd=_price(fields["limit_price_usd"]),
        stop_price_usd=_price(fields["stop_price_usd"]),
        bracket=bracket,
    )


def refusal_fields(refusal: Refusal) -> dict[str, str]:
    """Return an order that was refused here as fields."""
    return {
        "client_order_id": refusal.client_order_id,
        "session": refusal.session.isoformat(),
        "symbol": refusal.symbol,
        "side": refusal.side,
        "quantity": text_of(refusal.quantity),
        "reason": refusal.reason,
        "rule": refusal.rule,
        "limit": refusal.limit,
        "observed": refusal.observed,
    }


def refusal_from_fields(fields: Mapping[str, str]) -> Refusal:
    """Return the refusal that `refusal_fields` wrote."""
    return Refusal(
        client_order_id=fields["client_order_id"],
        session=date.fromisoformat(fields["session"]),
        symbol=fields["symbol"],
        side=_side(fields["side"]),
        quantity=Decimal(fields["quantity"]),
        reason=fields["reason"],
        rule=fields["rule"],
        limit=fields["limit"],
        observed=fields["observed"],
    )


def known_fields(status: OrderStatus, known: BrokerOrder) -> dict[str, str]:
    """Return what a broker's view of an order says of its status."""
    return {
        "client_order_id": known.client_order_id,
        "status": status,
        "broker_order_id": known.broker_order_id,
        "broker_status": known.status,
        "broker_filled_quantity": text_of(known.filled_quantity),
        "split_ratio": text_of(known.split_ratio),
        "reason": known.reason,
    }


def status_from_fields(fields: Mapping[str, str]) -> tuple[OrderStatus, str, str, Decimal]:
    """Return status, the broker's id, the reason and the split ratio of a record."""
    status = fields["status"]
    if status not in RANK:
        status = "accepted"
    return (
        cast("OrderStatus", status),
        fields.get("broker_order_id", ""),
        fields.get("reason", ""),
        Decimal(fields.get("split_ratio") or 1),
    )


def fill_fields(fill: Fill) -> dict[str, str]:
    """Return an execution as fields."""
    return {
        "execution_id": fill.execution_id,
        "client_order_id": fill.client_order_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "quantity": text_of(fill.quantity),
        "price_usd": text_of(fill.price_usd),
        "cost_usd": text_of(fill.cost_usd),
        "filled_at": fill.filled_at.isoformat(),
    }


def fill_from_fields(fields: Mapping[str, str]) -> Fill:
    """Return the execution that `fill_fields` wrote."""
    return Fill(
        execution_id=fields["execution_id"],
        client_order_id=fields["client_order_id"],
        symbol=fields["symbol"],
        side=_side(fields["side"]),
        quantity=Decimal(fields["quantity"]),
        price_usd=Decimal(fields["price_usd"]),
        cost_usd=Decimal(fields["cost_usd"]),
        filled_at=datetime.fromisoformat(fields["filled_at"]),
    )


def change_fields(change: FillChange, client_order_id: str) -> dict[str, str]:
    """Return an execution that was undone or replaced as fields."""
    if change.replacement is None:
        return {"execution_id": change.execution_id, "client_order_id": client_order_id}
    new = replace(change.replacement, client_order_id=client_order_id)
    return {**fill_fields(new), "replaced_execution_id": change.execution_id}


def change_from_fields(fields: Mapping[str, str]) -> FillChange:
    """Return the change that `change_fields` wrote."""
    replaced = fields.get("replaced_execution_id")
    if replaced:
        return FillChange("correction", replaced, fill_from_fields(fields))
    return FillChange("bust", fields["execution_id"])


def event_fields(event: AccountEvent) -> dict[str, str]:
    """Return an account event as fields."""
    return {
        "event_id": event.event_id,
        "kind": event.kind,
        "session": event.session.isoformat(),
        "symbol": event.symbol,
        "quantity_change": text_of(event.quantity_change),
        "cash_usd": text_of(event.cash_usd),
    }


def event_from_fields(fields: Mapping[str, str]) -> AccountEvent:
    """Return the account event that `event_fields` wrote."""
    return AccountEvent(
        event_id=fields["event_id"],
        kind=fields["kind"],
        session=date.fromisoformat(fields["session"]),
        symbol=fields["symbol"],
        quantity_change=Decimal(fields["quantity_change"]),
        cash_usd=Decimal(fields["cash_usd"]),
    )


def state_fields(state: AccountState) -> dict[str, str]:
    """Return cash and holdings as the fields of START."""
    held = {symbol: text_of(quantity) for symbol, quantity in sorted(state.quantity.items())}
    return {
        "opening_cash_usd": text_of(state.cash_usd),
        "opening_as_of": "" if state.as_of is None else state.as_of.isoformat(),
        "opening_positions": json.dumps(held, sort_keys=True),
    }


def state_from_fields(fields: Mapping[str, str]) -> AccountState:
    """Return the cash and holdings that `state_fields` wrote."""
    held = cast("dict[str, Any]", json.loads(fields["opening_positions"]))
    as_of = fields["opening_as_of"]
    return AccountState(
        as_of=date.fromisoformat(as_of) if as_of else None,
        cash_usd=Decimal(fields["opening_cash_usd"]),
        quantity={symbol: Decimal(str(quantity)) for symbol, quantity in held.items()},
    )


def _price(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def _side(text: str) -> Side:
    side: Literal["buy", "sell"] = "buy" if text == "buy" else "sell"
    return side
