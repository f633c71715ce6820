"""Adaptive conformal inference: intervals that hold what they promise, whatever the model says.

A forecast's miss is scored by `|y - mean| / deviation`. The next forecast's interval reaches to a
quantile of past scores, and the level of that quantile moves by what was missed: down after too
many misses, so that intervals widen, up after too few. Source: Gibbs and Candes, Adaptive Conformal
Inference Under Distribution Shift, NeurIPS 2021 (arXiv 2106.00170).

Over a long time the share of misses comes to the promised one for any series at all, if intervals
are infinite where the level is 0. Here they reach to the largest score kept: what is promised holds
unless scores keep outgrowing all of the last 500.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# What rounding adds to a rank that is a whole number.
_ROUNDING = 1e-9


def nonconformity(realised: Array, mean: Array, deviation: Array) -> Array:
    """Return how far returns lay from their forecasts, in predicted deviations.

    Parameters
    ----------
    realised, mean : float64 (n,)
        Scaled returns that came true, and as expected.
    deviation : float64 (n,)
        Standard deviation as predicted, above 0.

    Returns
    -------
    float64 (n,)
        At least 0.
    """
    return np.abs(realised - mean) / deviation


def conformal_quantile(scores: Array, alpha: float) -> float:
    """Return the score that a share `1 - alpha` of new scores stays at or below.

    The `ceil((n + 1) (1 - alpha))`-th smallest of n scores: the 1 counts the new one (Vovk,
    Gammerman and Shafer, Algorithmic Learning in a Random World, 2005).

    Parameters
    ----------
    scores : float64 (n,)
        Past scores in any order, at least one and at least 0.
    alpha : float
        Share to be missed; below 0 all are to be reached, above 1 none.

    Returns
    -------
    float
        The largest score where too few are known for so small a share, or all are to be reached;
        in theory it is infinite there. 0 where all are to be missed.
    """
    count = len(scores)
    rank = math.ceil((count + 1) * (1.0 - alpha) - _ROUNDING)
    if rank < 1:
        return 0.0
    if rank >= count:
        return float(scores.max())
    return float(np.partition(scores, rank - 1)[rank - 1])


def adapt(alpha: float, coverage: float, rate: float, missed: float, known: float = 1.0) -> float:
    """Return the next level: `alpha + rate (known (1 - coverage) - missed)`.

    It may leave [0, 1], which is how intervals pay back a run of misses; whoever clips it loses
    coverage.

    Parameters
    ----------
    alpha : float
        Level so far.
    coverage : float
        Share that is meant to be covered.
    rate : float
        Step, at least 0.
    missed : float
        Share of a session's forecasts that turned out to be missed.
    known : float
        Share of them whose outcome is known, at most 1: a session whose labels end at different
        times counts bit by bit, once in all.
    """
    return alpha + rate * (known * (1.0 - coverage) - missed)


def interval(mean: Array, deviation: Array, quantile: Array | float) -> tuple[Array, Array]:
    """Return `mean -+ quantile * deviation`, the lower and the upper limits (n,)."""
    half = quantile * deviation
    return mean - half, mean + half
