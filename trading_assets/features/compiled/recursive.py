"""Operations whose row is a function of their own row before: smoothings, sums without end, stops.

The state is the output itself: a block of rows goes on where the rows before it ended.
"""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import kernel

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@kernel
def _smooth_one(x: Array, out: Array, weight: float, first: int, start: int, stop: int) -> None:
    for t in range(max(start, first), stop):
        out[t] = x[t] if t == first else out[t - 1] + weight * (x[t] - out[t - 1])


@kernel
def smooth(
    columns: Array, read: Index, out: Array, weight: Array, first: Index, start: int, stop: int
) -> None:
    """y_t = y_{t-1} + weight (x_t - y_{t-1}), from the first value on, of up to four columns.

    Each value waits for the one before. Four columns side by side take little longer than one.
    """
    count = len(out)
    begin = start
    for k in range(count):
        begin = min(max(begin, first[k] + 1), stop)
    for k in range(count):
        out[k, start : min(max(first[k], start), stop)] = np.nan
        _smooth_one(columns[read[k]], out[k], weight[k], first[k], start, begin)
    if begin >= stop:
        return
    # Where there are fewer, the last one is computed more than once.
    i1, i2, i3 = min(1, count - 1), min(2, count - 1), count - 1
    x0, x1, x2, x3 = columns[read[0]], columns[read[i1]], columns[read[i2]], columns[read[i3]]
    w0, w1, w2, w3 = weight[0], weight[i1], weight[i2], weight[i3]
    out0, out1, out2, out3 = out[0], out[i1], out[i2], out[i3]
    y0, y1, y2, y3 = out0[begin - 1], out1[begin - 1], out2[begin - 1], out3[begin - 1]
    for t in range(begin, stop):
        y0 += w0 * (x0[t] - y0)
        y1 += w1 * (x1[t] - y1)
        y2 += w2 * (x2[t] - y2)
        y3 += w3 * (x3[t] - y3)
        out0[t], out1[t], out2[t], out3[t] = y0, y1, y2, y3


@kernel
def accumulate(x: Array, out: Array, first: int, start: int, stop: int) -> None:
    """Sum of all values since the first."""
    for t in range(start, stop):
        out[t] = x[t] if t == first else out[t - 1] + x[t]


@kernel
def fisher(
    x: Array, transformed: Array, position: Array, first: int, start: int, stop: int
) -> None:
    """Ehlers' Fisher transform of a position in 0..1, smoothed before and after."""
    for t in range(start, stop):
        before = position[t - 1] if t > first else 0.0
        older = transformed[t - 1] if t > first else 0.0
        position[t] = min(max(0.66 * (x[t] - 0.5) + 0.67 * before, -0.999), 0.999)
        transformed[t] = 0.5 * math.log((1.0 + position[t]) / (1.0 - position[t])) + 0.5 * older


@kernel
def stop_and_reverse(
    high: Array,
    low: Array,
    state: Array,
    step: float,
    limit: float,
    first: int,
    start: int,
    stop: int,
) -> None:
    """Wilder's parabolic stop: rows of `state` are stop, extreme, acceleration and side (+-1).

    The first row only starts: long if its low rose, else short.
    """
    level, extreme, acceleration, side = state[0], state[1], state[2], state[3]
    for t in range(start, stop):
        if t == first:
            is_long = low[t - 1] - low[t] <= max(high[t] - high[t - 1], 0.0)
            side[t] = 1.0 if is_long else -1.0
            extreme[t] = high[t] if is_long else low[t]
            level[t] = low[t - 1] if is_long else high[t - 1]
            acceleration[t] = step
            continue
        up = side[t - 1] > 0.0
        best = extreme[t - 1]
        pace = acceleration[t - 1]
        stop_at = level[t - 1] + pace * (best - level[t - 1])
        if up:
            stop_at = min(stop_at, low[t - 1], low[t - 2])
        else:
            stop_at = max(stop_at, high[t - 1], high[t - 2])
        is_hit = low[t] <= stop_at if up else high[t] >= stop_at
        if is_hit:
            side[t] = -side[t - 1]
            level[t] = max(best, high[t], high[t - 1]) if up else min(best, low[t], low[t - 1])
            extreme[t] = low[t] if up else high[t]
            acceleration[t] = step
            continue
        side[t] = side[t - 1]
        level[t] = stop_at
        reached = high[t] > best if up else low[t] < best
        extreme[t] = (high[t] if up else low[t]) if reached else best
        acceleration[t] = min(pace + step, limit) if reached else pace
