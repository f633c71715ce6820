"""What a declaration may hold, said once more in plain Python: the referee of fuzzed configs."""

import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import available_timezones

from trading_assets_tests.fuzz.symbols import referee as symbol_of

Rule = Callable[[Any], bool]
_LARGEST = 2**53
# What is no place's clock: the machine's own, and zones that count leap seconds.
_ZONES = {
    name for name in available_timezones() if name not in ("localtime", "posixrules", "Factory")
}
_TRUTHS = {"0", "1", "off", "on", "f", "t", "false", "true", "n", "y", "no", "yes"}
_DECIMAL = re.compile(r"[+-]?(\d+(_\d+)*)?\.?(\d+(_\d+)*)?([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+(_\d+)*(\.0+)?", re.ASCII)
# Python counts these as white space, Unicode does not.
_NO_SPACE = "\x1c\x1d\x1e\x1f"
_EARLIEST, _LATEST = date(1990, 1, 1), date(2035, 12, 31)


def number(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    is_above: bool = False,
    is_below: bool = False,
) -> Rule:
    """Return the rule of a finite number; `is_above`, `is_below`: the bound itself is outside."""

    def rule(value: Any) -> bool:
        read = _as_number(value)
        return (
            read is not None
            and math.isfinite(read)
            and (read > low if is_above else read >= low)
            and (read < high if is_below else read <= high)
        )

    return rule


def integer(low: int = -_LARGEST, high: int = _LARGEST) -> Rule:
    """Return the rule of a whole number."""

    def rule(value: Any) -> bool:
        if isinstance(value, str):
            text = value.strip()
            if not _WHOLE.fullmatch(text):
                return False
            return low <= int(text.replace("_", "").split(".")[0]) <= high
        read = _as_number(value)
        return (
            read is not None and math.isfinite(read) and read == int(read) and low <= read <= high
        )

    return rule


def choice(*allowed: str) -> Rule:
    """Return the rule of one word out of several."""
    return lambda value: isinstance(value, str) and value in allowed


def text(low: int = 0, high: int = 10**9) -> Rule:
    """Return the rule of a text, its length in characters."""
    return lambda value: (
        isinstance(value, str)
        and low <= len(value) <= high
        and not any("\ud800" <= character <= "\udfff" for character in value)
    )


def truth(value: Any) -> bool:
    """Whether a value can be read as true or false."""
    if isinstance(value, str):
        return value.lower() in _TRUTHS
    return isinstance(value, bool | int | float) and value in (0, 1)


def name(value: Any) -> bool:
    """Whether a value is a name of a declaration, feed or series."""
    letters = string.ascii_lowercase + string.digits + "_"
    return (
        isinstance(value, str)
        and 0 < len(value) <= 40
        and value[0] in string.ascii_lowercase
        and all(character in letters for character in value)
    )


def symbol(value: Any) -> bool:
    """Whether a value becomes a ticker."""
    return isinstance(value, str) and symbol_of(value) is not None


def day(value: Any) -> bool:
    """Whether a value is a day, also as text."""
    return as_day(value) is not None


def as_day(value: Any) -> date | None:
    """Return the day that a value means."""
    if isinstance(value, str) and len(value) == 10 and value[4] == value[7] == "-":
        parts = value[:4], value[5:7], value[8:]
        try:
            if all(set(part) <= set(string.digits) for part in parts):
                return date(*map(int, parts))
        except ValueError:
            pass
        return None
    return value if type(value) is date else None


def stripped(cell: str) -> str:
    """Return a cell without Unicode's white space around it, of which Python knows four more."""
    text = cell
    while text[:1].isspace() and text[0] not in _NO_SPACE:
        text = text[1:]
    while text[-1:].isspace() and text[-1] not in _NO_SPACE:
        text = text[:-1]
    return text


def covered_day(value: Any) -> bool:
    """Whether a value is a day that the calendars cover."""
    found = as_day(value)
    return found is not None and _EARLIEST <= found <= _LATEST


def optional(rule: Rule) -> Rule:
    """Return the rule of a value that may be absent."""
    return lambda value: value is None or rule(value)


def listing(rule: Rule, low: int = 0) -> Rule:
    """Return the rule of a list."""
    return lambda value: isinstance(value, list) and len(value) >= low and all(map(rule, value))


def mapping(key: Rule, value: Rule, low: int = 0) -> Rule:
    """Return the rule of a mapping whose keys are the user's."""
    return lambda given: (
        isinstance(given, dict)
        and len(given) >= low
        and all(key(k) and value(v) for k, v in given.items())
    )


def record(required: Mapping[str, Rule], further: Mapping[str, Rule]) -> Rule:
    """Return the rule of a mapping with declared keys."""
    known = {**required, **further}
    return lambda given: (
        isinstance(given, dict)
        and all(key in given for key in required)
        and all(key in known and known[key](value) for key, value in given.items())
    )


def both(first: Rule, second: Rule) -> Rule:
    """Return the rule that both hold; the second is asked only about what passes the first."""
    return lambda value: first(value) and second(value)


def kinds(by_kind: Mapping[str, Rule]) -> Rule:
    """Return the rule of a mapping whose `kind` says what it is."""
    return lambda given: (
        isinstance(given, dict)
        and isinstance(given.get("kind"), str)
        and given["kind"] in by_kind
        and by_kind[given["kind"]](given)
    )


def merged(values: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `overlay` over it, mapping by mapping."""
    return {
        **values,
        **{
            key: merged(values[key], value)
            if isinstance(value, dict) and isinstance(values.get(key), dict)
            else value
            for key, value in overlay.items()
        },
    }


def is_zone(value: Any) -> bool:
    """Whether a value names a time zone."""
    return isinstance(value, str) and value in _ZONES


def stints_are_apart(members: Sequence[Mapping[str, Any]]) -> bool:
    """Whether no symbol is a member twice on one day."""
    spans: dict[str | None, list[tuple[date, date]]] = {}
    for member in members:
        first = as_day(member.get("first_session")) or date.min
        last = as_day(member.get("last_session")) or date.max
        others = spans.setdefault(symbol_of(member["symbol"]), [])
        if any(first <= end and start <= last for start, end in others):
            return False
        others.append((first, last))
    return True


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return float(value) if abs(value) < 2**1023 else None
    if isinstance(value, float):
        return value
    if isinstance(value, str):
        stripped = value.strip()
        if _DECIMAL.fullmatch(stripped) and any(c in string.digits for c in stripped.split("e")[0]):
            return float(stripped.replace("_", ""))
    return None
