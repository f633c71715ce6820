"""Probabilities of regimes given the rows so far: the forward recursion of a hidden Markov model.

A library's are smoothed, which uses the whole sample; these use rows up to their own.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.features.compiled.regimes import recur

Array = NDArray[np.float64]

# A market that does not move has this log volatility instead of minus infinity.
LOWEST_LOG_VOLATILITY = math.log(1e-8)


@dataclass(frozen=True, slots=True)
class RegimeModel:
    """A Gaussian hidden Markov model, its states ordered by mean log volatility, float64.

    Attributes
    ----------
    start : (3,)
        Probabilities of the first row before it is seen.
    transition : (3, 3)
        Probability of the column's state one row after the row's state.
    means, variances : (3, 2)
        Of log return and log volatility in each state, independent within it.
    """

    start: Array
    transition: Array
    means: Array
    variances: Array


class RegimeFilter:
    """Filtered probabilities one row at a time, equal to the last bit to `filter_regimes`."""

    def __init__(self, model: RegimeModel) -> None:
        self._model = model
        self._predicted = model.start.copy()

    def advance(self, observation: Array) -> Array:
        """Return the probabilities (3,) after one more row (2,): log return, log volatility.

        Raises
        ------
        DataError
            If the row does not hold two values.
        """
        return _run(self._model, self._predicted, observation[None])[0]


def filter_regimes(model: RegimeModel, observations: Array) -> Array:
    """Return the probabilities of each regime given the rows up to each row.

    Forward recursion of the hidden Markov model (Hamilton 1989), with scaled likelihoods. A row
    that is not finite adds no evidence: its probabilities are those predicted from the row before.

    Parameters
    ----------
    model : RegimeModel
        Fitted on earlier rows.
    observations : float64 (T, 2)
        Log return and log volatility.

    Returns
    -------
    float64 (T, 3)
        From the calmest to the most volatile regime; known with the row.

    Raises
    ------
    DataError
        If there are not two columns.
    """
    return _run(model, model.start.copy(), observations)


def check_observations(observations: Array) -> Array:
    """Return observations (T, 2) with the volatility of a market at rest bounded.

    Raises
    ------
    DataError
        If there are not two columns.
    """
    if observations.ndim != 2 or observations.shape[1] != 2:
        msg = (
            f"observations had the shape {observations.shape}; expected (rows, 2): give log return"
            f" and log volatility"
        )
        raise DataError(msg)
    rows = np.array(observations, dtype=np.float64, order="C")
    rows[:, 1] = np.maximum(rows[:, 1], LOWEST_LOG_VOLATILITY)
    return rows


def _run(model: RegimeModel, predicted: Array, observations: Array) -> Array:
    rows = check_observations(observations)
    probabilities = np.empty((len(rows), len(predicted)))
    recur(rows, model.transition, model.means, model.variances, predicted, probabilities)
    return probabilities
