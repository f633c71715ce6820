import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trading_assets.forecast.calibration import class_probabilities
from trading_assets.forecast.conformal import conformal_quantile
from trading_assets.forecast.prediction_sets import (
    abstains,
    class_scores,
    contains,
    prediction_sets,
    set_sizes,
)

FORECAST = np.array([[0.2, 0.3, 0.5]])
PROBABILITIES = hnp.arrays(np.float64, (6, 3), elements=st.floats(-20.0, 20.0)).map(
    class_probabilities
)


def test_a_class_scores_the_probability_up_to_it():
    assert class_scores(FORECAST)[0].tolist() == pytest.approx([1.0, 0.8, 0.5])


@pytest.mark.parametrize(
    ("threshold", "bits"), [(0.0, 4), (0.5, 4), (0.79, 4), (0.8, 6), (0.99, 6), (1.0, 7)]
)
def test_sets_hold_the_classes_that_score_up_to_the_threshold(threshold: float, bits: int):
    sets = prediction_sets(FORECAST, threshold)
    assert sets.tolist() == [bits]
    assert sets.dtype == np.int8


def test_each_row_may_have_a_threshold_of_its_own():
    rows = np.repeat(FORECAST, 3, axis=0)
    assert prediction_sets(rows, np.array([0.5, 0.8, 1.0])).tolist() == [4, 6, 7]


def test_a_set_abstains_unless_it_is_one_class():
    sets = np.array([1, 2, 4, 3, 5, 6, 7], dtype=np.int8)
    assert abstains(sets).tolist() == [False] * 3 + [True] * 4
    assert set_sizes(sets).tolist() == [1, 1, 1, 2, 2, 2, 3]


def test_a_set_contains_the_classes_of_its_bits():
    sets = np.array([5, 5, 5, 2], dtype=np.int8)
    assert contains(sets, np.array([0, 1, 2, 1])).tolist() == [True, False, True, True]


def test_rounding_rules_no_class_out():
    # Added up one by one they come to less than 1, and to more.
    rows = np.array([[0.7, 0.2, 0.1], [0.55, 0.34, 0.11], [0.6, 0.4 + 1e-12, 0.0]])
    assert (rows.cumsum(axis=1)[:, 2] - 1.0 > 0.0).tolist() == [False, True, True]
    assert rows[0].cumsum()[2] < 1.0
    assert class_scores(rows).max(axis=1).tolist() == [1.0, 1.0, 1.0]
    assert prediction_sets(rows, 1.0).tolist() == [7, 7, 7]


def test_of_equal_classes_the_first_comes_first():
    assert class_scores(np.full((1, 3), 1 / 3))[0].tolist() == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert prediction_sets(np.full((1, 3), 1 / 3), 0.0).tolist() == [1]


@given(PROBABILITIES, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_sets_are_nested(probabilities, one, other):
    low, high = sorted((one, other))
    small, large = prediction_sets(probabilities, low), prediction_sets(probabilities, high)
    assert (small & ~large == 0).all()
    assert (set_sizes(small) >= 1).all()


@given(PROBABILITIES)
def test_the_most_probable_class_is_in_every_set(probabilities):
    assert contains(prediction_sets(probabilities, 0.0), probabilities.argmax(axis=1)).all()


@given(PROBABILITIES, st.integers(0, 5))
def test_a_threshold_of_a_class_score_lets_that_class_in(probabilities, row):
    scores = class_scores(probabilities)[row]
    for name in range(3):
        sets = prediction_sets(probabilities[row : row + 1], scores[name])
        assert contains(sets, np.array([name])).all()


def test_sets_of_held_out_rows_hold_the_class_as_often_as_promised():
    rng = np.random.default_rng(2)
    probabilities = class_probabilities(1.5 * rng.normal(size=(20_000, 3)))
    classes = (rng.random((20_000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    own = class_scores(probabilities)[np.arange(20_000), classes]
    # Promised of forecasts that are too sure as well.
    for wrong in (probabilities, class_probabilities(3.0 * np.log(probabilities))):
        own = class_scores(wrong)[np.arange(20_000), classes]
        sets = prediction_sets(wrong[10_000:], conformal_quantile(own[:10_000], 0.1))
        assert contains(sets, classes[10_000:]).mean() == pytest.approx(0.9, abs=0.01)
