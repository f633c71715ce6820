"""Universes in CSV files: members that follow every rule, or file, line and column in a sentence."""

import csv
import io
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

from trading_assets.members_file import members_path, read_members
from trading_assets.membership import Member
from trading_assets_tests.fuzz.declared_rules import member
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.material import HOSTILE, good_symbols, mixed, names
from trading_assets_tests.fuzz.rules import as_day, stints_are_apart, stripped
from trading_assets_tests.fuzz.symbols import referee as symbol_of

COLUMNS = ("symbol", "first_session", "last_session", "delisting_reason", "delisting_return")


class Given(NamedTuple):
    """A header, rows of cells, and text that is put into the file where the last number says."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    broken: str
    place: int


def referee(given: Given) -> list[dict[str, str]] | None:
    """Return the members that a file lists, None if it has to be refused."""
    header = [stripped(name) for name in given.header]
    if not set(header) <= set(COLUMNS) or len(set(header)) != len(header) or "symbol" not in header:
        return None
    found: list[dict[str, str]] = []
    for cells in ([stripped(cell) for cell in row] for row in given.rows):
        if not any(cells):
            continue
        if len(cells) != len(header):
            return None
        found.append({name: cell for name, cell in zip(header, cells, strict=True) if cell})
    is_good = bool(found) and all(map(member, found)) and stints_are_apart(found)
    return found if is_good else None


@contextmanager
def _open(folder: Path) -> Generator[Check]:
    path = folder / "members.csv"

    def check(given: Given, counts: Counts) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows([given.header, *given.rows])
        content = text.getvalue().encode()
        if given.broken:
            # Within a quoted cell: a quote that closes it, or bytes that are no text.
            place = 1 + given.place % max(1, len(content) - 1)
            content = content[:place] + given.broken.encode("latin-1") + content[place:]
        path.write_bytes(content)
        read: list[list[dict[str, str]]] = []
        refused = refusal_of(lambda: read.append(read_members(path)), shows=str(path))
        counts.add(accepted=refused is None)
        if not given.broken:
            expected = referee(given)
            assert (refused is None) == (expected is not None), refused
            assert expected is None or read == [expected]
        for rows in read:
            assert stints_are_apart(rows)
            for row in rows:
                found = Member.model_validate(row)
                assert found.symbol == symbol_of(row["symbol"])
                for field in ("first_session", "last_session"):
                    assert getattr(found, field) == as_day(row.get(field))

    yield check


_GOOD = ("members.csv", "below/members.csv", "a b.csv", "\N{LATIN SMALL LETTER E WITH ACUTE}.csv")


@contextmanager
def _open_paths(folder: Path) -> Generator[Check]:
    inside = folder / "mine"
    (inside / "below").mkdir(parents=True)
    for name in _GOOD:
        (inside / name).write_text("symbol\nA\n", encoding="utf-8")
    (folder / "secret.csv").write_text("symbol\nSECRET\n", encoding="utf-8")
    (inside / "link.csv").symlink_to(folder / "secret.csv")
    (inside / "loop.csv").symlink_to(inside / "loop.csv")
    (inside / "folder.csv").mkdir()

    def check(name: str, counts: Counts) -> None:
        expected = "/".join(part for part in name.split("/") if part != ".") in _GOOD
        read: list[list[dict[str, str]]] = []
        refused = refusal_of(
            lambda: read.append(read_members(members_path(name, inside))), shows="expected"
        )
        counts.add(accepted=expected)
        assert (refused is None) == expected, f"{name[:60]!r} {refused}"
        assert refused is not None or read == [[{"symbol": "A"}]]

    yield check


_cells = {
    "symbol": st.one_of(good_symbols(), good_symbols(), names(surrogates=False)),
    "first_session": mixed(("", "2001-01-02", "2003-04-05"), surrogates=False),
    "last_session": mixed(("", "2002-02-02", "2004-12-31"), surrogates=False),
    "delisting_reason": mixed(("", "bankruptcy", "merger", "index change"), surrogates=False),
    "delisting_return": mixed(("", "-0.5", "0", "-1", "1e-3"), surrogates=False),
}
_blank = st.just("")
_STINTS = (
    {},
    {"first_session": "2001-01-02"},
    {"first_session": "2001-01-02", "last_session": "2002-02-02"},
    {"last_session": "2000-12-29", "delisting_reason": "merger"},
    {"first_session": "2003-04-05", "last_session": "2004-12-31", "delisting_return": "-0.5"},
)


def _good_row(columns: Sequence[str], symbol: str, stint: Mapping[str, str]) -> tuple[str, ...]:
    is_dated = "last_session" in columns
    return tuple(
        symbol
        if column == "symbol"
        else stint.get(column, "")
        if is_dated or column == "first_session"
        else ""
        for column in columns
    )


@st.composite
def _files(draw: st.DrawFn) -> Given:
    columns = ["symbol", *draw(st.lists(st.sampled_from(COLUMNS[1:]), unique=True, max_size=4))]
    is_wild = draw(st.integers(0, 5)) == 0
    header = tuple(draw(mixed(COLUMNS, surrogates=False)) if is_wild else c for c in columns)
    wild = st.tuples(
        *(_cells[c] if c == "symbol" else st.one_of(_blank, _cells[c]) for c in columns)
    )
    good = st.builds(_good_row, st.just(columns), good_symbols(), st.sampled_from(_STINTS))
    rows = draw(st.lists(st.one_of(good, good, good, wild), min_size=1, max_size=3))
    if draw(st.integers(0, 9)) == 0:
        rows.append(("A",) * draw(st.integers(0, 6)))
    broken = draw(st.sampled_from(("",) * 8 + ('"', "\xff", "\0", '"x', "\n", ",")))
    return Given(header, tuple(rows), broken, draw(st.integers(0, 200)))


_dots = st.sampled_from(("", "./", "././"))
_paths = st.one_of(
    st.builds(str.__add__, _dots, st.sampled_from(_GOOD)),
    st.builds(str.__add__, _dots, st.sampled_from(_GOOD)),
    st.sampled_from(("members.csv", "below/members.csv", "a b.csv", "./members.csv", "below/./members.csv",
                     "\N{LATIN SMALL LETTER E WITH ACUTE}.csv")),
    st.sampled_from(("../secret.csv", "link.csv", "loop.csv", "folder.csv", "below/../members.csv",
                     "below\\..\\members.csv", "/etc/hosts.csv", "C:\\x.csv", "c:x.csv", "members.CSV",
                     "members.csv\0", "members.csv\n", "e\N{COMBINING ACUTE ACCENT}.csv", "~/x.csv",
                     "a" * 300 + ".csv", "x/" * 3_000 + "m.csv", "members.csv/x.csv", "loop.csv/x.csv")),
    st.sampled_from(HOSTILE).map(lambda text: f"{text}.csv"),
    mixed(("members.csv", "below/members.csv"), surrogates=True),
)  # fmt: skip

TARGETS = (
    Target("members", _files(), _open, quick=70, full=4_000),
    Target(
        "members_paths",
        _paths,
        _open_paths,
        quick=80,
        full=400,
        pinned=("loop.csv", "\ud800.csv", "x/" * 3_000 + "m.csv", "link.csv"),
        least_accepted=0.02,
    ),
)
