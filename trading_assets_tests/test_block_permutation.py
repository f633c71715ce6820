"""Permutations in blocks, and the interval of what is lost by them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.block_permutation import can_be_shuffled, measure_importance, shuffle_blocks
from trading_assets.errors import DataError


@given(st.integers(40, 400), st.integers(0, 50))
def test_each_bar_is_used_once_and_leaves_its_place(n_bars: int, repetition: int):
    source = shuffle_blocks(n_bars, repetition)
    assert sorted(source.tolist()) == list(range(n_bars))
    # Blocks of lengths that differ by one can meet their place at a single bar.
    assert (source == np.arange(n_bars)).mean() < 0.5


@given(st.integers(40, 400), st.integers(0, 50))
def test_neighbours_stay_together_in_blocks_of_twenty(n_bars: int, repetition: int):
    source = shuffle_blocks(n_bars, repetition)
    # The window is a ring: bars follow each other but where a block begins.
    breaks = np.flatnonzero((np.roll(source, -1) - source) % n_bars != 1)
    if len(breaks):
        lengths = np.diff(np.append(breaks, breaks[0] + n_bars))
        assert lengths.min() >= 20


def test_a_repetition_is_the_same_again_and_the_next_one_another():
    first, again, second = (shuffle_blocks(252, r) for r in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != second).mean() > 0.5


def test_two_blocks_change_places():
    source = shuffle_blocks(40, 3)
    np.testing.assert_array_equal((source - np.arange(40)) % 40, 20)


def test_a_window_without_two_blocks_is_refused():
    assert not can_be_shuffled(39)
    assert can_be_shuffled(40)
    with pytest.raises(DataError, match=r"window of 39 bars .* at least 40 bars: test a longer"):
        shuffle_blocks(39, 0)


def test_a_loss_that_is_always_the_same_is_sure():
    found = measure_importance(np.full((5, 100), 0.25))
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert found.error == pytest.approx(0.0, abs=1e-12)
    assert found.repetitions == 5


def test_the_error_of_independent_losses_is_that_of_their_mean():
    losses = np.tile(np.random.default_rng(0).normal(1.0, 2.0, 400), (5, 1))
    found = measure_importance(losses)
    # 2 / sqrt(400), from a thousand resamples.
    assert found.error == pytest.approx(0.1, rel=0.15)
    assert found.low < found.mean < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * found.error, rel=0.15)


def test_luck_of_permutations_widens_the_interval():
    rng = np.random.default_rng(1)
    alike = np.tile(rng.normal(0.0, 1.0, 400), (5, 1))
    apart = alike + np.array([[-1.0], [-0.5], [0.0], [0.5], [1.0]])
    assert measure_importance(apart).error > 3.0 * measure_importance(alike).error


def test_one_permutation_is_measured_by_its_bars_alone():
    found = measure_importance(np.random.default_rng(2).normal(0.0, 1.0, (1, 300)))
    assert found.error == pytest.approx(1.0 / np.sqrt(300), rel=0.2)
