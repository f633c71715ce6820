"""What the report says of explanations: findings, tables and drawings."""

from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.explanation.fold_explanation import TABLE_NAMES, FoldExplanation
from trading_assets.backtest.explanation.summary import summarise
from trading_assets.backtest.report_explanation import explanation_figures, explanation_section
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.schema import TABLES
from trading_assets_tests.backtest.test_report import KEYS, declared, fold_record, inputs_of, judged

NAME = "ppo/ensemble"


def actions_of(moves):
    """Return contributions of A's and B's weights at two sessions: `moves` and their opposite."""
    rows = [
        (NAME, date(2020, 1, day), symbol, kind, of, name, sign * value)
        for day, sign in ((1, 1.0), (2, -1.0))
        for symbol in "AB"
        for kind, of, name, value in moves(symbol)
    ]
    schema = {c.name: c.dtype for c in TABLES["action_attributions"].columns}
    return pl.DataFrame(rows, schema=schema, orient="row")


def usual_moves(symbol):
    other = "B" if symbol == "A" else "A"
    return [
        ("baseline", "", "baseline", 0.2),
        ("feature", symbol, "momentum", 0.03),
        ("feature", other, "momentum", 0.01),
        ("forecast", symbol, "edge", 0.02),
        ("limits", "", "limits", -0.05),
    ]


def importances_of(*rows):
    schema = {c.name: c.dtype for c in TABLES["importances"].columns}
    full = [
        (of, level, name, measure, mean, error, mean - 2 * error, mean + 2 * error, 5)
        for of, level, name, measure, mean, error in rows
    ]
    return pl.DataFrame(full, schema=schema, orient="row")


def reasons_of(n):
    rows = [
        (
            NAME,
            date(2020, 1, 2),
            f"S{i}",
            date(2020, 1, 1),
            100.0 * i,
            0.1,
            0.0,
            ["x"],
            [0.1],
            "",
            f"why {i} <b>",
        )
        for i in range(n)
    ]
    schema = {c.name: c.dtype for c in TABLES["reasons"].columns}
    return pl.DataFrame(rows, schema=schema, orient="row")


def forecasts_of():
    rows = [
        (date(2020, 1, 1), "A", "baseline", "baseline", 0.1, 0.0),
        (date(2020, 1, 1), "A", "feature", "rsi_14", 0.4, -0.1),
        (date(2020, 1, 2), "A", "feature", "rsi_14", -0.2, 0.1),
        (date(2020, 1, 2), "A", "feature", "<odd>", 0.1, 0.0),
        (date(2020, 1, 1), "A", "age_bars", "0", 0.3, 0.0),
        (date(2020, 1, 1), "A", "age_bars", "10", 0.1, 0.0),
    ]
    schema = {c.name: c.dtype for c in TABLES["forecast_attributions"].columns}
    return pl.DataFrame(rows, schema=schema, orient="row")


WORTH = (NAME, "group", "returns", "return_lost_bps", 3.0, 1.0)
CHANCE = (NAME, "group", "returns", "return_lost_bps", 3.0, 2.0)
FORECAST_WORTH = ("forecaster", "group", "trend", "log_loss", 0.004, 0.001)


@cache
def explanation(*importances, n_reasons=12):
    return FoldExplanation(
        {
            **{name: TABLES[name].empty() for name in TABLE_NAMES},
            "action_attributions": actions_of(usual_moves),
            "importances": importances_of(*importances),
            "reasons": reasons_of(n_reasons),
            "forecast_attributions": forecasts_of(),
        },
        figures={NAME: {"completeness_error": 0.001, "form_gap": 0.0}},
    )


def records(*explanations):
    return [
        replace(fold_record(key, 0.0), explanation=each)
        for key, each in zip(KEYS, explanations, strict=False)
    ]


def section(*explanations):
    return explanation_section(records(*explanations), KEYS, declared())


def claims(found):
    return [finding.claim for finding in found.findings]


def test_groups_that_are_worth_something_beyond_chance_are_named():
    found = section(explanation(WORTH, FORECAST_WORTH), explanation(WORTH, FORECAST_WORTH))
    assert claims(found) == [
        f"{NAME} earns less without returns.",
        "Forecasts get worse without trend.",
    ]
    assert [finding.kind for finding in found.findings] == ["beats", "beats"]
    # Two folds of error 1 each: the mean's is 1 / sqrt(2).
    assert found.findings[0].evidence == "returns: 3.00 (1.61 to 4.39) bps a session lost."


def test_what_cannot_be_told_from_chance_is_not_named():
    found = section(explanation(CHANCE), explanation(CHANCE))
    assert found.findings[0].kind == "beats"
    alone = section(explanation(CHANCE))
    assert claims(alone)[0] == f"No group of inputs earns {NAME} what can be told from chance."
    assert alone.findings[0].kind == "undecided"


def test_what_was_not_measured_is_unknown():
    found = section(explanation(), explanation())
    assert [finding.kind for finding in found.findings] == ["unknown", "unknown"]
    assert "was not measured" in claims(found)[0]


def test_folds_without_an_explanation_are_named():
    found = section(explanation(WORTH))
    assert claims(found)[-1] == f"1 fold is not explained: {KEYS[1]}."
    none = section(None, None)
    assert claims(none) == [f"2 folds are not explained: {KEYS[0]}, {KEYS[1]}."]
    assert (none.tables, none.drawings) == ((), ())


def test_what_was_left_out_is_said():
    left_out = replace(explanation(WORTH), left_out=("what moved x: y chooses among levels",))
    found = section(left_out, explanation(WORTH))
    assert "Not explained: what moved x: y chooses among levels." in claims(found)


def test_moves_are_means_of_absolute_contributions():
    found = summarise(NAME, {"a": explanation(WORTH), "b": explanation(WORTH)})
    moved = {
        (row["kind"], row["input"], row["is_own"]): row["moved"]
        for row in found.moves.iter_rows(named=True)
    }
    assert moved == pytest.approx(
        {
            ("baseline", "baseline", True): 0.2,
            ("limits", "limits", True): 0.05,
            ("feature", "momentum", True): 0.03,
            ("forecast", "edge", True): 0.02,
            ("feature", "momentum", False): 0.01,
        }
    )
    assert found.forecast_moves.rows() == [
        ("rsi_14", pytest.approx(0.3), pytest.approx(0.1)),
        ("<odd>", pytest.approx(0.05), 0.0),
    ]
    assert found.ages["age_bars"].to_list() == [0, 10]


def test_another_portfolios_moves_are_not_mixed_in():
    other = actions_of(usual_moves).with_columns(
        portfolio=pl.lit("other/ensemble"), contribution=9.0 * pl.col("contribution")
    )
    tables = dict(explanation(WORTH).tables)
    tables["action_attributions"] = pl.concat([tables["action_attributions"], other])
    found = summarise(NAME, {"a": replace(explanation(WORTH), tables=tables)})
    assert found.moves["moved"].to_list()[0] == pytest.approx(0.2)


def test_the_ten_largest_trades_are_shown_with_their_reasons():
    table = section(explanation(WORTH), explanation(WORTH)).tables[-1]
    assert table.caption == f"The 10 largest of 24 trades of {NAME}"
    assert [row[1] for row in table.rows[:3]] == ["S11", "S11", "S10"]
    assert table.rows[0][-1] == '<span class="reason">why 11 &lt;b&gt;</span>'


def test_names_of_features_are_escaped():
    forecasts = section(explanation(WORTH)).tables[2]
    assert "&lt;odd&gt;" in {row[0] for row in forecasts.rows}


def test_figures_are_those_of_the_section():
    found = explanation_figures(records(explanation(WORTH), explanation(WORTH)), declared())
    assert found["weight_moved"]["momentum"] == pytest.approx(0.03)
    assert found["weight_moved"]["momentum of other symbols"] == pytest.approx(0.01)
    lost = found["lost_without"][f"{NAME}/group/returns/return_lost_bps"]
    assert lost == {
        "mean": 3.0,
        "low": pytest.approx(3.0 - 1.96 / np.sqrt(2.0)),
        "high": pytest.approx(3.0 + 1.96 / np.sqrt(2.0)),
    }
    assert explanation_figures(records(None, None), declared()) == {}


def test_the_page_is_the_same_bytes_again_and_holds_the_drawings():
    first, again = (
        judged(inputs_of(records(explanation(WORTH), explanation(WORTH)))) for _ in range(2)
    )
    assert first.html == again.html
    for label in ("How far each input moves", "How far bars of each age move"):
        assert first.html.count(f'role="img" aria-label="{label}') == 1
    assert "What moves decisions and forecasts" in first.html


def test_a_report_of_folds_without_explanations_says_so_and_no_more():
    plain = judged(inputs_of([fold_record(key, 0.0) for key in KEYS]))
    assert f"2 folds are not explained: {KEYS[0]}, {KEYS[1]}." in plain.html
    assert plain.figures["explanation"] == {}
    assert isinstance(records(None)[0], FoldRecord)
