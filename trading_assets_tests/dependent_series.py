"""Series whose values depend on those before them, in a known way."""

import numpy as np


def autoregressive(phi: float, bars: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.01, bars)
    for t in range(1, bars):
        noise[t] += phi * noise[t - 1]
    return noise


def overlapping(rng: np.random.Generator, count: int, horizon: int) -> np.ndarray:
    """Return sums of `horizon` shocks to come, of variance 1, as labels over a horizon are."""
    shocks = rng.normal(size=count + horizon - 1)
    windows = np.lib.stride_tricks.sliding_window_view(shocks, horizon)
    return windows.sum(axis=-1) / np.sqrt(horizon)
