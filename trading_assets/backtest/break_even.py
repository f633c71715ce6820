"""Where a net return that falls with what trading costs reaches nothing."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

_RELATIVE_TOLERANCE = 1e-10


def break_even(net: Callable[[float], float], grid: Sequence[float]) -> float:
    """Return the lowest cost at which a net return falls to 0, by root finding between grid points.

    Parameters
    ----------
    net : callable
        Net return at a cost; continuous.
    grid : sequence of float
        Costs in ascending order; the root is sought between two neighbours.

    Returns
    -------
    float
        `nan` where the return is not above 0 at the lowest cost, is so up to the highest, or is not
        known at a cost before it has fallen.
    """
    from scipy import optimize

    root_between: Any = optimize.brentq

    low, value = grid[0], net(grid[0])
    if not value > 0.0:
        return math.nan
    for high in grid[1:]:
        reached = net(high)
        if math.isnan(reached):
            return math.nan
        if reached <= 0.0:
            return float(root_between(net, low, high, rtol=_RELATIVE_TOLERANCE))
        low = high
    return math.nan


def crossing(levels: Sequence[float], values: Sequence[float]) -> float:
    """Return where a curve first falls to 0, its points joined by straight lines.

    Net returns are nearly straight in the cost: what is lost to it is the cost of what is traded.

    Parameters
    ----------
    levels : sequence of float
        Ascending.
    values : sequence of float
        The curve at these.

    Returns
    -------
    float
        `inf` where all values are above 0; `nan` where the first one is not, or where one is not
        known that lies before the first at or below 0.
    """
    at, curve = np.asarray(levels, dtype=np.float64), np.asarray(values, dtype=np.float64)
    stopped = np.flatnonzero(~(curve > 0.0))
    if not len(stopped):
        return math.inf
    after = int(stopped[0])
    if after == 0 or math.isnan(curve[after]):
        return math.nan
    above, below = curve[after - 1], curve[after]
    return float(at[after - 1] + (at[after] - at[after - 1]) * above / (above - below))
