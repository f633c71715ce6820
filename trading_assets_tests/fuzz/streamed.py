"""Messages of a live stream: bars that can be read as they stand, and a count of all others."""

import json
import math
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from trading_assets.bars.stream.assembler import BarAssembler
from trading_assets.bars.stream.messages import BarMessage, HaltMessage, parse_frame
from trading_assets.bars.stream.rows import to_raw_bars
from trading_assets.bars.stream.times import BarTimes
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.fuzz.harness import Check, Counts, Target
from trading_assets_tests.fuzz.json_material import (
    GOOD_TIMES,
    altered,
    apt,
    changes,
    wrong_values,
)
from trading_assets_tests.fuzz.material import good_symbols
from trading_assets_tests.fuzz.symbols import referee as symbol_of

_DAY = date(2024, 5, 1)
_SYMBOLS = ("AAPL", "BRK.B")
_LARGEST = 2.0**1000
_BAR = {"T": "b", "S": "AAPL", "o": 10.0, "h": 12.5, "l": 9, "c": 11, "v": 100, "n": 3,
        "t": "2024-05-01T14:30:00Z", "vw": 10.5}  # fmt: skip
_HALT = {"T": "s", "S": "AAPL", "sc": "H", "t": "2024-05-01T14:30:00Z"}
_OTHERS = (
    {"T": "success", "msg": "connected"},
    {"T": "error", "code": 406, "msg": "connection limit exceeded"},
    {"T": "subscription", "bars": ["AAPL"], "trades": []},
)


class Given(NamedTuple):
    """Messages of one frame, and a text that is sent in its place."""

    messages: tuple[Any, ...]
    raw: str | bytes | None


def referee(message: Any) -> BarMessage | HaltMessage | bool:
    """Return what a message says; True if it is read and says nothing of bars, False if not."""
    if not isinstance(message, dict):
        return False
    kind = message.get("T")
    if kind in ("b", "u", "d"):
        numbers = [_number(message.get(name)) for name in "ohlcv"]
        symbol, start = _symbol(message), _moment(message.get("t"))
        trades = _number(message["n"]) if "n" in message else 0.0
        if None in (symbol, start, trades, *numbers):
            return False
        return BarMessage(kind, symbol, start, *numbers, int(trades or 0))  # pyright: ignore[reportArgumentType]
    if kind == "s":
        code = message.get("sc")
        if not isinstance(code, str) or not code:
            return False
        if code not in ("2", "H", "P", "3", "T"):
            return True
        symbol, moment = _symbol(message), _moment(message.get("t"))
        if symbol is None or moment is None:
            return False
        return HaltMessage(symbol, moment, code in ("2", "H", "P"))
    if kind == "success":
        return isinstance(message.get("msg"), str) and bool(message["msg"])
    if kind == "error":
        return _number(message.get("code")) is not None
    return kind == "subscription"


def _symbol(message: Mapping[str, Any]) -> str | None:
    found = message.get("S")
    return symbol_of(found) if isinstance(found, str) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(value) if -_LARGEST <= value <= _LARGEST else None


def _moment(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        return None


@contextmanager
def _open(_: Path) -> Generator[Check]:
    times = BarTimes(CALENDAR, [_DAY], "1m")
    ends = {bar.bar_open: bar.event_time for bar in times.all}

    def check(given: Given, counts: Counts) -> None:
        text = given.raw if given.raw is not None else json.dumps(list(given.messages))
        frame = parse_frame(text)
        messages = _messages(text)
        if messages is None:
            counts.add(accepted=False)
            assert frame.malformed.total() == 1
            assert not frame.bars
            return
        expected = [referee(message) for message in messages]
        bars = [found for found in expected if isinstance(found, BarMessage)]
        counts.add(accepted=True, number=sum(found is not False for found in expected))
        counts.add(accepted=False, number=expected.count(False))
        assert frame.bars == bars
        assert frame.halts == [found for found in expected if isinstance(found, HaltMessage)]
        assert frame.malformed.total() == expected.count(False), frame.malformed
        assert all(len(reason) < 40 for reason in frame.malformed)
        _require_true_rows(bars, times, ends)

    yield check


def _messages(text: str | bytes) -> list[Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _require_true_rows(
    bars: list[BarMessage], times: BarTimes, ends: Mapping[datetime, datetime]
) -> None:
    """Rows are those of asked symbols within the session, with prices as some message has them."""
    assembler = BarAssembler(_SYMBOLS, times, 60)
    now = datetime(2024, 5, 1, 21, tzinfo=UTC)
    rows = [*assembler.feed(bars, now), *assembler.advance(now + timedelta(hours=1))]
    wanted = [
        bar for bar in bars if bar.kind != "d" and bar.symbol in _SYMBOLS and bar.start in ends
    ]
    assert {row[:3:2] for row in rows} == {(bar.symbol, ends[bar.start]) for bar in wanted}
    sent = {(b.symbol, ends[b.start], b.open, b.high, b.low, b.close, b.volume) for b in wanted}
    assert {(row.symbol, row.event_time, *row[6:]) for row in rows} <= sent
    assert len(to_raw_bars(rows, "iex", "1m")) == len(rows)


_symbols = st.one_of(st.sampled_from(_SYMBOLS), good_symbols())
_times = st.one_of(
    st.sampled_from(GOOD_TIMES),
    st.datetimes(datetime(2024, 5, 1, 13, 0), datetime(2024, 5, 1, 21, 0)).map(
        lambda moment: f"{moment:%Y-%m-%dT%H:%M}:00Z"
    ),
)
_message = st.one_of(
    st.builds(
        lambda kind, symbol, time, volume, change: altered(
            {**_BAR, "T": kind, "S": symbol, "t": time, "v": volume}, change
        ),
        st.sampled_from("bbbud"),
        _symbols,
        _times,
        st.integers(0, 10**6),
        st.one_of(st.just([]), st.just([]), changes()),
    ),
    st.builds(altered, st.sampled_from((_HALT, *_OTHERS)), changes(1)),
    st.one_of(apt(_BAR), apt(_HALT)),
)
_messages_drawn = st.one_of(
    st.lists(_message, min_size=1, max_size=20),
    st.lists(_message, min_size=1, max_size=20),
    st.lists(st.one_of(_message, wrong_values()), min_size=1, max_size=20),
).map(tuple)
_raw = st.one_of(
    st.none(),
    st.sampled_from(("", "null", "{}", "[", "[NaN]", "[" * 5_000, "[{}]" * 2, b"\xff", b"[]", "[1e400]", "[[]]",
                     '[{"T":"b","T":"s"}]', "\0", "[" + "9" * 5_000 + "]", '[{"T":["b"]}]', '[{"T":{}}]')),
    st.text(max_size=20),
    st.binary(max_size=20),
)  # fmt: skip
_frames = st.one_of(
    st.builds(Given, _messages_drawn, st.none()),
    st.builds(Given, _messages_drawn, st.none()),
    st.builds(Given, st.just(()), _raw),
)

TARGET = Target("streamed", _frames, _open, quick=60, full=2_500)
