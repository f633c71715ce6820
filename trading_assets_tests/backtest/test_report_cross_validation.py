"""What the report says of a cross-validation, and of one that is not there."""

import math
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.metrics import max_drawdown, sharpe_annual
from trading_assets.backtest.page_parts import Section
from trading_assets.backtest.path_figures import ValidatedPaths, measure_paths
from trading_assets.backtest.report_cross_validation import (
    cross_validation_figures,
    cross_validation_section,
)
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.schema import TABLES, conform
from trading_assets.strategy import Strategy
from trading_assets_tests.backtest.test_report import KEYS, declared, fold_record, inputs_of, judged

TITLE = "<h2>Combinatorial purged cross-validation</h2>"
SPEC = CrossValidationSpec(groups=4, test_groups=2)
DAYS = [date(2024, 1, 1) + timedelta(days=n) for n in range(200)]
# Sharpe ratios of one bar, exact by construction; a year has sqrt(252) of one.
BARS = 252


def returns_of(sharpe_annual_wanted: float) -> np.ndarray:
    """Returns with exactly this annual Sharpe ratio, in alternating signs around their mean."""
    wave = np.where(np.arange(len(DAYS)) % 2, 0.01, -0.01)
    return wave + sharpe_annual_wanted / math.sqrt(BARS) * wave.std(ddof=1)


def rows_of(name: str, path: int, returns: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"session": DAYS, "net_return": returns}).with_columns(
        portfolio=pl.lit(name),
        path=pl.lit(path, pl.Int32),
        group=pl.lit(1, pl.Int32),
        split=pl.lit(min(path, 1), pl.Int32),
    )


def validated_of(
    ratios: dict[str, list[float]], forecasts: pl.DataFrame | None = None
) -> ValidatedPaths:
    """Paths with these Sharpe ratios; a policy without any is absent, a nan one holds nothing."""
    frames = [
        rows_of("equal_weight", 0, returns_of(0.5)),
        rows_of("trend", 0, returns_of(0.8)),
        rows_of("cash", 0, np.zeros(len(DAYS))),
    ]
    frames += [
        rows_of(name, path, returns_of(ratio) if math.isfinite(ratio) else np.zeros(len(DAYS)))
        for name, own in ratios.items()
        for path, ratio in enumerate(own, start=1)
    ]
    absent = {name: "split 2: no row has all inputs" for name, own in ratios.items() if not own}
    group = {"first": "2024-01-01", "last": "2024-02-19", "sessions": 50}
    return ValidatedPaths(
        returns=conform("cross_validated_returns", pl.concat(frames)),
        forecasts=forecasts_of([0.01, -0.02, 0.03]) if forecasts is None else forecasts,
        absences={**absent, "momentum": "0 of the 126 <sessions>", "mean_variance": "0 of the 126"},
        facts={
            "paths": 3,
            "embargo_sessions": 7,
            "horizon_bars": 5,
            "groups": [group] * 4,
            "splits": [{"test_groups": [1, 2]}] * 6,
        },
    )


def forecasts_of(gains: list[float]) -> pl.DataFrame:
    lines = [
        {
            "path": path,
            "rows": 100,
            "log_loss": 1.1 - gain,
            "log_loss_of_shares": 1.1,
            "ic": 10 * gain,
            "rank_ic": None,
        }
        for path, gain in enumerate(gains, start=1)
    ]
    types = {column.name: column.dtype for column in TABLES["cross_validated_forecasts"].columns}
    return pl.DataFrame(lines, schema=types)


def strategy_of(spec: CrossValidationSpec | None = SPEC) -> Strategy:
    plain = declared()
    backtest = plain.backtest.model_copy(update={"cross_validation": spec})
    return plain.model_copy(update={"backtest": backtest})


def section_of(validated: ValidatedPaths | None) -> Section:
    section = cross_validation_section(validated, strategy_of())
    assert section is not None
    return section


def text_of(section: Section) -> list[str]:
    return [f"{finding.claim} {finding.evidence}".strip() for finding in section.findings]


def test_figures_are_those_of_the_paths_and_the_best_baseline():
    found = measure_paths(
        validated_of({"garleanu_pedersen": [0.9, 0.7, 1.4], "logistic_rule": [0.1, 0.2, 0.3]})
    )
    own = found.policies["garleanu_pedersen"]
    assert own.sharpe_annual.paths == pytest.approx([0.9, 0.7, 1.4])
    spread = own.sharpe_annual
    assert [spread.minimum, spread.median, spread.maximum] == pytest.approx([0.7, 0.9, 1.4])
    assert found.best_baseline == "trend"
    assert found.baselines["equal_weight"] == pytest.approx(0.5)
    assert math.isnan(found.baselines["cash"])
    assert (own.paths_above_baseline, own.share_above_baseline) == (2, pytest.approx(2 / 3))
    assert found.policies["logistic_rule"].share_above_baseline == 0.0
    worst = own.max_drawdown
    assert worst.paths[1] == pytest.approx(max_drawdown(returns_of(0.7)))
    assert worst.maximum == max(worst.paths)
    assert sharpe_annual(returns_of(0.7)) == pytest.approx(0.7)


def test_gains_on_class_shares_and_coefficients_are_by_path():
    found = measure_paths(validated_of({})).forecasts
    assert found is not None
    assert found.log_loss_gain.paths == pytest.approx([0.01, -0.02, 0.03])
    assert found.log_loss_gain.median == pytest.approx(0.01)
    assert found.ic.paths == pytest.approx([0.1, -0.2, 0.3])
    assert math.isnan(found.rank_ic.median)


def test_the_section_says_on_how_many_paths_each_policy_is_above_the_best_baseline():
    section = section_of(
        validated_of({"garleanu_pedersen": [0.9, 0.7, 1.4], "logistic_rule": [0.1, 0.2, 0.3]})
    )
    assert text_of(section) == [
        "garleanu_pedersen does better than the best naive baseline on 2 of 3 paths. Annual Sharpe"
        " ratio after costs 0.90 in the median (0.70 to 1.40). trend over the same sessions 0.80.",
        "logistic_rule does better than the best naive baseline on 0 of 3 paths. Annual Sharpe"
        " ratio after costs 0.20 in the median (0.10 to 0.30). trend over the same sessions 0.80.",
        "The logistic forecaster knows more than class frequencies on 2 of 3 paths. Log-loss"
        " gained a forecast, nats: 0.0100 in the median (\N{MINUS SIGN}0.0200 to 0.0300);"
        " information coefficient 0.100 in the median (\N{MINUS SIGN}0.200 to 0.300).",
    ]
    policies, forecasts = section.tables
    assert policies.rows[0][:7] == [
        "garleanu_pedersen",
        "0.90",
        "0.70",
        "1.40",
        "0.90",
        "67 %",
        policies.rows[0][6],
    ]
    assert [row[0] for row in policies.rows] == [
        "garleanu_pedersen",
        "logistic_rule",
        "equal_weight",
        "trend",
    ]
    assert policies.rows[2][1:5] == ["0.50"] * 4
    assert forecasts.rows[2][1:] == ["\N{EN DASH}"] * 4
    assert len(policies.header) == len(policies.rows[0]) == len(policies.rows[2])
    assert section.notes[0].startswith("All paths are the same sessions, traded by fits on other")
    assert "without 10 sessions before and 12 after a test group" in section.notes[1]
    assert section.notes[-1] == "Not among the baselines: momentum, as 0 of the 126 <sessions>."


def test_a_policy_that_is_absent_or_holds_nothing_has_no_number():
    section = section_of(
        validated_of({"garleanu_pedersen": [], "logistic_rule": [math.nan, 0.2, 0.3]})
    )
    assert text_of(section)[:2] == [
        "garleanu_pedersen is on no path. split 2: no row has all inputs.",
        "logistic_rule holds something on 2 of 3 paths; it has no range of ratios.",
    ]
    row = section.tables[0].rows[0]
    assert row[:5] == ["logistic_rule", "\N{EN DASH}", "0.20", "0.30", "\N{EN DASH}"]


def test_without_a_forecaster_the_section_says_why():
    validated = validated_of(
        {"garleanu_pedersen": [1.0] * 3}, TABLES["cross_validated_forecasts"].empty()
    )
    validated = replace(validated, absences={"forecaster": "split 1: 12 train windows"})
    section = section_of(validated)
    assert text_of(section)[2] == "The forecaster is on no path. split 1: 12 train windows."
    assert len(section.tables) == 1
    assert cross_validation_figures(validated)["forecasts"] is None


def test_without_a_baseline_nothing_is_compared():
    whole = validated_of({"garleanu_pedersen": [1.0] * 3, "logistic_rule": [1.0] * 3})
    alone = whole.returns.filter(~pl.col("portfolio").is_in(["equal_weight", "trend", "cash"]))
    found = replace(whole, returns=alone)
    assert text_of(section_of(found))[0].startswith(
        "garleanu_pedersen cannot be held against a baseline. Annual Sharpe ratio after costs 1.00"
    )
    own = measure_paths(found).policies["garleanu_pedersen"]
    assert own.paths_above_baseline == 0
    assert math.isnan(own.share_above_baseline)


def test_what_is_missing_is_said_and_what_is_not_declared_is_not_shown():
    assert cross_validation_section(None, strategy_of(None)) is None
    section = section_of(None)
    assert text_of(section) == [
        "Nothing is cross-validated: the asset cross_validation is missing or was refused."
    ]
    assert not section.tables
    assert cross_validation_figures(None) == {}


def test_the_report_shows_it_has_its_figures_and_gates_nothing_by_it():
    records = [fold_record(key, 0.0) for key in KEYS]
    plain = judged(inputs_of(records))
    assert TITLE not in plain.html
    assert plain.figures["cross_validation"] == {}
    validated = validated_of({"garleanu_pedersen": [0.9, math.nan, 1.4]})
    report = judged(inputs_of(records, strategy=strategy_of(), cross_validation=validated))
    assert TITLE in report.html
    assert "momentum, as 0 of the 126 &lt;sessions&gt;." in report.html
    found = report.figures["cross_validation"]
    assert found["policies"]["garleanu_pedersen"]["sharpe_annual"]["median"] is None
    assert found["policies"]["garleanu_pedersen"]["sharpe_annual"]["paths"][1] is None
    assert (found["best_baseline"], found["embargo_sessions"]) == ("trend", 7)
    assert b"NaN" not in report.figures_json
    for name in ("verdicts", "evidence"):
        assert report.figures[name] == plain.figures[name]
    assert (report.verdict, report.problems) == (plain.verdict, plain.problems)
    missing = judged(inputs_of(records, strategy=strategy_of()))
    assert "Nothing is cross-validated" in missing.html
    assert missing.problems == []
