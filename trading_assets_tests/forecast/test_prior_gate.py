from dataclasses import replace

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.forecast.gates.prior import fit_prior
from trading_assets.forecast.gates.samples import Samples
from trading_assets_tests.forecast.planted_samples import make_samples

FOUR = Samples(
    inputs=np.zeros((4, 1)),
    classes=np.array([0, 1, 2, 2]),
    scaled_returns=np.array([-1.0, 0.0, 1.0, 2.0]),
    weights=np.array([2.0, 1.0, 0.5, 0.5]),
    sessions=np.arange(4),
    observations=2.0,
)


def test_the_prior_is_the_weighted_shares_mean_and_deviation_of_the_train_rows():
    prior = fit_prior(FOUR)
    np.testing.assert_allclose(prior.shares, (0.5, 0.25, 0.25))
    assert prior.mean == pytest.approx(-0.125)
    # The weighted variance 1.109375, of which one of two observations explains half.
    assert prior.noise == pytest.approx(np.sqrt(2.0 * 1.109375))
    assert prior.error == pytest.approx(prior.noise / np.sqrt(2.0))


def test_the_prior_says_the_same_of_every_row():
    prior = fit_prior(FOUR)
    predicted = prior.predict(np.random.default_rng(0).normal(size=(3, 1)))
    np.testing.assert_array_equal(predicted.probabilities, np.tile(prior.shares, (3, 1)))
    for column, value in (
        (predicted.mean, prior.mean),
        (predicted.noise, prior.noise),
        (predicted.error, prior.error),
        (predicted.mutual_information, 0.0),
    ):
        assert column.tolist() == [value] * 3


def test_the_error_of_the_prior_is_that_of_means_of_overlapping_labels():
    scores = [
        prior.mean / prior.error
        for prior in (
            fit_prior(make_samples(lambda x: 0.0 * x[:, 0], 200, seed=seed)[0])
            for seed in range(100)
        )
    ]
    # Rows counted as if they were independent would give sqrt(5).
    assert np.std(scores) == pytest.approx(1.0, abs=0.2)


def test_train_rows_without_a_class_are_refused():
    with pytest.raises(DataError, match="class flat, up is absent from 4 train labels"):
        replace(FOUR, classes=np.zeros(4, np.int64)).require_classes()


def test_losses_count_rows_by_their_weights():
    probabilities = np.array([[0.5, 0.25, 0.25]] * 4)
    expected = (2.0 * np.log(2.0) + 2.0 * np.log(4.0)) / 4.0
    assert FOUR.log_loss(probabilities) == pytest.approx(expected)
    assert FOUR.squared_error(np.zeros(4)) == pytest.approx((2.0 + 0.5 + 2.0) / 4.0)
