"""Fields of Alpaca's JSON, each checked before it is used."""

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from trading_assets.errors import shown
from trading_assets.paper.alpaca_reply import Reply
from trading_assets.paper.gateways import BrokerError
from trading_assets.paper.orders import ZERO, Side

# No amount of an account comes near it, and money is rounded exactly below it.
_LIMIT = Decimal("1e18")
_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell", "sell_short": "sell"}


def one_object(reply: Reply) -> dict[str, Any]:
    """Return the one object a reply holds, or raise BrokerError."""
    if reply.status not in (200, 201) or not isinstance(reply.content, dict):
        msg = f"Alpaca answered {reply.request} with {reply.shown}; expected one object"
        raise BrokerError(msg)
    return reply.fields


def object_list(reply: Reply) -> list[dict[str, Any]]:
    """Return the list of objects a reply holds, or raise BrokerError."""
    if reply.status not in (200, 207) or not _is_object_list(reply.content):
        msg = f"Alpaca answered {reply.request} with {reply.shown}; expected a list of objects"
        raise BrokerError(msg)
    return cast("list[dict[str, Any]]", reply.content)


def objects_of(entry: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a list of objects, empty where it is absent, or raise BrokerError."""
    content = entry.get(name)
    if content is None:
        return []
    if not _is_object_list(content):
        msg = f"Alpaca's {name} was {shown(content)}; expected a list of objects"
        raise BrokerError(msg)
    return cast("list[dict[str, Any]]", content)


def text_of(entry: dict[str, Any], name: str) -> str:
    """Return a text field that must not be empty, or raise BrokerError."""
    text = entry.get(name)
    if not isinstance(text, str) or not text:
        msg = f"Alpaca's {name} was {shown(text)}; expected a text"
        raise BrokerError(msg)
    return text


def decimal_of(entry: dict[str, Any], name: str) -> Decimal:
    """Return a finite decimal field, or raise BrokerError."""
    text = entry.get(name)
    try:
        value = Decimal(str(text))
    except (InvalidOperation, ValueError):
        value = Decimal("nan")
    if not value.is_finite() or abs(value) >= _LIMIT:
        msg = f"Alpaca's {name} was {shown(text)}; expected a decimal number"
        raise BrokerError(msg)
    return value


def decimal_or_zero(entry: dict[str, Any], name: str) -> Decimal:
    """Return a decimal field, 0 where it is absent; raise BrokerError if it is no number."""
    return ZERO if entry.get(name) is None else decimal_of(entry, name)


def decimal_or_none(entry: dict[str, Any], name: str) -> Decimal | None:
    """Return a decimal field, None where it is absent; raise BrokerError if it is no number."""
    return None if entry.get(name) is None else decimal_of(entry, name)


def side_of(entry: dict[str, Any]) -> Side:
    """Return the side, or raise BrokerError."""
    side = _SIDES.get(str(entry.get("side")))
    if side is None:
        msg = f"Alpaca's side was {shown(entry.get('side'))}; expected buy or sell"
        raise BrokerError(msg)
    return side


def moment_of(entry: dict[str, Any], name: str) -> datetime:
    """Return a time with its zone, to the microsecond, or raise BrokerError."""
    text = str(entry.get(name))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        msg = f"Alpaca's {name} was {shown(text)}; expected a time with its zone"
        raise BrokerError(msg)
    return moment


def day_of(entry: dict[str, Any], name: str) -> date:
    """Return a date, or raise BrokerError."""
    text = str(entry.get(name))
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        msg = f"Alpaca's {name} was {shown(text)}; expected a date"
        raise BrokerError(msg) from None


def _is_object_list(content: object) -> bool:
    return isinstance(content, list) and all(
        isinstance(entry, dict) for entry in cast("list[object]", content)
    )
