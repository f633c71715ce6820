"""Each value against the median and the median distance of its own recent past."""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import kernel

Array = NDArray[np.float64]
Index = NDArray[np.int64]

CLIP = 5.0
# Makes the median distance of a normal variable its standard deviation.
_DISTANCE_TO_SIGMA = 1.4826
_REBUILD = -1


@kernel
def _place(ordered: Array, count: int, value: float) -> int:
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _insert(ordered: Array, count: int, value: float) -> int:
    place = _place(ordered, count, value)
    for k in range(count, place, -1):
        ordered[k] = ordered[k - 1]
    ordered[place] = value
    return count + 1


@kernel
def _remove(ordered: Array, count: int, value: float) -> int:
    for k in range(_place(ordered, count, value), count - 1):
        ordered[k] = ordered[k + 1]
    return count - 1


@kernel
def _replace(ordered: Array, count: int, old: float, new: float) -> None:
    # Only what lies between the two moves.
    place = _place(ordered, count, old)
    if new > old:
        while place + 1 < count and ordered[place + 1] < new:
            ordered[place] = ordered[place + 1]
            place += 1
    else:
        while place > 0 and ordered[place - 1] > new:
            ordered[place] = ordered[place - 1]
            place -= 1
    ordered[place] = new


@kernel
def _distance(ordered: Array, count: int, below: int, center: float, rank: int) -> float:
    """Return the distance of that rank from `center`; `below` values are not above it.

    Distances rise to the left and to the right of the center: two ordered lists are merged by
    bisection on how many of the first `rank + 1` come from the left one.
    """
    above = count - below
    low, high = max(0, rank + 1 - above), min(rank + 1, below)
    while low < high:
        left = (low + high) // 2
        if center - ordered[below - 1 - left] < ordered[below + rank - left] - center:
            low = left + 1
        else:
            high = left
    found = -math.inf
    if low > 0:
        found = center - ordered[below - low]
    if rank + 1 - low > 0:
        found = max(found, ordered[below + rank - low] - center)
    return found


@kernel
def _scaled(ordered: Array, count: int, value: float) -> float:
    lower, upper = (count - 1) // 2, count // 2
    center = 0.5 * (ordered[lower] + ordered[upper])
    below = _place(ordered, count, center)
    spread = 0.5 * (
        _distance(ordered, count, below, center, lower)
        + _distance(ordered, count, below, center, upper)
    )
    tolerance = 1e-12 + 1e-9 * abs(center)
    distance = value - center
    if spread <= tolerance:
        if abs(distance) <= tolerance:
            return 0.0
        return math.copysign(CLIP, distance)
    return min(max(distance / (_DISTANCE_TO_SIGMA * spread), -CLIP), CLIP)


@kernel
def scale_column(
    x: Array,
    ordered: Array,
    count: int,
    sizes: Index,
    rows: Index,
    out: NDArray[np.float32],
) -> int:
    """Scale rows of one column and return how many known values its window then holds.

    Parameters
    ----------
    x : float64 (T,)
        Values.
    ordered : float64 (scale_bars + 1,)
        Known values of the window before the first row, in order of size; written.
    count : int
        How many they are; -1 lets them be collected anew.
    sizes : int64 (2,)
        Bars of the window, and the fewest known values that make a scale.
    rows : int64 (3,)
        First row that counts as known, first row to scale, and the row behind the last.
    out : float32 (R,)
        Scaled values, nan where unknown; written.
    """
    scale_bars, fewest = sizes[0], sizes[1]
    first, start, stop = rows[0], rows[1], rows[2]
    if count == _REBUILD:
        count = 0
        for t in range(max(first, start - scale_bars), start):
            if not math.isnan(x[t]):
                count = _insert(ordered, count, x[t])
    for t in range(start, stop):
        leaving = t - scale_bars
        is_known = t >= first and not math.isnan(x[t])
        is_leaving = leaving >= first and not math.isnan(x[leaving])
        if is_leaving and is_known:
            _replace(ordered, count, float(x[leaving]), x[t])
        elif is_leaving:
            count = _remove(ordered, count, float(x[leaving]))
        elif is_known:
            count = _insert(ordered, count, x[t])
        out[t - start] = _scaled(ordered, count, x[t]) if is_known and count >= fewest else math.nan
    return count
