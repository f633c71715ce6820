"""Names that become folders, files, views and SQL in the lake: allowed, or refused before a write."""

import string
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st

from trading_assets.lake import names
from trading_assets.lake.records import InputRef, PartitionWrite
from trading_assets.lake.store import Lake
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.material import mixed
from trading_assets_tests.lake.samples import made_by, open_lake, rows_of

_LOWER = string.ascii_lowercase
_WORD = _LOWER + string.digits + "_"
_LONGEST = 200
TAKEN = ("catalog", "information_schema", "memory", "pg_catalog", "system", "temp")

GOOD: Mapping[str, tuple[str, ...]] = {
    "asset": ("us_daily/raw_bars", "a/b", "x1/policy/ppo", "main/rows", "select/from", "con/nul",
              "main/memory", "public/temp"),
    "partition": ("2000-01-01", "2000-02-29", "0001-01-01", "9999-12-31", "2005-06-01", ""),
    "stage": ("bars", "a", "policy_2", "nul"),
    "table": ("rows", "actions", "select", "con"),
    "blob": ("x.json", "a/b.html", "part-1.html", "a.b.css", "n0/m_1/k-2.txt", "con.txt"),
}  # fmt: skip
_NEAR: Mapping[str, tuple[str, ...]] = {
    "asset": ("a", "a/", "/a", "A/b", "a/B", "1/b", "_a/b", "a//b", *(f"{name}/a" for name in TAKEN), "a/../b", "a/b\n", "a/" * 101 + "a"),
    "partition": ("2001-02-29", "2000-13-01", "2000-00-10", "0000-01-01", "20000101", "2000-1-1",
                  "2000-01-01T00:00", "2000-W01-1", "+2000-01-01", "\N{ARABIC-INDIC DIGIT TWO}000-01-01"),
    "stage": ("A", "a/b", "a-b", "a" * 300),
    "table": ("A", "a/b", "rows.parquet", "a" * 300),
    "blob": ("x.parquet", "x", ".json", "a/.json", "a..b.json", "X.json", "x.json/", "x." + "a" * 17,
             "a" * 255 + ".json"),
}  # fmt: skip


class Given(NamedTuple):
    """A kind of name, the name, and whether the lake is to be written with it."""

    kind: str
    name: str
    is_written: bool


def referee(kind: str, name: str) -> bool:
    """Return whether a name of that kind is allowed."""
    if kind == "partition":
        return name == "" or _is_date(name)
    if not 0 < len(name) <= _LONGEST:
        return False
    if kind == "asset":
        parts = name.split("/")
        return len(parts) > 1 and all(map(_is_word, parts)) and parts[0] not in TAKEN
    return _is_blob(name) if kind == "blob" else _is_word(name)


def _is_word(text: str) -> bool:
    return bool(text) and text[0] in _LOWER and all(character in _WORD for character in text)


def _is_date(text: str) -> bool:
    shape = [character if character == "-" else "9" for character in text]
    digits = text.replace("-", "")
    if "".join(shape) != "9999-99-99" or any(d not in string.digits for d in digits):
        return False
    try:
        date(int(text[:4]), int(text[5:7]), int(text[8:]))
    except ValueError:
        return False
    return True


def _is_blob(name: str) -> bool:
    first, rest = _LOWER + string.digits, _LOWER + string.digits + "_-"
    pieces = name.replace("/", ".").split(".")
    suffix = name.rpartition(".")[2]
    return (
        len(pieces) > 1
        and all(piece and piece[0] in first and all(c in rest for c in piece) for piece in pieces)
        and "." in name
        and len(suffix) <= 16
        and all(c in first for c in suffix)
        and not name.endswith(".parquet")
    )


_CHECKS: Mapping[str, Callable[[str], object]] = {
    "asset": names.check_asset,
    "partition": names.check_partition,
    "stage": names.check_stage,
    "table": names.table_file,
    "blob": names.check_blob,
}


@contextmanager
def _open(folder: Path) -> Generator[Check]:
    lake = open_lake(folder / "lake")
    lake.commit([_write(Given("asset", "us_daily/raw_bars", is_written=True))], made_by())
    try:

        def check(given: Given, counts: Counts) -> None:
            is_allowed = referee(given.kind, given.name)
            counts.add(accepted=is_allowed)
            refused = refusal_of(lambda: _CHECKS[given.kind](given.name), shows="expected")
            assert (refused is None) == is_allowed, given.name[:60]
            if not is_allowed:
                _require_refusals(lake, given)
            elif given.is_written:
                _require_stored(lake, given)

        yield check
        # What hostile keys met is still all there.
        assert "us_daily/raw_bars" in lake.assets()
        assert lake.query("SELECT count(*) AS n FROM us_daily.raw_bars")["n"].item() >= 20
    finally:
        lake.close()


def _require_refusals(lake: Lake, given: Given) -> None:
    before = _files(lake.root) if given.is_written else None
    tries: list[Callable[[], object]] = []
    if given.kind == "asset":
        tries += [
            lambda: lake.records(given.name),
            lambda: lake.read(given.name, [""]),
            lambda: lake.commit([_write(Given("asset", "a/b", True), given.name)], made_by()),
        ]
    elif given.kind == "partition":
        tries += [
            lambda: lake.record("us_daily/raw_bars", given.name),
            lambda: lake.read("us_daily/raw_bars", [given.name]),
            lambda: lake.latest_before("us_daily/raw_bars", given.name),
        ]
    if given.is_written:
        tries.append(lambda: lake.commit([_write(given)], made_by()))
    for attempt in tries:
        assert refusal_of(attempt) is not None, given.name[:60]
    assert before is None or _files(lake.root) == before


def _files(root: Path) -> list[Path]:
    # SQLite keeps its log beside the manifest while it is open.
    return sorted(path for path in root.rglob("*") if path.suffix[:7] != ".sqlite")


def _require_stored(lake: Lake, given: Given) -> None:
    write = _write(given)
    (record,) = lake.commit([write], made_by())
    root = lake.root.resolve()
    for file in record.files:
        path = (root / file.path).resolve()
        assert path.is_file()
        assert path.is_relative_to(root / "lake")
    again = lake.record(write.asset, write.partition)
    assert again is not None
    assert again.content_digest == record.content_digest
    if given.kind in ("asset", "table"):
        schema, _, rest = write.asset.partition("/")
        parts = rest.split("/")
        view = "__".join(parts if "rows" in write.tables else [*parts, *write.tables])
        found = lake.query(f'SELECT count(*) AS n FROM "{schema}"."{view}"')  # allow-listed
        assert found["n"].item() >= 20


def _write(given: Given, read: str | None = None) -> PartitionWrite:
    chosen = {"asset": "us_daily/raw_bars", "partition": "", "stage": "bars", "table": "rows"}
    chosen[given.kind] = given.name
    return PartitionWrite(
        chosen["asset"],
        chosen["stage"],
        chosen["partition"],
        {chosen["table"]: rows_of("2000-01-01")},
        blobs={given.name: b"{}"} if given.kind == "blob" else {},
        inputs=[] if read is None else [InputRef(read, "", "aa")],
    )


_words = st.builds(str.__add__, st.sampled_from(_LOWER), st.text(_WORD, max_size=12))
_drawn: Mapping[str, st.SearchStrategy[str]] = {
    "asset": st.lists(_words, min_size=2, max_size=4).map("/".join),
    "partition": st.dates().map(str),
    "stage": _words,
    "table": _words,
    "blob": st.tuples(_words, st.sampled_from((".json", ".html", "/x.css", "-1.txt"))).map("".join),
}


def _given(kind: str) -> st.SearchStrategy[Given]:
    good = st.sampled_from(GOOD[kind])
    named = st.one_of(
        good,
        _drawn[kind],
        _drawn[kind],
        mixed(GOOD[kind]),
        st.sampled_from(_NEAR[kind]),
        _long_words,
    )
    return st.builds(Given, st.just(kind), named, st.integers(0, 40).map(lambda n: n == 0))


_long_words = st.text(_WORD + "/-.", max_size=210)

TARGET = Target(
    "lake_keys",
    st.one_of(*map(_given, GOOD)),
    _open,
    quick=150,
    full=5_000,
    pinned=tuple(
        Given(kind, name, is_written=True)
        for kind, name in (
            ("partition", "0000-00-00"),
            ("partition", "2001-02-29"),
            ("asset", ""),
            ("asset", "information_schema/tables"),
            ("stage", "a" * 300),
            ("table", "a" * 300),
        )
    ),
)
