import json
import math
import re
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.difference_chart import draw_differences
from trading_assets.backtest.figures import Judgement
from trading_assets.backtest.fold_ablation import ARMS, WITH, WITHOUT, FoldAblation
from trading_assets.backtest.forecast_effect import (
    measure_effect,
    pair_arms,
    sharpe_ratios,
)
from trading_assets.backtest.metrics import sharpe_annual
from trading_assets.backtest.report_forecasts import measure_effects
from trading_assets.backtest.track_record import FoldRecord
from trading_assets_tests.backtest import test_report
from trading_assets_tests.backtest.test_report import KEYS, declared, fold_record, inputs_of, judged

JUDGEMENT = Judgement(1, None, 400, 0.95, 0)
CLAIMS = {
    0.004: "Forecasts add to ppo: net return ",
    -0.004: "Forecasts take away from ppo: net return ",
    0.0: "Forecasts make no difference to ppo that can be told from chance: net return ",
}


def ablation_of(key, gain, seeds=2, bars=90, rng=None, luck=0.0):
    """Arms that share most of their returns; the first earns so much more a session."""
    rng = rng or np.random.default_rng(int(key[5:7]))
    days = [date.fromisoformat(key) + timedelta(days=n) for n in range(bars)]
    market = rng.normal(0.0005, 0.01, bars)
    lucky = rng.normal(0.0, luck, seeds)
    rows = [
        ("ppo", arm, seed, day, float(earned))
        for arm in ARMS
        for seed in range(seeds)
        for day, earned in zip(
            days,
            market + rng.normal(0, 0.002, bars) + (gain + lucky[seed]) * (arm == WITH),
            strict=True,
        )
    ]
    columns = ["agent", "arm", "seed", "session", "net_return"]
    table = pl.DataFrame(rows, schema=columns, orient="row")
    return FoldAblation("ppo", table, {arm: dict.fromkeys(range(seeds), 4_096) for arm in ARMS})


def arms_of(gain, **values):
    return pair_arms("ppo", {key: ablation_of(key, gain, **values) for key in KEYS})


def returns_of(ablation, arm, seed):
    own = ablation.table.filter((pl.col("arm") == arm) & (pl.col("seed") == seed))
    return own["net_return"].to_numpy()


def test_arms_are_chained_by_fold_and_paired_by_seed():
    parts = {key: ablation_of(key, 0.001) for key in reversed(KEYS)}
    arms = pair_arms("ppo", parts)
    assert arms.fold_keys == sorted(KEYS)
    assert arms.seeds == (0, 1)
    assert arms.steps == (4_096,)
    assert (np.diff(arms.sessions) > np.timedelta64(0, "D")).all()
    for seed in (0, 1):
        for arm in ARMS:
            chained = np.concatenate([returns_of(parts[key], arm, seed) for key in sorted(KEYS)])
            np.testing.assert_array_equal(arms.returns[arm][seed], chained)


def test_only_seeds_of_every_fold_and_arm_are_paired():
    fewer = ablation_of(KEYS[1], 0.001, seeds=1)
    arms = pair_arms("ppo", {KEYS[0]: ablation_of(KEYS[0], 0.001, seeds=3), KEYS[1]: fewer})
    assert arms.seeds == (0,)
    assert arms.returns[WITHOUT].shape == (1, 180)


def test_figures_are_means_over_seeds():
    arms = arms_of(0.001, seeds=3)
    effect = measure_effect(arms, JUDGEMENT)
    for arm, earned, ratio in (
        (WITH, effect.mean_return.with_forecasts, effect.sharpe_annual.with_forecasts),
        (WITHOUT, effect.mean_return.without_forecasts, effect.sharpe_annual.without_forecasts),
    ):
        assert earned == pytest.approx(arms.returns[arm].mean())
        sharpes = [sharpe_annual(series) for series in arms.returns[arm]]
        assert ratio == pytest.approx(np.mean(sharpes))
    gap = arms.returns[WITH].mean(axis=0) - arms.returns[WITHOUT].mean(axis=0)
    assert effect.mean_return.difference == pytest.approx(gap.mean())
    assert effect.mean_return.low < effect.mean_return.difference < effect.mean_return.high


def test_what_moves_both_arms_cancels():
    effect = measure_effect(arms_of(0.001), JUDGEMENT)
    width = effect.mean_return.high - effect.mean_return.low
    # Differences of seeds' means have a standard error of 0.002 / sqrt(240); the market's is 0.01.
    assert width == pytest.approx(2 * 1.96 * 0.002 / math.sqrt(180), rel=0.6)
    assert effect.standing == "adds"


def test_a_difference_that_hangs_on_the_luck_of_seeds_is_not_told_from_chance():
    rng = np.random.default_rng(5)
    standings = []
    for _ in range(40):
        parts = {KEYS[0]: ablation_of(KEYS[0], 0.0, seeds=8, rng=rng, luck=0.002)}
        standings.append(measure_effect(pair_arms("ppo", parts), JUDGEMENT).standing)
    # Sessions alone would find a difference in most of these markets.
    assert standings.count("no_difference") >= 32


def test_without_a_difference_an_interval_holds_zero_and_p_is_even():
    rng = np.random.default_rng(6)
    effects = [
        measure_effect(
            pair_arms("ppo", {KEYS[0]: ablation_of(KEYS[0], 0.0, seeds=3, rng=rng)}), JUDGEMENT
        )
        for _ in range(60)
    ]
    standings = [effect.standing for effect in effects]
    assert standings.count("no_difference") >= 54
    assert 0.3 < np.mean([effect.mean_return.p_value for effect in effects]) < 0.7


@pytest.mark.parametrize("gain", CLAIMS)
def test_the_mirror_of_a_result_is_its_opposite(gain):
    arms = arms_of(gain)
    effect = measure_effect(arms, JUDGEMENT)
    turned = {WITH: arms.returns[WITHOUT], WITHOUT: arms.returns[WITH]}
    mirrored = measure_effect(
        type(arms)(arms.agent, arms.seeds, arms.sessions, arms.folds, turned, arms.steps), JUDGEMENT
    )
    opposite = {"adds": "takes_away", "takes_away": "adds", "no_difference": "no_difference"}
    assert mirrored.standing == opposite[effect.standing]
    assert mirrored.mean_return.p_value == effect.mean_return.p_value
    assert mirrored.mean_return.low == pytest.approx(-effect.mean_return.high)


def test_a_book_that_never_trades_has_the_ratio_of_cash():
    flat, steady = np.zeros(5), np.full(5, 0.001)
    varied = np.array([0.01, -0.02, 0.03, 0.0, 0.01])
    found = sharpe_ratios(np.stack([flat, varied, steady]))
    assert found[0] == 0.0
    assert found[1] == pytest.approx(sharpe_annual(varied))
    assert math.isnan(found[2])


def test_equal_arms_differ_by_nothing():
    arms = arms_of(0.0)
    same = dict.fromkeys(ARMS, arms.returns[WITH])
    effect = measure_effect(
        type(arms)("ppo", arms.seeds, arms.sessions, arms.folds, same, arms.steps), JUDGEMENT
    )
    found = effect.mean_return
    assert (found.difference, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert effect.standing == "no_difference"
    assert effect.share_of_seeds_better == 0.0


def ablated():
    policy = {"agents": {"ppo": {"seeds": 2}}, "ablation": "forecasts"}
    found = declared()
    seen = found.policy.model_validate({**policy, "observed_features": ["log_return_1"]})
    return found.model_copy(update={"policy": seen})


def report_with(gains, **changes):
    """A report of folds of which some have an ablation, by fold."""
    records = [fold_record(key, 0.0) for key in KEYS]
    records = [
        FoldRecord(
            record.fold,
            record.tables,
            ablations={"ppo": ablation_of(record.fold.key, gains[record.fold.key])}
            if record.fold.key in gains
            else {},
        )
        for record in records
    ]
    return judged(inputs_of(records, **{"strategy": ablated(), **changes}))


@pytest.mark.parametrize("gain", CLAIMS)
def test_the_result_is_said_plainly_whichever_way_it_falls(gain):
    report = report_with(dict.fromkeys(KEYS, gain))
    assert report.forecasts.startswith(CLAIMS[gain])
    assert re.search(
        r": net return -?\d+\.\d\d bps a session with them and -?\d+\.\d\d without, difference"
        r" -?\d+\.\d\d \(95 % interval -?\d+\.\d\d to -?\d+\.\d\d, p \d\.\d{3}\); annual Sharpe"
        r" -?\d+\.\d\d and -?\d+\.\d\d; [012] of 2 seeds better, 2 of 2 folds, 4,096 steps\.$",
        report.forecasts,
    )
    said = report.figures["forecasts_add"]["ppo"]
    assert said["sentence"] == report.forecasts
    assert report.html.count("<h2>What forecasts add</h2>") == 1
    kind = {0.004: "beats", -0.004: "behind", 0.0: "undecided"}[gain]
    assert f'<p class="verdict {kind}"><strong>{CLAIMS[gain].split(":")[0]}.' in report.html
    assert "Cumulative difference of ppo" in report.html
    for row in ("ppo, seed 0", "ppo, seed 1", *(f"ppo, fold {key}" for key in KEYS)):
        assert f'<th scope="row">{row}</th>' in report.html


def test_figures_and_headline_hold_the_numbers():
    report = report_with(dict.fromkeys(KEYS, 0.004))
    said = report.figures["forecasts_add"]["ppo"]
    effect = measure_effect(arms_of(0.004), Judgement(7, None, 200, 0.95, 0))
    assert said["mean_return"]["difference"] == pytest.approx(effect.mean_return.difference)
    assert said["mean_return"]["low"] == pytest.approx(effect.mean_return.low)
    assert said["share_of_seeds_better"] == 1.0
    assert said["mean_return_difference_by_seed"] == {
        "0": pytest.approx(effect.arms.differences[0].mean()),
        "1": pytest.approx(effect.arms.differences[1].mean()),
    }
    assert (said["bars"], said["folds"], said["seeds"]) == (180, sorted(KEYS), [0, 1])
    assert report.headline["ppo_forecast_difference_bps"] == pytest.approx(
        1e4 * effect.mean_return.difference
    )
    assert report.headline["ppo_forecast_difference_p_value"] == effect.mean_return.p_value
    assert json.loads(report.figures_json) == report.figures


def test_a_fold_without_an_ablation_is_done_without_and_said():
    report = report_with({KEYS[0]: 0.004})
    assert "1 of 2 folds" in report.forecasts
    assert report.figures["forecasts_add"]["ppo"]["folds"] == [KEYS[0]]
    assert report.problems == []


def test_where_no_fold_has_both_arms_nothing_is_claimed():
    report = report_with({})
    assert (
        report.forecasts == "What forecasts add to ppo cannot be said: 0 of 2 folds with both arms."
    )
    assert report.figures["forecasts_add"]["ppo"]["mean_return"]["difference"] is None
    assert not [name for name in report.headline if "forecast" in name]
    assert '<p class="verdict unknown"><strong>What forecasts add to ppo' in report.html


def test_the_verdict_does_not_depend_on_an_ablation():
    plain, ablated_too = test_report.report_of(), report_with(dict.fromkeys(KEYS, 0.004))
    assert ablated_too.verdict == plain.verdict
    assert ablated_too.figures["portfolios"] == plain.figures["portfolios"]
    assert ablated_too.figures["trials"] == plain.figures["trials"]


def test_a_report_without_a_declared_ablation_has_no_such_section():
    report = report_with(dict.fromkeys(KEYS, 0.004), strategy=declared())
    assert report.forecasts == ""
    assert report.figures["forecasts_add"] == {}
    assert "What forecasts add" not in report.html
    assert measure_effects([], KEYS, declared(), JUDGEMENT).section is None


def test_equal_arms_give_equal_bytes():
    gains = dict.fromkeys(KEYS, 0.004)
    first, second = report_with(gains), report_with(gains)
    assert first.html == second.html
    assert first.figures_json == second.figures_json


@pytest.mark.parametrize(("second", "n_lines"), [("2020-04-01", 1), ("2020-07-01", 2)])
def test_a_missing_fold_is_a_hole_in_the_line(second, n_lines):
    parts = {key: ablation_of(key, 0.001) for key in ("2020-01-01", second)}
    drawn = draw_differences(pair_arms("ppo", parts))
    paths = re.findall(r'<path d="([^"]+)"[^>]*stroke: #2f81d6', drawn)
    assert [path.count("M") for path in paths] == [n_lines]
