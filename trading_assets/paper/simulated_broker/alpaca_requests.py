"""Requests in Alpaca's dialect as orders of the simulated broker; every field is checked."""

import uuid
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, cast, get_args

from trading_assets.errors import DataError
from trading_assets.paper.orders import Bracket, Order, OrderType, Side, TimeInForce
from trading_assets.paper.simulated_broker.rules import UNPROCESSABLE, Refusal

_KNOWN = frozenset(
    {
        "symbol",
        "qty",
        "side",
        "type",
        "time_in_force",
        "limit_price",
        "stop_price",
        "client_order_id",
        "order_class",
        "take_profit",
        "stop_loss",
        "extended_hours",
    }
)


def read_order(body: object, session: date) -> Order | Refusal:
    """Return the order that a request's body asks for, or why it is refused.

    Parameters
    ----------
    body : object
        Parsed JSON.
    session : date
        Session in which the order is to work first.
    """
    if not isinstance(body, dict):
        return Refusal(400, 40010000, "request body format is invalid")
    fields = cast("dict[str, Any]", body)
    try:
        return _order_of(fields, session)
    except DataError as error:
        return Refusal(422, UNPROCESSABLE, str(error))


def _order_of(fields: dict[str, Any], session: date) -> Order:
    strangers = sorted({*fields} - _KNOWN)
    if strangers:
        msg = f"{', '.join(strangers)[:80]} is not supported"
        raise DataError(msg)
    if fields.get("extended_hours"):
        msg = "extended hours are not supported"
        raise DataError(msg)
    client_order_id = fields.get("client_order_id") or str(uuid.uuid4())
    return Order(
        client_order_id=_text(client_order_id, "client_order_id"),
        session=session,
        symbol=_text(fields.get("symbol"), "symbol"),
        side=cast("Side", _choice(fields, "side", get_args(Side))),
        quantity=_required_decimal(fields, "qty"),
        order_type=cast("OrderType", _choice(fields, "type", get_args(OrderType))),
        time_in_force=cast("TimeInForce", _choice(fields, "time_in_force", get_args(TimeInForce))),
        limit_price_usd=_decimal(fields, "limit_price"),
        stop_price_usd=_decimal(fields, "stop_price"),
        bracket=_bracket_of(fields),
    )


def _bracket_of(fields: dict[str, Any]) -> Bracket | None:
    kind = fields.get("order_class") or "simple"
    if kind == "simple":
        return None
    if kind != "bracket":
        msg = f"order class {str(kind)[:40]!r} is not supported"
        raise DataError(msg)
    profit, loss = fields.get("take_profit"), fields.get("stop_loss")
    if not isinstance(profit, dict) or not isinstance(loss, dict):
        msg = "bracket orders require take_profit.limit_price and stop_loss.stop_price"
        raise DataError(msg)
    return Bracket(
        _required_decimal(cast("dict[str, Any]", profit), "limit_price"),
        _required_decimal(cast("dict[str, Any]", loss), "stop_price"),
    )


def _choice(fields: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    value = fields.get(name)
    if value not in allowed:
        msg = f"invalid {name}: {str(value)[:40]!r}"
        raise DataError(msg)
    return cast("str", value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        msg = f"{name} was {str(value)[:40]}; expected a string"
        raise DataError(msg)
    return value


def _required_decimal(fields: dict[str, Any], name: str) -> Decimal:
    value = _decimal(fields, name)
    if value is None:
        msg = f"{name} is required"
        raise DataError(msg)
    return value


def _decimal(fields: dict[str, Any], name: str) -> Decimal | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        # A number in JSON is read as a float, which need not be what was meant.
        number = Decimal(value) if isinstance(value, str) else Decimal("nan")
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        msg = f"{name} was {str(value)[:40]!r}; expected a decimal number in a string"
        raise DataError(msg)
    return number
