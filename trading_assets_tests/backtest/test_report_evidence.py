import json
import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.net_returns import net_returns
from trading_assets.backtest.report_evidence import digest_trials
from trading_assets.backtest.statistics import (
    describe_sharpe,
    expected_maximum_sharpe,
    probabilistic_sharpe,
)
from trading_assets.backtest.trials import TrialSeries, chain_windows
from trading_assets_tests.backtest.test_report import (
    KEYS,
    fold_record,
    inputs_of,
    judged,
    report_of,
    without,
)

GATES = [
    "beats_every_naive_baseline",
    "survives_deflation",
    "advantage_survives_deflation",
    "is_not_overfit",
    "seeds_agree",
    "is_complete",
]


def records(skill=0.0):
    return [fold_record(key, skill) for key in KEYS]


def own_trial(skill=0.0, portfolio="ppo/ensemble") -> TrialSeries:
    """The ledger's entry of this report's own agent."""
    windows = [net_returns(r.tables.equity, portfolio, 1e6) for r in records(skill)]
    return chain_windows("demo/ppo", windows)


def drawn_trials(count, seed=0, spread=0.0) -> list[TrialSeries]:
    rng, days = np.random.default_rng(seed), own_trial().sessions
    means = spread * rng.standard_normal(count)
    return [
        TrialSeries(f"other{n % 2}/ppo", days, 0.01 * (mean + rng.standard_normal(len(days))))
        for n, mean in enumerate(means)
    ]


def section_of(page):
    return page.split("<h2>What the evidence is worth</h2>")[1].split("<h2>Trading</h2>")[0]


def test_gates_seeds_choice_and_trials_have_tables_and_a_drawing():
    report = judged(inputs_of(records(), trials=[own_trial(), *drawn_trials(5)]))
    section = section_of(report.html)
    for caption in ("Gates:", "Configurations counted", "What choosing was worth", "Seeds, fold"):
        assert f"<caption>{caption}" in section
    assert section.count("<svg") == 1
    assert "ppo fails" in section
    for title in ("Naive baselines", "Deflated Sharpe ratio", "Overfitting", "Seeds"):
        assert f"ppo: {title}" in section
    # By strategy and agent: own, others, all; counted, with returns, clusters.
    rows = re.findall(
        r'<th scope="row">([\w/]+)</th><td>(\d+)</td><td>(\d+)</td><td>(\d+)', section
    )
    assert rows == [
        ("demo/ppo", "1", "1", "1"),
        ("other0/ppo", "3", "3", "3"),
        ("other1/ppo", "2", "2", "2"),
        ("All", "6", "6", "6"),
    ]


def test_figures_say_what_the_page_says_and_are_json():
    trials = [own_trial(), *drawn_trials(5), chain_windows("silent/ppo", [])]
    report = judged(inputs_of(records(), trials=trials))
    found = report.figures["evidence"]
    assert json.loads(report.figures_json) == report.figures
    assert found["trials"]["counted"] == report.figures["trials"] == 7
    assert (found["trials"]["with_returns"], found["trials"]["clusters"]) == (6, 7)
    assert found["trials"]["over_all_sessions"] == 6
    assert found["trials"]["sha256"] == digest_trials(trials)
    # The own trial is the ensemble to the bit.
    own = ["ppo/ensemble", "ppo/seed-0", "ppo/seed-1"]
    assert found["choice"]["candidates"] == sorted(
        [*own, "other0/ppo", "other0/ppo (2)", "other0/ppo (3)", "other1/ppo", "other1/ppo (2)"]
    )
    assert found["overfitting"]["halvings"] == 252
    assert 0.0 < found["superiority"]["p_value"] <= 1.0
    assert [gate["name"] for gate in found["gates"]["ppo"]] == GATES
    assert found["seeds"]["ppo"]["folds"] == sorted(KEYS)
    assert np.shape(found["seeds"]["ppo"]["scores"]) == (2, 2)
    assert set(found["seeds"]["ppo"]["improvements"]) == set(found["choice"]["baselines"])
    assert report.headline["trial_clusters"] == 7.0
    assert report.headline["ppo_gates_failed"] == sum(
        gate["passed"] is False for gate in found["gates"]["ppo"]
    )


def test_the_deflated_sharpe_ratio_counts_clusters_and_their_spread():
    own = own_trial(0.15)
    alike = [replace(own, returns=own.returns + 1e-5 * n) for n in range(50)]
    other = drawn_trials(6, spread=0.3)
    report = judged(inputs_of(records(0.15), trials=[own, *alike, *other]))
    found = report.figures["evidence"]["trials"]
    assert (found["counted"], found["clusters"]) == (57, 7)
    sharpes, bars = np.array(found["cluster_sharpes_of_one_session"]), len(own.sessions)
    variance = max(sharpes.var(ddof=1), 1 / (bars - 1))
    assert variance > 1.5 / (bars - 1)
    sample = describe_sharpe(own.returns)
    expected = probabilistic_sharpe(sample, expected_maximum_sharpe(7, variance))
    mine = report.figures["portfolios"]["ppo/ensemble"]["deflated_sharpe"]
    assert mine == pytest.approx(expected, abs=1e-12)
    alone = judged(inputs_of(records(0.15), trials=[own, *alike]))
    assert alone.figures["evidence"]["trials"]["clusters"] == 1
    assert alone.figures["portfolios"]["ppo/ensemble"]["deflated_sharpe"] == pytest.approx(
        probabilistic_sharpe(sample)
    )


def test_alike_clusters_never_spread_less_than_worthless_trials():
    own = own_trial(0.15)
    rng = np.random.default_rng(1)
    drawn = rng.standard_normal((5, len(own.sessions)))
    level = (drawn - drawn.mean(axis=1, keepdims=True)) / drawn.std(axis=1, ddof=1)[:, None]
    same = [TrialSeries("other/ppo", own.sessions, row) for row in 0.01 * (level + 0.01)]
    report = judged(inputs_of(records(0.15), trials=same))
    assert report.figures["evidence"]["trials"]["excess_variance"] == 0.0
    bars = len(own.sessions)
    expected = probabilistic_sharpe(
        describe_sharpe(own.returns), expected_maximum_sharpe(5, 1 / (bars - 1))
    )
    mine = report.figures["portfolios"]["ppo/ensemble"]["deflated_sharpe"]
    assert mine == pytest.approx(expected, abs=1e-12)


def test_an_unfinished_seed_is_named_at_the_top_and_marks_what_it_touches():
    cut = [fold_record(KEYS[0], 0.55), without(fold_record(KEYS[1], 0.55), "ppo/seed-1")]
    report = judged(inputs_of(cut))
    page = report.html
    assert page.index("ppo/seed-1 lacks fold 2020-04-01") < page.index("<h2>Figures</h2>")
    section, mark = section_of(page), '<span class="mark">'
    assert f"ppo: Seeds{mark}" in section
    assert f"ppo over {report.figures['verdicts']['ppo']['benchmark']}{mark}" in section
    assert "Left out of choosing, as they lack sessions: ppo/seed-1." in section
    assert "Seeds of ppo are compared without folds 2020-04-01" in section
    found = report.figures["evidence"]["seeds"]["ppo"]
    assert (found["folds"], found["missing_folds"]) == ([KEYS[0]], [KEYS[1]])
    verdict = report.figures["verdicts"]["ppo"]
    assert verdict["standing"] == "ahead"
    assert "1 of 6 gates (folds and seeds)" in verdict["sentence"]


def test_a_benchmark_of_another_calendar_is_named_and_nothing_else_is_left_out():
    first, second = records()
    shifted = pl.when(pl.col("portfolio") == "equal_weight").then(
        pl.col("session") + timedelta(days=1)
    )
    equity = second.tables.equity.with_columns(session=shifted.otherwise(pl.col("session")))
    foreign = replace(second, tables=replace(second.tables, equity=equity))
    report = judged(inputs_of([first, foreign]))
    assert report.problems == [
        "equal_weight lacks fold 2020-04-01: 1 of its sessions are none of the fold's, 2020-07-01"
        " the first: its calendar is another one"
    ]
    mark = '<span class="mark">'
    assert f"equal_weight{mark}" in report.html
    assert f"ppo/ensemble less equal_weight{mark}" in report.html
    assert f"ppo/ensemble less cash{mark}" not in report.html
    assert report.figures["portfolios"]["ppo/ensemble"]["missing_folds"] == []
    assert report.figures["evidence"]["choice"]["left_out"] == ["equal_weight"]


def test_what_is_not_computed_is_said_and_no_number_stands_in_its_place():
    few = [
        replace(r, tables=without(without(r, "ppo/seed-0"), "ppo/seed-1").tables) for r in records()
    ]
    report = judged(inputs_of(few))
    assert report.figures["evidence"]["overfitting"] is None
    assert "Not computed: probability of overfitting, of 1 candidate; expected at least 2" in (
        report.html
    )
    assert "<svg" not in section_of(report.html)
    gates = {gate["name"]: gate for gate in report.figures["evidence"]["gates"]["ppo"]}
    assert gates["is_not_overfit"]["passed"] is None
    assert gates["is_not_overfit"]["figure"] is None
    assert "overfitting_probability" not in report.headline
    assert report.figures["evidence"]["seeds"]["ppo"]["interquartile_mean"] is None


def test_equal_ledgers_give_equal_bytes_and_another_one_other_bytes():
    trials = [own_trial(), *drawn_trials(4)]
    first, second = (judged(inputs_of(records(), trials=trials)) for _ in range(2))
    assert (first.html, first.figures_json) == (second.html, second.figures_json)
    other = judged(inputs_of(records(), trials=[*trials[:-1], drawn_trials(5)[-1]]))
    assert (
        first.figures["evidence"]["trials"]["sha256"]
        != (other.figures["evidence"]["trials"]["sha256"])
    )


def test_the_page_no_longer_says_that_it_does_not_know_these():
    page = report_of().html
    missing = page.split("<h2>What is missing</h2>")[1].split("</section>")[0]
    assert "overfitting" not in missing
    assert "many strategies" not in missing


def test_trading_has_a_table_of_its_own():
    report = report_of()
    assert "<h2>Trading</h2>" in report.html
    mine = report.figures["trading"]["ppo/ensemble"]
    assert mine["slippage_bps"] == pytest.approx(2.0, rel=1e-3)
    assert mine["cost_bps"] == pytest.approx(3.0, rel=1e-3)
    # Long throughout: nothing is closed before the end of a fold.
    assert mine["round_trips"] == 0
    assert mine["trade_hit_rate"] is None
    assert mine["open_positions"] == 6
    bars = report.figures["portfolios"]["buy_and_hold"]["bars"]
    assert report.figures["trading"]["buy_and_hold"]["holding_sessions"] == bars / 2
    assert report.figures["trading"]["cash"]["holding_sessions"] is None


def test_losses_are_told_at_99_percent_too():
    mine = report_of().figures["portfolios"]["ppo/ensemble"]
    assert mine["value_at_risk_99"] > mine["value_at_risk_95"]
    assert mine["conditional_value_at_risk_99"] >= mine["value_at_risk_99"]
