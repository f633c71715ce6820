"""What several seeds of an agent prove: the middle of their scores, and who improves on whom.

Source: Agarwal et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice,
NeurIPS 2021. Seeds are the runs and folds the tasks, so resamples draw seeds fold by fold.
"""

import numpy as np
from numpy.typing import NDArray

from trading_assets.bootstrap import Interval, percentile_interval
from trading_assets.errors import DataError

Scores = NDArray[np.float64]

SAMPLES = 2_000


def interquartile_mean(scores: Scores) -> float:
    """Return the mean of the middle half of all scores.

    A quarter is cut at each end; of a score that a cut goes through, the part inside counts.

    Parameters
    ----------
    scores : float64 (seeds, folds)
        One score a seed and fold.

    Raises
    ------
    DataError
        If there are no scores, or one is nan or infinite.
    """
    _require_scores(scores)
    return float(_middle_means(scores.reshape(1, -1))[0])


def interquartile_interval(
    scores: Scores, rng: np.random.Generator, confidence: float = 0.95
) -> Interval:
    """Return the interval of the interquartile mean by the stratified bootstrap.

    Parameters
    ----------
    scores : float64 (seeds, folds)
        One score a seed and fold; seeds are drawn with replacement in each fold by itself.
    rng : Generator
        Source of the draws.
    confidence : float
        Coverage.

    Raises
    ------
    DataError
        If there are no scores, or one is nan or infinite.
    """
    _require_scores(scores)
    seeds, folds = scores.shape
    drawn = rng.integers(seeds, size=(SAMPLES, seeds, folds))
    means = _middle_means(scores[drawn, np.arange(folds)].reshape(SAMPLES, -1))
    return percentile_interval(means, confidence)


def probability_of_improvement(first: Scores, second: Scores) -> float:
    """Return how likely a seed of the first beats a seed of the second in a fold drawn at random.

    `mean over folds of P(first > second) + P(first = second) / 2`.

    Parameters
    ----------
    first, second : float64 (seeds, folds)
        Scores; the numbers of seeds may differ.

    Raises
    ------
    DataError
        If there are no scores, one is nan or infinite, or the numbers of folds differ.
    """
    _require_pair(first, second)
    return float(_improvements(first, second))


def improvement_interval(
    first: Scores, second: Scores, rng: np.random.Generator, confidence: float = 0.95
) -> Interval:
    """Return the interval of the probability of improvement by the stratified bootstrap.

    Parameters
    ----------
    first, second : float64 (seeds, folds)
        Scores; the numbers of seeds may differ.
    rng : Generator
        Source of the draws.
    confidence : float
        Coverage.

    Raises
    ------
    DataError
        As `probability_of_improvement`.
    """
    _require_pair(first, second)
    found = np.empty(SAMPLES)
    for sample in range(SAMPLES):
        pair = [
            each[rng.integers(len(each), size=each.shape), _columns(each)]
            for each in (first, second)
        ]
        found[sample] = _improvements(*pair)
    return percentile_interval(found, confidence)


def _middle_means(scores: Scores) -> Scores:
    """Return the mean of the middle half of each row (samples, n)."""
    ordered = np.sort(scores, axis=1)
    count = ordered.shape[1]
    edges = np.arange(count + 1, dtype=np.float64)
    # How much of each score's place lies between the quarters.
    inside = np.clip(edges[1:], count / 4.0, 0.75 * count) - np.clip(
        edges[:-1], count / 4.0, 0.75 * count
    )
    return ordered @ inside / inside.sum()


def _improvements(first: Scores, second: Scores) -> float:
    difference = np.sign(first[:, None, :] - second[None, :, :])
    return float((0.5 + 0.5 * difference).mean())


def _columns(scores: Scores) -> NDArray[np.int64]:
    return np.arange(scores.shape[1])


def _require_scores(scores: Scores) -> None:
    if scores.ndim != 2 or not scores.size:
        msg = f"scores had shape {scores.shape}; expected at least one seed and one fold"
        raise DataError(msg)
    broken = int((~np.isfinite(scores)).sum())
    if broken:
        msg = f"{broken} of {scores.size} scores are not finite; expected none: train those again"
        raise DataError(msg)


def _require_pair(first: Scores, second: Scores) -> None:
    for scores in (first, second):
        _require_scores(scores)
    if first.shape[1] != second.shape[1]:
        counts = f"{first.shape[1]} and of {second.shape[1]}"
        msg = f"scores are of {counts} folds; expected the same folds"
        raise DataError(msg)
