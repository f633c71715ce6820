"""Inputs cut into steps of about equally many rows, between which trees choose."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_LARGEST = np.finfo(np.float64).max


@dataclass(frozen=True, slots=True)
class Steps:
    """Upper edges of each input's steps, ascending, float64 (I, S), the largest number after them.

    A value's step is the number of edges below it.
    """

    edges: Array

    def number(self, inputs: Array) -> Array:
        """Return the step (n, I) of each value, a float64 from 0 on, nan where the value is nan."""
        numbers = np.full(inputs.shape, np.nan)
        for column, edges in enumerate(self.edges):
            values = inputs[:, column]
            is_known = ~np.isnan(values)
            numbers[is_known, column] = np.searchsorted(edges, values[is_known])
        return numbers

    def to_values(self, feature: NDArray[np.int32], threshold: Array) -> Array:
        """Return thresholds (nodes,) of values from those of their steps.

        A value is at most edge i where its step is at most i. An infinite threshold, which parts
        known values from unknown ones, becomes the largest number.
        """
        last = self.edges.shape[1] - 1
        return self.edges[feature, np.minimum(threshold, last).astype(np.int64)]


def fit_steps(inputs: Array, most: int) -> Steps:
    """Return at most so many steps for each column of inputs (n, I), nan where unknown."""
    edges = np.full((inputs.shape[1], most), _LARGEST)
    quantiles = np.linspace(0.0, 1.0, most + 1)[1:-1]
    for column, values in enumerate(inputs.T):
        known = values[~np.isnan(values)]
        if len(known):
            found = np.unique(np.quantile(known, quantiles, method="inverted_cdf"))
            edges[column, : len(found)] = found
    return Steps(edges)
