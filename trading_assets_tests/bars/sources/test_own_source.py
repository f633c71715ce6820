from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from trading_assets.bars.sources.build import build_source
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec

START, END = date(2005, 1, 3), date(2005, 1, 31)
HERE = "trading_assets_tests.bars.sources.own_bars"


def own_spec(factory: str = f"{HERE}:FlatBars", **options: Any) -> MarketDataSpec:
    source = {"kind": "module", "factory": factory, "feed": "mine", "options": options}
    return make_spec(source=source, universe=("A", "B"), start=START)


def test_an_own_source_is_called_with_what_the_declaration_says() -> None:
    source = build_source(own_spec(price=7), CALENDAR, {"MY_KEY": "k"})
    fetched = source.fetch(START, END, NOW)
    assert set(fetched.rows["close"]) == {7.0}
    assert set(fetched.rows["feed"]) == {"mine"}
    assert len(fetched.rows) == 2 * len(CALENDAR.sessions(START, END))


def test_nothing_is_imported_before_the_first_fetch() -> None:
    build_source(own_spec("no_such_package.bars:Source"), CALENDAR, {})


def test_rows_come_out_sorted() -> None:
    rows = build_source(own_spec(fault="unsorted"), CALENDAR, {}).fetch(START, END, NOW).rows
    assert rows.equals(rows.sort("symbol", "event_time"))


@pytest.mark.parametrize(
    ("factory", "sentence"),
    [
        (
            "no_such_package.bars:Source",
            r"^source module no_such_package\.bars cannot be imported \(.*\); install its package",
        ),
        (f"{HERE}:Missing", r"own_bars:Missing is nothing; expected a callable"),
        (f"{HERE}:NOT_CALLABLE", r"own_bars:NOT_CALLABLE is a int; expected a callable"),
        (
            f"{HERE}:without_options",
            r"without_options cannot be called \(.*options.*\); expected one that takes spec,",
        ),
        (f"{HERE}:nothing", r"nothing returned NoneType; expected an object with fetch\("),
    ],
)
def test_a_factory_that_cannot_be_used_is_one_sentence(factory: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as refusal:
        build_source(own_spec(factory), CALENDAR, {}).fetch(START, END, NOW)
    assert "\n" not in str(refusal.value)


def test_a_module_that_is_no_python_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_bars_module.py").write_text("def (")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"broken_bars_module cannot be imported \(invalid syntax"):
        build_source(own_spec("broken_bars_module:Source"), CALENDAR, {}).fetch(START, END, NOW)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_package_at_all", "No module named 'no_such_package_at_all'"),
        ("x = {}['key']", "KeyError: 'key'"),
        ("def f():\n    return NAME\n\nf()", "NameError: name 'NAME' is not defined"),
        ("raise ValueError('two\\nlines')", "ValueError: two"),
    ],
)
def test_a_module_that_fails_while_it_is_imported_is_one_sentence(
    code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_bars_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError) as refusal:
        build_source(own_spec("failing_bars_module:Source"), CALENDAR, {}).fetch(START, END, NOW)
    sentence = str(refusal.value)
    line = 2 if "NAME" in code else 1
    assert sentence.startswith("source module failing_bars_module cannot be imported (")
    assert f"{reason} in {tmp_path / 'failing_bars_module.py'} line {line})" in sentence
    assert sentence.endswith("or correct the module")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("column", "table raw_bars lacks volume"),
        ("type", "column close of table raw_bars was Float32"),
        ("feed", "is not of feed mine"),
        ("future", "became known after the moment of the fetch"),
        ("range", "is of a session outside 2005-01-03 to 2005-01-31"),
        ("twice", "occurs more than once"),
        ("no_bars", "fetch returned DataFrame; expected FetchedBars"),
    ],
)
def test_a_delivery_that_cannot_be_stored_is_refused(fault: str, sentence: str) -> None:
    with pytest.raises(DataError, match=f"FlatBars delivered what cannot be stored: .*{sentence}"):
        build_source(own_spec(fault=fault), CALENDAR, {}).fetch(START, END, NOW)


def test_a_vendors_own_failure_passes_through() -> None:
    with pytest.raises(DataError, match="the vendor sleeps"):
        build_source(own_spec(fault="fails"), CALENDAR, {}).fetch(START, END, NOW)


@pytest.mark.parametrize("factory", ["own_bars", "../x:y", "a b:c", "os:system;rm", ":x", "a:"])
def test_a_factory_is_declared_as_module_and_name(factory: str) -> None:
    with pytest.raises(ValidationError, match="factory"):
        own_spec(factory)
