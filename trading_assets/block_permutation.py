"""Importance by permutation in blocks: what is lost when an input is shown at another time.

Blocks keep what lies within a month or so: neighbouring bars that say the same are not torn apart,
which would cost even where an input is worth nothing.
Sources: Breiman, Random Forests, Machine Learning 45 (2001); Fisher, Rudin and Dominici, All Models
Are Wrong, but Many Are Useful, JMLR 20 (2019).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.bootstrap import (
    optimal_block_bars,
    percentile_interval,
    resampled_positions,
)
from trading_assets.errors import DataError

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

BLOCK_BARS = 20
REPETITIONS = 5
_SAMPLES = 1_000
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Importance:
    """What is lost without an input.

    Attributes
    ----------
    mean : float
        Mean over bars and repetitions, in the unit of the loss.
    error : float
        Standard error of the mean.
    low, high : float
        95 % interval of the mean.
    repetitions : int
        Permutations tried.
    """

    mean: float
    error: float
    low: float
    high: float
    repetitions: int


def shuffle_blocks(n_bars: int, repetition: int, block_bars: int = BLOCK_BARS) -> Index:
    """Return for each bar which bar's value takes its place, int64 (n_bars,).

    The window is cut into blocks of at least `block_bars` from a random bar on, the last block
    going on at the window's start, and no block keeps its place. A repetition is the same for every
    input, so that inputs differ by what they say alone.

    Raises
    ------
    DataError
        If the window has no two blocks.
    """
    n_blocks = n_bars // block_bars
    if n_blocks < 2:
        msg = (
            f"a window of {n_bars} bars was to be permuted in blocks of {block_bars}; expected at"
            f" least {2 * block_bars} bars: test a longer window"
        )
        raise DataError(msg)
    rng = np.random.default_rng([n_bars, block_bars, repetition])
    places = np.roll(np.arange(n_bars), -int(rng.integers(n_bars)))
    blocks = np.array_split(places, n_blocks)
    order = rng.permutation(n_blocks)
    while (order == np.arange(n_blocks)).any():
        order = rng.permutation(n_blocks)
    source = np.empty(n_bars, dtype=np.int64)
    source[places] = np.concatenate([blocks[block] for block in order])
    return source


def can_be_shuffled(n_bars: int, block_bars: int = BLOCK_BARS) -> bool:
    """Return whether a window has two blocks."""
    return n_bars >= 2 * block_bars


def measure_importance(losses: Floats) -> Importance:
    """Return the mean loss with its interval, by the stationary bootstrap over bars.

    Repetitions are drawn with replacement besides, one fewer than there are, so that the variance
    of their mean is that of all of them.

    Parameters
    ----------
    losses : float64 (R, T)
        How much worse each bar is under each permutation.
    """
    repetitions, bars = losses.shape
    rng = np.random.default_rng(0)
    block_bars = optimal_block_bars(losses.mean(axis=0))
    positions = resampled_positions(bars, block_bars, _SAMPLES, rng)
    drawn = rng.integers(0, repetitions, (_SAMPLES, max(repetitions - 1, 1)))
    means = np.array([losses[own][:, at].mean() for own, at in zip(drawn, positions, strict=True)])
    interval = percentile_interval(means, _CONFIDENCE)
    return Importance(
        mean=float(losses.mean()),
        error=float(means.std()),
        low=interval.low,
        high=interval.high,
        repetitions=repetitions,
    )
