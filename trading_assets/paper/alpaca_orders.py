"""Orders in Alpaca's words: what is sent, what comes back, and the list of all of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from trading_assets.paper.alpaca_fields import (
    decimal_or_none,
    decimal_or_zero,
    object_list,
    objects_of,
    side_of,
    text_of,
)
from trading_assets.paper.alpaca_session import AlpacaSession
from trading_assets.paper.gateways import BrokerError, BrokerOrder
from trading_assets.paper.orders import Order

ORDERS_A_PAGE = 500

# Alpaca's filter excludes the moment itself, and its times have nanoseconds.
_JUST_BEFORE = timedelta(microseconds=1)


def reason_not_to_send(order: Order) -> str:
    """Return why Alpaca cannot take an order of this kind, or an empty string if it may."""
    if order.is_whole or (order.order_type == "market" and order.time_in_force in ("day", "opg")):
        return "" if order.is_whole or order.bracket is None else _fraction(order, "bracket")
    return _fraction(order, f"{order.order_type} order {order.time_in_force}")


def order_body(order: Order) -> dict[str, Any]:
    """Return the body of the request, its numbers exact decimal strings.

    Fractions are taken as market orders of the day only; sent before the open, they queue for it.
    """
    body: dict[str, Any] = {
        "symbol": order.symbol,
        "qty": plain_decimal(order.quantity),
        "side": order.side,
        "type": order.order_type,
        "time_in_force": order.time_in_force if order.is_whole else "day",
        "client_order_id": order.client_order_id,
    }
    if order.limit_price_usd is not None:
        body["limit_price"] = plain_decimal(order.limit_price_usd)
    if order.stop_price_usd is not None:
        body["stop_price"] = plain_decimal(order.stop_price_usd)
    if order.bracket is not None:
        body["order_class"] = "bracket"
        body["take_profit"] = {"limit_price": plain_decimal(order.bracket.take_profit_usd)}
        body["stop_loss"] = {"stop_price": plain_decimal(order.bracket.stop_loss_usd)}
    return body


def plain_decimal(value: Decimal) -> str:
    """Return a number without exponent and without zeros at its end."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def broker_order_of(entry: dict[str, Any]) -> BrokerOrder:
    """Return an order; a status that is not known yet passes as it is.

    An order for an amount of money has the quantity that is filled so far.

    Raises
    ------
    BrokerError
        If a field that every order has is missing or cannot be read.
    """
    filled = decimal_or_zero(entry, "filled_qty")
    quantity = decimal_or_none(entry, "qty")
    return BrokerOrder(
        broker_order_id=text_of(entry, "id"),
        client_order_id=text_of(entry, "client_order_id"),
        symbol=text_of(entry, "symbol"),
        side=side_of(entry),
        quantity=filled if quantity is None else quantity,
        status=text_of(entry, "status"),
        filled_quantity=filled,
        order_type=str(entry.get("type") or entry.get("order_type") or ""),
        time_in_force=str(entry.get("time_in_force") or ""),
        limit_price_usd=decimal_or_none(entry, "limit_price"),
        stop_price_usd=decimal_or_none(entry, "stop_price"),
    )


def with_legs(entry: dict[str, Any]) -> Iterator[BrokerOrder]:
    """Yield an order and the exits of its bracket."""
    yield broker_order_of(entry)
    for leg in objects_of(entry, "legs"):
        yield from with_legs(leg)


def differences(order: Order, known: BrokerOrder) -> str:
    """Return in which fields an answer is not about the order that was sent, or an empty string."""
    asked = (order.client_order_id, order.symbol, order.side, order.quantity)
    told = (known.client_order_id, known.symbol, known.side, known.quantity)
    names = ("client order id", "symbol", "side", "quantity")
    found = [
        f"{name} {theirs} for {ours}"
        for name, ours, theirs in zip(names, asked, told, strict=True)
        if ours != theirs
    ]
    return ", ".join(found)


def read_orders(
    session: AlpacaSession, since: datetime | None, *, is_open: bool
) -> tuple[BrokerOrder, ...]:
    """Return all orders submitted since a moment, or all open ones, oldest first, each once.

    Raises
    ------
    BrokerError
        If a page cannot be read, or the same full page comes twice.
    """
    parameters = {
        "status": "open" if is_open else "all",
        "limit": str(ORDERS_A_PAGE),
        "direction": "asc",
        "nested": "true",
    }
    start = {} if since is None else {"after": utc_text(since - _JUST_BEFORE)}
    found: dict[str, BrokerOrder] = {}
    while True:
        page = object_list(session.read("/orders", {**parameters, **start}))
        before = len(found)
        for entry in page:
            found.update((order.broker_order_id, order) for order in with_legs(entry))
        if len(page) < ORDERS_A_PAGE:
            return tuple(found.values())
        if len(found) == before:
            msg = f"Alpaca's list of orders repeats itself after {before} orders; run again later"
            raise BrokerError(msg)
        start = {"after_order_id": _last_certain(page)}


def utc_text(moment: datetime) -> str:
    """Return a moment as Alpaca's filters take it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _last_certain(page: list[dict[str, Any]]) -> str:
    """Return the id of the last order that was surely submitted before the page's last one.

    The next page repeats the orders of the same moment, so that none of them is left out where the
    broker goes on from the moment.
    """
    last = page[-1].get("submitted_at")
    earlier = [entry for entry in page if entry.get("submitted_at") != last]
    return text_of((earlier or page)[-1], "id")


def _fraction(order: Order, kind: str) -> str:
    return (
        f"quantity of {order.client_order_id} was {order.quantity} for a {kind}; Alpaca takes"
        " fractions of a share only as market orders of the day: round it to whole shares"
    )
