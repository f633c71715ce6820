"""Causal robust scaling: each value against the median and MAD of its own recent past."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trading_assets.features.windows import SCALE_MIN_BARS

Array = NDArray[np.float64]

CLIP = 5.0
# Makes the MAD of a normal variable its standard deviation.
_MAD_TO_SIGMA = 1.4826


def scale_rows(values: Array, rows: NDArray[np.int64], scale_bars: int) -> Array:
    """Return `values` at `rows`, scaled by the `scale_bars` values that end there.

    Parameters
    ----------
    values : float64 (T, F)
        Unscaled features of one symbol in time order, nan where unknown.
    rows : int64 (R,)
        Rows asked for.
    scale_bars : int
        Values of the rolling window, the row's own included.

    Returns
    -------
    float64 (R, F)
        (value - median) / (1.4826 MAD), clipped to +-5; nan with fewer than
        min(63, scale_bars) known values. Where more than half of the window is one value (MAD 0),
        that value becomes 0 and any other one +-5, the limit of the formula.
    """
    if not len(rows) or not values.shape[1]:
        return np.empty((len(rows), values.shape[1]))
    padding = np.full((values.shape[1], scale_bars - 1), np.nan)
    padded = np.concatenate((padding, values.T), axis=1)
    windows = sliding_window_view(padded, scale_bars, axis=1)[:, rows]  # (F, R, scale_bars)
    known = scale_bars - np.isnan(windows).sum(axis=-1)
    current = values.T[:, rows]
    median = _median_of_known(windows, known)
    windows -= median[..., None]
    deviation = _median_of_known(np.abs(windows, out=windows), known)
    tolerance = 1e-12 + 1e-9 * np.abs(median)
    is_flat = deviation <= tolerance
    distance = current - median
    scaled = distance / (_MAD_TO_SIGMA * np.where(is_flat, 1.0, deviation))
    limit = np.where(np.abs(distance) <= tolerance, 0.0, np.sign(distance) * CLIP)
    clipped = np.clip(np.where(is_flat, limit, scaled), -CLIP, CLIP)
    is_unknown = np.isnan(current) | (known < min(SCALE_MIN_BARS, scale_bars))
    return np.where(is_unknown, np.nan, clipped).T


def _median_of_known(windows: Array, known: NDArray[np.int64]) -> Array:
    # Sorting, in place, puts nan last: the known values of each window come first.
    windows.sort(axis=-1)
    lower = np.maximum(known - 1, 0) // 2
    upper = np.minimum(known // 2, windows.shape[-1] - 1)
    pair = np.take_along_axis(windows, np.stack((lower, upper), axis=-1), axis=-1)
    return 0.5 * (pair[..., 0] + pair[..., 1])
