"""A vendor's CSV with hostile cells and settings: its rows as they stand, or file, row and column."""

import csv
import io
import math
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from hypothesis import strategies as st

from trading_assets.bars.sources.build import build_source
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.bars.example_bars import CALENDAR, NOW
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.material import mixed, names, texts
from trading_assets_tests.fuzz.rules import as_day, stripped
from trading_assets_tests.fuzz.symbols import referee as symbol_of

UNIVERSE = ("A", "BRK.B", "BTC/USD")
HEADER = ("symbol", "time", "open", "high", "low", "close", "volume")
_FIRST, _LAST = date(2004, 12, 1), date(2005, 12, 30)
_NO_NUMBER = ("", "nan", "na", "n/a", "null", "none", "-", "--")
_NUMERAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_REFUSED = object()


class Given(NamedTuple):
    """Rows of cells, how they are parted, and bytes put among them."""

    rows: tuple[tuple[str, ...], ...]
    separator: str
    decimal_comma: bool
    broken: bytes
    place: int


def referee(given: Given) -> list[tuple[Any, ...]] | None:
    """Return symbol, session and numbers of the universe's rows, None if the file is refused."""
    found: list[tuple[Any, ...]] = []
    symbols: set[str | None] = set()
    for symbol, time, *cells in given.rows:
        day = _session(time)
        numbers = [_number(cell, decimal_comma=given.decimal_comma) for cell in cells]
        if day is None or _REFUSED in numbers:
            return None
        ticker = symbol_of(stripped(symbol))
        symbols.add(ticker)
        if ticker in UNIVERSE and _FIRST <= day <= _LAST:
            found.append((ticker, day, *numbers))
    return found if symbols & set(UNIVERSE) else None


def _session(cell: str) -> date | None:
    # The date as it is written, whatever hour follows it.
    return as_day(cell[:10]) if cell[10:11] in ("", "T", " ") else None


def _number(cell: str, *, decimal_comma: bool) -> Any:
    text = stripped(cell)
    if text.lower() in _NO_NUMBER:
        return None
    if decimal_comma:
        text = text.replace(",", ".")
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return math.copysign(math.inf, -1 if text[0] == "-" else 1)
    return float(text) if _NUMERAL.fullmatch(text) else _REFUSED


@contextmanager
def _open(folder: Path) -> Generator[Check]:
    path = folder / "dump" / "bars.csv"
    path.parent.mkdir()

    def check(given: Given, counts: Counts) -> None:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=given.separator, quoting=csv.QUOTE_ALL)
        writer.writerows([HEADER, *given.rows])
        content = text.getvalue().encode()
        place = given.place % (len(content) + 1)
        path.write_bytes(content[:place] + given.broken + content[place:])
        options = {"separator": given.separator, "decimal_comma": given.decimal_comma}
        tables: list[pl.DataFrame] = []
        refused = refusal_of(
            lambda: tables.append(fetch_bars(folder, options)),
            shows="expected" if not given.broken else "",
        )
        counts.add(accepted=refused is None, number=len(given.rows))
        if given.broken:
            return
        expected = referee(given)
        assert (refused is None) == (expected is not None), refused
        if expected is not None:
            columns = ["symbol", "session", *HEADER[2:]]
            schema = {name: tables[0].schema[name] for name in columns}
            wanted = pl.DataFrame(expected, schema=schema, orient="row")
            assert tables[0].select(columns).sort(columns).equals(wanted.sort(columns))

    yield check


def fetch_bars(folder: Path, options: dict[str, Any]) -> pl.DataFrame:
    source = {"kind": "files", "folder": "dump", "feed": "vendor", **options}
    values = {"source": source, "universe": UNIVERSE, "start": _FIRST, "end": _LAST}
    spec = MarketDataSpec.model_validate(values, context={"folder": folder})
    return build_source(spec, CALENDAR, {}).fetch(_FIRST, _LAST, NOW).rows


_numbers = st.one_of(
    st.sampled_from(("1", "2.5", "0", "-1", "1e3", ".5", "5.", "+7", "1E-3", " 3 ", "", "NaN", "n/a", "-", "inf",
                     "1e999", "-inf", "0" * 400 + "1", "9" * 400, "1e-400", "00012.50")),
    st.floats(allow_nan=False).map(repr),
    st.integers().map(str),
)  # fmt: skip
_bad_numbers = st.one_of(
    st.sampled_from(("abc", "1_000", "0x1f", "1,5", "1 000", "$5", "5%", "1e", "e5", "1.2.3", "--1", "+-1", "1e5.5",
                     "\N{ARABIC-INDIC DIGIT ONE}", "\N{MINUS SIGN}1", "1\N{NO-BREAK SPACE}000", "1'000", "true",
                     "infx", "nanx", "1d", "1f", "=1+1", "0b1")),
    texts(surrogates=False),
)  # fmt: skip
_times = st.one_of(
    st.dates(date(2004, 12, 1), date(2005, 12, 30)).map(str),
    st.dates(date(2004, 12, 1), date(2005, 12, 30)).map(lambda day: f"{day}T16:00:00-05:00"),
)
_bad_times = st.one_of(
    st.dates().map(str), mixed(("2005-01-03",), surrogates=False), texts(surrogates=False),
    st.sampled_from(("2005-1-3", "20050103", "2005-02-30", "03.01.2005", "1104710400", "2005-01-03x", "2005-W01-1",
                     "+2005-01-03", "0000-01-01", "-001-01-01", " 2005-01-03", "2005-01-03\n")),
)  # fmt: skip
_symbols = st.one_of(st.sampled_from((*UNIVERSE, " A ", "BTC/USD")), names(surrogates=False))


@st.composite
def _files(draw: st.DrawFn) -> Given:
    numbers = st.tuples(*([_numbers] * 5))
    rows = draw(st.lists(st.tuples(_symbols, _times, numbers), min_size=1, max_size=12))
    cells = [[symbol, time, *row] for symbol, time, row in rows]
    if draw(st.integers(0, 2)) == 0:
        row, column = draw(st.integers(0, len(cells) - 1)), draw(st.integers(0, 6))
        cells[row][column] = draw((_symbols, _bad_times, *([_bad_numbers] * 5))[column])
    separator = draw(st.sampled_from((",", ",", ";", "\t", "|")))
    broken = draw(st.sampled_from((b"",) * 12 + (b'"', b"\xff\xfe", b"\0", b"\n", b'"\n"', b"\r")))
    decimal_comma = separator != "," and draw(st.booleans())
    return Given(
        tuple(map(tuple, cells)), separator, decimal_comma, broken, draw(st.integers(0, 10_000))
    )


TARGETS = (
    Target(
        "csv_bars",
        _files(),
        _open,
        quick=45,
        full=1_500,
        pinned=(Given(((" A ", "2000-01-01", "1", "1", "1", "1", "1"),), ",", False, b"", 0),),
    ),
)
