"""How far the seeds of an agent are above a baseline, fold by fold.

The score of a seed in a fold is its annual Sharpe ratio there less that of the strongest naive
baseline there: the one that is strongest over all folds, which could have been held. Choosing
another one in each fold, after the fold, could not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trading_assets.backtest.forecast_effect import sharpe_ratios
from trading_assets.backtest.metrics import Series
from trading_assets.backtest.seed_scores import (
    improvement_interval,
    interquartile_interval,
    interquartile_mean,
    probability_of_improvement,
)
from trading_assets.backtest.track_record import TrackRecord
from trading_assets.bootstrap import Interval


@dataclass(frozen=True, slots=True)
class Improvement:
    """How likely a seed beats a baseline in a fold drawn at random, over the folds of both.

    Attributes
    ----------
    probability, low, high : float
        Probability, and its interval by the stratified bootstrap; nan without a fold.
    folds : tuple of str
        Folds that all seeds and the baseline have.
    """

    probability: float
    low: float
    high: float
    folds: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class SeedAdvantage:
    """How far the seeds of one agent are above the strongest baseline.

    Attributes
    ----------
    seeds : int
        Number of seeds.
    distinct : int
        Seeds of which no two have the same returns to the bit; equal ones are one training.
    benchmark : str
        Strongest naive baseline.
    folds : tuple of str
        Folds that all seeds and the benchmark have.
    missing_folds : tuple of str
        Expected folds that one of them lacks, which no figure covers.
    scores : float64 (seeds, folds)
        Annual Sharpe ratio of a seed in a fold less that of the benchmark.
    interquartile_mean, low, high : float
        Mean of the middle half of the scores, and its interval; nan without a fold.
    improvements : mapping of str to Improvement
        By baseline.
    """

    seeds: int
    distinct: int
    benchmark: str
    folds: tuple[str, ...]
    missing_folds: tuple[str, ...]
    scores: Series
    interquartile_mean: float
    low: float
    high: float
    improvements: Mapping[str, Improvement]


def measure_advantage(
    seeds: Sequence[TrackRecord],
    baselines: Mapping[str, TrackRecord],
    benchmark: str,
    folds: Sequence[str],
    confidence: float,
    seed: int,
) -> SeedAdvantage:
    """Return how far an agent's seeds are above the naive baselines.

    A series of zeros is cash and has ratio 0. A fold in which any seed has no returns, or no ratio,
    is left out for all.

    Parameters
    ----------
    seeds : sequence of TrackRecord
        Of each seed.
    baselines : mapping of str to TrackRecord
        Of each naive baseline.
    benchmark : str
        Strongest of them.
    folds : sequence of str
        Keys of the folds that should exist.
    confidence : float
        Coverage of intervals.
    seed : int
        Of the resampling.
    """
    own = {key: _ratios(seeds, key) for key in folds}
    held = {name: {key: _ratios([r], key) for key in folds} for name, r in baselines.items()}
    shared = _shared(own, held[benchmark])
    scores = _table(own, shared) - _table(held[benchmark], shared)
    middle, interval = math.nan, Interval(math.nan, math.nan)
    if scores.size:
        middle = interquartile_mean(scores)
        interval = interquartile_interval(scores, np.random.default_rng([seed, 0]), confidence)
    return SeedAdvantage(
        seeds=len(seeds),
        distinct=len({record.returns.tobytes() for record in seeds}),
        benchmark=benchmark,
        folds=shared,
        missing_folds=tuple(sorted(set(folds) - set(shared))),
        scores=scores,
        interquartile_mean=middle,
        low=interval.low,
        high=interval.high,
        improvements={
            name: _improvement(own, ratios, confidence, seed) for name, ratios in held.items()
        },
    )


def _improvement(
    own: Mapping[str, Series], held: Mapping[str, Series], confidence: float, seed: int
) -> Improvement:
    shared = _shared(own, held)
    first, second = _table(own, shared), _table(held, shared)
    if not first.size:
        return Improvement(math.nan, math.nan, math.nan, shared)
    interval = improvement_interval(first, second, np.random.default_rng([seed, 1]), confidence)
    probability = probability_of_improvement(first, second)
    return Improvement(probability, interval.low, interval.high, shared)


def _ratios(records: Sequence[TrackRecord], key: str) -> Series:
    """Return the annual ratio of each record in a fold, nan where it has none."""
    parts = [record.of_fold(key) for record in records]
    return np.array(
        [sharpe_ratios(part[None])[0] if len(part) > 1 else math.nan for part in parts],
        dtype=np.float64,
    )


def _shared(first: Mapping[str, Series], second: Mapping[str, Series]) -> tuple[str, ...]:
    return tuple(
        key
        for key in sorted(first)
        if bool(np.isfinite(first[key]).all()) and bool(np.isfinite(second[key]).all())
    )


def _table(ratios: Mapping[str, Series], folds: Sequence[str]) -> Series:
    """Return ratios as (records, folds)."""
    return np.stack([ratios[key] for key in folds], axis=1) if folds else np.empty((0, 0))
