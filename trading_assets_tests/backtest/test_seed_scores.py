"""Statistics over seeds, held against scipy and against worlds where they are known."""

import math

import numpy as np
import pytest
from scipy.stats import trim_mean

from trading_assets.backtest.seed_scores import (
    improvement_interval,
    interquartile_interval,
    interquartile_mean,
    probability_of_improvement,
)
from trading_assets.errors import DataError


def draw(seed: int, shape: tuple[int, int] = (5, 4), mean: float = 0.0) -> np.ndarray:
    return mean + np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.parametrize("shape", [(4, 1), (8, 3), (5, 4), (2, 2)])
def test_the_middle_of_scores_is_scipys_where_whole_scores_are_cut(shape: tuple[int, int]):
    scores = draw(1, shape)
    assert interquartile_mean(scores) == pytest.approx(trim_mean(scores.ravel(), 0.25))


def test_a_score_that_a_cut_goes_through_counts_in_part():
    # Of five scores a quarter is 1.25: 0.75 of the second, the third, 0.75 of the fourth.
    scores = np.array([[-100.0], [1.0], [2.0], [4.0], [100.0]])
    assert interquartile_mean(scores) == pytest.approx((0.75 * 1 + 2 + 0.75 * 4) / 2.5)


def test_one_lucky_seed_does_not_move_the_middle():
    scores = draw(2)
    lucky = scores.copy()
    lucky[scores.argmax() // 4, scores.argmax() % 4] += 1e6
    assert interquartile_mean(lucky) == interquartile_mean(scores)


def test_the_interval_holds_the_truth_about_as_often_as_promised():
    held = 0
    for seed in range(200):
        interval = interquartile_interval(draw(seed, (10, 8)), np.random.default_rng(seed))
        held += interval.low < 0.0 < interval.high
    assert 0.85 < held / 200 <= 1.0


def test_folds_of_other_levels_do_not_widen_the_interval():
    scores = draw(3, (10, 8))
    levels = np.linspace(0.0, 0.5, 8)
    own, raised = (
        interquartile_interval(each, np.random.default_rng(0)) for each in (scores, scores + levels)
    )
    assert raised.high - raised.low < 1.3 * (own.high - own.low)


def test_seeds_are_drawn_in_each_fold_by_itself():
    one = draw(5, (10, 1))
    widths = [
        interval.high - interval.low
        for interval in (
            interquartile_interval(np.repeat(one, folds, axis=1), np.random.default_rng(0))
            for folds in (1, 8)
        )
    ]
    # Eight folds of the same seeds tell more than one, unless the same seeds are drawn for all.
    assert widths[1] < 0.6 * widths[0]


def test_improvement_is_the_share_of_pairs_won():
    first, second = np.array([[1.0], [3.0]]), np.array([[2.0], [3.0], [0.0]])
    # 1 beats 0; 3 beats 2 and 0 and ties with 3.
    assert probability_of_improvement(first, second) == pytest.approx((1 + 2 + 0.5) / 6)
    assert probability_of_improvement(second, first) == pytest.approx(1 - 3.5 / 6)
    assert probability_of_improvement(first, first) == 0.5


def test_improvement_is_told_from_chance_only_where_there_is_some():
    rng = np.random.default_rng(0)
    better = improvement_interval(draw(1, (10, 4), 1.5), draw(2, (10, 4)), rng)
    assert better.low > 0.6
    alike = improvement_interval(draw(3, (10, 4)), draw(4, (10, 4)), rng)
    assert alike.low < 0.5 < alike.high


def test_what_is_no_table_of_scores_is_refused():
    with pytest.raises(DataError, match=r"shape \(0, 4\); expected at least one seed"):
        interquartile_mean(np.zeros((0, 4)))
    holed = draw(0)
    holed[1, 2] = math.nan
    with pytest.raises(DataError, match="1 of 20 scores are not finite"):
        interquartile_interval(holed, np.random.default_rng(0))
    with pytest.raises(DataError, match="scores are of 4 and of 3 folds"):
        probability_of_improvement(draw(0), draw(0, (5, 3)))
