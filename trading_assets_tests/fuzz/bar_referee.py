"""Validation of bars once more, in plain Python and row by row: the referee of fuzzed rows."""

import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import exchange_calendars

Row = Mapping[str, Any]

_PRICES = ("open", "high", "low", "close")
_BAR = ("symbol", "bar_length", "event_time", "feed", "adjustment")
_MINUTES = {"1d": None, "1h": 60, "5m": 5}


@dataclass(frozen=True)
class Judged:
    """Rows that are used, and for each other row that is judged the rules that it breaks.

    A rule is `maybe` broken where a price is no number, so that comparing it says nothing.
    """

    clean: list[Row]
    broken: list[tuple[Row, set[str], set[str]]]


def judge(
    rows: Sequence[Row], universe: Collection[str], feed: str, length: str, now: datetime
) -> Judged:
    """Return what `validate_bars` has to make of table `raw_bars`, whatever its rows hold."""
    kept = _newest(_once([row for row in rows if _is_seen(row, now)]))
    counts = Counter(tuple(row[name] for name in _BAR) for row in kept)
    judged = Judged([], [])
    for row in kept:
        rules = {
            "symbol_is_in_the_universe": row["symbol"] not in universe,
            "bar_is_of_the_declared_kind": (row["feed"], row["adjustment"], row["bar_length"])
            != (feed, "raw", length),
            "bar_is_unique": counts[tuple(row[name] for name in _BAR)] > 1,
            **_time_rules(row, length, now),
            **_price_rules(row),
        }
        broken = {name for name, is_broken in rules.items() if is_broken}
        unknown = {name for name, is_broken in rules.items() if is_broken is None}
        if broken:
            judged.broken.append((row, broken, unknown))
        else:
            judged.clean.append(row)
    return judged


def _is_seen(row: Row, now: datetime) -> bool:
    known, ended = row["knowledge_time"], row["event_time"]
    if known is not None and known <= now:
        return True
    if ended is not None and ended > now:
        return True
    return known is None or ended is None


def _once(rows: Sequence[Row]) -> list[Row]:
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(_comparable(value) for name, value in row.items() if name != "ingest_time")
        found.setdefault(key, row)
    return list(found.values())


def _comparable(value: Any) -> Any:
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value + 0.0
    return value


def _newest(rows: Sequence[Row]) -> list[Row]:
    newest: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for row in rows:
        if row["revision"] is not None:
            newest[tuple(row[name] for name in _BAR)].append(row["revision"])
    return [
        row
        for row in rows
        if row["revision"] is None
        or row["revision"] == max(newest[tuple(row[name] for name in _BAR)])
    ]


def _time_rules(row: Row, length: str, now: datetime) -> dict[str, bool | None]:
    session, ended, known = row["session"], row["event_time"], row["knowledge_time"]
    is_session = session in bar_ends(length)
    return {
        "session_is_on_the_calendar": not is_session,
        "bar_ends_on_the_grid": is_session and ended not in bar_ends(length)[session],
        "bar_is_not_from_the_future": ended is None or ended > now,
        "bar_is_known_only_after_it_ends": ended is None or known is None or known < ended,
    }


def _price_rules(row: Row) -> dict[str, bool | None]:
    opened, high, low, close = (row[name] for name in _PRICES)
    volume = row["volume"]
    prices = (opened, high, low, close)
    are_good = all(p is not None and math.isfinite(p) and p > 0 for p in prices)
    are_numbers = all(p is not None and not math.isnan(p) for p in prices)
    is_volume = volume is not None and math.isfinite(volume)
    return {
        "prices_are_positive_and_finite": not are_good,
        "low_is_not_above_open_and_close": low > min(opened, close) if are_numbers else None,
        "high_is_not_below_open_and_close": high < max(opened, close) if are_numbers else None,
        "volume_is_not_negative": not is_volume or volume < 0,
        "bar_was_traded": volume == 0 if is_volume else None,
    }


def new_york(start: str, end: str) -> exchange_calendars.ExchangeCalendar:
    """Return New York's calendar as another package has it."""
    with warnings.catch_warnings():
        # It lags behind pandas in what it uses of it.
        warnings.simplefilter("ignore")
        return exchange_calendars.get_calendar("XNYS", start=start, end=end)


@cache
def bar_ends(length: str) -> dict[date, frozenset[datetime]]:
    """Return the times at which New York's bars of 2019 end, by session; not this project's."""
    calendar = new_york("2019-01-01", "2019-12-31")
    ends: dict[date, frozenset[datetime]] = {}
    for label, opens, closes in zip(
        calendar.sessions, calendar.opens, calendar.closes, strict=True
    ):
        begins, last = opens.to_pydatetime(), closes.to_pydatetime()
        minutes = _MINUTES[length]
        found = {last}
        if minutes is not None:
            n_whole = int((last - begins) / timedelta(minutes=minutes))
            found |= {begins + timedelta(minutes=minutes * n) for n in range(1, n_whole + 1)}
        ends[label.date()] = frozenset(found)
    return ends
