"""The alpaca source as these tests build it: on the test's server, with waits noted, not waited."""

import traceback
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from trading_assets.bars.alpaca.source import AlpacaBars
from trading_assets.bars.alpaca.transport import Patience
from trading_assets.source_specs import AlpacaSource
from trading_assets_tests.bars.alpaca.market_data_server import KEYS, Json, Store, make_bar
from trading_assets_tests.bars.example_bars import CALENDAR, make_spec

START, END = date(2023, 3, 1), date(2023, 3, 31)


def alpaca_bars(url: str, waits: list[float] | None = None, **changes: Any) -> AlpacaBars:
    """Return the source on `url`; `changes` are of the data set, the feed and the patience."""
    feed = changes.pop("feed", "iex")
    credentials = changes.pop("credentials", KEYS)
    patience: dict[str, Any] = {"sleep": (waits if waits is not None else []).append}
    for name in ("read_s", "answer_s", "repeats", "longest_wait_s", "monotonic"):
        if name in changes:
            patience[name] = changes.pop(name)
    values: dict[str, Any] = {"universe": ("AAPL", "IBM"), "start": START, "end": None, **changes}
    spec = make_spec(source={"kind": "alpaca", "feed": feed, "url": url}, **values)
    assert isinstance(spec.source, AlpacaSource)
    return AlpacaBars(spec, spec.source, CALENDAR, credentials, Patience(**patience))


def daily_bars(start: date, end: date, first_close: float) -> list[Json]:
    """Return one bar a session, named by the midnight in New York that begins it."""
    return [
        make_bar(midnight(day), round(first_close + 0.125 * n, 4), 500 + n)
        for n, day in enumerate(CALENDAR.sessions(start, end))
    ]


def intraday_bars(day: date, first: datetime, last: datetime, minutes: int) -> list[Json]:
    """Return bars that start every `minutes` from `first` up to and without `last`."""
    return [
        make_bar(start, round(50 + 0.01 * n, 4), 10 + n)
        for n, start in enumerate(_steps(first, last, timedelta(minutes=minutes)))
    ]


def two_symbols() -> Store:
    """Return 46 daily bars: 23 sessions of two symbols."""
    bars = {"AAPL": daily_bars(START, END, 140.0), "IBM": daily_bars(START, END, 120.0)}
    return Store({"1Day": bars})


def assert_no_secret(error: BaseException) -> None:
    """Fail if a key stands in what a log or a user would be shown of `error`."""
    told = [str(error), repr(error), *traceback.format_exception(error)]
    assert not any(secret in text for secret in KEYS.values() for text in told)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=CALENDAR.time_zone).astimezone(UTC)


def _steps(first: datetime, last: datetime, step: timedelta) -> Iterator[datetime]:
    while first < last:
        yield first
        first += step
