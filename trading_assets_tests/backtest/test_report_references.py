import math

import polars as pl
import pytest

from trading_assets.backtest.figures import Comparison
from trading_assets.backtest.report_references import reference_finding
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


def compared(low: float, high: float) -> Comparison:
    middle = (low + high) / 2.0
    return Comparison(500, 0.8, 0.8 - middle, middle, low, high, 0.5)


BEHIND, AHEAD = compared(-0.7, -0.1), compared(0.1, 0.5)
UNKNOWN = Comparison(0, *[math.nan] * 6)


@pytest.mark.parametrize(
    ("found", "kind", "claim"),
    [
        (
            # The noisy one has the higher ratio; the other one is surely better.
            {"direct": BEHIND, "logistic_rule": compared(-1.9, 1.0), "garleanu_pedersen": UNKNOWN},
            "behind",
            "direct does better than ppo: declare it instead. ppo differs from logistic_rule by"
            " less than can be told from chance. ppo cannot be held against garleanu_pedersen.",
        ),
        (
            {"direct": BEHIND, "logistic_rule": compared(-0.9, -0.2), "garleanu_pedersen": AHEAD},
            "behind",
            "logistic_rule and direct do better than ppo: declare one of them instead. ppo does"
            " better than garleanu_pedersen.",
        ),
        (
            {"direct": AHEAD, "logistic_rule": compared(-1.2, 1.9), "garleanu_pedersen": UNKNOWN},
            "undecided",
            "ppo does better than direct. ppo differs from logistic_rule by less than can be told"
            " from chance. ppo cannot be held against garleanu_pedersen.",
        ),
        (
            {"direct": AHEAD, "logistic_rule": AHEAD, "garleanu_pedersen": UNKNOWN},
            "undecided",
            "ppo does better than direct and logistic_rule. ppo cannot be held against"
            " garleanu_pedersen.",
        ),
        (
            {"direct": AHEAD, "logistic_rule": AHEAD, "garleanu_pedersen": AHEAD},
            "beats",
            "ppo does better than every reference.",
        ),
        (
            {"direct": UNKNOWN, "logistic_rule": Comparison(9, 0.8, 0.5, 0.3, *[math.nan] * 3)},
            "unknown",
            "ppo cannot be held against a reference.",
        ),
    ],
)
def test_each_reference_is_judged_by_its_own_interval(found, kind, claim):
    finding = reference_finding("ppo", found)
    assert (finding.kind, finding.claim) == (kind, claim)


def test_the_evidence_names_each_reference_with_its_numbers_the_best_first():
    evidence = reference_finding("ppo", {"direct": AHEAD, "logistic_rule": BEHIND}).evidence
    assert evidence == (
        "Against logistic_rule: annual Sharpe 0.80 to 1.20, difference -0.40 (-0.70 to -0.10,"
        " p 0.500). Against direct: annual Sharpe 0.80 to 0.50, difference 0.30 (0.10 to 0.50,"
        " p 0.500)."
    )
