"""Hostile settings of a source of files: what exists is read as declared, the rest is refused."""

from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets_tests.fuzz.csv_bars import HEADER, fetch_bars
from trading_assets_tests.fuzz.harness import Check, Counts, Target, refusal_of
from trading_assets_tests.fuzz.material import texts
from trading_assets_tests.fuzz.rules import is_zone

_GOOD_FILE = "2005-01-03"
_FILES = ("a.csv", "b.csv", "c d.csv", "[x].csv", "sub/a.csv", "z.txt", ".h.csv")


class Setting(NamedTuple):
    """A field of the source, its value, and what stands in the file's time column."""

    field: str
    value: Any
    time: str
    close: float


@contextmanager
def _open_settings(folder: Path) -> Generator[Check]:
    for name in _FILES:
        (folder / "dump" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "secret.csv").write_text("x", encoding="utf-8")

    def check(given: Setting, counts: Counts) -> None:
        separator = (
            given.value if given.field == "separator" and _is_separator(given.value) else ","
        )
        for name in _FILES:
            rows = [HEADER, ("A", given.time, "1", "2", "0.5", repr(given.close), "100")]
            text = "".join(separator.join(row) + "\n" for row in rows)
            (folder / "dump" / name).write_text(text, encoding="utf-8")
        tables: list[pl.DataFrame] = []
        options = {
            given.field: given.value,
            **({} if given.field == "pattern" else {"pattern": "a.csv"}),
        }
        if given.field == "time_zone":
            options["time_is"] = "bar_open"

        def fetch() -> None:
            tables.append(fetch_bars(folder, options))

        expected = _IS_GOOD[given.field](given)
        try:
            refused = refusal_of(fetch)
        except ValidationError:
            counts.add(accepted=False)
            assert not expected, given
            return
        counts.add(accepted=refused is None)
        assert expected is None or (refused is None) == expected, f"{given} {refused}"
        if refused is None and given.field not in ("time_zone", "time_format"):
            assert set(tables[0]["session"]) == {date(2005, 1, 3)}
            assert set(tables[0]["close"]) == {given.close}

    yield check


def _is_separator(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 1 and value in " !#$%&*,/:;<=>?@^_`|~\t[]\\{}"


def _names_a_file(given: Setting) -> bool | None:
    pattern = given.value
    if not isinstance(pattern, str) or pattern.startswith("/") or ".." in pattern.split("/"):
        return False
    if "**" in pattern or "\0" in pattern:
        return None
    if any(character in pattern for character in "*?[") or not pattern.strip("./"):
        # What a glob with signs in it finds is the library's matter; it must not raise.
        return any(fnmatchcase(name, pattern) for name in _FILES[:4]) or None
    plain = "/".join(part for part in pattern.split("/") if part not in ("", "."))
    return plain in ("a.csv", "b.csv", "c d.csv", "sub/a.csv")


def _is_folder(given: Setting) -> bool | None:
    value = given.value
    plain = [part for part in value.split("/") if part not in ("", ".")]
    return True if plain == ["dump"] and not value.startswith("/") else None


_IS_GOOD: dict[str, Any] = {
    "separator": lambda given: _is_separator(given.value),
    "pattern": _names_a_file,
    "folder": _is_folder,
    "time_zone": lambda given: is_zone(given.value),
    "time_format": lambda given: True if (given.value, given.time) in _FORMATS else None,
}
_FORMATS = (("%Y-%m-%d", "2005-01-03"), ("%d.%m.%Y", "03.01.2005"), ("%Y%m%d", "20050103"),
            ("%m/%d/%y", "01/03/05"), ("%Y-%m-%dT%H:%M:%S%z", "2005-01-03T12:00:00+0000"))  # fmt: skip


_closes = st.floats(0.5, 2)


def _setting(field: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Setting]:
    return st.builds(Setting, st.just(field), values, st.just(_GOOD_FILE), _closes)


_separators = st.one_of(st.sampled_from(",;|\t:^~ "), st.characters(), texts())
_patterns = st.one_of(
    st.sampled_from(("*", "*.csv", "a.csv", "./a.csv", "sub/a.csv", "**/*.csv", "[ab].csv", "?.csv", "c d.csv")),
    st.sampled_from((".", "./", "**", "**x", "a**", "[", "[]", "[!", "[a", "*" * 300, "a/" * 2_000 + "x", "./.",
                     "../secret.csv", "sub/../a.csv", "/etc/*", "*\0", "\0", "~/*", "z.txt", ".h.csv")),
    texts().filter(bool),
)  # fmt: skip
_folders = st.one_of(
    st.sampled_from(("dump", "./dump", "dump/", "dump/.")),
    st.sampled_from(("x" * 300, "dump/" * 3_000, "\0", "dump\0", "a.csv", "dump/a.csv", "~")),
    texts().filter(bool),
)
_zones = st.one_of(
    st.sampled_from(("UTC", "America/New_York", "Asia/Kolkata", "Etc/GMT+5", "GB", "UCT")),
    st.sampled_from(("localtime", "posixrules", "posix/UTC", "right/UTC", "Factory", "America", "utc", "EST5EDT",
                     "tzdata.zi", "../UTC", "America/../UTC", "+05:00", "leapseconds")),
    texts(),
)  # fmt: skip
_formats = st.one_of(
    st.sampled_from(("%", "%%", "%Q", "%Y-%m-%d %", "%Y", "%H:%M", "%s", "%c", "%+", "%Z", "%Y-%m-%dT%H:%M:%S%Z",
                     "%.f", "%9f", "%:z", "%#z", "%-d/%-m/%Y", "%Y" * 500, "%n%t", "%E", "%U %Y", "{}", "%G-%V-%u")),
    texts().filter(lambda text: len(text) > 1),
)  # fmt: skip
_settings = st.one_of(
    _setting("separator", st.sampled_from(",;|\t:^~ ")),
    _setting("time_zone", st.sampled_from(("UTC", "America/New_York", "Asia/Kolkata", "GB"))),
    _setting("separator", _separators),
    _setting("pattern", _patterns),
    _setting("folder", _folders),
    _setting("time_zone", _zones),
    st.sampled_from(_FORMATS).map(lambda pair: Setting("time_format", *pair, 1.0)),
    st.builds(
        Setting,
        st.just("time_format"),
        _formats,
        st.sampled_from(("2005-01-03", "20050103", "1104710400", "", "x", "2005-01-03 10:00")),
        _closes,
    ),
)


TARGET = Target(
    "csv_settings",
    _settings,
    _open_settings,
    quick=60,
    full=2_000,
    pinned=(
        *(
            Setting("pattern", pattern, _GOOD_FILE, 1.0)
            for pattern in (".", "./", "**x", "*", "A" * 10_000)
        ),
        Setting("folder", "x" * 300, _GOOD_FILE, 1.0),
        Setting("separator", "\x80", _GOOD_FILE, 1.0),
        Setting("time_zone", "localtime", _GOOD_FILE, 1.0),
        Setting("time_format", "A" * 10_000, _GOOD_FILE, 1.0),
    ),
)
