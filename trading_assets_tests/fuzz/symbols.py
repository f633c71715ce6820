"""Names of instruments through every entry: one spelling, or a refusal, the same everywhere."""

import json
import string
import unicodedata
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trading_assets.bars.actions.corporate_actions import check_actions
from trading_assets.bars.alpaca.actions import read_actions
from trading_assets.bars.sources.contract import delivery_problems
from trading_assets.bars.sources.files import FileBars
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.bars.stream.messages import parse_frame
from trading_assets.declared import Symbol
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.membership import Member
from trading_assets.paper.orders import Order
from trading_assets.schema import TABLES
from trading_assets.source_specs import FilesSeries
from trading_assets.symbols import normalize_symbol
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_rows, make_spec
from trading_assets_tests.fuzz.harness import Check, Counts, Target
from trading_assets_tests.fuzz.material import good_symbols, names

Entry = Callable[[str], str | None]
_FIRST = string.ascii_uppercase + string.digits
_REST = _FIRST + ".-/"
_LONGEST = 16
_OTHER = "OLD"


def referee(name: str) -> str | None:
    """Return what a name has to become, or None if it has to be refused."""
    composed = unicodedata.normalize("NFC", name)
    if not 0 < len(composed) <= _LONGEST or composed[0] not in _FIRST:
        return None
    return composed if all(character in _REST for character in composed) else None


def _declared(name: str) -> str | None:
    return _validated(_symbol().validate_python, name)


def _in_a_universe(name: str) -> str | None:
    values = {"source": {"kind": "sample"}, "universe": [name], "start": date(2005, 1, 3)}
    spec: MarketDataSpec | None = _validated(MarketDataSpec.model_validate, values)
    return None if spec is None else spec.universe[0]


def _as_a_member(name: str) -> str | None:
    member: Member | None = _validated(Member.model_validate, {"symbol": name})
    return None if member is None else member.symbol


def _in_a_universe_of_members(name: str) -> str | None:
    universe = [{"symbol": name, "last_session": "2001-01-02"}, {"symbol": _OTHER}]
    values = {"source": {"kind": "sample"}, "universe": universe, "start": date(2005, 1, 3)}
    spec: MarketDataSpec | None = _validated(MarketDataSpec.model_validate, values)
    if spec is None:
        return None
    (found,) = {member.symbol for member in spec.members} - {_OTHER} or {_OTHER}
    assert set(spec.universe) == {found, _OTHER}
    return found


def _of_a_series(name: str) -> str | None:
    values = {"kind": "files", "file": "x.csv", "symbol": name}
    series: FilesSeries | None = _validated(FilesSeries.model_validate, values)
    return None if series is None else series.symbol


def _renamed_by_alpaca(name: str) -> str | None:
    entry = {"id": "1", "old_symbol": _OTHER, "new_symbol": name, "process_date": "2024-05-01"}
    return _alpaca({"name_changes": [entry]}, "new_symbol")


def _spun_off_by_alpaca(name: str) -> str | None:
    entry = {"id": "1", "source_symbol": _OTHER, "new_symbol": name, "ex_date": "2024-05-01",
             "source_rate": 1, "new_rate": 1}  # fmt: skip
    return _alpaca({"spin_offs": [entry]}, "needs")


def _acquiring_by_alpaca(name: str) -> str | None:
    entry = {"id": "1", "acquiree_symbol": _OTHER, "acquirer_symbol": name, "acquirer_rate": 1,
             "acquiree_rate": 1, "effective_date": "2024-05-01"}  # fmt: skip
    return _alpaca({"stock_mergers": [entry]}, "needs")


def _alpaca(answer: dict[str, Any], field: str) -> str | None:
    try:
        actions = read_actions(answer, [_OTHER])
    except DataError:
        return None
    return getattr(actions[0], field) if actions and not actions[0].left_out else None


def _streamed(name: str) -> str | None:
    bar = {"T": "b", "S": name, "t": "2024-05-01T14:30:00Z", **dict.fromkeys("ohlcv", 1)}
    halt = {"T": "s", "S": name, "t": "2024-05-01T14:30:00Z", "sc": "H"}
    frame = parse_frame(json.dumps([bar, halt]))
    found = {message.symbol for message in (*frame.bars, *frame.halts)}
    assert len(found) == 1 or frame.malformed.total() == 2
    return found.pop() if found else None


ENTRIES: Mapping[str, Entry] = {
    "shared rule": normalize_symbol,
    "declared": _declared,
    "universe": _in_a_universe,
    "member": _as_a_member,
    "universe of members": _in_a_universe_of_members,
    "series": _of_a_series,
    "alpaca rename": _renamed_by_alpaca,
    "alpaca spin-off": _spun_off_by_alpaca,
    "alpaca merger": _acquiring_by_alpaca,
    "stream": _streamed,
}


@contextmanager
def _open(folder: Path) -> Generator[Check]:
    files = _FileNames(folder)

    def check(given: Sequence[str], counts: Counts) -> None:
        for name in given:
            expected = referee(name)
            counts.add(accepted=expected is not None)
            if name == _OTHER:
                continue
            for entry, read in ENTRIES.items():
                assert read(name) == expected, f"{entry}: {name[:40]!r}"
            assert _is_ordered(name) == (expected == name), f"order: {name[:40]!r}"
        readable = [name for name in given if not _has_surrogate(name)]
        _check_rows(readable)
        _check_actions(readable)
        files.check(readable)

    yield check


def _is_ordered(name: str) -> bool:
    try:
        Order("id", date(2024, 5, 1), name, "buy", Decimal(1))
    except DataError:
        return False
    return True


def _check_rows(given: Sequence[str]) -> None:
    """A source of one's own may deliver only symbols that are spelled as the rule says."""
    spelled = sorted({name for name in given if referee(name) == name})
    others = [name for name in given if referee(name) != name]
    assert not _own_problems(spelled)
    for name in others[:1]:
        problems = _own_problems([*spelled, name])
        assert problems, f"own source: {name[:40]!r}"
        assert all(len(problem) < 400 for problem in problems)


def _own_problems(symbols: Sequence[str]) -> list[str]:
    column = pl.DataFrame({"symbol": symbols}, schema={"symbol": pl.String})
    rows = column.join(_one_row().drop("symbol"), how="cross").select(_one_row().columns)
    fetched = FetchedBars(rows, TABLES["series"].empty(), TABLES["corporate_actions"].empty())
    day = date(2005, 1, 3)
    return delivery_problems(fetched, make_spec(), day, day, NOW)


def _check_actions(given: Sequence[str]) -> None:
    """Exactly the renames to something that is no ticker are no plausible actions."""
    renames = sorted(set(given) - {_OTHER})
    columns = {"symbol": _OTHER, "kind": "rename", "split_ratio": 1.0, "cash_usd": 0.0,
               "knowledge_time": NOW, "origin": "x"}  # fmt: skip
    schema = TABLES["corporate_actions"].empty().schema
    days = [date(2024, 5, 1) + timedelta(days=n) for n in range(len(renames))]
    table = pl.DataFrame({"ex_date": days, "new_symbol": renames}).with_columns(
        pl.lit(value).alias(name) for name, value in columns.items()
    )
    found = check_actions(table.select(list(schema)).cast(dict(schema)))
    assert len(found) == sum(referee(name) != name for name in renames)


class _FileNames:
    """A folder in which each name is a file, percent-encoded, and one that reads it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def check(self, given: Sequence[str]) -> None:
        for name in given[:1]:
            encoded = quote(name, safe="")
            if not 0 < len(encoded) < 240 or encoded.startswith("."):
                continue
            path = self._folder / f"{encoded}.csv"
            path.write_text("time,open,high,low,close,volume\n2005-01-03,1,1,1,1,1\n")
            try:
                expected = referee(name)
                assert self._read(expected or "A") == expected, f"file name: {encoded!r}"
            finally:
                path.unlink()

    def _read(self, symbol: str) -> str | None:
        source = {"kind": "files", "folder": str(self._folder), "feed": "v",
                  "symbol_from": "file_name"}  # fmt: skip
        spec = make_spec(source=source, universe=[symbol])
        try:
            rows = FileBars(spec, spec.source, CALENDAR).fetch(spec.start, date(2005, 1, 31), NOW)  # pyright: ignore[reportArgumentType]
        except DataError as error:
            assert "is no symbol" in str(error)
            return None
        return rows.rows["symbol"].item()


@cache
def _symbol() -> TypeAdapter[str]:
    return TypeAdapter(Symbol)


@cache
def _one_row() -> pl.DataFrame:
    spec = make_spec(universe=["A"])
    return make_rows(spec, date(2005, 1, 3), date(2005, 1, 3))


def _has_surrogate(name: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in name)


def _validated(validate: Callable[[Any], Any], value: Any) -> Any:
    try:
        return validate(value)
    except (ValidationError, UserError):
        return None


TARGET = Target(
    "symbols",
    st.lists(st.one_of(names(), good_symbols()), min_size=30, max_size=120),
    _open,
    quick=6,
    full=350,
    pinned=(
        ["BR\N{KELVIN SIGN}", "BRK", "A\n", "A" * 17, "", "A\N{GREEK QUESTION MARK}", "\ud800"],
    ),
)
