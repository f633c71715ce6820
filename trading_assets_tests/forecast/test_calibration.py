import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trading_assets.forecast.calibration import (
    class_probabilities,
    fit_temperature,
    log_loss,
    log_probabilities,
    temper,
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


def test_a_temperature_of_1_changes_nothing():
    probabilities = class_probabilities(np.random.default_rng(2).normal(size=(50, 3)))
    assert temper(probabilities, 1.0) == pytest.approx(probabilities, abs=1e-15)


def test_tempered_probabilities_are_those_of_tempered_logits():
    logits = np.random.default_rng(3).normal(size=(50, 3))
    tempered = temper(class_probabilities(logits), 2.5)
    assert tempered == pytest.approx(class_probabilities(logits, 2.5), abs=1e-12)


def test_the_temperature_of_an_ensembles_mean_undoes_its_doubt():
    rng = np.random.default_rng(4)
    honest = class_probabilities(2.0 * rng.normal(size=(4000, 3)))
    classes = (rng.random((4000, 1)) > honest.cumsum(axis=1)).sum(axis=1)
    doubtful = temper(honest, 2.0)
    temperature = fit_temperature(log_probabilities(doubtful), classes)
    assert temperature == pytest.approx(0.5, rel=0.1)
    assert log_loss(temper(doubtful, temperature), classes) < log_loss(doubtful, classes) - 0.02


def test_a_probability_of_0_has_a_logarithm():
    tempered = temper(np.array([[1.0, 0.0, 0.0]]), 2.0)
    assert tempered[0, 0] == pytest.approx(1.0, abs=1e-5)
    assert tempered[0, 1] == pytest.approx(1e-6, rel=1e-5)


@given(
    hnp.arrays(np.float64, (5, 3), elements=st.floats(-30.0, 30.0)),
    st.floats(0.1, 50.0),
    st.floats(1.0, 5.0),
)
def test_tempering_keeps_the_order_and_warmth_draws_together(logits, temperature, warmer):
    probabilities = class_probabilities(logits)
    tempered = temper(probabilities, temperature)
    best = probabilities.argmax(axis=1)
    assert tempered.sum(axis=1) == pytest.approx(np.ones(5), abs=1e-12)
    assert (tempered[np.arange(5), best] >= tempered.max(axis=1) - 1e-15).all()
    assert (temper(probabilities, temperature * warmer).max(1) <= tempered.max(1) + 1e-12).all()
