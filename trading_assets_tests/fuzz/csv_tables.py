"""Series, news and corporate actions in hostile CSV files: their rows as they stand, or row and value."""

import csv
import io
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import strategies as st

from trading_assets.bars.series.readers import fetch_series
from trading_assets.bars.sources.file_actions import read_file_actions
from trading_assets.file_specs import FileActions
from trading_assets_tests.bars.example_bars import CALENDAR, make_spec
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.material import mixed, names, texts
from trading_assets_tests.fuzz.table_referees import (
    UNIVERSE,
    Given,
    action_referee,
    news_is_good,
    series_in_range,
)

_FIRST, _LAST = date(2005, 1, 3), date(2005, 12, 30)
_SERIES = ("series", "symbol", "reference_time", "knowledge_time", "value")
_NEWS = ("symbol", "published_at", "headline")
_ACTIONS = ("symbol", "ex_date", "kind", "split_ratio", "cash_usd", "new_symbol")


def _written(header: tuple[str, ...], given: Given) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([header, *given.rows])
    content = text.getvalue().encode()
    place = given.place % (len(content) + 1)
    return content[:place] + given.broken + content[place:]


Read = Callable[[Path], pl.DataFrame]


def _checks(
    header: tuple[str, ...],
    columns: list[str],
    referee: Callable[[Any], set[tuple[Any, ...]] | None],
    read: Read,
) -> Callable[[Path], Any]:
    @contextmanager
    def opened(folder: Path) -> Generator[Check]:
        path = folder / "table.csv"

        def check(given: Given, counts: Counts) -> None:
            path.write_bytes(_written(header, given))
            tables: list[pl.DataFrame] = []
            refused = refusal_of(lambda: tables.append(read(folder)))
            counts.add(accepted=refused is None, number=len(given.rows))
            if given.broken:
                return
            expected = referee(given.rows)
            assert (refused is None) == (expected is not None), refused
            assert refused is not None or set(tables[0].select(columns).rows()) == expected

        yield check

    return opened


def _read_series(folder: Path) -> pl.DataFrame:
    return _fetched(folder, {"kind": "files", "file": "table.csv"})


def _read_news(folder: Path) -> pl.DataFrame:
    return _fetched(folder, {"kind": "news", "file": "table.csv"})


def _fetched(folder: Path, source: Mapping[str, Any]) -> pl.DataFrame:
    spec = make_spec(universe=UNIVERSE, series=[source])
    placed = spec.model_copy()
    placed.model_post_init({"folder": folder})
    return fetch_series(placed, CALENDAR, date(2004, 12, 1), date(2006, 3, 31), _LATER)


_LATER = datetime(2300, 1, 1, tzinfo=UTC)


def _read_actions(folder: Path) -> pl.DataFrame:
    source = FileActions(file="table.csv")
    return read_file_actions(source, folder, UNIVERSE, CALENDAR, 15)


@contextmanager
def _open_news(folder: Path) -> Generator[Check]:
    path = folder / "table.csv"

    def check(given: Given, counts: Counts) -> None:
        path.write_bytes(_written(_NEWS, given))
        tables: list[pl.DataFrame] = []
        refused = refusal_of(lambda: tables.append(_read_news(folder)))
        counts.add(accepted=refused is None, number=len(given.rows))
        if given.broken:
            return
        expected = news_is_good(given.rows)
        assert (refused is None) == expected, refused
        for table in tables:
            assert set(table["symbol"]) <= {*UNIVERSE, "*"}
            assert table["value"].is_finite().all()
            scores = table.filter(pl.col("series") == "news_score")["value"]
            assert scores.is_between(-1, 1).all()

    yield check


_days = st.dates(_FIRST, _LAST).map(str)
_times = st.one_of(
    _days, _days, st.sampled_from(("2005-03-04T13:30:00Z", "2005-03-04T09:30:00-05:00"))
)
_bad_times = st.one_of(
    st.dates().map(str),
    mixed(("2005-03-04",), surrogates=False),
    st.sampled_from(("2005-03-04T13:30:00", "1799-12-31", "2201-01-01", "0001-01-01T00:00:00+14:00", "2005-02-30",
                     "9999-12-31T23:59:59-14:00", "1109894400", "9999-12-31", "0001-01-01")),
)  # fmt: skip
_symbols = st.one_of(st.sampled_from((*UNIVERSE, "*", " A ", "OTHER")), names(surrogates=False))
_numbers = st.one_of(st.floats(-1e6, 1e6).map(repr), st.integers(-9, 9).map(str))
_bad_numbers = st.one_of(
    st.sampled_from(
        (
            "",
            "nan",
            "inf",
            "-inf",
            "1e999",
            "1,5",
            "1_0",
            "0x1f",
            " 5 ",
            "5.",
            ".5",
            "+5",
            "1e5",
            "--1",
        )
    ),
    texts(surrogates=False),
)
_series_names = st.sampled_from(("gdp", "cpi", "x_1"))
_bad_names = st.one_of(
    names(surrogates=False), st.sampled_from(("a" * 41, "gdp\n", "gdp ", "_x", "1x"))
)


@st.composite
def _tables(
    draw: st.DrawFn,
    good: tuple[st.SearchStrategy[str], ...],
    bad: tuple[st.SearchStrategy[str], ...],
    following: Callable[[list[str]], list[str]],
) -> Given:
    rows = [
        following(list(row)) for row in draw(st.lists(st.tuples(*good), min_size=1, max_size=6))
    ]
    if draw(st.integers(0, 1)):
        row, column = draw(st.integers(0, len(rows) - 1)), draw(st.integers(0, len(good) - 1))
        rows[row][column] = draw(bad[column])
    broken = draw(st.sampled_from((b"",) * 9 + (b'"', b"\xff\xfe", b"\0", b"\n")))
    return Given(tuple(map(tuple, rows)), broken, draw(st.integers(0, 5_000)))


def _known_after(row: list[str]) -> list[str]:
    # Known at the end of the day that it is about, or later.
    return [*row[:3], max(row[2][:10], row[3][:10]), row[4]]


def _of_its_kind(row: list[str]) -> list[str]:
    symbol, day, kind, ratio, cash, new = row
    return [symbol, day, kind, ratio if kind == "split" else "",
            cash if kind in ("dividend", "spin_off") else "", new if kind == "rename" else ""]  # fmt: skip


_kinds = st.sampled_from(("split", "dividend", "spin_off", "rename"))
_text = texts(surrogates=False)
TARGETS = (
    Target(
        "csv_series",
        _tables(
            (_series_names, _symbols, _times, _times, _numbers),
            (_bad_names, _symbols, _bad_times, _bad_times, _bad_numbers),
            _known_after,
        ),
        _checks(_SERIES, ["series", "symbol", "event_time", "value"], series_in_range, _read_series),
        quick=30,
        full=1_000,
        pinned=(
            Given((("gdp", "A", "2005-03-04", "2005-03-03", "1"),)),
            Given((("gdp", "A", "2000-01-01000", "2005-03-04", "0.0"),)),
        ),
    ),
    Target(
        "csv_news",
        _tables(
            (_symbols, _times, st.sampled_from(("Good results beat", "Fraud and losses", "A", "\N{GRINNING FACE}"))),
            (_symbols, _bad_times, _text),
            list,
        ),
        _open_news,
        quick=20,
        full=500,
        pinned=(Given((("\x1f", "2005-03-04T13:30:00Z", "Good results beat"),)),),
    ),
    Target(
        "csv_actions",
        _tables(
            (st.sampled_from((*UNIVERSE, " A ")), _days, _kinds, st.sampled_from(("2", "0.5", "1.5")),
             st.sampled_from(("0.1", "2")), st.sampled_from(("NEW", "X.Y"))),
            (_symbols, _bad_times, st.one_of(_kinds, _text), _bad_numbers, _bad_numbers, _symbols),
            _of_its_kind,
        ),
        _checks(_ACTIONS, ["symbol", "ex_date", "kind", "split_ratio", "cash_usd", "new_symbol"],
                action_referee, _read_actions),
        quick=40,
        full=1_500,
    pinned=(
            Given((("A", "2005-01-03", "split", "2", "", ""),), b'"', 65),
            Given((("A", "2005-1-3", "split", "2", "", ""),)),
        ),
    ),
)  # fmt: skip
