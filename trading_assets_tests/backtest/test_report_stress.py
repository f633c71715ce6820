"""What the report says of stress and of evaluation accounts, and what it says is missing."""

import json
import re
from functools import cache

import polars as pl
import pytest

from trading_assets.backtest.figures import Judgement, as_json_value
from trading_assets.backtest.page_parts import Section
from trading_assets.backtest.report_notes import missing_notes
from trading_assets.backtest.report_stress import stress_figures, stress_section
from trading_assets.backtest.report_stress_tables import left_table
from trading_assets.backtest.stress_chart import Panel, draw_sensitivity
from trading_assets.backtest.stress_findings import robustness_finding
from trading_assets.backtest.track_record import FoldRecord
from trading_assets_tests.backtest.stressed_fold import FOLD, recorded, redecided_fold, stressed
from trading_assets_tests.backtest.test_report import (
    KEYS,
    declared,
    fold_record,
    inputs_of,
    judged,
)

RULES = {
    "max_daily_loss": 0.02,
    "max_total_loss": 0.05,
    "profit_target": 0.03,
    "minimum_days": 3,
    "days_allowed": 20,
}


def record(stress: pl.DataFrame | None = None) -> FoldRecord:
    return FoldRecord(FOLD, recorded().tables, stress=stress)


@cache
def section() -> Section:
    folds = [record(stressed().table)]
    return stress_section(folds, [FOLD.key, "2006-04-01"], redecided_fold().strategy)


def cells_of(table) -> dict[str, list[str]]:
    return {re.sub("<.*", "", row[0]): list(row[1:]) for row in table.rows}


def test_every_scenario_is_a_row_with_its_figures():
    scenarios, left, conditions = section().tables
    rows = cells_of(scenarios)
    assert list(rows) == [
        "As recorded",
        "As it was, decided anew",
        "Volatility x 3",
        "Correlation 0.9",
        "Gap of \N{MINUS SIGN}3 deviations",
        "Gap of +3 deviations",
        "Halts of one symbol",
        "Stale feed",
        "Half spread x 5",
        "All costs x 2",
        "All costs x 5",
        "3 resampled paths, median",
    ]
    assert scenarios.header[1:] == ["ppo/ensemble", "equal_weight", "buy_and_hold"]
    own = (
        stressed()
        .table.filter(
            (pl.col("scenario") == "volatility") & (pl.col("portfolio") == "equal_weight")
        )
        .row(0, named=True)
    )
    worst, earned = own["worst_drawdown"], 252 * own["sum_return"] / own["bars"]
    text = rows["Volatility x 3"][1].replace("\N{MINUS SIGN}", "-")
    assert f"{100 * worst:.1f} % down" in text
    assert f"{100 * earned:.1f} % a year" in text
    assert set(cells_of(left)) == {"ppo/ensemble", "equal_weight"}
    assert {"Volatility: calm", "Volatility: usual", "Volatility: wild"} >= set(
        cells_of(conditions)
    )


def test_folds_without_stress_are_named_and_fail_nothing():
    assert "Not stressed: fold 2006-04-01." in [f.claim for f in section().findings]
    bare = stress_section([record()], [FOLD.key, "2006-04-01"], redecided_fold().strategy)
    claims = [finding.claim for finding in bare.findings]
    assert claims == ["Not stressed: folds 2006-01-01, 2006-04-01."]
    assert not bare.tables
    assert stress_figures([record()], redecided_fold().strategy) == {}


def test_a_table_without_the_ensemble_counts_as_missing():
    other = stressed().table.filter(pl.col("portfolio") != "ppo/ensemble")
    bare = stress_section([record(other)], [FOLD.key], redecided_fold().strategy)
    assert [finding.claim for finding in bare.findings] == ["Not stressed: fold 2006-01-01."]


def test_the_finding_says_what_is_left_and_on_what_evidence():
    finding = section().findings[0]
    assert re.match(
        r"ppo/ensemble: (nothing is left (at \d+\.\d times the declared costs|even before costs)"
        r"|something is left up to 100 times the declared costs)\.",
        finding.claim,
    )
    assert "As a flat fee: " in finding.evidence
    assert "Against equal_weight: " in finding.evidence
    assert "Capacity" in finding.evidence
    assert "On 3 resampled paths its Sharpe ratio is" in finding.evidence


def curve_rows(scenario: str, points: dict[float, tuple[float | None, float | None]]):
    """Pooled rows of one portfolio: return and Sharpe ratio a year by level."""
    columns = {"level": list(points), "return_annual": [], "sharpe_annual": []}
    for earned, ratio in points.values():
        columns["return_annual"].append(earned)
        columns["sharpe_annual"].append(ratio)
    types = dict.fromkeys(columns, pl.Float64)
    return pl.DataFrame(columns, schema=types).with_columns(
        scenario=pl.lit(scenario), portfolio=pl.lit("ppo/ensemble")
    )


def pooled_of(last: float | None) -> pl.DataFrame:
    """Figures of one ensemble and of equal weights alike, the last of each curve as given."""
    curves = [
        curve_rows("recorded", {0.0: (0.1, 1.0)}),
        curve_rows("fee_bps", {0.0: (0.2, 1.0), 1.0: (0.1, 0.9), 500.0: (last, last)}),
        curve_rows("capital_usd", {1e4: (0.2, 1.0), 1e5: (0.1, 0.9), 1e9: (last, last)}),
        curve_rows("path", {0.0: (0.1, 1.0), 1.0: (last, last)}),
    ]
    own = pl.concat(curves)
    return pl.concat([own, own.with_columns(portfolio=pl.lit("equal_weight"))])


def test_what_hangs_on_a_missing_figure_is_a_dash_and_said_to_be_unknown():
    pooled, tables = pooled_of(None), [stressed().table.clear()]
    finding = robustness_finding(tables, pooled, "ppo/ensemble")
    assert finding.claim == (
        "ppo/ensemble: at which costs nothing is left is not known, as a return is missing."
    )
    assert finding.kind == "unknown"
    assert "Capacity is not known, as a Sharpe ratio is missing" in finding.evidence
    assert "\N{EN DASH} of them lose and \N{EN DASH} are behind equal_weight" in finding.evidence
    assert "On 1 of them it or equal_weight has no Sharpe ratio" in finding.evidence
    row = left_table(tables, pooled, ["ppo/ensemble"]).rows[0]
    assert row[3] == '\N{EN DASH}<span class="interval">not known</span>'
    assert row[5] == '\N{EN DASH}<span class="interval">not defined</span>'


def test_what_is_left_at_the_most_that_was_tried_is_said_to_be_above_it():
    pooled, tables = pooled_of(0.6), [stressed().table.clear()]
    finding = robustness_finding(tables, pooled, "ppo/ensemble")
    assert "something is left up to 500 bps of what is traded" in finding.claim
    assert "Capacity: more than 1,000,000,000 USD." in finding.evidence
    assert "no Sharpe ratio" not in finding.evidence
    row = left_table(tables, pooled, ["ppo/ensemble"]).rows[0]
    assert (row[3], row[5]) == ("above 500", "above 1,000,000,000")


def test_notes_say_what_is_held_fixed_and_what_is_assumed():
    notes = " ".join(section().notes)
    assert "recorded target weights are held fixed" in notes
    assert "the declared impact coefficient 0.5" in notes
    assert "Regimes are not judged" in notes
    plain = redecided_fold().strategy
    cheap = plain.model_copy(
        update={"costs": plain.costs.model_copy(update={"impact_coefficient": 0.0})}
    )
    assumed = " ".join(stress_section([record(stressed().table)], [FOLD.key], cheap).notes)
    assert "an impact coefficient of 1, as none is declared" in assumed


def test_an_unshocked_path_that_earns_otherwise_is_a_finding():
    is_own = (pl.col("scenario") == "as_it_was") & (pl.col("portfolio") == "ppo/ensemble")
    shifted = stressed().table.with_columns(
        sum_return=pl.when(is_own).then(pl.col("sum_return") + 0.01).otherwise("sum_return")
    )
    claims = [
        finding.claim
        for finding in stress_section(
            [record(shifted)], [FOLD.key], redecided_fold().strategy
        ).findings
    ]
    bars = stressed().table["bars"].max()
    assert (
        f"The unshocked path earns {100 / bars:.2f} bps a bar more or less than was recorded."
        in (claims)
    )


def test_the_drawing_has_the_same_bytes_and_no_clock():
    drawing = section().drawings[0].svg
    again = stress_section(
        [record(stressed().table)], [FOLD.key, "2006-04-01"], redecided_fold().strategy
    )
    assert again.drawings[0].svg == drawing
    assert drawing.startswith('<svg role="img"')
    assert not re.search(r"<dc:date>|20[0-9]{2}-[01][0-9]-", drawing)
    assert "currentColor" in drawing


def test_a_curve_without_figures_is_drawn_as_a_hole():
    panel = Panel("Costs", {"ppo/ensemble": {0.0: float("nan"), 1.0: 0.5}, "equal_weight": {}})
    assert draw_sensitivity([panel]).startswith("<svg")


def test_figures_are_json_by_scenario_level_and_portfolio():
    found = stress_figures([record(stressed().table)], redecided_fold().strategy)
    figures = json.loads(json.dumps(as_json_value(found), allow_nan=False))
    assert figures["folds"] == [FOLD.key]
    own = figures["scenarios"]["volatility"]["3"]["ppo/ensemble"]
    assert own["bars"] == stressed().table["bars"].max()
    assert set(figures["nothing_left"]["ppo/ensemble"]) == {"cost_factor", "fee_bps"}
    assert figures["paths"]["ppo/ensemble"]["count"] == 3
    assert set(figures["capacity_usd"]["equal_weight"]) == {"at", "above"}


def test_the_page_has_the_section_and_no_longer_says_that_it_is_missing():
    found = judged(inputs_of([fold_record(key, 0.0) for key in KEYS]))
    assert "<h2>Under stress</h2>" in found.html
    assert "Not stressed: folds 2020-01-01, 2020-04-01." in found.html
    assert found.problems == []
    assert found.figures["stress"] == {}
    assert "Not computed" not in found.html
    judgement = Judgement(1, None, 100, 0.95, 0)
    notes = missing_notes("x", judgement, declared().costs)
    assert not any("stress" in note or "capacity" in note for note in notes)


def test_evaluation_accounts_are_judged_only_where_rules_are_declared():
    records = [fold_record(key, 0.2) for key in KEYS]
    plain = judged(inputs_of(records))
    assert "Evaluation account" not in plain.html
    assert plain.figures["evaluation_accounts"] == {}
    strategy = declared()
    backtest = strategy.backtest.model_validate(
        {**strategy.backtest.model_dump(), "prop_firm": RULES}
    )
    found = judged(inputs_of(records, strategy=strategy.model_copy(update={"backtest": backtest})))
    assert "<h2>Evaluation account</h2>" in found.html
    accounts = found.figures["evaluation_accounts"]
    assert set(accounts) == {"ppo/ensemble", "equal_weight"}
    bars = found.figures["portfolios"]["ppo/ensemble"]["bars"]
    own = accounts["ppo/ensemble"]
    assert own["every_session"]["runs"] == bars - 19
    assert own["resampled"]["runs"] == 200
    for outcome in own.values():
        shares = [outcome[name] for name in ("passed", "daily_loss", "total_loss", "out_of_time")]
        assert sum(shares) == pytest.approx(1.0)


def test_a_record_shorter_than_a_run_cannot_be_judged():
    strategy = declared()
    backtest = strategy.backtest.model_validate(
        {**strategy.backtest.model_dump(), "prop_firm": {**RULES, "days_allowed": 999}}
    )
    changed = strategy.model_copy(update={"backtest": backtest})
    found = judged(inputs_of([fold_record(key, 0.2) for key in KEYS], strategy=changed))
    assert "cannot be judged: its record has fewer than the 999 sessions of a run" in found.html
    assert found.figures["evaluation_accounts"]["ppo/ensemble"]["resampled"]["passed"] is None
