"""Referees of series, news and corporate actions in CSV files, in plain Python."""

import math
import string
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from trading_assets_tests.fuzz.rules import as_day, name, stripped
from trading_assets_tests.fuzz.symbols import referee as symbol_of

UNIVERSE = ("A", "BRK.B")
_NEW_YORK = ZoneInfo("America/New_York")
_NUMBER = set(string.digits + "+-.eE")


class Given(NamedTuple):
    """Rows of cells, and bytes put among them."""

    rows: tuple[tuple[str, ...], ...]
    broken: bytes = b""
    place: int = 0


def _moment(cell: str) -> datetime | None:
    """Return the end of what a cell means: a day's last moment in New York, or a time with zone."""
    text = stripped(cell)
    day = as_day(text)
    if day is not None and 1800 <= day.year <= 2200:
        return datetime.combine(day + timedelta(days=1), time(), _NEW_YORK).astimezone(UTC)
    if as_day(text[:10]) is None or text[10:11] not in ("T", " "):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo and 1801 <= moment.year <= 2199 else None


def _number(cell: str) -> float | None:
    text = stripped(cell)
    if not text or not set(text) <= _NUMBER:
        return None
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def series_referee(rows: tuple[tuple[str, ...], ...]) -> set[tuple[Any, ...]] | None:
    """Return series, symbol, reference, knowledge and value of the universe, None if refused."""
    found: dict[tuple[Any, ...], float] = {}
    for series, symbol, reference, known, value in rows:
        ticker = stripped(symbol)
        if not ticker:
            return None
        if ticker != "*":
            ticker = symbol_of(ticker) or ""
        if ticker != "*" and ticker not in UNIVERSE:
            continue
        ends, knows, number = _moment(reference), _moment(known), _number(value)
        if ends is None or knows is None or number is None or not name(series) or knows < ends:
            return None
        if found.setdefault((series, ticker, ends, knows), number) != number:
            return None
    return {(*key, value) for key, value in found.items()}


def action_referee(rows: tuple[tuple[str, ...], ...]) -> set[tuple[Any, ...]] | None:
    """Return symbol, day, kind, ratio, cash and new symbol of the universe's actions."""
    found: set[tuple[Any, ...]] = set()
    keys: list[tuple[Any, ...]] = []
    for cells in rows:
        symbol, day, kind, ratio, cash, renamed = (stripped(cell) for cell in cells)
        ticker, ex_date = symbol_of(symbol), as_day(day)
        numbers = [
            default if not text else _number(text) for text, default in ((ratio, 1.0), (cash, 0.0))
        ]
        if ticker is None or ex_date is None or None in numbers:
            return None
        new = symbol_of(renamed) if renamed else None
        if ticker not in UNIVERSE and not (kind == "rename" and new in UNIVERSE):
            continue
        if not _action_follows(kind, numbers, renamed, new, ticker) or not _is_covered(ex_date):
            return None
        keys.append((ticker, ex_date, kind))
        found.add((ticker, ex_date, kind, *numbers, new))
    return found if len(set(keys)) == len(keys) else None


def _is_covered(day: date) -> bool:
    return date(1990, 1, 1) <= day <= date(2035, 12, 30)


def _action_follows(
    kind: str, numbers: list[float | None], renamed: str, new: str | None, ticker: str
) -> bool:
    ratio, cash = numbers
    assert ratio is not None
    assert cash is not None
    is_ratio = 1e-3 <= ratio <= 1e3 and ratio != 1 if kind == "split" else ratio == 1
    is_cash = cash > 0 if kind in ("dividend", "spin_off") else cash == 0
    is_name = new is not None and new != ticker if kind == "rename" else not renamed
    return kind in ("split", "dividend", "spin_off", "rename") and is_ratio and is_cash and is_name


def series_in_range(rows: tuple[tuple[str, ...], ...]) -> set[tuple[Any, ...]] | None:
    found = series_referee(rows)
    first = datetime(2004, 11, 30, 21, tzinfo=UTC)
    last = datetime(2006, 3, 31, 21, tzinfo=UTC)
    return (
        found if found is None else {row[:3] + row[4:] for row in found if first < row[3] <= last}
    )


def news_is_good(rows: tuple[tuple[str, ...], ...]) -> bool:
    for symbol, published, headline in rows:
        ticker = stripped(symbol)
        if not ticker:
            return False
        is_ours = ticker == "*" or symbol_of(ticker) in UNIVERSE
        if is_ours and (_moment(published) is None or not stripped(headline)):
            return False
    return True
