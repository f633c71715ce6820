import numpy as np
import pytest

from trading_assets.forecast.calibration import (
    class_probabilities,
    fit_temperature,
    log_loss,
    wilson_interval,
)


def test_equal_logits_give_a_log_loss_of_ln_3():
    probabilities = class_probabilities(np.zeros((5, 3)))
    assert log_loss(probabilities, np.array([0, 1, 2, 0, 1])) == pytest.approx(np.log(3.0))


def test_the_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(4000, 3))
    probabilities = class_probabilities(honest)
    classes = (rng.random((4000, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(3.0 * honest, classes) == pytest.approx(3.0, rel=0.1)


def test_useless_logits_are_calibrated_towards_equal_probabilities():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(3000, 3))
    classes = rng.integers(0, 3, 3000)
    calibrated = class_probabilities(logits, fit_temperature(logits, classes))
    assert log_loss(calibrated, classes) == pytest.approx(np.log(3.0), abs=2e-3)


def test_wilsons_interval_is_the_published_one():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263.
    low, high = wilson_interval(81 / 263, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
