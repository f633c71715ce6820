import json
import re
from dataclasses import replace
from functools import cache
from html import escape

import numpy as np
import polars as pl

from trading_assets.backtest.report_documents import WalkForwardReport
from trading_assets.backtest.report_quality import quality_table
from trading_assets.features.quality import QUALITY_SCHEMA, FeatureQuality
from trading_assets.features.redundancy import tabulate_correlations
from trading_assets_tests.backtest.test_report import KEYS, fold_record, inputs_of, judged

NAMES = ["strong", "twin", "weak", "<absent>"]
HEADING = "<h2>Features on the training days</h2>"


@cache
def quality(shift: float = 0.0) -> FeatureQuality:
    table = pl.DataFrame(
        {
            "feature": NAMES,
            "coverage": [1.0, 0.9, 1.0, 0.0],
            "clipped_share": [0.01, 0.02, None, None],
            "autocorrelation_1": [0.5, 0.5, 0.9, None],
            "autocorrelation_horizon": [0.1, 0.1, 0.7, None],
            "ic_form": ["cross_section", "cross_section", "time_series", None],
            "rank_ic": [-0.08, -0.05, 0.01, None],
            "t_newey_west": [-4.5 - shift, -2.5, 0.4, None],
            "ic_sessions": [751, 751, 751, None],
            "lag_sessions": [10, 10, 10, None],
            "p_value": [0.00001, 0.014, 0.69, None],
            "p_holm": [0.00003, 0.028, 0.69, None],
            "cluster": [1, 1, 2, None],
            "representative": ["strong", "strong", "weak", None],
        },
        schema=QUALITY_SCHEMA,
    )
    correlations = np.full((4, 4), np.nan)
    correlations[:3, :3] = [[1.0, 0.9, 0.1], [0.9, 1.0, 0.0], [0.1, 0.0, 1.0]]
    return FeatureQuality(table, tabulate_correlations(correlations, NAMES))


def report_with(*qualities: FeatureQuality | None) -> WalkForwardReport:
    records = [
        replace(fold_record(key, 0.0), features=found)
        for key, found in zip(KEYS, qualities, strict=True)
    ]
    return judged(inputs_of(records))


def test_each_fold_shows_a_table_two_drawings_and_what_chance_would_show():
    page = report_with(quality(), quality(1.0)).html
    section = page[page.index(HEADING) :]
    assert section.count("<details") == 3
    assert section.count("<table>") == 2
    assert section.count("<svg") == 4
    assert "<metadata" not in section
    names = re.findall(r' id="([^"]+)"', page)
    assert len(names) == len(set(names))
    assert section.count("where 0.1 are expected if all are worthless") == 2
    assert section.count("2 significant at 5 %: strong, twin.") == 2
    assert "Train windows of neighbouring folds overlap" in section
    assert "Fold 2020-01-01: training days 2019-01-01 to 2019-06-30" in section


def test_folds_are_folded_away_the_newest_first():
    page = report_with(quality(), quality(1.0)).html
    summaries = re.findall(r"<details( open)?><summary>Fold (\S+):", page)
    assert summaries == [("", KEYS[1]), ("", KEYS[0])]


def test_a_fold_without_quality_is_left_out_and_a_report_without_any_has_no_section():
    page = report_with(quality(), None).html
    assert re.findall(r"<details( open)?><summary>Fold (\S+):", page) == [("", KEYS[0])]
    report = report_with(None, None)
    assert HEADING not in report.html
    assert "training days" not in report.html
    assert report.figures["features_on_training_days"] == {}
    assert report.problems == []


def test_features_are_listed_by_size_of_t_and_those_with_a_stronger_twin_are_paler():
    table = quality_table(quality().features.reverse())
    shown = [row[0] for row in table.rows]
    assert shown == ["strong", "twin", "weak", escape("<absent>")]
    assert table.muted == {1, 3}
    strong, twin, weak, absent = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    assert strong["t"] == "\N{MINUS SIGN}4.50"
    assert (strong["Ranked over"], weak["Ranked over"]) == ("symbols", "time")
    assert (twin["Coverage"], twin["p, Holm"], twin["Stronger alike"]) == (
        "90.0 %",
        "0.028",
        "strong",
    )
    assert strong["Stronger alike"] == weak["Clipped"] == absent["t"] == "\N{EN DASH}"


def test_names_are_escaped_in_table_and_drawings():
    page = report_with(quality(), None).html
    assert "<absent>" not in page
    assert "&lt;absent&gt;" in page


def test_the_section_needs_no_network_and_has_the_same_bytes():
    page = report_with(quality(), quality(1.0)).html
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert page == report_with(quality(), quality(1.0)).html


def test_figures_say_how_many_features_were_judged_in_each_fold():
    report = report_with(quality(), quality(1.0))
    found = report.figures["features_on_training_days"]
    assert list(found) == list(KEYS)
    assert found[KEYS[0]]["judged"] == 3
    assert found[KEYS[0]]["large"] == 2
    assert found[KEYS[0]]["significant"] == ["strong", "twin"]
    assert json.loads(report.figures_json) == report.figures
