"""Messages of Alpaca's market-data stream, read from JSON; nothing in them is trusted.

A frame is an array of messages, each with its kind in `T`. Text that the server sent never leaves
this module: it could repeat a key, and what is logged or raised must not.
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast

from trading_assets.symbols import normalize_symbol

BarKind = Literal["b", "u", "d"]

_CODES_OF_A_HALT = {"2", "H", "P"}
_CODES_OF_A_RESUMPTION = {"3", "T"}


@dataclass(frozen=True, slots=True)
class BarMessage:
    """One bar as sent: `b` a minute, `u` a corrected minute, `d` the day so far.

    Attributes
    ----------
    start : datetime
        Start of the bar, UTC; of a day, the midnight in New York that starts it.
    volume, trades : float, int
        Shares and trades so far. Late trades only add to them, so they order the versions of a bar.
    """

    kind: BarKind
    symbol: str
    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float
    trades: int


@dataclass(frozen=True, slots=True)
class HaltMessage:
    """Trading in `symbol` was halted, or went on, at `moment`."""

    symbol: str
    moment: datetime
    is_halted: bool


@dataclass(slots=True)
class Frame:
    """What one frame held.

    Attributes
    ----------
    greetings : set of str
        `connected` and `authenticated`, as far as the server said so.
    subscribed : dict or None
        Channel to symbols, if the frame confirms a subscription.
    malformed : Counter
        Messages that could not be read, by reason.
    """

    bars: list[BarMessage] = field(default_factory=list[BarMessage])
    halts: list[HaltMessage] = field(default_factory=list[HaltMessage])
    greetings: set[str] = field(default_factory=set[str])
    error_codes: list[int] = field(default_factory=list[int])
    subscribed: dict[str, frozenset[str]] | None = None
    malformed: Counter[str] = field(default_factory=Counter[str])

    @property
    def has_market_data(self) -> bool:
        """Whether the frame shows that market data flows."""
        return bool(self.bars or self.halts)


class _UnreadableError(Exception):
    pass


def parse_frame(text: str | bytes) -> Frame:
    """Return the messages of one frame; what cannot be read is counted, never raised."""
    frame = Frame()
    try:
        decoded: Any = json.loads(text)
    except (ValueError, RecursionError):
        frame.malformed["no JSON"] += 1
        return frame
    if not isinstance(decoded, list):
        frame.malformed["no array"] += 1
        return frame
    for message in cast("list[Any]", decoded):
        try:
            _read_message(frame, message)
        except _UnreadableError as problem:
            frame.malformed[str(problem)] += 1
    return frame


def _read_message(frame: Frame, message: Any) -> None:  # noqa: ANN401 # whatever JSON holds
    if not isinstance(message, dict):
        msg = "no object"
        raise _UnreadableError(msg)
    content = cast("Mapping[str, Any]", message)
    kind = content.get("T")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        msg = "unknown kind"
        raise _UnreadableError(msg)
    read(frame, content)


def _read_bar(frame: Frame, message: Mapping[str, Any]) -> None:
    open_, high, low, close, volume = (_number(message, name) for name in "ohlcv")
    frame.bars.append(
        BarMessage(
            kind=message["T"],
            symbol=_symbol(message),
            start=_moment(message, "t"),
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=volume,
            trades=int(_number(message, "n")) if "n" in message else 0,
        )
    )


def _read_status(frame: Frame, message: Mapping[str, Any]) -> None:
    code = _text(message, "sc")
    if code in _CODES_OF_A_HALT | _CODES_OF_A_RESUMPTION:
        frame.halts.append(
            HaltMessage(_symbol(message), _moment(message, "t"), code in _CODES_OF_A_HALT)
        )


def _read_success(frame: Frame, message: Mapping[str, Any]) -> None:
    frame.greetings.add(_text(message, "msg"))


def _read_error(frame: Frame, message: Mapping[str, Any]) -> None:
    frame.error_codes.append(int(_number(message, "code")))


def _read_subscription(frame: Frame, message: Mapping[str, Any]) -> None:
    frame.subscribed = {
        channel: frozenset(str(symbol) for symbol in cast("list[Any]", symbols))
        for channel, symbols in message.items()
        if isinstance(symbols, list)
    }


_READERS: Mapping[str, Callable[[Frame, Mapping[str, Any]], None]] = {
    "b": _read_bar,
    "u": _read_bar,
    "d": _read_bar,
    "s": _read_status,
    "success": _read_success,
    "error": _read_error,
    "subscription": _read_subscription,
}


def _number(message: Mapping[str, Any], name: str) -> float:
    value = message.get(name)
    # A bool is an int in Python, and Python's JSON reads NaN, Infinity and integers of any size.
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return float(value)
    msg = f"{name} is no finite number"
    raise _UnreadableError(msg)


_LARGEST = math.ldexp(1.0, 1000)


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if isinstance(value, str) and value:
        return value
    msg = f"{name} is no text"
    raise _UnreadableError(msg)


def _symbol(message: Mapping[str, Any]) -> str:
    symbol = normalize_symbol(_text(message, "S"))
    if symbol is None:
        msg = "S is no symbol"
        raise _UnreadableError(msg)
    return symbol


def _moment(message: Mapping[str, Any], name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(message, name))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    msg = f"{name} is no time with a zone"
    raise _UnreadableError(msg)
