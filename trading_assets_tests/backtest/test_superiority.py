"""Tests over many strategies at once: how often they err, and what they find."""

import math

import numpy as np
import pytest

from trading_assets.backtest.superiority import judge_superiority
from trading_assets.errors import DataError
from trading_assets_tests.backtest.null_panels import draw_panel, judge_panel


@pytest.mark.slow
def test_worthless_strategies_are_called_better_as_often_as_promised():
    found = [judge_panel(seed) for seed in range(500)]
    assert np.mean([one.p_value < 0.05 for one in found]) <= 0.08
    assert np.mean([bool(one.better) for one in found]) <= 0.08


def test_few_of_many_worthless_panels_are_called_better():
    found = [judge_panel(seed) for seed in range(25)]
    # Of 25 panels at 5 %, five or more are drawn in fewer than 1 of 100 series.
    assert sum(one.p_value < 0.05 for one in found) < 5
    assert np.mean([one.p_value for one in found]) == pytest.approx(0.5, abs=0.2)


def test_the_one_that_is_better_is_named():
    returns, benchmark = draw_panel(1, bars=1000)
    returns["s3"] = returns["s3"] + 0.0015
    found = judge_superiority(returns, benchmark)
    assert found.p_value < 0.02
    assert found.better == ("s3",)
    assert found.p_value_lower <= found.p_value <= found.p_value_upper


def test_counting_more_trials_weakens_what_was_found():
    returns, benchmark = draw_panel(4, bars=1000, count=60)
    luck = (returns["s0"] - benchmark).mean()
    # Some 2.2 standard errors above the benchmark.
    alone = {"s0": returns["s0"] - luck + 0.00045}
    few = judge_superiority(alone, benchmark)
    many = judge_superiority({**returns, **alone}, benchmark)
    assert few.p_value < 0.03
    assert many.p_value > 4.0 * few.p_value


def test_hopeless_strategies_do_not_hide_a_good_one():
    returns, benchmark = draw_panel(6, count=40)
    good = {"good": returns.pop("s0") + 0.0012}
    hopeless = {name: own - 0.01 for name, own in returns.items()}
    alone, among = (judge_superiority(each, benchmark) for each in (good, {**hopeless, **good}))
    assert among.p_value == pytest.approx(alone.p_value, abs=0.03)


def test_a_later_step_may_find_all_that_are_left():
    rng = np.random.default_rng(7)
    benchmark = np.zeros(500)
    # The first step's border is that of the wild one; the calm one is found once that is gone.
    returns = {
        "wild": 0.02 + 0.05 * rng.standard_normal(500),
        "calm": 0.002 + 0.005 * rng.standard_normal(500),
    }
    assert judge_superiority(returns, benchmark).better == ("wild", "calm")
    hopeless = {**returns, "bad": -0.002 + 0.005 * rng.standard_normal(500)}
    assert judge_superiority(hopeless, benchmark).better == ("wild", "calm")


def test_the_benchmark_itself_is_not_better():
    _, benchmark = draw_panel(0)
    found = judge_superiority({"copy": benchmark}, benchmark)
    assert (found.p_value, found.better) == (1.0, ())


def test_the_same_seed_gives_the_same_answer():
    assert judge_panel(5) == judge_panel(5)


def test_what_cannot_be_tested_is_refused():
    _, benchmark = draw_panel(0)
    with pytest.raises(DataError, match="0 strategies were given"):
        judge_superiority({}, benchmark)
    with pytest.raises(DataError, match="29 bars were given to test; expected at least 30"):
        judge_superiority({"s": benchmark[:29]}, benchmark[:29])
    with pytest.raises(DataError, match="s has 499 bars; expected the 500"):
        judge_superiority({"s": benchmark[1:]}, benchmark)
    holed = benchmark.copy()
    holed[3] = math.nan
    with pytest.raises(DataError, match="s has 1 returns that are not finite"):
        judge_superiority({"s": holed}, benchmark)
