"""Operations on the last `bars` rows, the row's own included.

`first` is the first row whose window is full.

Few bars are gone through one by one, several rows at a time. For more of them rows are cut into
blocks as long as the window. A window is the end of one block and the beginning of the next, and
what is known of both is put together. Values are only ever added: nothing is left of large ones
that went by, a window of zeros sums to 0 and one without negative values to no negative one.
"""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import kernel
from trading_assets.features.compiled.elementwise import add, affine, maximum, minimum, subtract

Array = NDArray[np.float64]

_FEW_BARS = 8


@kernel
def lag(x: Array, out: Array, bars: int, start: int, stop: int) -> None:
    out[start:stop] = x[start - bars : stop - bars]


@kernel
def change(x: Array, out: Array, bars: int, start: int, stop: int) -> None:
    subtract(x[start:stop], x[start - bars : stop - bars], out[start:stop])


@kernel
def block_of(row: int, bars: int, first: int) -> int:
    """Return the row at which the block of a row begins."""
    return first - bars + 1 + (row - first + bars - 1) // bars * bars


@kernel
def rolling_sum(
    x: Array, out: Array, bars: int, factor: float, first: int, start: int, stop: int
) -> None:
    """Sum of the last values, times a factor."""
    if bars <= _FEW_BARS:
        found = out[start:stop]
        found[:] = x[start - bars + 1 : stop - bars + 1]
        for k in range(bars - 2, -1, -1):
            add(found, x[start - k : stop - k], found)
        affine(found, found, factor, 0.0)
        return
    older = np.empty(bars)
    t, block = start, block_of(start, bars, first)
    while t < stop:
        total = 0.0
        for u in range(block - 1, t - bars, -1):
            total += x[u]
            older[u - block + bars] = total
        total = 0.0
        for u in range(block, t):
            total += x[u]
        whole = block + bars - 1
        for row in range(t, min(whole, stop)):
            total += x[row]
            out[row] = factor * (total + older[row - block + 1])
        if whole < stop:
            out[whole] = factor * (total + x[whole])
        t = block = block + bars


@kernel
def decayed_sum(
    x: Array,
    out: Array,
    bars: int,
    decay: float,
    factor: float,
    first: int,
    start: int,
    stop: int,
) -> None:
    """Sum of decay^k times the value k rows ago, times a factor."""
    older = np.empty(bars)
    t, block = start, block_of(start, bars, first)
    while t < stop:
        total, weight = 0.0, 1.0
        for u in range(block - 1, t - bars, -1):
            total += weight * x[u]
            weight *= decay
            older[u - block + bars] = total
        newer, weight = 0.0, 1.0
        for u in range(block, t):
            newer = decay * newer + x[u]
            weight *= decay
        end = min(block + bars, stop)
        for row in range(t, end):
            newer = decay * newer + x[row]
            weight *= decay
            is_whole = row == block + bars - 1
            total = newer if is_whole else newer + weight * older[row - block + 1]
            out[row] = factor * total
        t = block = block + bars


@kernel
def highest(x: Array, out: Array, bars: int, first: int, start: int, stop: int) -> None:
    """Highest of the last values."""
    if bars <= _FEW_BARS:
        found = out[start:stop]
        found[:] = x[start - bars + 1 : stop - bars + 1]
        for k in range(bars - 2, -1, -1):
            maximum(found, x[start - k : stop - k], found)
        return
    older = np.empty(bars)
    t, block = start, block_of(start, bars, first)
    while t < stop:
        best = -math.inf
        for u in range(block - 1, t - bars, -1):
            best = max(best, x[u])
            older[u - block + bars] = best
        best = -math.inf
        for u in range(block, t):
            best = max(best, x[u])
        end = min(block + bars, stop)
        for row in range(t, end):
            best = max(best, x[row])
            is_whole = row == block + bars - 1
            out[row] = best if is_whole else max(best, older[row - block + 1])
        t = block = block + bars


@kernel
def lowest(x: Array, out: Array, bars: int, first: int, start: int, stop: int) -> None:
    """Lowest of the last values."""
    if bars <= _FEW_BARS:
        found = out[start:stop]
        found[:] = x[start - bars + 1 : stop - bars + 1]
        for k in range(bars - 2, -1, -1):
            minimum(found, x[start - k : stop - k], found)
        return
    older = np.empty(bars)
    t, block = start, block_of(start, bars, first)
    while t < stop:
        best = math.inf
        for u in range(block - 1, t - bars, -1):
            best = min(best, x[u])
            older[u - block + bars] = best
        best = math.inf
        for u in range(block, t):
            best = min(best, x[u])
        end = min(block + bars, stop)
        for row in range(t, end):
            best = min(best, x[row])
            is_whole = row == block + bars - 1
            out[row] = best if is_whole else min(best, older[row - block + 1])
        t = block = block + bars


@kernel
def rows_since_highest(x: Array, age: Array, bars: int, first: int, start: int, stop: int) -> None:
    """How many rows ago the highest of the last values was; the newest of equal ones."""
    older = np.empty(bars, dtype=np.int64)
    t, block = start, block_of(start, bars, first)
    while t < stop:
        best, place = -math.inf, block - 1
        for u in range(block - 1, t - bars, -1):
            if x[u] > best:
                best, place = x[u], u
            older[u - block + bars] = place
        best, place = -math.inf, block
        end = min(block + bars, stop)
        for row in range(block, end):
            if x[row] >= best:
                best, place = x[row], row
            if row < t:
                continue
            found = place
            if row < block + bars - 1:
                other = older[row - block + 1]
                found = other if x[other] > best else place
            age[row] = row - found
        t = block = block + bars


@kernel
def rows_since_lowest(x: Array, age: Array, bars: int, first: int, start: int, stop: int) -> None:
    """How many rows ago the lowest of the last values was; the newest of equal ones."""
    older = np.empty(bars, dtype=np.int64)
    t, block = start, block_of(start, bars, first)
    while t < stop:
        best, place = math.inf, block - 1
        for u in range(block - 1, t - bars, -1):
            if x[u] < best:
                best, place = x[u], u
            older[u - block + bars] = place
        best, place = math.inf, block
        end = min(block + bars, stop)
        for row in range(block, end):
            if x[row] <= best:
                best, place = x[row], row
            if row < t:
                continue
            found = place
            if row < block + bars - 1:
                other = older[row - block + 1]
                found = other if x[other] < best else place
            age[row] = row - found
        t = block = block + bars


@kernel
def mean_distance(x: Array, mean: Array, out: Array, bars: int, start: int, stop: int) -> None:
    """Mean distance of the last values from `mean` of the row."""
    total, center = out[start:stop], mean[start:stop]
    total[:] = 0.0
    for k in range(bars - 1, -1, -1):
        value = x[start - k : stop - k]
        for t in range(len(total)):
            total[t] += abs(value[t] - center[t])
    for t in range(len(total)):
        total[t] /= bars


@kernel
def fractional_difference(
    x: Array, out: Array, order: float, bars: int, start: int, stop: int
) -> None:
    """(1 - L)^order, cut after `bars` weights: w_0 = 1, w_k = -w_{k-1} (order - k + 1) / k."""
    total = out[start:stop]
    total[:] = 0.0
    weight = 1.0
    for k in range(bars):
        value = x[start - k : stop - k]
        for t in range(len(total)):
            total[t] += weight * value[t]
        weight *= -(order - k) / (k + 1.0)
