"""Statistics of the last n values, each a function of exactly those n values.

Running sums would carry rounding from older bars into newer ones; every window is summed afresh, so
a value's bytes do not depend on where the history starts.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]


def last_windows(values: Array, length: int) -> Array:
    """Return the windows (T - length + 1, length) that end at each bar, oldest value first."""
    if len(values) < length:
        return np.empty((0, length))
    return sliding_window_view(values, length)


def align_right(values: Array, bars: int) -> Array:
    """Return `values` as the last of `bars` bars, nan before them."""
    aligned = np.full(bars, np.nan)
    if len(values):
        aligned[bars - len(values) :] = values
    return aligned


def rolling_sum(values: Array, length: int) -> Array:
    """Return the sum of the last `length` values (T,), nan before there are as many."""
    return align_right(last_windows(values, length).sum(axis=1), len(values))


def rolling_mean(values: Array, length: int) -> Array:
    """Return the mean of the last `length` values (T,), nan before there are as many."""
    return rolling_sum(values, length) / length


def rolling_max(values: Array, length: int) -> Array:
    """Return the largest of the last `length` values (T,), nan before there are as many."""
    return align_right(last_windows(values, length).max(axis=1, initial=-np.inf), len(values))


def rolling_moments(values: Array, length: int) -> tuple[Array, Array, Array]:
    """Return mean, standard deviation (ddof 0) and third central moment of the last values (T,)."""
    windows = last_windows(values, length)
    mean = windows.mean(axis=1) if len(windows) else np.empty(0)
    deviations = windows - mean[:, None]
    squares = deviations * deviations
    spread = np.sqrt(squares.mean(axis=1)) if len(windows) else np.empty(0)
    third = (squares * deviations).mean(axis=1) if len(windows) else np.empty(0)
    bars = len(values)
    return align_right(mean, bars), align_right(spread, bars), align_right(third, bars)


def rolling_weighted_sum(values: Array, weights: Array) -> Array:
    """Return sum of weights[k] * value k bars ago (T,), nan before there are enough values."""
    windows = last_windows(values, len(weights))
    # Multiplied and summed rather than a matrix product, whose rounding depends on the shape.
    return align_right((windows * weights[::-1]).sum(axis=1), len(values))


def wilder_average(values: Array, length: int) -> Array:
    """Return Wilder's average y_t = y_{t-1} + (x_t - y_{t-1}) / length (T,), from the first value.

    Recursive: after k bars the first value still weighs (1 - 1 / length)^k, so a lookback has to
    cover as many bars as make that negligible.
    """
    averages = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return averages
    start = int(known[0])
    level = float(values[start])
    for bar, value in enumerate(values[start:].tolist(), start):
        level += (value - level) / length
        averages[bar] = level
    return averages


def z_score(values: Array, length: int) -> Array:
    """Return (value - mean) / sd within the last `length` values (T,); 0 where they are equal."""
    mean, spread, _ = rolling_moments(values, length)
    is_flat = spread <= 1e-12 * np.maximum(1.0, np.abs(mean))
    scores = (values - mean) / np.where(is_flat, 1.0, spread)
    return np.where(is_flat & ~np.isnan(mean), 0.0, scores)
