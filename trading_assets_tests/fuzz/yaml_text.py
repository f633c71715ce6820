"""YAML as text: values written so that any loader reads them back, and fragments with a trap."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from trading_assets_tests.fuzz.material import ABSOLUTE


class Unreadable:
    """What a fragment means that no declaration may hold."""

    def __repr__(self) -> str:
        return "unreadable"


UNREADABLE = Unreadable()


@dataclass(frozen=True)
class Raw:
    """A piece of YAML, and the value that YAML 1.1 gives it."""

    text: str
    value: Any


@dataclass(frozen=True)
class Pairs:
    """A mapping whose keys may repeat."""

    pairs: tuple[tuple[Any, Any], ...]


_DEEP = 300
# YAML reads ahead for a colon no further than this.
_LONGEST_KEY = 1_024
TRAPS = (
    Raw("yes", True), Raw("NO", False), Raw("on", True), Raw("Off", False), Raw("~", None),
    Raw("null", None), Raw("", None), Raw(".inf", math.inf), Raw("-.INF", -math.inf),
    Raw(".nan", math.nan), Raw("0x1f", 31), Raw("0b101", 5), Raw("017", 15), Raw("1_000", 1000),
    Raw("190:20:30", 685_230), Raw("1e3", "1e3"), Raw("1.0e+3", 1000.0), Raw("'5'", "5"),
    Raw("2005-01-03", date(2005, 1, 3)), Raw("'2005-01-03'", "2005-01-03"), Raw("20050103", 20_050_103),
    Raw("1136073600", 1_136_073_600), Raw("'1136073600'", "1136073600"), Raw("0x" + "f" * 6_000, UNREADABLE),
    Raw("2005-13-45", UNREADABLE), Raw("0000-01-01", UNREADABLE), Raw("2005-02-30", UNREADABLE),
    Raw("2005-01-03T25:00:00", UNREADABLE), Raw("9" * 5_000, UNREADABLE), Raw("*nothing", UNREADABLE),
    Raw("&x [*x]", UNREADABLE), Raw("&x {a: *x}", UNREADABLE), Raw("[" * _DEEP + "]" * _DEEP, UNREADABLE),
    Raw("{a: " * _DEEP + "1" + "}" * _DEEP, UNREADABLE), Raw("{a: 1, a: 2}", UNREADABLE),
    Raw("{1: 2}", UNREADABLE), Raw("{? [a] : 1}", UNREADABLE), Raw("{yes: 1}", UNREADABLE),
    Raw(f"!!python/object/apply:os.system ['touch {ABSOLUTE}']", UNREADABLE),
    Raw(f"!!python/object/apply:builtins.open ['{ABSOLUTE}', 'w']", UNREADABLE),
    Raw("!!python/name:os.system ''", UNREADABLE), Raw("!!bool maybe", UNREADABLE), Raw("!!str x", UNREADABLE),
    Raw("!!int ''", UNREADABLE), Raw("!!timestamp x", UNREADABLE), Raw("!!binary '*'", UNREADABLE),
    Raw("!!set {a}", UNREADABLE), Raw("!own {a: 1}", UNREADABLE), Raw('"\\ud800"', UNREADABLE),
    Raw('"\\0"', "\0"), Raw("'", UNREADABLE), Raw("[", UNREADABLE), Raw("}", UNREADABLE),
    Raw("a: b", UNREADABLE), Raw("%x", UNREADABLE), Raw("@x", UNREADABLE), Raw("`x`", UNREADABLE),
)  # fmt: skip


def written(node: Any) -> str:
    """Return a value, or a tree with `Raw` and `Pairs` in it, as YAML on one line."""
    if isinstance(node, Raw):
        return node.text
    if isinstance(node, Pairs):
        return _mapping(node.pairs)
    if isinstance(node, Mapping):
        return _mapping(tuple(node.items()))
    if isinstance(node, list | tuple):
        return "[" + ", ".join(written(item) for item in node) + "]"
    if isinstance(node, str):
        return _quoted(node)
    return _scalar(node)


def meaning(node: Any) -> Any:
    """Return the value of such a tree, `UNREADABLE` if any part of it is."""
    if isinstance(node, Raw):
        return node.value
    if isinstance(node, str):
        is_whole = not any("\ud800" <= character <= "\udfff" for character in node)
        return node if is_whole else UNREADABLE
    if isinstance(node, Mapping | Pairs):
        pairs = node.pairs if isinstance(node, Pairs) else tuple(node.items())
        keys = [meaning(key) for key, _ in pairs]
        values = [meaning(value) for _, value in pairs]
        is_plain = all(isinstance(key, str) for key in keys) and len(set(map(repr, keys))) == len(
            keys
        )
        is_short = all(len(written(key)) <= _LONGEST_KEY for key, _ in pairs)
        if not is_plain or not is_short or any(value is UNREADABLE for value in values):
            return UNREADABLE
        return dict(zip(keys, values, strict=True))
    if isinstance(node, list | tuple):
        items = [meaning(item) for item in node]
        return UNREADABLE if any(item is UNREADABLE for item in items) else items
    return node


def _mapping(pairs: Sequence[tuple[Any, Any]]) -> str:
    return "{" + ", ".join(f"{written(key)}: {written(value)}" for key, value in pairs) + "}"


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return hex(value) if abs(value) > 10**300 else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
        digits, mark, exponent = repr(value).partition("e")
        return digits + ("" if "." in digits else ".0") + mark + exponent
    assert isinstance(value, date)
    return value.isoformat()


def _quoted(text: str) -> str:
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    number = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if 0x20 <= number < 0x7F:
        return character
    return f"\\U{number:08x}" if number > 0xFFFF else f"\\u{number:04x}"
