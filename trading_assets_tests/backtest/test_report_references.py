import polars as pl
import pytest

from trading_assets.policy.reference_names import REFERENCES
from trading_assets_tests.backtest.test_report import (
    KEYS,
    fold_record,
    inputs_of,
    judged,
    without,
)


def swapped(record, one, other):
    """The record of a fold in which two portfolios have changed names."""
    names = {one: other, other: one}
    renamed = pl.col("portfolio").replace(names)
    tables = record.tables
    parts = {
        name: getattr(tables, name).with_columns(portfolio=renamed)
        for name in ("weights", "trades", "equity", "holdings")
    }
    return type(record)(record.fold, type(tables)(**parts))


def section_of(page):
    return page.split("<h2>Beside references</h2>")[1].split("</section>")[0]


def test_a_reference_that_did_better_is_said_to_and_gates_nothing():
    plain = [fold_record(key, 0.55) for key in KEYS]
    report = judged(inputs_of([swapped(r, "ppo/ensemble", "direct") for r in plain]))
    section = section_of(report.html)
    assert "direct does better than ppo: declare it instead." in section
    assert report.problems == []
    # Gates are what they are without any reference.
    bare = [swapped(record, "ppo/ensemble", "direct") for record in plain]
    for name in REFERENCES:
        bare = [without(record, name) for record in bare]
    alone = judged(inputs_of(bare))
    gates = "evidence"
    assert alone.figures[gates]["gates"] == report.figures[gates]["gates"]
    assert alone.figures["verdicts"] == report.figures["verdicts"]


def test_an_agent_that_did_better_than_every_reference_is_said_to():
    report = judged(inputs_of([fold_record(key, 0.55) for key in KEYS]))
    assert "ppo does better than every reference." in section_of(report.html)
    found = report.figures["beside_references"]["ppo"]
    assert sorted(found) == sorted(REFERENCES)
    own = report.figures["portfolios"]
    difference = own["ppo/ensemble"]["sharpe_annual"] - own["direct"]["sharpe_annual"]
    assert found["direct"]["difference"] == pytest.approx(difference)


def test_without_a_difference_nothing_is_claimed():
    section = section_of(judged(inputs_of([fold_record(key, 0.0) for key in KEYS])).html)
    assert "by less than can be told from chance." in section


def test_a_reference_that_is_missing_is_named_at_the_top_and_marked_and_fails_nothing():
    records = [without(fold_record(KEYS[0], 0.0), "direct"), fold_record(KEYS[1], 0.0)]
    report = judged(inputs_of(records))
    assert report.problems == []
    page = report.html
    assert page.index("direct lacks fold 2020-01-01") < page.index("<h2>Figures</h2>")
    assert 'ppo/ensemble less direct<span class="mark">' in section_of(page)


def test_without_any_reference_the_section_says_so():
    records = [fold_record(key, 0.0) for key in KEYS]
    for name in REFERENCES:
        records = [without(record, name) for record in records]
    section = section_of(judged(inputs_of(records)).html)
    assert "ppo cannot be held against a reference." in section
