"""Sums over inputs whose last bits do not depend on how many rows there are.

Those of a BLAS product do, and a session's forecast has to be the same bytes alone and in a year.
"""

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError

Array = NDArray[np.float64]

# Rows whose sums stay in the cache.
_CHUNK_ROWS = 512


def combine(inputs: Array, weight: Array, bias: Array) -> Array:
    """Return `inputs @ weight.T + bias`, (n, k), of inputs (n, I), weight (k, I) and bias (k,)."""
    sums = np.tile(bias, (len(inputs), 1))
    for start in range(0, len(inputs), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        for column in range(weight.shape[1]):
            sums[part] += inputs[part, column, None] * weight[:, column]
    return sums


def sum_columns(matrix: Array) -> Array:
    """Return the sum of each row (n,) of a matrix (n, k), from the first column on."""
    total = np.zeros(len(matrix))
    for column in matrix.T:
        total += column
    return total


def require_width(name: str, inputs: Array, n_inputs: int) -> None:
    """Refuse inputs (n, I) of another width than a gate model was fitted on."""
    if inputs.ndim != 2 or inputs.shape[1] != n_inputs:
        msg = (
            f"inputs of gate model {name} had shape {inputs.shape}; expected (rows, {n_inputs}):"
            f" give the features the forecaster was trained on"
        )
        raise DataError(msg)
