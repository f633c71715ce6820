import json
import math
import re
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest import metrics
from trading_assets.backtest import report as report_module
from trading_assets.backtest.baselines import BASELINES, baseline_decisions
from trading_assets.backtest.charts import BASELINE_COLOURS, OTHER_BASELINES, curves_of
from trading_assets.backtest.engine import (
    BacktestTables,
    decision_rows,
    fixed_targets,
)
from trading_assets.backtest.figures import Judgement
from trading_assets.backtest.folds import get_fold
from trading_assets.backtest.matched_control import backtest_with_control
from trading_assets.backtest.report import build_report
from trading_assets.backtest.report_documents import WalkForwardInputs, WalkForwardReport
from trading_assets.backtest.report_notes import assumption_notes, missing_notes
from trading_assets.backtest.track_record import (
    FoldRecord,
    expected_portfolios,
    read_track_records,
)
from trading_assets.backtest.trials import chain_windows
from trading_assets.errors import DataError
from trading_assets.policy.reference_names import REFERENCES
from trading_assets.strategy import Strategy
from trading_assets_tests.backtest.markets import market_of, strategy_of

KEYS = ("2020-01-01", "2020-04-01")
WHY = "90 of the 126 sessions of returns that are needed lie before 2020-01-01"
# Sessions before the first fold, which textbook rules look back on.
YEAR = 260
PNG = b"\x89PNG\r\n\x1a\n"


def declared(**parts) -> Strategy:
    return strategy_of(
        policy={"agents": {"ppo": {"seeds": 2}}},
        folds={"period": "quarter", "first": "2020-01-01", "train_months": 12},
        costs={"fee_bps": 1, "half_spread_bps": 2},
        backtest={"bootstrap_samples": 200},
        **parts,
    )


@cache
def fold_record(key: str, skill: float) -> FoldRecord:
    """A fold whose agent leans on the next return with the given skill; only tests may know it."""
    rng = np.random.default_rng(int(key[5:7]))
    close = 50 * np.exp(np.cumsum(rng.normal(0.0004, 0.015, (190, 3)), axis=0))
    before = close[0] * np.exp(np.random.default_rng(9).normal(0, 0.015, (YEAR, 3)).cumsum(axis=0))
    close = np.vstack([before[::-1], close])
    opens = np.vstack([close[:1], close[:-1]])
    first_day = date(2019, 12, 31) - timedelta(days=YEAR)
    market = market_of(close, opens=opens, first_day=first_day)
    strategy, fold = declared(), get_fold(key, declared().folds)
    rows = decision_rows(market, fold)
    ahead = np.sign(close[rows.start + 1 : rows.stop + 1] / close[rows.start : rows.stop] - 1)
    decisions = baseline_decisions(market, fold)
    members = []
    for seed in range(2):
        noise = np.random.default_rng(seed).uniform(0, 1, ahead.shape)
        members.append(np.clip((noise + skill * ahead) / 3, 0, 1 / 3))
        decisions[f"ppo/seed-{seed}"] = fixed_targets(market, fold, members[-1])
    for place, name in enumerate(REFERENCES):
        drawn = np.random.default_rng(100 + place).uniform(0, 1 / 3, ahead.shape)
        decisions[name] = fixed_targets(market, fold, drawn)
    decisions["ppo/ensemble"] = fixed_targets(market, fold, np.mean(members, axis=0))
    tables = backtest_with_control(market, decisions, "ppo/ensemble", strategy, fold).tables
    return FoldRecord(fold, tables, {"ppo/seed-0": {"steps": 4096, "note": "<b>", "loss": 0.25}})


def without(record: FoldRecord, portfolio: str) -> FoldRecord:
    other = pl.col("portfolio") != portfolio
    tables = record.tables
    return FoldRecord(
        record.fold,
        BacktestTables(
            tables.weights.filter(other),
            tables.trades.filter(other),
            tables.equity.filter(other),
            tables.holdings.filter(other),
        ),
    )


def with_losses(record: FoldRecord) -> FoldRecord:
    """The same fold with buy and hold, which loses here, in place of every baseline but cash."""
    equity = record.tables.equity
    others = [name for name in BASELINES if name != "cash"]
    loser = equity.filter(pl.col("portfolio") == "buy_and_hold")
    kept = equity.filter(~pl.col("portfolio").is_in(others))
    copies = [loser.with_columns(portfolio=pl.lit(name)) for name in others]
    return replace(record, tables=replace(record.tables, equity=pl.concat([kept, *copies])))


def lacking(record: FoldRecord, *portfolios: str) -> FoldRecord:
    """The same fold without portfolios, which say why they are not there."""
    found = record
    for portfolio in portfolios:
        found = without(found, portfolio)
    return replace(found, absences=dict.fromkeys(portfolios, WHY))


def inputs_of(records, **changes) -> WalkForwardInputs:
    values = {
        "strategy_name": "demo",
        "strategy": declared(),
        "declaration_digest": "0123456789abcdef",
        "folds": records,
        "expected_folds": KEYS,
        "trials": [chain_windows("demo/ppo", [])] * 7,
        **changes,
    }
    return WalkForwardInputs(**values)


def judged(inputs: WalkForwardInputs) -> WalkForwardReport:
    """A report without plots, which take most of its time."""
    plots = {"draw_svg": "<svg></svg>", "draw_png": PNG, "draw_thumbnail": PNG}
    with ExitStack() as stack:
        for name, drawn in plots.items():
            stack.enter_context(patch.object(report_module, name, return_value=drawn))
        return build_report(inputs)


@cache
def report_of() -> WalkForwardReport:
    return build_report(inputs_of([fold_record(key, 0.0) for key in KEYS]))


def test_the_verdict_carries_its_evidence():
    assert re.fullmatch(
        r"ppo (falls behind|does not beat) \w+ after costs: annual Sharpe -?\d+\.\d\d against"
        r" -?\d+\.\d\d,"
        r" difference -?\d+\.\d\d \(95 % interval -?\d+\.\d\d to -?\d+\.\d\d, p \d\.\d{3}\),"
        r" 2 folds, 2 seeds, 7 trials counted\.",
        report_of().verdict,
    )


def test_the_verdict_is_on_the_page_and_in_the_figures():
    report = report_of()
    claim = report.verdict.split(":", maxsplit=1)[0]
    assert claim in report.html
    assert report.figures["verdicts"]["ppo"]["sentence"] == report.verdict


def test_a_clear_winner_beats_the_strongest_baseline():
    report = judged(inputs_of([fold_record(key, 2.0) for key in KEYS]))
    assert report.verdict.startswith("ppo beats")
    assert report.figures["verdicts"]["ppo"]["standing"] == "beats"
    assert 'class="verdict beats"' in report.html


def test_a_clear_loser_falls_behind():
    report = judged(inputs_of([fold_record(key, -2.0) for key in KEYS]))
    assert report.verdict.startswith("ppo falls behind")


def test_many_trials_take_a_win_back():
    records = [fold_record(key, 0.15) for key in KEYS]
    silent = chain_windows("demo/ppo", [])
    few, many = (judged(inputs_of(records, trials=[silent] * count)) for count in (1, 10_000))
    assert few.figures["verdicts"]["ppo"]["standing"] == "beats"
    assert many.figures["verdicts"]["ppo"]["standing"] == "ahead"
    assert (
        "but fails 2 of 6 gates (deflated Sharpe ratio, deflated advantage): annual Sharpe"
        in many.verdict
    )
    assert 'class="verdict ahead"' in many.html


def test_figures_are_those_of_the_chained_returns():
    report = report_of()
    returns = []
    for key in KEYS:
        equity = fold_record(key, 0.0).tables.equity
        values = equity.filter(pl.col("portfolio") == "ppo/ensemble")["equity_usd"].to_numpy()
        returns.append(values / np.concatenate([[1e6], values[:-1]]) - 1)
    chained = np.concatenate(returns)
    mine = report.figures["portfolios"]["ppo/ensemble"]
    assert mine["bars"] == len(chained)
    assert mine["sharpe_annual"] == pytest.approx(metrics.sharpe_annual(chained))
    assert mine["cagr"] == pytest.approx(metrics.cagr(chained))
    assert mine["max_drawdown"] == pytest.approx(metrics.max_drawdown(chained))
    assert mine["sharpe_annual_low"] < mine["sharpe_annual"] < mine["sharpe_annual_high"]


def test_the_strongest_of_all_baselines_is_the_benchmark():
    portfolios = report_of().figures["portfolios"]
    ratios = {name: portfolios[name]["sharpe_annual"] for name in BASELINES if name != "cash"}
    assert None not in ratios.values()
    benchmark = report_of().figures["verdicts"]["ppo"]["benchmark"]
    assert ratios[benchmark] == max(ratios.values()) > 0


def test_baselines_that_lose_money_yield_to_cash():
    records = [fold_record(key, 0.0) for key in KEYS]
    # The few that lose in these folds, and the same portfolio under the names of the others.
    losing = [with_losses(record) for record in records]
    report = judged(inputs_of(losing))
    ratios = [report.figures["portfolios"][name]["sharpe_annual"] for name in BASELINES]
    assert all(ratio is None or ratio < 0 for ratio in ratios)
    assert report.figures["verdicts"]["ppo"]["benchmark"] == "cash"
    portfolios = report_of().figures["portfolios"]
    to_cash = report_of().figures["sharpe_annual_differences"]["ppo/ensemble"]["cash"]
    assert to_cash["difference"] == pytest.approx(portfolios["ppo/ensemble"]["sharpe_annual"])


def test_equal_inputs_give_equal_bytes():
    first, second = report_of(), build_report(inputs_of([fold_record(key, 0.0) for key in KEYS]))
    assert first.html == second.html
    assert first.png == second.png
    assert first.thumbnail == second.thumbnail
    assert first.figures_json == second.figures_json


def test_the_order_of_folds_does_not_matter():
    turned = judged(inputs_of([fold_record(key, 0.0) for key in reversed(KEYS)]))
    assert turned.figures == report_of().figures


def test_the_page_needs_no_script_no_network_and_escapes_what_it_shows():
    page = report_of().html
    assert "<script" not in page
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert "url(http" not in page
    assert "@import" not in page
    assert "&lt;b&gt;" in page


def test_the_page_serves_light_dark_and_print():
    page = report_of().html
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert "currentColor" in page


def test_the_page_says_what_is_assumed_and_missing():
    page = report_of().html
    assert "fee 1 bps, half spread 2 bps" in page
    assert "filled at the next open in full." in page
    assert "Fills have no queue, no partial execution and no reaction of the market" in page
    assert "Survivorship: unknown" in page
    assert "Trials: 7 counted" in page


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ({}, "filled at the next open in full."),
        ({"latency_bars": 3}, "filled at the open 3 bars later in full."),
        ({"lot_shares": 100}, "filled at the next open, in whole lots of 100 shares."),
        (
            {"max_participation": 0.01},
            "filled at the next open, up to 1 % of that bar's volume; the rest lapses and the next"
            " decision asks anew.",
        ),
        (
            {"latency_bars": 3, "max_participation": 0.01, "lot_shares": 1},
            "filled at the open 3 bars later, in whole lots of 1 share, up to 1 % of that bar's"
            " volume; the rest lapses and the next decision asks anew.",
        ),
    ],
)
def test_the_page_says_when_and_how_much_of_an_order_is_filled(costs, expected):
    strategy = strategy_of(costs=costs)
    known = "Decided on what was known at a session's close, "
    assert assumption_notes(strategy)[0] == known + expected
    (fills,) = (
        note
        for note in missing_notes("x", Judgement(1, None, 100, 0.95, 0), strategy.costs)
        if note.startswith("Fills")
    )
    assert ("but by the share of the bar's volume" in fills) == ("max_participation" in costs)


def test_limits_on_sums_are_among_what_is_assumed():
    risk = {"max_net": 0.3, "max_turnover": 0.25}
    assert (
        "Further limits, for baselines too: weights of at most 0.3 net, changes of weight of at"
        " most 0.25 a decision, if the others allow it."
    ) in assumption_notes(declared(risk=risk))
    assert not any("Further limits" in note for note in assumption_notes(declared()))


def test_plots_are_png_and_the_thumbnail_is_small():
    report = report_of()
    assert report.png.startswith(PNG)
    assert report.thumbnail.startswith(PNG)
    assert len(report.thumbnail) <= 60_000
    assert b"tIME" not in report.png
    assert b"Software" not in report.png


def test_figures_are_json_with_sorted_keys_and_null_where_undefined():
    report = report_of()
    text = report.figures_json.decode()
    assert json.loads(text) == report.figures
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=1) + "\n"
    assert report.figures["portfolios"]["cash"]["sharpe_annual"] is None


def test_the_headline_holds_finite_numbers_only():
    headline = report_of().headline
    assert headline["ppo_sharpe_annual"] == pytest.approx(
        report_of().figures["portfolios"]["ppo/ensemble"]["sharpe_annual"]
    )
    assert all(math.isfinite(value) for value in headline.values())


def test_a_complete_report_has_no_problems():
    assert report_of().problems == []
    assert "Incomplete" not in report_of().html


def test_a_missing_seed_is_named_and_marked():
    records = [fold_record(KEYS[0], 0.0), without(fold_record(KEYS[1], 0.0), "ppo/seed-1")]
    report = judged(inputs_of(records))
    assert report.problems == ["ppo/seed-1 lacks fold 2020-04-01: the fold has no such portfolio"]
    assert report.verdict.startswith("Incomplete: ")
    assert "ppo/seed-1 lacks fold 2020-04-01" in report.html
    assert 'ppo/seed-1<span class="mark">' in report.html
    assert report.figures["portfolios"]["ppo/seed-1"]["folds"] == 1
    assert report.figures["portfolios"]["ppo/seed-1"]["missing_folds"] == ["2020-04-01"]


def test_a_baseline_without_data_is_named_at_the_top_and_marks_what_it_touches():
    names = ("momentum", "trend")
    records = [lacking(fold_record(KEYS[0], 0.0), *names), fold_record(KEYS[1], 0.0)]
    report = judged(inputs_of(records))
    assert report.problems == [f"momentum, trend lack fold 2020-01-01: {WHY}"]
    # The verdict says it and is no longer whole, though its benchmark is.
    verdict = report.figures["verdicts"]["ppo"]
    assert verdict["benchmark"] not in names
    assert not verdict["is_complete"]
    assert report.verdict.startswith("Incomplete: ")
    assert report.verdict.endswith("7 trials counted. Not in every fold: momentum, trend.")
    page = report.html
    assert page.index('class="gaps"') < page.index("<table>")
    assert page.index(WHY) < page.index("<table>")
    mark = '<span class="mark">'
    for name in names:
        # In the tables of figures, of folds (two), of holdings and of trading, and compared with
        # the ensemble.
        assert page.count(f'<th scope="row">{name}{mark}') == 5
        assert f"ppo/ensemble less {name}{mark}" in page
    assert f"ppo/ensemble less equal_weight{mark}" not in page
    # Cells of the fold that is missing, of returns and of ratios.
    assert page.count(f"<td>\N{EN DASH}{mark}") == 4
    portfolios = report.figures["portfolios"]
    whole = report_of().figures["portfolios"]
    assert portfolios["momentum"]["missing_folds"] == [KEYS[0]]
    assert portfolios["momentum"]["bars"] < whole["momentum"]["bars"]
    for figure in ("bars", "sharpe_annual", "cagr", "costs_usd"):
        assert portfolios["ppo/ensemble"][figure] == whole["ppo/ensemble"][figure]


def test_a_baseline_that_no_fold_has_has_no_figures():
    records = [lacking(fold_record(key, 0.0), "mean_variance") for key in KEYS]
    report = judged(inputs_of(records))
    own = report.figures["portfolios"]["mean_variance"]
    assert (own["bars"], own["folds"], own["missing_folds"]) == (0, 0, list(KEYS))
    assert {own[name] for name in ("sharpe_annual", "cagr", "max_drawdown")} == {None}
    found = report.figures["sharpe_annual_differences"]["ppo/ensemble"]["mean_variance"]
    assert found["difference"] is None
    assert report.verdict.endswith("Not in every fold: mean_variance.")


def test_a_fold_that_every_portfolio_lacks_is_no_fault_of_the_baselines():
    report = judged(inputs_of([fold_record(KEYS[0], 0.0)]))
    assert report.verdict.startswith("Incomplete: ")
    assert "Not in every fold" not in report.verdict


def rows_of(page: str, caption: str) -> list[str]:
    table = next(part for part in page.split("<table>") if f"<caption>{caption}" in part).split(
        "</table>"
    )[0]
    return re.findall(r'<th scope="row">([^<]+)', table)


def test_tables_list_ensembles_references_baselines_by_their_ratio_then_seeds():
    page, portfolios = report_of().html, report_of().figures["portfolios"]
    ratio = {name: portfolios[name]["sharpe_annual"] or 0.0 for name in BASELINES}
    ordered = sorted(BASELINES, key=lambda name: -ratio[name])
    assert ordered != list(BASELINES)
    seeds = ["ppo/seed-0", "ppo/seed-1"]
    learned = ["ppo/ensemble", *REFERENCES]
    assert rows_of(page, "After costs, annual") == [*learned, *ordered, *seeds]
    pairs = [f"ppo/ensemble less {name}" for name in ordered]
    assert rows_of(page, "Paired differences") == pairs
    trading = [*learned, *(name for name in ordered if name != "cash")]
    assert rows_of(page, "Trading over all folds") == trading


def legend_of(page: str) -> list[str]:
    return re.findall(r"<text[^>]*>([a-z_/ ()]+)</text>", page)


def test_the_plot_names_the_strongest_baseline_and_three_others():
    strongest = report_of().figures["verdicts"]["ppo"]["benchmark"]
    assert strongest not in BASELINE_COLOURS
    named = {strongest, *BASELINE_COLOURS, "ppo/ensemble", OTHER_BASELINES}
    found = [text for text in legend_of(report_of().html) if text in {*named, *BASELINES}]
    assert sorted(found) == sorted(named)
    assert found[-1] == OTHER_BASELINES


def test_curves_in_the_background_are_thin_and_grey_and_say_what_is_missing():
    first = lacking(fold_record(KEYS[0], 0.0), "trend")
    portfolios = expected_portfolios(declared().policy)
    records = read_track_records([first, fold_record(KEYS[1], 0.0)], KEYS, portfolios, 1e6)
    curves = {curve.record.portfolio: curve for curve in curves_of([*records.values()], "momentum")}
    assert set(curves) == set(portfolios)
    behind = set(BASELINES) - {*BASELINE_COLOURS, "momentum"}
    assert {curves[name].label for name in behind} == {f"{OTHER_BASELINES} (incomplete)"}
    assert {(curves[name].colour, curves[name].width) for name in behind} == {("#8a8f98", 0.8)}
    assert curves["momentum"].label == "momentum"
    assert curves["momentum"].colour not in {curves[name].colour for name in behind}
    order = list(curves)
    assert max(order.index(name) for name in behind) < order.index("momentum")
    assert order[-1] == "ppo/ensemble"
    known = curves_of([*records.values()], "cash")
    assert {curve.label for curve in known if curve.record.portfolio == "momentum"} == {
        f"{OTHER_BASELINES} (incomplete)"
    }


def test_a_missing_fold_is_named_for_every_portfolio():
    report = judged(inputs_of([fold_record(KEYS[0], 0.0)]))
    assert report.problems == ["every portfolio lacks fold 2020-04-01: the fold was not backtested"]
    assert "1 fold," in report.verdict


def test_a_fold_with_part_of_its_sessions_is_left_out():
    whole = fold_record(KEYS[1], 0.0)
    last = whole.tables.equity["session"].max()
    cut = whole.tables.equity.filter(
        ~((pl.col("portfolio") == "ppo/ensemble") & (pl.col("session") == last))
    )
    short = FoldRecord(whole.fold, replace(whole.tables, equity=cut))
    report = judged(inputs_of([fold_record(KEYS[0], 0.0), short]))
    assert len(report.problems) == 1
    assert re.search(r"it has \d+ of the fold's \d+ sessions", report.problems[0])
    mine = report.figures["portfolios"]["ppo/ensemble"]
    assert mine["bars"] == report_of().figures["portfolios"]["cash"]["bars"] - len(
        whole.tables.equity["session"].unique()
    )


def test_an_incomplete_ensemble_is_compared_on_shared_sessions():
    records = [fold_record(KEYS[0], 0.0), without(fold_record(KEYS[1], 0.0), "ppo/ensemble")]
    report = judged(inputs_of(records))
    found = report.figures["sharpe_annual_differences"]["ppo/ensemble"]["equal_weight"]
    alone = judged(inputs_of(records[:1], expected_folds=KEYS[:1]))
    expected = alone.figures["portfolios"]["equal_weight"]["sharpe_annual"]
    assert found["benchmark_sharpe_annual"] == pytest.approx(expected)


def test_an_agent_that_never_trades_cannot_be_judged():
    record = fold_record(KEYS[0], 0.0)
    idle = record.tables.equity.filter(pl.col("portfolio") == "cash").with_columns(
        portfolio=pl.lit("ppo/ensemble")
    )
    equity = pl.concat([without(record, "ppo/ensemble").tables.equity, idle])
    tables = replace(record.tables, equity=equity)
    report = judged(inputs_of([FoldRecord(record.fold, tables)], expected_folds=KEYS[:1]))
    assert report.verdict.startswith("ppo cannot be judged")
    assert "ppo_sharpe_annual" not in report.headline


def test_a_report_without_folds_or_trials_is_refused():
    with pytest.raises(DataError, match="0 folds"):
        judged(inputs_of([]))
    with pytest.raises(DataError, match="0 trials"):
        judged(inputs_of([fold_record(KEYS[0], 0.0)], trials=[]))
