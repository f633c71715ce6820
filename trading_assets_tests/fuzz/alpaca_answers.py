"""Answers of a vendor's HTTP API: bars and actions as they stand, or one error, never a guess."""

import math
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from trading_assets.bars.alpaca.actions import actions_table, read_actions, settle_actions
from trading_assets.bars.alpaca.answers import place_bars, read_bars
from trading_assets.schema import TABLES
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.json_material import (
    GOOD_TIMES,
    altered,
    apt,
    changes,
    wrong_values,
)
from trading_assets_tests.fuzz.material import names
from trading_assets_tests.fuzz.symbols import referee as symbol_of

_SYMBOLS = ("AAPL", "BRK.B", "OLD")
_BAR = {
    "t": "2024-05-01T04:00:00Z",
    "o": 10.0,
    "h": 12,
    "l": 9.5,
    "c": 11,
    "v": 100,
    "n": 3,
    "vw": 1,
}
_FIELDS = "ohlcv"
_FIRST, _LAST = date(2024, 1, 2), date(2024, 12, 31)


def bar_referee(answer: dict[str, Any]) -> list[tuple[Any, ...]] | None:
    """Return symbol, start and numbers of all bars, None if the answer has to be refused."""
    rows: list[tuple[Any, ...]] = []
    for symbol, bars in answer.items():
        if symbol not in _SYMBOLS or not isinstance(bars, list):
            return None
        for bar in bars:
            if not isinstance(bar, dict):
                return None
            numbers = [_number(bar.get(field)) for field in _FIELDS]
            start = _moment(bar.get("t"))
            if start is None or None in numbers:
                return None
            rows.append((symbol, start, *numbers))
    return rows


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


@contextmanager
def _open_bars(_: Path) -> Generator[Check]:
    def check(given: dict[str, Any], counts: Counts) -> None:
        expected = bar_referee(given)
        tables: list[Any] = []
        refused = refusal_of(lambda: tables.append(read_bars(given, _SYMBOLS)))
        counts.add(accepted=expected is not None)
        assert (refused is None) == (expected is not None), refused
        if expected is not None:
            assert sorted(tables[0].rows()) == sorted(expected)
            refusal_of(lambda: place_bars(tables[0], CALENDAR, "1d", _FIRST, _LAST))
            placed = place_bars(tables[0], CALENDAR, "5m", _FIRST, _LAST)
            assert placed["session"].is_between(_FIRST, _LAST).all()

    yield check


@contextmanager
def _open_actions(_: Path) -> Generator[Check]:
    def check(answer: dict[str, Any], counts: Counts) -> None:
        given = {group: _numbered(entries) for group, entries in answer.items()}
        tables: list[Any] = []

        def read() -> None:
            found = read_actions(given, _SYMBOLS)
            settled = settle_actions(found, lambda *_: {date(2024, 5, 1): 2.5}, CALENDAR)
            tables.append(actions_table(settled, CALENDAR, 15))

        refused = refusal_of(read)
        expected = _actions_are_good(given)
        counts.add(accepted=expected)
        assert (refused is None) == expected, refused
        for table in tables:
            assert table.schema == TABLES["corporate_actions"].empty().schema
            for row in table.iter_rows(named=True):
                assert row["symbol"] in _SYMBOLS
                assert (
                    row["new_symbol"] is None or symbol_of(row["new_symbol"]) == row["new_symbol"]
                )
                assert math.isfinite(row["split_ratio"])
                assert row["split_ratio"] > 0
                assert math.isfinite(row["cash_usd"])
                assert row["cash_usd"] >= 0

    yield check


def _numbered(entries: Any) -> Any:
    """Return entries with an id each: those that share one are the same action on two pages."""
    if not isinstance(entries, list):
        return entries
    return [
        {**entry, "id": number} if isinstance(entry, dict) and "id" in entry else entry
        for number, entry in enumerate(entries)
    ]


def _day(value: Any) -> bool:
    try:
        return isinstance(value, str) and date(1990, 1, 1) <= date.fromisoformat(value) <= _LATEST
    except ValueError:
        return False


def _rate(value: Any) -> bool:
    number = _number(value)
    return number is not None and number > 0


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


_LATEST = date(2035, 12, 31)
_SPLIT = {"id": "1", "symbol": "AAPL", "new_rate": 2, "old_rate": 1, "ex_date": "2024-05-01"}
_DIVIDEND = {"id": "2", "symbol": "AAPL", "rate": 0.25, "ex_date": "2024-05-01"}
_RENAME = {"id": "3", "old_symbol": "OLD", "new_symbol": "NEW", "process_date": "2024-05-01"}
_SPIN_OFF = {"id": "4", "source_symbol": "AAPL", "new_symbol": "SPUN", "source_rate": 1, "new_rate": 0.5,
             "ex_date": "2024-05-01"}  # fmt: skip
_RULES: dict[str, dict[str, Any]] = {
    "forward_splits": {"symbol": _text, "new_rate": _rate, "old_rate": _rate, "ex_date": _day},
    "cash_dividends": {"symbol": _text, "rate": lambda v: v == 0 or _rate(v), "ex_date": _day},
    "stock_dividends": {"symbol": _text, "rate": lambda v: _rate(v) and v < 1e6 - 1, "ex_date": _day},
    "name_changes": {"old_symbol": _text, "new_symbol": _text, "process_date": _day},
    "spin_offs": {"source_symbol": _text, "new_symbol": _text, "source_rate": _rate, "new_rate": _rate,
                  "ex_date": _day},
}  # fmt: skip
_GOOD = {
    "forward_splits": _SPLIT,
    "cash_dividends": _DIVIDEND,
    "stock_dividends": _DIVIDEND,
    "name_changes": _RENAME,
    "spin_offs": _SPIN_OFF,
}


def _actions_are_good(answer: dict[str, Any]) -> bool:
    for group, entries in answer.items():
        rules = _RULES.get(group)
        if rules is None:
            continue
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            return False
        for entry in entries:
            if not all(name in entry and rule(entry[name]) for name, rule in rules.items()):
                return False
            if "id" not in entry or (group == "cash_dividends" and not _currency_is_read(entry)):
                return False
            if not _ratio_is_finite(entry):
                return False
    return True


def _currency_is_read(entry: dict[str, Any]) -> bool:
    # A rate in another currency is not read.
    return not isinstance(entry.get("rate"), bool)


def _ratio_is_finite(entry: dict[str, Any]) -> bool:
    for new, old in (("new_rate", "old_rate"), ("new_rate", "source_rate")):
        if new in entry and old in entry:
            ratio = float(entry[new]) / float(entry[old])
            return 1e-6 <= ratio <= 1e6
    return True


_good_bars = st.lists(
    st.builds(
        lambda time, price: {**_BAR, "t": time, "c": price},
        st.sampled_from((*GOOD_TIMES, "2024-05-02T04:00:00Z")),
        st.floats(0.01, 1e6),
    ),
    max_size=3,
)
_bad_bars = st.lists(
    st.one_of(apt(_BAR), apt(_BAR), st.builds(altered, st.just(_BAR), changes(1))), max_size=3
)
_good_answers = st.dictionaries(st.sampled_from(_SYMBOLS), _good_bars, max_size=3)
_bar_answers = st.one_of(
    _good_answers,
    _good_answers,
    st.dictionaries(st.sampled_from(_SYMBOLS), _bad_bars, max_size=2),
    # The client lets only lists through.
    st.dictionaries(
        names(), st.one_of(_good_bars, st.lists(wrong_values(), max_size=2)), max_size=2
    ),
)


def _entries(group: str) -> st.SearchStrategy[Any]:
    entry = st.builds(
        lambda values, day, number, change: altered(
            {**values, _day_field(values): day, "id": number}, change
        ),
        st.just(_GOOD[group]),
        st.dates(date(2020, 1, 1), date(2025, 1, 1)).map(str),
        st.integers().map(str),
        changes(1),
    )
    drawn = st.lists(st.one_of(entry, apt(_GOOD[group])), max_size=2)
    return st.one_of(drawn, drawn, wrong_values())


def _day_field(values: dict[str, Any]) -> str:
    return "process_date" if "process_date" in values else "ex_date"


_action_answers = st.one_of(
    *(st.fixed_dictionaries({group: _entries(group)}) for group in _GOOD),
    st.dictionaries(names(), wrong_values(), max_size=1),
)

TARGETS = (
    Target(
        "alpaca_bars",
        _bar_answers,
        _open_bars,
        quick=60,
        full=2_000,
        pinned=(
            {"AAPL": [{**_BAR, "c": 10**400}]},
            {"AAPL": [{**_BAR, "t": "0001-01-01T00:00:00+14:00"}]},
            {"AAPL": [{**_BAR, "t": "9999-12-31T23:59:59-14:00"}]},
        ),
    ),
    Target(
        "alpaca_actions",
        _action_answers,
        _open_actions,
        quick=100,
        full=3_000,
        pinned=(
            {"cash_dividends": [{**_DIVIDEND, "rate": 10**400}]},
            {"cash_dividends": [{**_DIVIDEND, "rate": False}]},
            {"forward_splits": [{**_SPLIT, "old_rate": 5e-324}]},
            {"A\r\nSet-Cookie: x": []},
            {"A" * 10_000: []},
        ),
    ),
)
