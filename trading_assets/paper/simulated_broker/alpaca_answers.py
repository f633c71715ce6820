"""The simulated broker's book as Alpaca's JSON: every amount a decimal string."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.paper.gateways import FINAL_STATUSES
from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import MONEY_STEP, ZERO
from trading_assets.paper.simulated_broker.account_values import Holding
from trading_assets.paper.simulated_broker.booked import (
    BookedOrder,
    BookedUpdate,
    Execution,
    uuid_of,
)

Json = dict[str, Any]

_ACTIVITY_TYPES = {
    "dividend": "DIV",
    "split": "SPLIT",
    "financing": "INT",
    "delisting": "MA",
    "trading_cost": "FEE",
    "fee": "FEE",
    "journal": "JNLC",
}
_ENDED_AT = {
    "filled": "filled_at",
    "canceled": "canceled_at",
    "expired": "expired_at",
    "rejected": "failed_at",
}


def text_of(number: Decimal) -> str:
    """Return a decimal without an exponent and without zeros at its end."""
    return format(number.normalize() if number else ZERO, "f")


def moment_text(moment: datetime) -> str:
    """Return a time as RFC 3339 in UTC."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def order_json(
    booked: BookedOrder, executions: Sequence[Execution], calendar: ExchangeCalendar
) -> Json:
    """Return an order; `executions` are those of the order, undone ones among them."""
    order = booked.order
    standing = [e.fill for e in executions if e.undone_in is None]
    filled = sum((fill.quantity for fill in standing), ZERO)
    average = None
    if filled:
        paid = sum((fill.quantity * fill.price_usd for fill in standing), ZERO)
        average = text_of((paid / filled).quantize(MONEY_STEP, ROUND_HALF_EVEN))
    ended: Json = dict.fromkeys(("filled_at", "canceled_at", "expired_at", "failed_at"))
    if booked.status in FINAL_STATUSES:
        ended[_ENDED_AT[booked.status]] = moment_text(booked.updated_at)
    limit, stop = order.limit_price_usd, order.stop_price_usd
    return {
        "id": uuid_of(booked.client_order_id),
        "client_order_id": booked.client_order_id,
        "created_at": moment_text(booked.created_at),
        "updated_at": moment_text(booked.updated_at),
        "submitted_at": moment_text(booked.created_at),
        **ended,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "expires_at": moment_text(calendar.close_time(order.session)),
        "asset_id": uuid_of(order.symbol),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": text_of(order.quantity),
        "filled_qty": text_of(booked.filled_quantity),
        "filled_avg_price": average,
        "order_class": "bracket" if order.bracket or booked.entry else "simple",
        "order_type": order.order_type,
        "type": order.order_type,
        "side": order.side,
        "time_in_force": order.time_in_force,
        "limit_price": None if limit is None else text_of(limit),
        "stop_price": None if stop is None else text_of(stop),
        "status": booked.status,
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


def position_json(holding: Holding, available: Decimal) -> Json:
    """Return a position; `available` shares are in no open order."""
    gain = holding.value_usd - holding.cost_usd
    share = gain / abs(holding.cost_usd) if holding.cost_usd else ZERO
    return {
        "asset_id": uuid_of(holding.symbol),
        "symbol": holding.symbol,
        "exchange": "NYSE",
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": text_of(holding.quantity),
        "qty_available": text_of(available),
        "side": "long" if holding.quantity > 0 else "short",
        "avg_entry_price": text_of(holding.entry_price_usd),
        "market_value": text_of(holding.value_usd),
        "cost_basis": text_of(holding.cost_usd),
        "unrealized_pl": text_of(gain),
        "unrealized_plpc": text_of(share.quantize(MONEY_STEP)),
        "unrealized_intraday_pl": "0",
        "unrealized_intraday_plpc": "0",
        "current_price": text_of(holding.price_usd),
        "lastday_price": text_of(holding.price_usd),
        "change_today": "0",
    }


def fill_activity(execution: Execution, order: BookedOrder, filled: Decimal) -> Json:
    """Return an execution; `filled` shares of the order are filled after it."""
    fill = execution.fill
    left = order.order.quantity - filled
    is_last = order.status == "filled" and filled == order.filled_quantity
    return {
        "id": activity_id(fill.filled_at, fill.execution_id),
        "activity_type": "FILL",
        "transaction_time": moment_text(fill.filled_at),
        "type": "fill" if is_last else "partial_fill",
        "price": text_of(fill.price_usd),
        "qty": text_of(fill.quantity),
        "side": fill.side,
        "symbol": fill.symbol,
        "leaves_qty": text_of(max(left, ZERO)),
        "order_id": uuid_of(fill.client_order_id),
        "cum_qty": text_of(filled),
        "order_status": order.status,
    }


def event_activity(event: AccountEvent, at: datetime) -> Json:
    """Return an account event as an activity that is no trade."""
    found: Json = {
        "id": activity_id(at, event.event_id),
        "activity_type": _ACTIVITY_TYPES.get(event.kind, "MISC"),
        "activity_sub_type": "",
        "date": event.session.isoformat(),
        "created_at": moment_text(at),
        "net_amount": text_of(event.cash_usd),
        "status": "executed",
        "currency": "USD",
    }
    if event.symbol:
        found["symbol"] = event.symbol
    if event.quantity_change:
        found["qty"] = text_of(event.quantity_change)
    return found


def activity_id(at: datetime, name: str) -> str:
    """Return an activity's id: its time to the millisecond, and an id of its own."""
    stamp = at.astimezone(UTC).strftime("%Y%m%d%H%M%S%f")[:17]
    return f"{stamp}::{uuid_of(name)}"


def update_json(update: BookedUpdate, order: Json) -> Json:
    """Return a message of the stream `trade_updates`."""
    data: Json = {
        "at": moment_text(update.at),
        "event": update.change.event,
        "event_id": f"{update.number:026d}",
        "timestamp": moment_text(update.at),
        "order": order,
        "position_qty": text_of(update.held),
    }
    fill = update.change.fill
    if fill is not None:
        data["price"], data["qty"] = text_of(fill.price_usd), text_of(fill.quantity)
        data["execution_id"] = uuid_of(fill.execution_id)
    if update.change.undone:
        name = "previous_execution_id" if fill is not None else "execution_id"
        data[name] = uuid_of(update.change.undone)
    return {"stream": "trade_updates", "data": data}
