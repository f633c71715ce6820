"""Reading Alpaca's JSON: every field is checked before it is used."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from trading_assets.paper.alpaca_client import Answer
from trading_assets.paper.fills import Fill
from trading_assets.paper.gateways import BrokerError, BrokerOrder
from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import MONEY_STEP, QUANTITY_STEP, ZERO, Side


def one_object(answer: Answer, path: str) -> dict[str, Any]:
    """Return the one object an answer holds, or raise BrokerError."""
    body = cast("Any", answer.body)
    if answer.status not in (200, 201) or not isinstance(body, dict):
        msg = f"Alpaca answered {path} with {answer.message}; expected one object"
        raise BrokerError(msg)
    return cast("dict[str, Any]", body)


def object_list(answer: Answer, path: str) -> list[dict[str, Any]]:
    """Return the list of objects an answer holds, or raise BrokerError."""
    body = cast("Any", answer.body)
    if answer.status != 200 or not isinstance(body, list):
        msg = f"Alpaca answered {path} with {answer.message}; expected a list"
        raise BrokerError(msg)
    return cast("list[dict[str, Any]]", body)


def decimal_of(entry: dict[str, Any], name: str) -> Decimal:
    """Return a finite decimal field, or raise BrokerError."""
    text = entry.get(name)
    try:
        value = Decimal(str(text))
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        msg = f"Alpaca's {name} was {text!r}; expected a decimal number"
        raise BrokerError(msg)
    return value


def side_of(entry: dict[str, Any]) -> Side:
    """Return the side, or raise BrokerError."""
    side = entry.get("side")
    if side not in ("buy", "sell"):
        msg = f"Alpaca's side was {side!r}; expected buy or sell"
        raise BrokerError(msg)
    return side


def moment_of(entry: dict[str, Any], name: str) -> datetime:
    """Return a time with its zone, or raise BrokerError."""
    text = str(entry.get(name))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        msg = f"Alpaca's {name} was {text!r}; expected a time with its zone"
        raise BrokerError(msg)
    return moment


def signed_quantity_of(position: dict[str, Any]) -> Decimal:
    """Return the shares of a position, negative when short."""
    quantity = abs(decimal_of(position, "qty")).quantize(QUANTITY_STEP)
    return -quantity if position.get("side") == "short" else quantity


def broker_order_of(entry: dict[str, Any]) -> BrokerOrder:
    """Return an order."""
    return BrokerOrder(
        broker_order_id=str(entry.get("id", "")),
        client_order_id=str(entry.get("client_order_id", "")),
        symbol=str(entry.get("symbol", "")),
        side=side_of(entry),
        quantity=decimal_of(entry, "qty"),
        status=str(entry.get("status", "")),
        filled_quantity=decimal_of(entry, "filled_qty"),
    )


def fill_of(activity: dict[str, Any], order: BrokerOrder) -> Fill:
    """Return an execution of `order`."""
    return Fill(
        execution_id=str(activity["id"]),
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=decimal_of(activity, "qty"),
        price_usd=decimal_of(activity, "price").quantize(MONEY_STEP),
        cost_usd=ZERO,
        filled_at=moment_of(activity, "transaction_time"),
    )


def account_event_of(activity: dict[str, Any]) -> AccountEvent:
    """Return a cash activity that is no fill."""
    kind = str(activity.get("activity_type", ""))
    return AccountEvent(
        event_id=str(activity["id"]),
        kind="dividend" if kind.startswith("DIV") else kind.lower(),
        session=date.fromisoformat(str(activity["date"])[:10]),
        symbol=str(activity.get("symbol") or ""),
        quantity_change=ZERO,
        cash_usd=decimal_of(activity, "net_amount").quantize(MONEY_STEP),
    )
