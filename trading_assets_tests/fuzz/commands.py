"""The command line and the environment: what is asked is done, or one sentence and exit code 2."""

import io
import os
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import yaml
from hypothesis import strategies as st

from trading_assets.cli import main
from trading_assets_tests.end_to_end.projects import FOREIGN, TINY, TINY_BARS
from trading_assets_tests.fuzz.harness import Check, Counts, Target
from trading_assets_tests.fuzz.material import mixed, texts
from trading_assets_tests.fuzz.rules import as_day
from trading_assets_tests.lake.samples import commit, open_lake

_DATA, _DEFS = "TRADING_ASSETS_DATA", "TRADING_ASSETS_DEFS"
_ASSETS = ("features", "tiny/features", "tiny_bars/raw_bars", "walk_forward_report", "policy/ppo")
_SHIPPED = ("us_equities", "known_optimum", "us_equities_paper")
_LONGEST_LINE = 1_000
_REFUSED = 2


class Given(NamedTuple):
    """Arguments, what else the environment says, and whether it can be done; None if it depends."""

    arguments: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    is_good: bool | None


@contextmanager
def _open(folder: Path) -> Generator[Check]:
    data, defs = folder / "data", folder / "defs"
    for name, kind, attributes in (
        ("tiny_bars", "MarketData", TINY_BARS),
        ("tiny", "TradingPipeline", TINY),
    ):
        path = defs / name / "defs.yaml"
        path.parent.mkdir(parents=True)
        content = {"type": f"trading_assets.pipeline.component.{kind}", "attributes": attributes}
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
    lake = open_lake(data)
    commit(lake, "2000-01-01")
    lake.close()
    stored = _files(data)
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}

    def check(given: Given, counts: Counts) -> None:
        variables = {**own, _DATA: str(data), _DEFS: str(defs), **dict(given.variables)}
        with patch.dict(os.environ, variables, clear=True):
            code, output, errors = _called(list(given.arguments))
        counts.add(accepted=code == 0)
        assert code in (0, _REFUSED), f"{code} {given}"
        assert given.is_good is None or (code == 0) == given.is_good, f"{code} {errors[:300]}"
        assert "Traceback" not in output + errors
        is_for_a_person = "--format=csv" not in given.arguments
        assert "\x1b" not in (output + errors if is_for_a_person else errors)
        if code == _REFUSED:
            assert errors.startswith(("trading-assets: ", "usage: ")), errors[:200]
        if errors.startswith("trading-assets: "):
            assert all(len(line) <= _LONGEST_LINE for line in errors.splitlines()), errors[:300]
        assert _files(data) == stored

    yield check


def _called(arguments: list[str]) -> tuple[int, str, str]:
    # A terminal replaces what its encoding lacks; so does standard error by itself.
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    errors = io.TextIOWrapper(
        io.BytesIO(), encoding="utf-8", errors="backslashreplace", write_through=True
    )
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            code = main(arguments)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
    said = [stream.buffer.getvalue().decode() for stream in (output, errors)]  # pyright: ignore[reportAttributeAccessIssue]
    return code, said[0], said[1]


def _files(data: Path) -> set[str]:
    found = (path for path in data.rglob("*") if path.is_file())
    names = {str(path.relative_to(data)) for path in found}
    return {name for name in names if not name.startswith(("manifest.", "catalog.", ".locks/"))}


def _planned(strategy: str, options: list[tuple[str, str]]) -> Given:
    is_good: bool | None = strategy == "tiny" and not any(value[:1] == "-" for _, value in options)
    days = {}
    for option, value in options:
        if option == "--only":
            is_good = is_good and value in _ASSETS
        else:
            days[option] = as_day(value)
            is_good = is_good and days[option] is not None
    first, last = days.get("--from"), days.get("--to")
    if first and last and last < first:
        is_good = False
    # Whether partitions lie between the days depends on the assets.
    is_known = not is_good or not days
    arguments = ["plan", *(part for option in options for part in option), "--", strategy]
    return Given(tuple(arguments), (), is_good if is_known else None)


def _asked(text: str, shape: str, rows: str) -> Given:
    is_text = not any("\ud800" <= character <= "\udfff" for character in text)
    literal = "'" + text.replace("'", "''") + "'"
    query = f'SELECT {literal} AS "[/b]", [{literal}] AS l, 1 AS n FROM us_daily.raw_bars LIMIT 3'
    is_count = rows.isascii() and rows.isdigit() and len(rows) < 10
    is_good = is_text and is_count and shape in ("table", "csv")
    # A text in the place of a value may begin with a dash, and is an option then.
    return Given(("sql", query, f"--format={shape}", f"--rows={rows}"), (), is_good)


def _listed(name: str, value: str) -> Given:
    is_good: bool | None = {
        "TRADING_ASSETS_PROFILE": value in ("development", "production", ""),
        "TRADING_ASSETS_ONLY": all(
            part in ("tiny", "tiny_bars", *_SHIPPED, "us_daily", "w1_daily", "us_daily_alpaca")
            for part in value.split(",")
            if part
        ),
        _DEFS: None,
    }[name]
    return Given(("list",), ((name, value),), is_good)


def _environment_can_hold(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


_days = st.one_of(
    st.dates().map(str),
    st.sampled_from(("2007-01-01", "2008-01-31", "2006-06-01")),
    mixed(("2007-01-01", "2008-02-29")),
    st.sampled_from(("20070101", "2007-W01-1", "2007-1-1", "2007-02-30", "0000-01-01", "2007-01-01T00:00", "now",
                     "\N{ARABIC-INDIC DIGIT TWO}007-01-01", "2007-01-01\n", "2007001")),
)  # fmt: skip
_options = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(("--from", "--to")), _days),
        st.tuples(st.just("--only"), st.one_of(st.sampled_from(_ASSETS), mixed(_ASSETS))),
    ),
    max_size=3,
)
_addresses = st.sampled_from(
    ("postgresql", "http://x", "sqlite:///x.db", "postgresql://127.0.0.1:1/x", "mysql://a@b/c", "x://", "://", "//",
     "postgresql://a:b:c@d:e/f", "postgresql+nothing://x/y", "postgresql://127.0.0.1:99999/x", "sqlite://")
)  # fmt: skip
_held = texts(surrogates=False).filter(_environment_can_hold)
_given = st.one_of(
    st.one_of(_addresses, _held.filter(bool)).map(
        lambda url: Given(("sql", "SELECT 1 AS n"), (("TRADING_ASSETS_MANIFEST_URL", url),), is_good=False)
    ),
    st.builds(_planned, st.just("tiny"), _options),
    st.builds(_planned, mixed(("tiny",)), st.just([])),
    st.builds(
        _asked,
        texts(),
        st.sampled_from(("table", "csv", "csv", "table", "html")),
        st.sampled_from(("50", "0", "1", "-1", "x", "1e3", "9" * 400, "")),
    ),
    st.builds(_asked, texts(surrogates=False), st.sampled_from(("table", "csv")), st.just("2")),
    st.builds(
        _listed,
        st.sampled_from(("TRADING_ASSETS_PROFILE", "TRADING_ASSETS_ONLY", _DEFS)),
        st.one_of(st.sampled_from(("development", "tiny", "tiny,tiny_bars", ",,tiny", "")), _held),
    ),
    st.sampled_from(("99999", "-1", "x", "1e3", "9" * 400, "0x50", "")).map(
        lambda port: Given(("pages", f"--port={port}"), (), is_good=False)
    ),
    st.builds(
        lambda name, text: Given(("run", "--set", f"{name}={text}", "--as", name, "--", f"x{text}"), (), None),
        texts(),
        texts(),
    ),
    st.builds(
        lambda name: Given(("run", "--set=costs.fee_bps=2", f"--as={name}", "tiny_"), (), is_good=False), texts()
    ),
    st.sampled_from(("nan", "inf", "-1", "0", "x", "1e400", "")).map(
        lambda minutes: Given(("stream", f"--minutes={minutes}", "tiny_bars"), (), is_good=False)
    ),
)  # fmt: skip

TARGET = Target(
    "commands",
    _given,
    _open,
    quick=30,
    full=1_500,
    pinned=(
        _listed(_DEFS, "A" * 10_000),
        _listed("TRADING_ASSETS_PROFILE", "A" * 10_000),
        _asked("[/a]", "table", "2"),
        _asked("\x1b[31m", "table", "2"),
        _asked("\ud800", "csv", "2"),
        _planned("tiny", [("--from", "20070101")]),
        Given(("pages", "--port=99999"), (), is_good=False),
        Given(
            ("sql", "SELECT 1 AS n"),
            (("TRADING_ASSETS_MANIFEST_URL", "postgresql"),),
            is_good=False,
        ),
    ),
)
