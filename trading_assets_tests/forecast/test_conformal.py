import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trading_assets.forecast.conformal import (
    adapt,
    conformal_quantile,
    interval,
    nonconformity,
)

SCORES = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(0.0, 1e6))
ALPHAS = st.floats(-0.5, 1.5)


@pytest.mark.parametrize(
    ("alpha", "quantile"),
    [
        (0.1, 9.0),
        (0.15, 9.0),
        (0.2, 8.0),
        (0.5, 5.0),
        (0.7, 3.0),
        (0.95, 1.0),
        (1.0, 0.0),
        (1.3, 0.0),
        (0.0, 9.0),
        (-0.2, 9),
    ],
)
def test_the_quantile_counts_the_new_score(alpha: float, quantile: float):
    # Of 9 scores, ceil(10 (1 - alpha)) have to be reached.
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 10.0))
    assert conformal_quantile(scores, alpha) == quantile


def test_too_few_scores_give_the_largest():
    assert conformal_quantile(np.array([0.3, 0.1]), 0.1) == 0.3


def test_new_scores_stay_below_as_often_as_promised():
    rng = np.random.default_rng(1)
    drawn = rng.exponential(size=(4000, 20))
    covered = [row[-1] <= conformal_quantile(row[:-1], 0.22) for row in drawn]
    assert np.mean(covered) == pytest.approx(16 / 20, abs=0.02)


@given(SCORES, ALPHAS, ALPHAS)
def test_the_quantile_falls_as_more_may_be_missed(scores, one, other):
    low, high = sorted((one, other))
    assert conformal_quantile(scores, low) >= conformal_quantile(scores, high)


@given(SCORES, ALPHAS, st.randoms())
def test_the_order_of_scores_does_not_matter(scores, alpha, random):
    shuffled = scores.copy()
    random.shuffle(shuffled)
    assert conformal_quantile(shuffled, alpha) == conformal_quantile(scores, alpha)


@given(SCORES, st.floats(0.0, 1.0, exclude_min=True))
def test_at_least_the_promised_share_of_scores_is_reached(scores, alpha):
    reached = np.mean(scores <= conformal_quantile(scores, alpha))
    assert reached >= min(1.0, 1.0 - alpha) - 1e-9


def test_a_return_at_the_end_of_an_interval_scores_its_quantile():
    mean, deviation = np.array([0.5, -1.0]), np.array([2.0, 0.25])
    low, high = interval(mean, deviation, 1.5)
    assert low.tolist() == [-2.5, -1.375]
    assert high.tolist() == [3.5, -0.625]
    assert nonconformity(high, mean, deviation).tolist() == [1.5, 1.5]
    assert nonconformity(low, mean, deviation).tolist() == [1.5, 1.5]


def test_a_miss_lowers_the_level_and_a_hit_raises_it():
    assert adapt(0.1, 0.9, 0.02, 1.0) == pytest.approx(0.1 - 0.02 * 0.9)
    assert adapt(0.1, 0.9, 0.02, 0.0) == pytest.approx(0.1 + 0.02 * 0.1)
    # One of four was missed.
    assert adapt(0.1, 0.9, 0.02, 0.25) == pytest.approx(0.1 - 0.02 * 0.15)


def test_bits_of_a_session_move_the_level_as_the_whole_does():
    whole = adapt(0.3, 0.8, 0.05, 0.5)
    bits = adapt(adapt(0.3, 0.8, 0.05, 0.5, 0.75), 0.8, 0.05, 0.0, 0.25)
    assert bits == pytest.approx(whole, abs=1e-15)


@given(st.lists(st.booleans(), min_size=200, max_size=200), st.floats(0.01, 0.2))
def test_the_level_remembers_every_miss(missed, rate):
    # Gibbs and Candes, proposition 4.1, before its bound on the level is used.
    alpha = 0.1
    for one in missed:
        alpha = adapt(alpha, 0.9, rate, float(one))
    share = np.mean(missed)
    assert share - 0.1 == pytest.approx((0.1 - alpha) / (rate * len(missed)), abs=1e-9)
    assert math.isfinite(alpha)
