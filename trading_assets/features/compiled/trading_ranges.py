"""Operations on the bars themselves: true range, directional movement, spreads, order flow."""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import kernel
from trading_assets.features.compiled.rolling import rolling_sum

Array = NDArray[np.float64]


@kernel
def true_range(high: Array, low: Array, close: Array, out: Array, start: int, stop: int) -> None:
    for t in range(start, stop):
        out[t] = max(high[t], close[t - 1]) - min(low[t], close[t - 1])


@kernel
def directional_movement(
    high: Array, low: Array, rising: Array, falling: Array, start: int, stop: int
) -> None:
    """Wilder's movement: the larger of the two steps beyond yesterday's range, else 0."""
    for t in range(start, stop):
        up = high[t] - high[t - 1]
        down = low[t - 1] - low[t]
        rising[t] = up if up > down and up > 0.0 else 0.0
        falling[t] = down if down > up and down > 0.0 else 0.0


@kernel
def _edge_parts(open_: Array, high: Array, low: Array, close: Array) -> Array:
    """Return what the estimator needs of each row but the first and the one before, (11, T - 1)."""
    parts = np.zeros((11, len(open_) - 1))
    for u in range(parts.shape[1]):
        top, bottom, last = high[u + 1], low[u + 1], close[u]
        middle, before = 0.5 * (top + bottom), 0.5 * (high[u] + low[u])
        parts[0, u] = middle - open_[u + 1]
        parts[1, u] = middle - last
        parts[2, u] = open_[u + 1] - last
        parts[3, u] = open_[u + 1] - before
        parts[4, u] = last - before
        # Rows without a trade count in no mean and in no share.
        if top != bottom or bottom != last:
            parts[5, u] = 1.0
            parts[6, u] = 1.0 * (open_[u + 1] != top) + 1.0 * (open_[u + 1] != bottom)
            parts[7, u] = 1.0 * (last != high[u]) + 1.0 * (last != low[u])
            parts[8:, u] = parts[:3, u]
    return parts


@kernel
def edge_spread(
    open_: Array,
    high: Array,
    low: Array,
    close: Array,
    out: Array,
    bars: int,
    start: int,
    stop: int,
) -> None:
    """Spread of Ardia, Guidotti and Kroencke from logarithms of prices; 0 where it is unknown.

    The moments are those of the last `bars` pairs of rows.
    """
    if stop <= start:
        return
    oldest = start - bars
    parts = _edge_parts(open_[oldest:stop], high[oldest:stop], low[oldest:stop], close[oldest:stop])
    sums = np.empty((6, parts.shape[1]))
    for place in range(6):
        rolling_sum(parts[5 + place], sums[place], bars, 1.0, bars - 1, bars - 1, parts.shape[1])
    for t in range(start, stop):
        end = t - oldest
        traded, moved_open, moved_close = sums[0, end - 1], sums[1, end - 1], sums[2, end - 1]
        if traded < 2.0 or moved_open == 0.0 or moved_close == 0.0:
            out[t] = 0.0
            continue
        per_open, per_close = bars / moved_open, bars / moved_close
        mean_1, mean_3 = sums[3, end - 1] / traded, sums[4, end - 1] / traded
        mean_5 = sums[5, end - 1] / traded
        a = b = aa = bb = 0.0
        pairs = parts[:, end - bars : end]
        for k in range(bars):
            is_traded, late = pairs[5, k], pairs[4, k] * per_close
            d1 = (pairs[0, k] - is_traded * mean_1) * per_open
            x = d1 * pairs[3, k] + (pairs[1, k] - is_traded * mean_3) * late
            y = d1 * pairs[2, k] + (pairs[2, k] - is_traded * mean_5) * late
            a += x
            b += y
            aa += x * x
            bb += y * y
        a, b = -4.0 * a / bars, -4.0 * b / bars
        var_a = max(16.0 * aa / bars - a * a, 0.0)
        var_b = max(16.0 * bb / bars - b * b, 0.0)
        both = var_a + var_b
        squared = (var_b * a + var_a * b) / both if both > 0.0 else 0.5 * (a + b)
        out[t] = math.copysign(math.sqrt(abs(squared)), squared)


@kernel
def informed_flow(
    signed: Array, volume: Array, out: Array, buckets: int, bars: int, start: int, stop: int
) -> None:
    """Mean |bought - sold| / volume over equal slices of the volume of the last `bars` rows.

    Slices are counted from the first of these rows, so that the value depends on them only; slices
    that start at a fixed origin would depend on all rows since. 0 without volume.
    """
    if stop <= start:
        return
    oldest = start - bars + 1
    shares, volumes = np.zeros(stop - oldest), volume[oldest:stop]
    for u in range(len(shares)):
        if volumes[u] > 0.0:
            shares[u] = signed[oldest + u] / volumes[u]
    # Volume and net flow of the first k rows, and the last k that a slice reaches to; unsigned
    # numbers spare the test for places counted from the end.
    volume_of, net_of = np.zeros(bars + 1), np.zeros(bars + 1)
    last_in = np.empty(buckets + 1, dtype=np.uint64)
    for row in range(stop - start):
        total = net = 0.0
        for k in range(bars):
            total += volumes[row + k]
            net += signed[oldest + row + k]
            volume_of[k + 1] = total
            net_of[k + 1] = net
        if total <= 0.0:
            out[start + row] = 0.0
            continue
        size = total / buckets
        slices_per_share = 1.0 / size
        last_in[:] = 0
        for k in range(1, bars):
            last_in[np.uint64(np.int64(volume_of[k] * slices_per_share))] = k
        imbalance = before = 0.0
        rows_before = np.uint64(0)
        share_after = shares[row:]
        # The net flow up to a slice's end lies on the line through those of the rows around it.
        for place in range(buckets - 1):
            rows_before = max(rows_before, last_in[place])
            missing = (place + 1) * size - volume_of[rows_before]
            here = net_of[rows_before] + share_after[rows_before] * missing
            imbalance += abs(here - before)
            before = here
        imbalance += abs(net - before)
        out[start + row] = min(imbalance / total, 1.0)
