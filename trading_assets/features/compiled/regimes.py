"""The forward recursion of a hidden Markov model with Gaussian observations (Hamilton 1989)."""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import entry_point

Array = NDArray[np.float64]


@entry_point
def recur(
    rows: Array, transition: Array, means: Array, variances: Array, predicted: Array, out: Array
) -> None:
    """Write the probabilities (T, S) of the states of a hidden Markov model given rows so far.

    Parameters
    ----------
    rows : float64 (T, K)
        Observations.
    transition : float64 (S, S)
        Probability of the column's state one row after the row's state.
    means, variances : float64 (S, K)
        Of the observations in each state, independent within it.
    predicted : float64 (S,)
        Probabilities of the first row before it is seen; becomes those of the next one.
    out : float64 (T, S)
        Written.
    """
    states = len(predicted)
    evidence = np.empty(states)
    for t in range(len(rows)):
        best = -np.inf
        for j in range(states):
            evidence[j] = 0.0
            for k in range(rows.shape[1]):
                distance = rows[t, k] - means[j, k]
                evidence[j] -= 0.5 * (
                    distance * distance / variances[j, k] + math.log(variances[j, k])
                )
            best = max(best, evidence[j])
        total = 0.0
        for j in range(states):
            # Of a row that is unknown, or too far from every state to tell, nothing is learnt.
            weight = math.exp(evidence[j] - best) if math.isfinite(best) else 1.0
            out[t, j] = predicted[j] * weight
            total += out[t, j]
        for j in range(states):
            out[t, j] /= total
        for j in range(states):
            predicted[j] = 0.0
            for i in range(states):
                predicted[j] += out[t, i] * transition[i, j]
