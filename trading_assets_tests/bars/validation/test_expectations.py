import os
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NoReturn

import polars as pl
import pytest

from trading_assets.bars.validation.bars import ValidatedMonths, validate_bars
from trading_assets.bars.validation.expectations import EXPECTATIONS, ExpectationResult, judge
from trading_assets.bars.validation.month_table import clean_row_faults
from trading_assets.errors import DataError
from trading_assets.schema import TABLES, SchemaError
from trading_assets_tests.bars.example_bars import NOW, make_rows, make_spec

SPEC = make_spec(universe=("A", "B"), start=date(2010, 3, 1), end=date(2010, 3, 31))
ROWS = make_rows(SPEC, date(2010, 3, 1), date(2010, 3, 31))
LISTED = {"A": date(2010, 3, 1), "B": date(2010, 3, 1)}
ODD = (pl.col("symbol") == "A") & (pl.col("session") == date(2010, 3, 9))


def validate(rows: pl.DataFrame = ROWS) -> ValidatedMonths:
    actions = TABLES["corporate_actions"].empty()
    return validate_bars(rows, actions, SPEC, ["2010-03-01"], LISTED, NOW)


def failures(validated: ValidatedMonths) -> dict[str, ExpectationResult]:
    return {result.name: result for result in judge(validated) if not result.passed}


def test_clean_bars_meet_every_expectation() -> None:
    results = judge(validate())
    assert [result.name for result in results] == [each.name for each in EXPECTATIONS]
    assert all(result.passed for result in results)
    assert {result.evidence for result in results} == {""}
    assert results[1].observed == "0 of 46 bars break it"


NEXT_CLOSE = datetime(2010, 3, 10, 21, tzinfo=UTC)
# One clean row made bad for each expectation, as if every rule had let it through.
BAD_ROWS: dict[str, tuple[int, dict[str, object]]] = {
    "prices_are_positive_and_finite": (1, {"high": float("inf")}),
    "lows_are_not_above_opens_and_closes": (2, {"low": 200.0, "high": 300.0}),
    "highs_are_not_below_opens_and_closes": (3, {"high": 20.0, "low": 10.0}),
    "volumes_are_positive": (4, {"volume": 0.0}),
    "bars_come_from_one_feed": (5, {"feed": "sip"}),
    "bars_are_known_only_after_they_end": (8, {"knowledge_time": NOW.replace(year=2009)}),
    "bars_are_unique": (9, {"event_time": NEXT_CLOSE, "knowledge_time": NEXT_CLOSE}),
}


@pytest.fixture(scope="module")
def judged_bad_rows() -> dict[str, ExpectationResult]:
    validated = validate()
    rows = validated.rows
    for day, values in BAD_ROWS.values():
        is_it = (pl.col("symbol") == "A") & (pl.col("session") == date(2010, 3, day))
        rows = rows.with_columns(
            pl.when(is_it)
            .then(pl.lit(value))
            .otherwise(pl.col(name))
            .cast(rows.schema[name])
            .alias(name)
            for name, value in values.items()
        )
    return failures(replace(validated, rows=rows))


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_among_the_clean_fails_its_expectation(
    name: str, judged_bad_rows: dict[str, ExpectationResult]
) -> None:
    failed = judged_bad_rows[name]
    assert failed.blocks
    n_bars = {"bars_come_from_one_feed": 23, "bars_are_unique": 2}.get(name, 1)
    assert failed.observed == f"{n_bars} of 46 bars break it"
    if n_bars < 3:
        assert f"| A | 2010-03-{BAD_ROWS[name][0]:02} |" in failed.evidence


@pytest.mark.parametrize("value", [None, 0.0])
def test_a_price_that_is_no_price_fails(value: float | None) -> None:
    rows = ROWS.with_columns(low=pl.when(ODD).then(pl.lit(value)).otherwise(pl.col("low")))
    validated = replace(validate(), rows=rows.select(TABLES["validated_bars"].names))
    assert "prices_are_positive_and_finite" in failures(validated)


def test_a_duplicate_in_the_raw_bars_fails_uniqueness_with_the_bar_as_evidence() -> None:
    twice = pl.concat([ROWS, ROWS.filter(ODD).with_columns(close=pl.col("close") + 0.5)])
    failed = failures(validate(twice))["bars_are_unique"]
    assert "bar_is_unique" in failed.evidence
    assert "| A | 2010-03-09 |" in failed.evidence


def test_missing_bars_fail_with_their_names() -> None:
    failed = failures(validate(ROWS.filter(pl.col("session") > date(2010, 3, 3))))
    assert set(failed) == {"sessions_have_bars", "every_expected_bar_passed"}
    assert "| A | 2010-03-01 |" in failed["sessions_have_bars"].evidence
    assert failed["sessions_have_bars"].observed == "1 of 1 months break it"


def test_one_missing_bar_is_reported_without_blocking() -> None:
    failed = failures(validate(ROWS.filter(~ODD)))
    assert [(result.name, result.blocks) for result in failed.values()] == [
        ("every_expected_bar_passed", False)
    ]


def test_outliers_and_stale_closes_are_reported_without_blocking() -> None:
    stuck = pl.col("session") >= date(2010, 3, 24)
    close = pl.when(ODD).then(170.0).when(stuck).then(99.5).otherwise(pl.col("close"))
    rows = ROWS.with_columns(
        close=close, high=pl.max_horizontal(close, "high"), low=pl.min_horizontal(close, "low")
    )
    failed = failures(validate(rows))
    assert set(failed) == {"returns_without_actions_are_plausible", "closes_are_not_stale"}
    assert not any(result.blocks for result in failed.values())
    assert "robust sigma" in failed["returns_without_actions_are_plausible"].evidence


def test_a_month_without_bars_is_judged_by_its_summary() -> None:
    assert "sessions_have_bars" in failures(validate(ROWS.clear()))


def test_a_rule_that_cannot_be_evaluated_is_an_error() -> None:
    validated = validate()
    with pytest.raises(DataError, match="could not evaluate every_expected_bar_passed"):
        judge(replace(validated, summary=validated.summary.drop("data_quality_pct")))


def test_clean_rows_of_other_columns_are_refused() -> None:
    validated = validate()
    with pytest.raises(SchemaError, match="lacks volume"):
        judge(replace(validated, rows=validated.rows.drop("volume")))


def test_judging_sends_nothing_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> NoReturn:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)
    judge(validate())
    assert os.listdir(tmp_path) == []  # noqa: PTH208 # names only


def test_the_list_of_expectations_imports_without_great_expectations() -> None:
    code = (
        "import sys, trading_assets.bars.validation.expectations as e; assert e.EXPECTATIONS;"
        "print([m for m in ('great_expectations', 'pandas') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"low": 102.0}, "clean_bars_with_high_lows"),
        ({"open": 98.0}, "clean_bars_with_high_lows"),
        ({"close": 98.0}, "clean_bars_with_high_lows"),
        ({"open": 103.0}, "clean_bars_with_low_highs"),
        ({"close": 103.0}, "clean_bars_with_low_highs"),
        ({"high": float("nan")}, "clean_bars_without_prices"),
        ({"close": None}, "clean_bars_without_prices"),
        ({"volume": float("inf")}, "clean_bars_without_trades"),
        ({"volume": None}, "clean_bars_without_trades"),
    ],
)
def test_each_fault_of_a_clean_row_is_counted(values: dict[str, object], fault: str) -> None:
    rows = ROWS.filter(ODD).select(TABLES["validated_bars"].names)
    assert not any(found.any() for found in clean_row_faults(rows).values())
    bad = rows.with_columns(pl.lit(value, pl.Float64).alias(name) for name, value in values.items())
    assert clean_row_faults(bad)[fault].to_list() == [True]
