import math

import numpy as np
import pytest

from trading_assets.bootstrap import (
    Interval,
    basic_interval,
    one_sided_p,
    optimal_block_bars,
    percentile_interval,
    resampled_positions,
    two_sided_p,
)
from trading_assets_tests.dependent_series import autoregressive


def test_positions_advance_by_one_inside_a_block_and_wrap():
    positions = resampled_positions(50, 10.0, 400, np.random.default_rng(0))
    follows = (positions[:, 1:] - positions[:, :-1]) % 50 == 1
    assert positions.shape == (400, 50)
    assert (positions.min(), positions.max()) == (0, 49)
    # 9 of 10 bars continue a block, and one of 50 new starts continues it by chance.
    assert follows.mean() == pytest.approx(0.9 + 0.1 / 50, abs=0.01)


def test_blocks_of_one_bar_are_the_independent_bootstrap():
    positions = resampled_positions(20, 1.0, 2000, np.random.default_rng(0))
    assert np.bincount(positions.ravel()) / positions.size == pytest.approx(
        np.full(20, 0.05), abs=0.005
    )


def test_equal_seeds_give_equal_positions():
    first = resampled_positions(30, 4.0, 5, np.random.default_rng(3))
    assert np.array_equal(first, resampled_positions(30, 4.0, 5, np.random.default_rng(3)))


@pytest.mark.parametrize("phi", [0.3, 0.6, 0.8])
def test_the_block_length_of_an_autoregression_is_near_its_closed_form(phi: float):
    bars = 5000
    optimal = (2 * phi / (1 - phi**2)) ** (2 / 3) * bars ** (1 / 3)
    lengths = [optimal_block_bars(autoregressive(phi, bars, seed)) for seed in range(20)]
    assert np.median(lengths) == pytest.approx(optimal, rel=0.25)


def test_independent_returns_need_short_blocks():
    lengths = [optimal_block_bars(autoregressive(0.0, 1000, seed)) for seed in range(20)]
    assert np.median(lengths) < 5


def test_a_constant_series_has_blocks_of_one_bar():
    assert optimal_block_bars(np.full(100, 0.1)) == 1.0


def test_a_percentile_interval_leaves_undefined_resamples_out():
    resampled = np.concatenate((np.arange(101.0), [math.nan]))
    interval = percentile_interval(resampled, 0.9)
    assert (interval.low, interval.high) == pytest.approx((5.0, 95.0))


def test_a_one_sided_p_counts_resamples_that_reach_twice_the_observed():
    # Centred on 1, of the defined ones 2.0 and 3.0 reach it.
    assert one_sided_p(np.array([0.0, 1.0, 1.9, 2.0, 3.0, math.nan]), 1.0) == pytest.approx(3 / 6)


def test_a_basic_interval_turns_resamples_round_the_observed_figure():
    # Of 99 resamples 0 to 98 a tenth leaves out the 4 outermost at each end: 94 and 4, turned
    # around 60.
    interval = basic_interval(np.append(np.arange(99.0), math.nan), 60.0, 0.9)
    assert (interval.low, interval.high) == (120.0 - 95.0, 120.0 - 3.0)


@pytest.mark.parametrize("confidence", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("samples", [99, 100, 200, 999, 1000])
def test_an_interval_excludes_zero_exactly_where_its_p_value_says_so(samples, confidence):
    rng, tail = np.random.default_rng(samples), (1.0 - confidence) / 2.0
    sides = set()
    for _ in range(300):
        observed = float(rng.normal(0.0, 3.0))
        resampled = observed + rng.normal(0.0, 1.0, samples)
        if rng.random() < 0.5:
            # Whole numbers tie, with one another and with the borders.
            observed, resampled = round(observed), np.round(resampled)
        interval = basic_interval(resampled, observed, confidence)
        upper, lower = one_sided_p(resampled, observed), one_sided_p(-resampled, -observed)
        assert (interval.low > 0.0) == (round(upper, 9) < round(tail, 9))
        assert (interval.high < 0.0) == (round(lower, 9) < round(tail, 9))
        excludes = interval.low > 0.0 or interval.high < 0.0
        assert excludes == (round(two_sided_p(resampled, observed), 9) < round(2.0 * tail, 9))
        sides.add((interval.low > 0.0, interval.high < 0.0))
    assert sides == {(True, False), (False, True), (False, False)}


def test_too_few_resamples_exclude_nothing():
    assert basic_interval(np.ones(10), 5.0, 0.95) == Interval(-math.inf, math.inf)


def test_a_two_sided_p_is_even_for_both_directions_and_at_most_one():
    resampled = np.array([0.0, 1.0, 1.9, 2.0, 3.0])
    assert two_sided_p(resampled, 1.0) == two_sided_p(-resampled, -1.0) == 1.0
    assert two_sided_p(np.full(99, 1.0), 1.0) == pytest.approx(2 / 100)
    assert two_sided_p(np.zeros(99), 0.0) == 1.0
