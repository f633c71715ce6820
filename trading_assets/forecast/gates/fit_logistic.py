"""Fits the linear gate, its priors chosen on later rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from trading_assets.forecast.gates.logistic import LogisticGate
from trading_assets.forecast.gates.ridge import PRIOR_DEVIATIONS, fit_ridge
from trading_assets.forecast.gates.samples import Samples, one_thread

Array = NDArray[np.float64]

# More than any fit takes; one that is given up warns.
_MOST_STEPS = 10_000
_TOLERANCE = 1e-7


def fit_logistic(train: Samples, stopping: Samples) -> LogisticGate:
    """Return the linear models, their priors chosen by log-loss and squared error on stopping rows.

    Raises
    ------
    DataError
        If a class has no train row.
    """
    train.require_classes()
    with one_thread():
        fits = [_fit_classes(train, deviation) for deviation in PRIOR_DEVIATIONS]
        ridge = fit_ridge(train, stopping)
    gates = [LogisticGate(weight, bias, ridge) for weight, bias in fits]
    return min(gates, key=lambda gate: stopping.log_loss(gate.probabilities(stopping.inputs)))


def _fit_classes(train: Samples, deviation: float) -> tuple[Array, Array]:
    # The library's C multiplies the sum of the weighted losses against half the squared weights.
    strength = train.observations * deviation**2 / float(train.weights.sum())
    model: Any = LogisticRegression(C=strength, tol=_TOLERANCE, max_iter=_MOST_STEPS)
    model.fit(train.inputs, train.classes, train.weights)
    return model.coef_, model.intercept_
