import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from trading_assets.forecast.calibration import class_probabilities
from trading_assets.forecast.scores import (
    accuracy_coverage_curve,
    brier,
    confusion_matrix,
    expected_calibration_error,
    log_loss,
    reliability_table,
    row_log_losses,
)


def honest_forecasts(rows: int, seed: int, sharpness: float = 1.0):
    rng = np.random.default_rng(seed)
    probabilities = class_probabilities(sharpness * rng.normal(size=(rows, 3)))
    classes = (rng.random((rows, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return probabilities, classes


def test_scores_are_those_of_scikit_learn():
    probabilities, classes = honest_forecasts(500, 0)
    assert log_loss(probabilities, classes) == pytest.approx(
        metrics.log_loss(classes, probabilities), rel=1e-12
    )
    assert brier(probabilities, classes) == pytest.approx(
        metrics.brier_score_loss(classes, probabilities, scale_by_half=False), rel=1e-12
    )
    assert np.array_equal(
        confusion_matrix(probabilities, classes),
        metrics.confusion_matrix(classes, probabilities.argmax(axis=1)),
    )


def test_a_row_of_the_confusion_matrix_is_a_class_that_came_true():
    says_up = np.tile([0.1, 0.2, 0.7], (3, 1))
    assert confusion_matrix(says_up, np.array([0, 0, 2])).tolist() == [
        [0, 0, 2],
        [0, 0, 0],
        [0, 0, 1],
    ]


def test_a_class_that_was_ruled_out_costs_a_finite_loss():
    losses = row_log_losses(np.array([[1.0, 0.0, 0.0]]), np.array([1]))
    assert losses == pytest.approx([-math.log(1e-12)])


def test_a_sure_and_wrong_forecast_has_a_brier_score_of_2():
    assert brier(np.array([[1.0, 0.0, 0.0]]), np.array([2])) == 2.0


def test_bins_hold_equally_many_rows():
    table = reliability_table(*honest_forecasts(100, 1))
    assert table.count.tolist() == [7] * 10 + [6] * 5
    assert (np.diff(table.confidence) > 0).all()
    assert reliability_table(*honest_forecasts(4, 1)).count.tolist() == [1] * 4


def test_the_calibration_error_is_the_mean_distance_of_accuracy_from_confidence():
    # Two bins: said 0.5 and right always, said 0.9 and right in one of two rows.
    probabilities = np.array([[0.5, 0.3, 0.2]] * 2 + [[0.05, 0.05, 0.9]] * 2)
    classes = np.array([0, 0, 2, 1])
    table = reliability_table(probabilities, classes, bins=2)
    assert table.confidence == pytest.approx([0.5, 0.9])
    assert table.accuracy == pytest.approx([1.0, 0.5])
    found = expected_calibration_error(probabilities, classes, bins=2)
    assert found == pytest.approx(0.5 * 0.5 + 0.5 * 0.4)


def test_honest_probabilities_are_calibrated_and_sharpened_ones_are_not():
    probabilities, classes = honest_forecasts(20_000, 2)
    assert expected_calibration_error(probabilities, classes) < 0.02
    sharpened = class_probabilities(3.0 * np.log(probabilities))
    assert expected_calibration_error(sharpened, classes) > 0.1


def test_tied_rows_share_a_bin_whatever_their_order():
    tied = np.tile([0.6, 0.2, 0.2], (30, 1))
    classes = np.repeat([0, 1], 15)
    table = reliability_table(tied, classes)
    assert table.count.tolist() == [30]
    assert table.accuracy.tolist() == [0.5]
    assert expected_calibration_error(tied, classes) == pytest.approx(0.1)
    surer = np.tile([0.8, 0.1, 0.1], (10, 1))
    mixed = reliability_table(np.concatenate([surer, tied]), np.repeat([0, 1], [25, 15]), bins=4)
    assert mixed.count.tolist() == [30, 10]
    assert mixed.confidence == pytest.approx([0.6, 0.8])


def test_accuracy_rises_as_less_is_kept():
    curve = accuracy_coverage_curve(*honest_forecasts(5_000, 3))
    assert curve.coverage[-1] == 1.0
    tenth, half = np.searchsorted(curve.coverage, [0.1, 0.5])
    assert curve.accuracy[tenth] > curve.accuracy[half] + 0.1 > curve.accuracy[-1] + 0.1


def test_a_curve_has_one_point_for_each_confidence():
    probabilities = np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.3, 0.5]])
    curve = accuracy_coverage_curve(probabilities, np.array([0, 0, 2]))
    assert curve.coverage == pytest.approx([2 / 3, 1.0])
    assert curve.accuracy == pytest.approx([1 / 2, 2 / 3])
    by_other = accuracy_coverage_curve(probabilities, np.array([0, 0, 2]), np.array([2.0, 0, 1]))
    assert by_other.accuracy == pytest.approx([1.0, 1.0, 2 / 3])


@given(st.permutations(range(40)))
def test_the_curve_does_not_depend_on_the_order_of_the_rows(order):
    probabilities, classes = honest_forecasts(40, 4)
    rounded = np.round(probabilities, 1)
    curve = accuracy_coverage_curve(rounded, classes)
    shuffled = accuracy_coverage_curve(rounded[order], classes[order])
    assert np.array_equal(shuffled.coverage, curve.coverage)
    assert np.array_equal(shuffled.accuracy, curve.accuracy)
