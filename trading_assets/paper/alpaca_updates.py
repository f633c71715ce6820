"""Messages of Alpaca's order stream as updates, and the bounded queue in which they wait.

A message is a hint. Whatever could not be kept or read becomes one hint to read everything again;
only executions that were undone are kept in any case, since no list tells them.
"""

import json
import threading
from collections import deque
from decimal import Decimal
from typing import Any, cast

from trading_assets.errors import shown
from trading_assets.paper.alpaca_fields import decimal_of, moment_of, text_of
from trading_assets.paper.alpaca_orders import broker_order_of
from trading_assets.paper.fills import Fill, FillChange
from trading_assets.paper.gateways import BrokerError, BrokerOrder, Update
from trading_assets.paper.orders import MONEY_STEP, ZERO

# Orders, fills, positions and cash must be read again: messages may be missing before this one.
READ_AGAIN = Update("read_again", BrokerOrder("", "", "", "buy", ZERO, "", ZERO))

_UPDATES_STREAM = "trade_updates"
_BUST, _CORRECTION = "trade_bust", "trade_correct"


def frame_of(text: str | bytes) -> dict[str, Any]:
    """Return a message as an object, its numbers Decimal.

    Raises
    ------
    BrokerError
        If it is no JSON object.
    """
    try:
        frame = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        frame = None
    if not isinstance(frame, dict):
        msg = f"Alpaca's stream sent {len(text)} characters that are no JSON object"
        raise BrokerError(msg)
    return cast("dict[str, Any]", frame)


def data_of(frame: dict[str, Any], stream: str) -> dict[str, Any] | None:
    """Return the data of a message if it is of this stream."""
    data = frame.get("data")
    if frame.get("stream") != stream:
        return None
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def update_of(frame: dict[str, Any]) -> Update | None:
    """Return a message about an order; None if it is about something else.

    An event that is not known yet passes as it is.

    Raises
    ------
    BrokerError
        If a field that is needed is missing or cannot be read.
    """
    data = data_of(frame, _UPDATES_STREAM)
    if data is None:
        return None
    entry = data.get("order")
    if not isinstance(entry, dict):
        msg = f"Alpaca's order was {shown(entry)}; expected an object"
        raise BrokerError(msg)
    event = text_of(data, "event")
    order = broker_order_of(cast("dict[str, Any]", entry))
    return Update(event, order, _change_of(event, data, order))


def _change_of(event: str, data: dict[str, Any], order: BrokerOrder) -> FillChange | None:
    if event not in (_BUST, _CORRECTION):
        return None
    if event == _BUST:
        named = data.get("previous_execution_id") or data.get("execution_id")
        return FillChange("bust", text_of({"execution_id": named}, "execution_id"))
    replacement = Fill(
        execution_id=text_of(data, "execution_id"),
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=decimal_of(data, "qty"),
        price_usd=decimal_of(data, "price").quantize(MONEY_STEP),
        cost_usd=ZERO,
        filled_at=moment_of(data, "timestamp"),
    )
    return FillChange("correction", text_of(data, "previous_execution_id"), replacement)


class UpdateQueue:
    """Updates that wait to be taken, at most so many.

    Parameters
    ----------
    capacity : int
        When more wait, all but the undone executions become `READ_AGAIN`.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: deque[Update] = deque()
        self._lock = threading.Lock()

    def put(self, update: Update) -> None:
        """Add an update, never waiting for room."""
        with self._lock:
            self._waiting.append(update)
            if len(self._waiting) > self._capacity:
                kept = [waiting for waiting in self._waiting if waiting.change is not None]
                self._waiting = deque([READ_AGAIN, *kept])

    def take(self) -> tuple[Update, ...]:
        """Return what waits, in the order of arrival, and forget it."""
        with self._lock:
            taken = tuple(self._waiting)
            self._waiting.clear()
        return taken
