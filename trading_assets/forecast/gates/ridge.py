"""Bayesian linear regression of the scaled return: its mean, its noise and its error."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.forecast.gates.rowwise import combine, sum_columns
from trading_assets.forecast.gates.samples import Samples

Array = NDArray[np.float64]

# Standard deviations of the normal prior of each weight, in units of the noise, chosen among on the
# stopping rows. One standard deviation of a feature moves the mean, or a logit, by about so much.
PRIOR_DEVIATIONS = (0.01, 0.03, 0.1, 0.3)


@dataclass(frozen=True, slots=True)
class Ridge:
    """A mean that is linear in the inputs, with the posterior of its weights.

    Attributes
    ----------
    weight : float64 (I,)
    bias : float
    centre : float64 (I,)
        Weighted mean of the train rows' inputs, at which the error is least.
    error_factor : float64 (I, I)
        F with F'F the posterior covariance of the weights.
    least_error : float
        Error at the centre: the standard error of the level.
    noise : float
        Standard deviation of what the mean leaves of the scaled returns.
    """

    weight: Array
    bias: float
    centre: Array
    error_factor: Array
    least_error: float
    noise: float

    def mean(self, inputs: Array) -> Array:
        """Return the mean scaled return (n,) at inputs (n, I)."""
        return combine(inputs, self.weight[None], np.array([self.bias]))[:, 0]

    def error(self, inputs: Array) -> Array:
        """Return the posterior standard deviation (n,) of the mean at inputs (n, I)."""
        distance = combine(inputs - self.centre, self.error_factor, np.zeros(len(self.centre)))
        return np.sqrt(self.least_error**2 + sum_columns(distance**2))


def fit_ridge(train: Samples, stopping: Samples) -> Ridge:
    """Return the ridge whose prior has the least squared error on the stopping rows.

    Source: Bishop, Pattern Recognition and Machine Learning, 3.3, with a flat prior of the bias.
    The train rows count as so many observations as are independent.
    """
    centre = np.average(train.inputs, axis=0, weights=train.weights)
    level = float(np.average(train.scaled_returns, weights=train.weights))
    centred = train.inputs - centre
    weighted = centred * (train.weights / train.weights.sum())[:, None]
    variances, axes = np.linalg.eigh(weighted.T @ centred)
    variances = np.maximum(variances, 0.0)
    moment = axes.T @ (weighted.T @ (train.scaled_returns - level))
    ridges: list[Ridge] = []
    for deviation in PRIOR_DEVIATIONS:
        precision = variances + 1.0 / (train.observations * deviation**2)
        weight = axes @ (moment / precision)
        bias = level - float(centre @ weight)
        parameters = 1.0 + float((variances / precision).sum())
        noise = train.residual_deviation(train.inputs @ weight + bias, parameters)
        least_error = noise / float(np.sqrt(train.observations))
        factor = least_error / np.sqrt(precision)[:, None] * axes.T
        ridges.append(Ridge(weight, bias, centre, factor, least_error, noise))
    return min(ridges, key=lambda ridge: stopping.squared_error(ridge.mean(stopping.inputs)))
