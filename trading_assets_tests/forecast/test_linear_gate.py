import warnings
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.linear_model import Ridge as LibraryRidge

from trading_assets.errors import DataError
from trading_assets.forecast.calibration import class_probabilities
from trading_assets.forecast.gates import fit_logistic as fitting
from trading_assets.forecast.gates import ridge
from trading_assets.forecast.gates.fit_logistic import fit_logistic
from trading_assets.forecast.gates.logistic import LogisticGate
from trading_assets.forecast.gates.prior import fit_prior
from trading_assets.forecast.gates.ridge import PRIOR_DEVIATIONS, fit_ridge
from trading_assets.forecast.gates.samples import Samples
from trading_assets_tests.forecast.planted_samples import make_samples

TRUE_WEIGHT = np.array([0.5, -0.3, 0.0, 0.0, 0.0, 0.0])


def linear(inputs: np.ndarray) -> np.ndarray:
    return inputs @ TRUE_WEIGHT


def nothing(inputs: np.ndarray) -> np.ndarray:
    return 0.0 * inputs[:, 0]


def with_prior(monkeypatch: pytest.MonkeyPatch, deviation: float) -> None:
    monkeypatch.setattr(fitting, "PRIOR_DEVIATIONS", (deviation,))
    monkeypatch.setattr(ridge, "PRIOR_DEVIATIONS", (deviation,))


TRAIN, _ = make_samples(linear, 600, seed=1)
STOPPING, _ = make_samples(linear, 200, seed=2)


@pytest.fixture(scope="module")
def gate() -> LogisticGate:
    return fit_logistic(TRAIN, STOPPING)


@pytest.mark.parametrize("deviation", [0.03, 0.3])
def test_class_weights_maximise_the_weighted_posterior(
    monkeypatch: pytest.MonkeyPatch, deviation: float
):
    with_prior(monkeypatch, deviation)
    fitted = fit_logistic(TRAIN, STOPPING)
    logits = TRAIN.inputs @ fitted.class_weight.T + fitted.class_bias
    excess = class_probabilities(logits) - np.eye(3)[TRAIN.classes]
    # Sums over independent observations, of which each row is a part.
    share = TRAIN.weights * TRAIN.observations / len(TRAIN)
    gradient = (share[:, None] * excess).T @ TRAIN.inputs + fitted.class_weight / deviation**2
    assert np.abs(gradient).max() < 1e-3
    assert np.abs((share[:, None] * excess).sum(axis=0)).max() < 1e-3
    assert np.abs(fitted.class_weight).max() > 0.02


@pytest.mark.parametrize("deviation", [0.03, 0.3])
def test_the_mean_is_the_weighted_ridge_of_the_library(
    monkeypatch: pytest.MonkeyPatch, deviation: float
):
    with_prior(monkeypatch, deviation)
    found = fit_ridge(TRAIN, STOPPING)
    overlap = len(TRAIN) / TRAIN.observations
    library = LibraryRidge(alpha=overlap / deviation**2)
    library.fit(TRAIN.inputs, TRAIN.scaled_returns, TRAIN.weights)
    np.testing.assert_allclose(found.weight, library.coef_, rtol=1e-9)
    np.testing.assert_allclose(found.bias, library.intercept_, rtol=1e-9)


def test_without_a_prior_the_error_is_that_of_weighted_least_squares(
    monkeypatch: pytest.MonkeyPatch,
):
    with_prior(monkeypatch, 1e6)
    train = replace(TRAIN, observations=float(len(TRAIN)))
    found = fit_ridge(train, STOPPING)
    library = sm.WLS(train.scaled_returns, sm.add_constant(train.inputs), train.weights).fit()
    asked = library.get_prediction(sm.add_constant(STOPPING.inputs))
    # The library does not count that the level is known at the inputs' centre alone.
    np.testing.assert_allclose(found.error(STOPPING.inputs), asked.se_mean, rtol=1e-6)
    np.testing.assert_allclose(found.mean(STOPPING.inputs), asked.predicted_mean, rtol=1e-6)
    assert found.noise == pytest.approx(np.sqrt(library.scale), rel=1e-9)


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_the_error_tells_how_far_the_mean_lies_from_the_truth(strength: float):
    def expect(inputs: np.ndarray) -> np.ndarray:
        return strength * inputs[:, :3].mean(axis=1)

    squares, told = [], []
    for seed in range(20):
        train, _ = make_samples(expect, 500, seed=seed, horizon=1)
        stopping, _ = make_samples(expect, 200, seed=100 + seed, horizon=1)
        later, truth = make_samples(expect, 100, seed=200 + seed, horizon=1)
        found = fit_ridge(train, stopping)
        squares.append(np.mean((found.mean(later.inputs) - truth) ** 2))
        told.append(np.mean(found.error(later.inputs) ** 2))
    assert 0.6 < np.sqrt(np.mean(squares) / np.mean(told)) < 1.3


def test_the_error_is_least_at_the_centre_and_grows_with_distance(gate: LogisticGate):
    steps = np.array([0.0, 1.0, 2.0, 8.0])[:, None]
    error = gate.predict(gate.ridge.centre + steps * np.ones(6)).error
    assert error[0] == pytest.approx(gate.ridge.noise / np.sqrt(TRAIN.observations))
    assert (np.diff(error) > 0).all()
    # Far away the error is that of the weights, and grows as the distance does.
    assert error[3] == pytest.approx(4.0 * error[2], rel=0.2)


def test_a_planted_linear_signal_is_found_out_of_sample(gate: LogisticGate):
    later, truth = make_samples(linear, 600, seed=3)
    prior = fit_prior(TRAIN).predict(later.inputs)
    found = gate.predict(later.inputs)
    assert later.log_loss(found.probabilities) < later.log_loss(prior.probabilities) - 0.01
    assert np.corrcoef(found.mean, truth)[0, 1] > 0.9
    np.testing.assert_allclose(
        gate.ridge.weight, TRUE_WEIGHT / np.sqrt(5.0), atol=4.0 * gate.ridge.noise / np.sqrt(3000)
    )


def test_noise_is_shrunk_and_hardly_beats_or_loses_to_the_prior():
    advantages = []
    for seed in range(6):
        train, _ = make_samples(nothing, 300, seed=10 + seed)
        stopping, _ = make_samples(nothing, 100, seed=30 + seed)
        later, _ = make_samples(nothing, 600, seed=50 + seed)
        found = fit_logistic(train, stopping).predict(later.inputs)
        prior = fit_prior(train).predict(later.inputs)
        advantages.append(later.log_loss(prior.probabilities) - later.log_loss(found.probabilities))
    assert np.mean(advantages) < 0.001
    assert np.mean(advantages) > -0.01


def test_the_stopping_rows_choose_the_prior():
    def chosen(train: Samples, stopping: Samples) -> list[float]:
        fits = {
            float(np.abs(fit_with(train, stopping, deviation).class_weight).sum()): deviation
            for deviation in PRIOR_DEVIATIONS
        }
        return [fits[float(np.abs(fit_logistic(train, stopping).class_weight).sum())]]

    def fit_with(train: Samples, stopping: Samples, deviation: float) -> LogisticGate:
        with pytest.MonkeyPatch.context() as patch:
            with_prior(patch, deviation)
            return fit_logistic(train, stopping)

    strong, _ = make_samples(lambda x: 2.0 * x[:, 0], 300, seed=5)
    assert chosen(strong, strong) == [0.3]
    against = replace(strong, classes=2 - strong.classes, scaled_returns=-strong.scaled_returns)
    assert chosen(strong, against) == [0.01]


def test_a_row_of_weight_2_counts_as_two_rows(monkeypatch: pytest.MonkeyPatch):
    with_prior(monkeypatch, 0.3)
    times = np.random.default_rng(0).integers(1, 4, len(TRAIN))
    weighted = replace(TRAIN, weights=times / times.mean())
    rows = np.repeat(np.arange(len(TRAIN)), times)
    listed = Samples(
        TRAIN.inputs[rows],
        TRAIN.classes[rows],
        TRAIN.scaled_returns[rows],
        np.ones(len(rows)),
        TRAIN.sessions[rows],
        TRAIN.observations,
    )
    one, other = (fit_logistic(samples, STOPPING) for samples in (weighted, listed))
    np.testing.assert_allclose(one.class_weight, other.class_weight, atol=1e-5)
    np.testing.assert_allclose(one.ridge.weight, other.ridge.weight, rtol=1e-9)
    assert one.ridge.noise == pytest.approx(other.ridge.noise)
    equal = fit_logistic(replace(TRAIN, weights=np.ones(len(TRAIN))), STOPPING)
    assert np.abs(equal.class_weight - one.class_weight).max() > 1e-3


def test_inputs_that_say_the_same_and_one_that_is_constant_can_be_fitted():
    inputs = TRAIN.inputs.copy()
    inputs[:, 3] = inputs[:, 0]
    inputs[:, 4] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit_logistic(replace(TRAIN, inputs=inputs), STOPPING)
    assert found.ridge.weight[3] == pytest.approx(found.ridge.weight[0])
    assert found.ridge.weight[4] == pytest.approx(0.0, abs=1e-12)
    assert np.isfinite(found.predict(inputs).deviation).all()


def test_a_class_without_train_rows_is_refused():
    none_up = replace(TRAIN, classes=np.minimum(TRAIN.classes, 1))
    with pytest.raises(DataError, match="class up is absent from 3000 train labels"):
        fit_logistic(none_up, STOPPING)
