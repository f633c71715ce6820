"""Rows of bars, thousands at a time: clean ones pass unchanged, others lie in quarantine with why."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import polars as pl
from hypothesis import strategies as st

from trading_assets.bars.validation.bars import ValidatedMonths, validate_bars
from trading_assets.schema import TABLES, SchemaError
from trading_assets_tests.bars.validation.example_clean_bars import (
    NO_ACTIONS,
    NOW,
    clean_bars,
    clean_spec,
    months_of,
)
from trading_assets_tests.fuzz.bar_referee import Judged, judge
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.material import HOSTILE_FLOATS, floats, names

LENGTHS = ("1d", "1h", "5m")
_ROWS = 300
_SCHEMA = TABLES["raw_bars"].empty().schema
_PRICES = ("open", "high", "low", "close", "volume")
_DAYS = (date(1, 1, 1), date(9999, 12, 31), date(1970, 1, 1), date(2019, 10, 5), date(2019, 11, 28),
         date(2019, 10, 1), date(2019, 11, 29), date(2019, 12, 2), date(2035, 12, 31), date(2036, 1, 1),
         date(1989, 12, 31))  # fmt: skip
_SHIFTS = tuple(
    timedelta(microseconds=n) for n in (1, -1, 60_000_000, 3_600_000_000, -(10**13), 10**15)
)


class Given(NamedTuple):
    """What a frame of rows is made of: hostile values, and how often and where they stand.

    Attributes
    ----------
    number : int
        Seed of the choice of rows and of what is done to them.
    share : float
        Share of rows that are touched.
    """

    length: str
    number: int
    share: float
    values: tuple[float | None, ...]
    symbols: tuple[str | None, ...]
    moments: tuple[datetime | None, ...]


@cache
def _ground(length: str) -> tuple[Any, list[dict[str, Any]], list[str]]:
    spec = clean_spec(bar_length=length)
    return spec, clean_bars(spec).to_dicts(), list(months_of(spec))


def dirty_rows(given: Given) -> list[dict[str, Any]]:
    """Return rows of a clean market, some of them touched, in any order."""
    _, ground, _ = _ground(given.length)
    random = Random(given.number)
    chosen = random.choices(ground, k=_ROWS) if random.random() < 0.2 else _some(ground, random)
    rows = [dict(row) for row in chosen]
    for row in list(rows):
        if random.random() < given.share:
            for _ in range(random.choice((1, 1, 1, 2, 3))):
                random.choice(_TOUCHES)(row, rows, given, random)
    random.shuffle(rows)
    return rows


def _some(ground: list[dict[str, Any]], random: Random) -> list[dict[str, Any]]:
    return random.sample(ground, min(_ROWS, len(ground)))


Touch = Callable[[dict[str, Any], list[dict[str, Any]], Given, Random], None]


def _price(row: dict[str, Any], _: Any, given: Given, random: Random) -> None:
    row[random.choice(_PRICES)] = random.choice((*HOSTILE_FLOATS, None, *given.values))


def _swapped(row: dict[str, Any], _: Any, __: Any, random: Random) -> None:
    one, other = random.sample(_PRICES[:4], 2)
    row[one], row[other] = row[other], row[one]


def _symbol(row: dict[str, Any], _: Any, given: Given, random: Random) -> None:
    row["symbol"] = random.choice(given.symbols)


def _time(row: dict[str, Any], _: Any, given: Given, random: Random) -> None:
    column = random.choice(("event_time", "knowledge_time", "ingest_time"))
    row[column] = random.choice((*given.moments, row[column], row["event_time"]))


def _shifted(row: dict[str, Any], _: Any, __: Any, random: Random) -> None:
    column = random.choice(("event_time", "knowledge_time"))
    if row[column] is not None and row[column].year in range(1000, 9000):
        row[column] += random.choice(_SHIFTS)


def _day(row: dict[str, Any], _: Any, __: Any, random: Random) -> None:
    row["session"] = random.choice((*_DAYS, None))


def _kind(row: dict[str, Any], _: Any, __: Any, random: Random) -> None:
    column = random.choice(("feed", "adjustment", "bar_length"))
    row[column] = random.choice(
        ("raw", "vendor", "5m", "1d", "split", "'; DROP TABLE x;--", "", None)
    )


def _revision(row: dict[str, Any], _: Any, __: Any, random: Random) -> None:
    row["revision"] = random.choice((None, -1, 0, 1, 2**31 - 1, -(2**31)))


def _copied(row: dict[str, Any], rows: list[dict[str, Any]], _: Any, random: Random) -> None:
    copy = dict(row)
    if random.random() < 0.5:
        copy["close"] = random.choice((copy["close"], 101.5, None, float("nan")))
    if random.random() < 0.3:
        copy["revision"] = random.choice((0, 1, 2, None))
    rows.append(copy)


_TOUCHES: tuple[Touch, ...] = (
    _price, _price, _price, _swapped, _symbol, _time, _shifted, _day, _kind, _revision, _copied,
)  # fmt: skip


@contextmanager
def _open(_: Path) -> Generator[Check]:
    def check(given: Given, counts: Counts) -> None:
        spec, _, months = _ground(given.length)
        rows = dirty_rows(given)
        frame = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
        first = dict.fromkeys(spec.universe, spec.start)
        found = validate_bars(frame, NO_ACTIONS, spec, months, first, NOW)
        expected = judge(frame.to_dicts(), spec.universe, spec.source.feed, given.length, NOW)
        counts.add(accepted=True, number=len(expected.clean))
        counts.add(accepted=False, number=len(rows) - len(expected.clean))
        _require_clean(found, expected)
        _require_quarantine(found, expected, set(months))
        _require_order_decides_nothing(found, frame, given)

    yield check


def _require_clean(found: ValidatedMonths, expected: Judged) -> None:
    columns = found.rows.columns
    wanted = pl.DataFrame(expected.clean, schema=_SCHEMA, orient="row").select(columns)
    key = ["symbol", "event_time"]
    assert found.rows.sort(key).equals(wanted.sort(key)), "clean rows differ"


def _require_quarantine(found: ValidatedMonths, expected: Judged, months: set[str]) -> None:
    wanted: Counter[tuple[Any, ...]] = Counter()
    unknown: set[tuple[Any, ...]] = set()
    for row, broken, maybe in expected.broken:
        # What has no session, or one of a month nobody asked for, is in no month's quarantine.
        if row["session"] is not None and row["session"].strftime("%Y-%m-01").zfill(10) in months:
            key = (row["symbol"], row["event_time"], row["revision"])
            wanted.update({(*key, rule) for rule in broken})
            unknown |= {(*key, rule) for rule in maybe}
    key = ["symbol", "event_time", "revision", "rule"]
    lines = found.quarantine.select(key).rows()
    month = pl.col("session").dt.truncate("1mo")
    assert found.quarantine.select(pl.struct(*key, month).is_unique().all()).item()
    assert set(wanted) - unknown <= set(lines), set(wanted) - set(lines)
    assert set(lines) <= set(wanted) | unknown, set(lines) - set(wanted) - unknown
    assert found.quarantine["value"].null_count() == 0
    assert found.quarantine.filter((pl.col("value") == "") | (pl.col("reason") == "")).is_empty()


def _require_order_decides_nothing(
    found: ValidatedMonths, frame: pl.DataFrame, given: Given
) -> None:
    spec, _, months = _ground(given.length)
    first = dict.fromkeys(spec.universe, spec.start)
    again = validate_bars(frame.reverse(), NO_ACTIONS, spec, months, first, NOW)
    assert again.rows.equals(found.rows)
    assert again.summary.equals(found.summary)


def _frame_of(given: Given, columns: Mapping[str, str]) -> pl.DataFrame:
    frame = pl.DataFrame(dirty_rows(given)[:3], schema=_SCHEMA, orient="row")
    for name, act in columns.items():
        if act == "drop":
            frame = frame.drop(name, strict=False)
        elif act == "extra":
            frame = frame.with_columns(pl.lit(1).alias(f"{name}_x"))
        elif name in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=_TYPES[act]).alias(name))
    return frame


_TYPES: dict[str, pl.DataType] = {
    "text": pl.String(), "whole": pl.Int64(), "single": pl.Float32(), "local": pl.Datetime("us"),
    "coarse": pl.Datetime("ms", "UTC"), "elsewhere": pl.Datetime("us", "America/New_York"),
    "day": pl.Date(), "none": pl.Null(), "list": pl.List(pl.Float64), "category": pl.Categorical(),
    "double": pl.Float64(), "moment": pl.Datetime("us", "UTC"), "small": pl.Int32(), "bytes": pl.Binary(),
}  # fmt: skip


@contextmanager
def _open_schema(_: Path) -> Generator[Check]:
    def check(given: tuple[Given, dict[str, str]], counts: Counts) -> None:
        frame = _frame_of(*given)
        expected = dict(frame.schema) == dict(_SCHEMA)
        spec, _, months = _ground(given[0].length)
        first = dict.fromkeys(spec.universe, spec.start)
        refused = refusal_of(
            lambda: validate_bars(frame, NO_ACTIONS, spec, months, first, NOW),
            shows="" if expected else "raw_bars",
        )
        counts.add(accepted=expected)
        assert (refused is None) == expected, refused
        assert refused is None or isinstance(refused, SchemaError)

    yield check


_moments = st.one_of(
    st.none(),
    st.sampled_from((datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), NOW,
                     datetime(2019, 11, 3, 6, 30, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC),
                     NOW + timedelta(microseconds=1))),
    st.datetimes(timezones=st.just(UTC)),
)  # fmt: skip
_given = st.builds(
    Given,
    st.sampled_from(LENGTHS),
    st.integers(0, 2**32),
    st.sampled_from((0.02, 0.3, 0.6, 1.0)),
    st.lists(st.one_of(st.none(), floats()), max_size=5).map(tuple),
    st.lists(st.one_of(st.none(), st.just("B"), names(surrogates=False)), min_size=1, max_size=4).map(tuple),
    st.lists(_moments, max_size=4).map(tuple),
)  # fmt: skip
_acts = st.dictionaries(
    st.sampled_from(tuple(_SCHEMA)), st.sampled_from(("drop", "extra", *_TYPES)), max_size=3
)


TARGETS = (
    Target(
        "bar_rows",
        _given,
        _open,
        quick=6,
        full=180,
        pinned=(
            Given("1d", 24_659_731, 0.02, (), (None,), ()),
            Given("1d", 0, 0.6, (), ("B",), ()),
            Given("1d", 0, 0.3, (), (None,), ()),
        ),
    ),
    Target("bar_columns", st.tuples(_given, _acts), _open_schema, quick=20, full=500),
)
