"""The stored state of the embedded broker: what it is restarted from, as canonical JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, cast

import numpy as np

from trading_assets.errors import DataError
from trading_assets.paper.gateways import BrokerOrder
from trading_assets.paper.orders import Order, to_money, to_quantity
from trading_assets.simulation.core import Books, Floats


@dataclass(frozen=True, slots=True)
class BrokerState:
    """An embedded broker's account.

    Attributes
    ----------
    as_of : date or None
        Last session whose close it has seen.
    books : Books or None
        One book; None before the first session.
    orders : tuple of (Order, BrokerOrder)
        Orders of the newest session.
    """

    as_of: date | None
    books: Books | None
    orders: tuple[tuple[Order, BrokerOrder], ...]


def write_state(state: BrokerState, symbols: tuple[str, ...]) -> bytes:
    """Return the state as canonical JSON; `symbols` names the columns of the book."""
    values: dict[str, Any] = {
        "as_of": None if state.as_of is None else state.as_of.isoformat(),
        "orders": [_order_to_json(*entry) for entry in state.orders],
    }
    if state.books is not None:
        held = zip(symbols, state.books.quantity[0], strict=True)
        values["cash_usd"] = str(to_money(state.books.cash[0]))
        values["quantity"] = {symbol: str(to_quantity(value)) for symbol, value in held if value}
        values["price_usd"] = _by_symbol(state.books.price, symbols)
        values["target_weight"] = _by_symbol(state.books.target_weight, symbols)
    return json.dumps(values, sort_keys=True, indent=1).encode()


def read_state(content: bytes, symbols: tuple[str, ...]) -> BrokerState:
    """Return the state that `write_state` wrote, with the book's columns as in `symbols`.

    Raises
    ------
    DataError
        If the content is not such a state, or the book holds a symbol that is not in `symbols`.
    """
    try:
        values = cast("dict[str, Any]", json.loads(content))
        as_of = date.fromisoformat(values["as_of"]) if values["as_of"] else None
        orders = tuple(_order_from_json(entry) for entry in values["orders"])
        if as_of is None:
            return BrokerState(None, None, orders)
        books = Books(
            cash=np.array([float(values["cash_usd"])]),
            quantity=_array(values["quantity"], symbols),
            price=_array(values["price_usd"], symbols),
            target_weight=_array(values["target_weight"], symbols),
        )
    except (ValueError, KeyError, TypeError, ArithmeticError) as error:
        msg = (
            f"the stored state of the simulated broker could not be read ({error});"
            " restore the record of the session before"
        )
        raise DataError(msg) from error
    strangers = sorted({*values["quantity"]} - {*symbols})
    if strangers:
        msg = f"the account holds {', '.join(strangers)}; expected only symbols of the market"
        raise DataError(msg)
    return BrokerState(as_of, books, orders)


def _by_symbol(values: Floats, symbols: tuple[str, ...]) -> dict[str, str]:
    # repr of a float gives the same float back: the account goes on bit by bit.
    return dict(zip(symbols, (repr(float(value)) for value in values[0]), strict=True))


def _array(by_symbol: Mapping[str, str], symbols: tuple[str, ...]) -> Floats:
    return np.array([[float(by_symbol.get(symbol, "0")) for symbol in symbols]])


def _order_to_json(order: Order, known: BrokerOrder) -> dict[str, str]:
    return {
        "client_order_id": order.client_order_id,
        "session": order.session.isoformat(),
        "symbol": order.symbol,
        "side": order.side,
        "quantity": str(order.quantity),
        "status": known.status,
        "filled_quantity": str(known.filled_quantity),
        "reason": known.reason,
    }


def _order_from_json(entry: dict[str, Any]) -> tuple[Order, BrokerOrder]:
    order = Order(
        entry["client_order_id"],
        date.fromisoformat(entry["session"]),
        entry["symbol"],
        entry["side"],
        Decimal(entry["quantity"]),
    )
    known = BrokerOrder(
        f"sim-{order.client_order_id}",
        order.client_order_id,
        order.symbol,
        order.side,
        order.quantity,
        entry["status"],
        Decimal(entry["filled_quantity"]),
        entry["reason"],
    )
    return order, known
