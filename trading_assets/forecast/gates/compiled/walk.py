"""Walks rows through decision trees, one row at a time."""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import entry_point

Array = NDArray[np.float64]
Index = NDArray[np.int32]
Flags = NDArray[np.bool_]


@entry_point
def add_trees(
    inputs: Array,
    roots: Index,
    feature: Index,
    threshold: Array,
    missing_left: Flags,
    left: Index,
    right: Index,
    value: Array,
    out: Array,
) -> None:
    """Add each tree's leaf value to its column of `out` (n, k); tree t belongs to column t % k.

    A node of feature -1 is a leaf. Rows of `inputs` (n, I) go left where the feature is at most the
    threshold. Nothing is checked here: see `Trees`.
    """
    columns = out.shape[1]
    for row in range(len(inputs)):
        for tree in range(len(roots)):
            node = roots[tree]
            while feature[node] >= 0:
                x = inputs[row, feature[node]]
                goes_left = missing_left[node] if math.isnan(x) else x <= threshold[node]
                node = left[node] if goes_left else right[node]
            out[row, tree % columns] += value[node]
