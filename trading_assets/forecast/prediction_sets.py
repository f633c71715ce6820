"""Adaptive prediction sets: the classes that cannot be ruled out.

A class's score is the probability of all classes that are at least as probable, itself included;
a set holds the classes whose score is at most a threshold. Source: Romano, Sesia and Candes,
Classification with Valid and Adaptive Coverage, NeurIPS 2020, without their random draw: the same
forecast always gives the same set, which is then somewhat larger than it has to be.
"""

import numpy as np
from numpy.typing import NDArray

from trading_assets.forecast.scores import Array, Classes, Mask

Sets = NDArray[np.int8]

# Bits of the classes down, flat and up.
CLASS_BITS = np.array([1, 2, 4], dtype=np.int8)


def class_scores(probabilities: Array) -> Array:
    """Return the score of each class, float64 (n, 3).

    The least probable class scores exactly 1, so that rounding cannot rule it out. Of equally
    probable classes the first comes first.

    Parameters
    ----------
    probabilities : float64 (n, 3)
        Of the classes down, flat and up.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")
    sums = np.take_along_axis(probabilities, order, axis=1).cumsum(axis=1)
    sums = np.minimum(sums, 1.0)
    sums[:, -1] = 1.0
    scores = np.empty_like(sums)
    np.put_along_axis(scores, order, sums, axis=1)
    return scores


def prediction_sets(probabilities: Array, threshold: Array | float) -> Sets:
    """Return sets of classes as bits, int8 (n,): 1 down, 2 flat, 4 up.

    The most probable class is in every set.

    Parameters
    ----------
    probabilities : float64 (n, 3)
        Of the classes down, flat and up.
    threshold : float64 (n,) or float
        Largest score of a class in the set.
    """
    scores = class_scores(probabilities)
    limit = np.broadcast_to(np.asarray(threshold, dtype=np.float64), len(scores))
    is_in = (scores <= limit[:, None]) | (scores == scores.min(axis=1, keepdims=True))
    return (is_in * CLASS_BITS).sum(axis=1).astype(np.int8)


def contains(sets: Sets, classes: Classes) -> Mask:
    """Return whether each set holds the class that came true, bool (n,)."""
    return (sets & CLASS_BITS[classes]) != 0


def set_sizes(sets: Sets) -> NDArray[np.int64]:
    """Return the number of classes in each set, int64 (n,)."""
    return ((sets[:, None] & CLASS_BITS) != 0).sum(axis=1)


def abstains(sets: Sets) -> Mask:
    """Return whether each set says anything but one class, bool (n,)."""
    return set_sizes(sets) != 1
