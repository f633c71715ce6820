"""Orders and executions as rows of the book's tables, and back."""

import sqlite3
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from trading_assets.paper.fills import Fill
from trading_assets.paper.orders import Bracket, Order
from trading_assets.paper.simulated_broker.booked import BookedOrder, Execution, uuid_of

Row = dict[str, Any]


def order_to_row(booked: BookedOrder) -> Row:
    """Return an order as columns of the table `orders`."""
    order = booked.order
    bracket = order.bracket
    return {
        "client_order_id": order.client_order_id,
        "uuid": uuid_of(order.client_order_id),
        "session": order.session.isoformat(),
        "symbol": order.symbol,
        "side": order.side,
        "quantity": str(order.quantity),
        "order_type": order.order_type,
        "time_in_force": order.time_in_force,
        "limit_price_usd": _text(order.limit_price_usd),
        "stop_price_usd": _text(order.stop_price_usd),
        "take_profit_usd": None if bracket is None else str(bracket.take_profit_usd),
        "stop_loss_usd": None if bracket is None else str(bracket.stop_loss_usd),
        "status": booked.status,
        "is_open": int(booked.is_open),
        "filled_quantity": str(booked.filled_quantity),
        "reason": booked.reason,
        "split_ratio": str(booked.split_ratio),
        "is_triggered": int(booked.is_triggered),
        "entry": booked.entry,
        "executions": booked.executions,
        "created_at": booked.created_at.isoformat(),
        "updated_at": booked.updated_at.isoformat(),
    }


def order_from_row(row: sqlite3.Row) -> BookedOrder:
    """Return the order of a row."""
    bracket = None
    if row["take_profit_usd"] is not None:
        bracket = Bracket(Decimal(row["take_profit_usd"]), Decimal(row["stop_loss_usd"]))
    order = Order(
        client_order_id=row["client_order_id"],
        session=date.fromisoformat(row["session"]),
        symbol=row["symbol"],
        side=row["side"],
        quantity=Decimal(row["quantity"]),
        order_type=row["order_type"],
        time_in_force=row["time_in_force"],
        limit_price_usd=_decimal(row["limit_price_usd"]),
        stop_price_usd=_decimal(row["stop_price_usd"]),
        bracket=bracket,
    )
    return BookedOrder(
        order=order,
        status=row["status"],
        created_at=datetime.fromisoformat(row["created_at"]),
        updated_at=datetime.fromisoformat(row["updated_at"]),
        filled_quantity=Decimal(row["filled_quantity"]),
        reason=row["reason"],
        split_ratio=Decimal(row["split_ratio"]),
        is_triggered=bool(row["is_triggered"]),
        entry=row["entry"],
        executions=row["executions"],
    )


def execution_to_row(execution: Execution) -> Row:
    """Return an execution as columns of the table `executions`."""
    fill = execution.fill
    return {
        "execution_id": fill.execution_id,
        "client_order_id": fill.client_order_id,
        "session": execution.session.isoformat(),
        "symbol": fill.symbol,
        "side": fill.side,
        "quantity": str(fill.quantity),
        "price_usd": str(fill.price_usd),
        "cost_usd": str(fill.cost_usd),
        "filled_at": fill.filled_at.isoformat(),
        "replaces": execution.replaces,
        "undone_in": None if execution.undone_in is None else execution.undone_in.isoformat(),
        "replaced_by": execution.replaced_by,
    }


def execution_from_row(row: sqlite3.Row) -> Execution:
    """Return the execution of a row."""
    fill = Fill(
        execution_id=row["execution_id"],
        client_order_id=row["client_order_id"],
        symbol=row["symbol"],
        side=row["side"],
        quantity=Decimal(row["quantity"]),
        price_usd=Decimal(row["price_usd"]),
        cost_usd=Decimal(row["cost_usd"]),
        filled_at=datetime.fromisoformat(row["filled_at"]),
    )
    undone_in = row["undone_in"]
    return Execution(
        fill=fill,
        session=date.fromisoformat(row["session"]),
        replaces=row["replaces"],
        undone_in=None if undone_in is None else date.fromisoformat(undone_in),
        replaced_by=row["replaced_by"],
    )


def _text(price: Decimal | None) -> str | None:
    return None if price is None else str(price)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
