from dataclasses import replace

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.forecast.gates import fit_boosting as growing
from trading_assets.forecast.gates.boosting import MEMBERS, BoostingGate
from trading_assets.forecast.gates.fit_boosting import fit_boosting, resample_sessions
from trading_assets.forecast.gates.fit_logistic import fit_logistic
from trading_assets.forecast.gates.prior import fit_prior
from trading_assets.forecast.gates.samples import Samples
from trading_assets_tests.forecast.planted_samples import make_samples

HORIZON = 5


def crossed(inputs: np.ndarray) -> np.ndarray:
    # Neither input says anything alone.
    return 1.2 * np.sign(inputs[:, 0] * inputs[:, 1])


def nothing(inputs: np.ndarray) -> np.ndarray:
    return 0.0 * inputs[:, 0]


TRAIN, _ = make_samples(crossed, 600, seed=1)
STOPPING, _ = make_samples(crossed, 200, seed=2)


@pytest.fixture(scope="module")
def gate() -> BoostingGate:
    return fit_boosting(TRAIN, STOPPING, HORIZON, 0)


def test_a_crossed_signal_is_found_by_trees_and_not_by_a_linear_model(gate: BoostingGate):
    later, truth = make_samples(crossed, 600, seed=3)
    prior = later.log_loss(fit_prior(TRAIN).predict(later.inputs).probabilities)
    linear = fit_logistic(TRAIN, STOPPING).predict(later.inputs)
    trees = gate.predict(later.inputs)
    assert later.log_loss(trees.probabilities) < prior - 0.02
    assert later.log_loss(linear.probabilities) > prior - 0.002
    assert np.corrcoef(trees.mean, truth)[0, 1] > 0.8
    assert abs(np.corrcoef(linear.mean, truth)[0, 1]) < 0.3


def test_a_planted_linear_signal_is_found_too():
    def expect(inputs: np.ndarray) -> np.ndarray:
        return 0.8 * inputs[:, 0]

    train, stopping, later = (make_samples(expect, n, seed=n)[0] for n in (600, 200, 601))
    found = fit_boosting(train, stopping, HORIZON, 0).predict(later.inputs)
    prior = fit_prior(train).predict(later.inputs)
    assert later.log_loss(found.probabilities) < later.log_loss(prior.probabilities) - 0.01


def test_noise_hardly_beats_or_loses_to_the_prior():
    advantages = []
    for seed in range(6):
        train, _ = make_samples(nothing, 300, seed=10 + seed)
        stopping, _ = make_samples(nothing, 100, seed=30 + seed)
        later, _ = make_samples(nothing, 600, seed=50 + seed)
        found = fit_boosting(train, stopping, HORIZON, seed).predict(later.inputs)
        prior = fit_prior(train).predict(later.inputs)
        advantages.append(later.log_loss(prior.probabilities) - later.log_loss(found.probabilities))
    assert np.mean(advantages) < 0.001
    assert np.mean(advantages) > -0.01


def test_stopping_rows_that_contradict_leave_the_prior():
    against = replace(
        STOPPING, classes=2 - STOPPING.classes, scaled_returns=-STOPPING.scaled_returns
    )
    found = fit_boosting(TRAIN, against, HORIZON, 0)
    prior = fit_prior(TRAIN)
    assert len(found.classes.roots) == len(found.mean.roots) == len(found.members.roots) == 0
    predicted = found.predict(STOPPING.inputs)
    expected = prior.predict(STOPPING.inputs)
    np.testing.assert_allclose(predicted.probabilities, expected.probabilities, atol=1e-12)
    np.testing.assert_allclose(predicted.mean, expected.mean, atol=1e-12)
    # Members of no trees differ by the level of the sessions that were drawn.
    assert predicted.error[0] == pytest.approx(prior.error, rel=0.6)
    assert predicted.noise[0] == pytest.approx(prior.noise, rel=0.05)


def test_the_rounds_are_those_of_the_least_loss_on_the_stopping_rows(gate: BoostingGate):
    for name, columns in (("classes", 3), ("mean", 1)):
        trees = getattr(gate, name)
        rounds = len(trees.roots) // columns
        assert 5 < rounds < growing.MOST_ROUNDS
        losses = []
        for kept in range(rounds - 4, rounds + 1):
            fewer = replace(gate, **{name: replace(trees, roots=trees.roots[: kept * columns])})
            predicted = fewer.predict(STOPPING.inputs)
            losses.append(
                STOPPING.log_loss(predicted.probabilities)
                if name == "classes"
                else STOPPING.squared_error(predicted.mean)
            )
        assert losses[-1] == min(losses)


def test_there_are_no_more_than_the_most_rounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(growing, "MOST_ROUNDS", 3)
    found = fit_boosting(TRAIN, STOPPING, HORIZON, 0)
    assert len(found.classes.roots) == 9
    assert len(found.mean.roots) <= 3
    assert len(found.members.roots) == len(found.mean.roots) * MEMBERS


def test_a_leaf_holds_twenty_independent_observations():
    few, _ = make_samples(crossed, 38, seed=1)
    assert few.observations == 38.0
    found = fit_boosting(few, STOPPING, HORIZON, 0)
    assert (found.classes.feature == -1).all()
    more = replace(few, observations=190.0)
    assert (fit_boosting(more, STOPPING, HORIZON, 0).classes.feature >= 0).any()


def test_weights_decide_which_of_two_contradicting_halves_is_learnt():
    contrary, _ = make_samples(lambda x: -crossed(x), 600, seed=8)
    both = Samples(
        np.concatenate((TRAIN.inputs, contrary.inputs)),
        np.concatenate((TRAIN.classes, contrary.classes)),
        np.concatenate((TRAIN.scaled_returns, contrary.scaled_returns)),
        np.repeat((1.8, 0.2), 3000),
        np.concatenate((TRAIN.sessions, 600 + contrary.sessions)),
        1200.0,
    )
    later, truth = make_samples(crossed, 400, seed=9)
    found = fit_boosting(both, STOPPING, HORIZON, 0).predict(later.inputs)
    assert np.corrcoef(found.mean, truth)[0, 1] > 0.6
    swapped = replace(both, weights=both.weights[::-1].copy())
    found = fit_boosting(swapped, contrary, HORIZON, 0).predict(later.inputs)
    assert np.corrcoef(found.mean, truth)[0, 1] < -0.6


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_the_error_tells_how_far_the_mean_lies_from_the_truth(strength: float):
    def expect(inputs: np.ndarray) -> np.ndarray:
        return strength * inputs[:, 0]

    squares, told, noise = [], [], []
    for seed in range(8):
        train, _ = make_samples(expect, 400, seed=seed, horizon=1)
        stopping, _ = make_samples(expect, 200, seed=100 + seed, horizon=1)
        later, truth = make_samples(expect, 100, seed=200 + seed, horizon=1)
        found = fit_boosting(train, stopping, 1, seed).predict(later.inputs)
        squares.append(np.mean((found.mean - truth) ** 2))
        told.append(np.mean(found.error**2))
        noise.append(found.noise[0])
    assert 0.5 < np.sqrt(np.mean(squares) / np.mean(told)) < 1.7
    assert np.mean(noise) == pytest.approx(1.0, abs=0.04)


def test_members_that_agree_do_not_know_the_level_better_than_the_rows_tell(gate: BoostingGate):
    baseline = np.full(MEMBERS, 0.1)
    agreeing = replace(gate.members, baseline=baseline, roots=gate.members.roots[:0])
    error = replace(gate, members=agreeing).predict(STOPPING.inputs).error
    np.testing.assert_allclose(error, gate.noise / np.sqrt(TRAIN.observations))
    assert (gate.predict(STOPPING.inputs).error > 1.5 * error).any()


def test_members_count_sessions_as_often_as_they_are_drawn(gate: BoostingGate):
    times = resample_sessions(TRAIN.sessions, HORIZON, MEMBERS, np.random.default_rng(0))
    levels = [np.average(TRAIN.scaled_returns, weights=TRAIN.weights * row) for row in times]
    np.testing.assert_allclose(gate.members.baseline, levels, rtol=1e-12)


def test_the_error_is_the_deviation_of_the_members(gate: BoostingGate):
    means = gate.members.sums(STOPPING.inputs)
    expected = np.maximum(means.std(axis=1, ddof=1), gate.least_error)
    np.testing.assert_allclose(gate.predict(STOPPING.inputs).error, expected, rtol=1e-12)


def test_sessions_are_drawn_whole_in_blocks_of_at_least_a_horizon():
    sessions = np.repeat(np.arange(100, 300), 3)
    times = resample_sessions(sessions, 7, 40, np.random.default_rng(0))
    assert times.shape == (40, 600)
    assert (times.sum(axis=1) == 600).all()
    by_session = times.reshape(40, 200, 3)
    assert (by_session == by_session[:, :, :1]).all()
    # Circular blocks of 21 sessions: 10 of them start or end a run, but for the one cut short.
    changes = (np.diff(by_session[:, :, 0], axis=1, append=by_session[:, :1, 0]) != 0).sum(axis=1)
    assert (changes <= 20).all()
    assert 0.3 < (by_session[:, :, 0] == 0).mean() < 0.45


def test_a_train_window_shorter_than_a_horizon_is_drawn_as_it_is():
    sessions = np.repeat(np.arange(9), 10)
    times = resample_sessions(sessions, 21, 3, np.random.default_rng(0))
    np.testing.assert_array_equal(times, np.ones((3, 90)))
    few, _ = make_samples(crossed, 9, seed=1, symbols=10)
    found = fit_boosting(few, STOPPING, 21, 0).predict(STOPPING.inputs)
    assert (found.error > 0.1).all()
    assert np.isfinite(found.noise).all()


def test_another_seed_gives_other_trees(gate: BoostingGate):
    again = fit_boosting(TRAIN, STOPPING, HORIZON, 0).tensors()
    first = gate.tensors()
    assert all(again[name].numpy().tobytes() == first[name].numpy().tobytes() for name in first)
    other = fit_boosting(TRAIN, STOPPING, HORIZON, 1).tensors()
    assert other["boosting.mean.value"].tolist() != first["boosting.mean.value"].tolist()
    assert other["boosting.members.value"].tolist() != first["boosting.members.value"].tolist()


def test_unknown_inputs_can_be_fitted_and_predicted():
    inputs = TRAIN.inputs.copy()
    inputs[::3, 0] = np.nan
    inputs[:, 4] = np.nan
    inputs[:, 5] = 2.0
    gate = fit_boosting(replace(TRAIN, inputs=inputs), STOPPING, HORIZON, 0)
    # Some splits part known from unknown values, for which the library writes infinity.
    assert (gate.classes.threshold == np.finfo(np.float64).max).any()
    assert all(np.isfinite(tensor.numpy()).all() for tensor in gate.tensors().values())
    found = gate.predict(inputs)
    assert np.isfinite(found.probabilities).all()
    assert np.isfinite(found.mean).all()


def test_a_class_without_train_rows_is_refused():
    none_flat = replace(TRAIN, classes=2 * (TRAIN.classes > 0))
    with pytest.raises(DataError, match="class flat is absent"):
        fit_boosting(none_flat, STOPPING, HORIZON, 0)
