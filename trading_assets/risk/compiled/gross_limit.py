"""The nearest weights in a box whose absolute sum is limited, in closed form, row by row.

Sums are made as numpy makes those of a row: eight at a time, then the rest.
"""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import entry_point, kernel

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Fields of bounds, float64 (BOUND_FIELDS,); infinite where there is no limit.
MAX_WEIGHT, LOW_SHARE, MAX_GROSS, MIN_NET, MAX_NET, MAX_SECTOR_GROSS, MAX_TURNOVER = range(7)
BOUND_FIELDS = 7

TOLERANCE = 1e-12
_STEPS = 100
_NEWTON_STEPS = 10


@kernel
def next_point(
    point: float, over: float, slope: float, low: float, high: float, step: int
) -> float:
    """Return where a falling piecewise linear function may be 0, within its bracket.

    Newton's step, which ends on the right piece; a halved bracket where it leads outside or has not
    ended soon. Functions of a force have a kink at 0, which no step goes beyond.
    """
    if slope > 0.0 and (step < _NEWTON_STEPS or step % 2 == 0):
        found = point + over / slope
        if found * point < 0.0:
            found = 0.0
        if low < found < high:
            return found
    if low < 0.0 < high:
        return 0.0
    return 0.5 * (low + high)


@kernel
def _left(size: float, shrink: float, cap: float) -> float:
    rest = size - shrink
    rest = 0.0 if rest < 0.0 else rest
    return cap if rest > cap else rest


@kernel
def _sum_left(sizes: Array, count: int, shrink: float, cap: float) -> float:
    if count < 8:
        total = 0.0
        for j in range(count):
            total += _left(sizes[j], shrink, cap)
        return total
    a = b = c = d = e = f = g = h = 0.0
    whole = count - count % 8
    for j in range(0, whole, 8):
        a += _left(sizes[j], shrink, cap)
        b += _left(sizes[j + 1], shrink, cap)
        c += _left(sizes[j + 2], shrink, cap)
        d += _left(sizes[j + 3], shrink, cap)
        e += _left(sizes[j + 4], shrink, cap)
        f += _left(sizes[j + 5], shrink, cap)
        g += _left(sizes[j + 6], shrink, cap)
        h += _left(sizes[j + 7], shrink, cap)
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for j in range(whole, count):
        total += _left(sizes[j], shrink, cap)
    return total


@kernel
def _kinks_around(sizes: Array, count: int, cap: float, point: float) -> tuple[float, float]:
    """Return the last kink of the sum before a point and the first from there on."""
    before, after = -math.inf, math.inf
    for j in range(count):
        last = sizes[j]
        first = last - cap
        first = 0.0 if first < 0.0 else first
        below = first if first < point else -math.inf
        below = last if last < point else below
        before = below if below > before else before
        above = last if last >= point else math.inf
        above = first if first >= point else above
        after = above if above < after else after
    return before, after


@kernel
def _shrink_to(sizes: Array, count: int, cap: float, most: float, gross: float) -> float:
    """Return the least shrink that leaves `most` of `gross`.

    What is left falls along a line between two kinks, at sizes and at sizes less the cap. The
    shrink is found first, then interpolated between its kinks: its last digits depend on these
    only.
    """
    low = high = point = 0.0
    moving = 0
    for j in range(count):
        size = sizes[j]
        high = size if size > high else high
        moving += (size > 0.0) & (size < cap)
    over = gross - most
    for step in range(_STEPS):
        if over > 0.0:
            low = point
        else:
            high = point
        if abs(over) <= TOLERANCE * most:
            break
        following = next_point(point, over, moving, low, high, step)
        if not low < following < high:
            break
        point = following
        over, moving = -most, 0
        for j in range(count):
            rest = sizes[j] - point
            rest = 0.0 if rest < 0.0 else rest
            moving += (rest > 0.0) & (rest < cap)
            over += cap if rest > cap else rest
    before, after = _kinks_around(sizes, count, cap, point)
    upper, lower = _sum_left(sizes, count, before, cap), _sum_left(sizes, count, after, cap)
    # Rounding may have led to the neighbouring piece.
    while upper <= most:
        after, lower = before, upper
        before = _kinks_around(sizes, count, cap, before)[0]
        upper = _sum_left(sizes, count, before, cap)
    while lower > most:
        before, upper = after, lower
        after = _kinks_around(sizes, count, cap, np.nextafter(after, math.inf))[1]
        lower = _sum_left(sizes, count, after, cap)
    return before + (upper - most) / (upper - lower) * (after - before)


@kernel
def project_on_gross(
    wanted: Array, tradable: Flags, bounds: Array, sizes: Array, out: Array
) -> bool:
    cap, most = bounds[MAX_WEIGHT], bounds[MAX_GROSS]
    low = bounds[LOW_SHARE] * cap
    count = len(wanted)
    for j in range(count):
        weight = wanted[j] if tradable[j] else 0.0
        size = -weight if weight < 0.0 and low < 0.0 else weight
        sizes[j] = 0.0 if size < 0.0 else size
        weight = low if weight < low else weight
        out[j] = cap if weight > cap else weight
    # What is left of sizes that nothing is taken from is their absolute weight.
    gross = _sum_left(sizes, count, 0.0, cap)
    if not gross > most * (1.0 + TOLERANCE):
        return False
    shrink = _shrink_to(sizes, count, cap, most, gross)
    for j in range(count):
        left = _left(sizes[j], shrink, cap)
        out[j] = -left if out[j] < 0.0 else left
    return True


@entry_point
def project_rows_on_gross(wanted: Array, tradable: Flags, bounds: Array, out: Array) -> None:
    """Project rows of weights on the box and the gross limit.

    Parameters
    ----------
    wanted : float64 (K, N)
        Wanted weights.
    tradable : bool (K, N)
        Symbols that may be held.
    bounds : float64 (BOUND_FIELDS,)
        Limits.
    out : float64 (K, N)
        Written.
    """
    sizes = np.empty(wanted.shape[1])
    for k in range(len(wanted)):
        project_on_gross(wanted[k], tradable[k], bounds, sizes, out[k])
