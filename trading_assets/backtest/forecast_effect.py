"""What forecasts add to an agent: two arms, paired by session and seed, and how sure that is.

Each resample draws blocks of sessions by the stationary bootstrap of `bootstrap`, and seeds with
replacement, the same for both arms: what moves both cancels, and a lucky seed is no evidence. Of S
seeds S - 1 are drawn, so that the variance of their mean is that of S. Chance in single sessions of
single seeds counts twice, which makes intervals rather too wide than too narrow.

Sources: Rao and Wu, Resampling Inference With Complex Survey Data, JASA 83 (1988); Owen, The
Pigeonhole Bootstrap, Annals of Applied Statistics 1 (2007).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.figures import Judgement
from trading_assets.backtest.fold_ablation import ARMS, WITH, WITHOUT, FoldAblation
from trading_assets.backtest.metrics import BARS_PER_YEAR, Series
from trading_assets.bootstrap import (
    basic_interval,
    optimal_block_bars,
    resampled_positions,
    two_sided_p,
)

Standing = Literal["adds", "takes_away", "no_difference", "unknown"]


@dataclass(frozen=True, slots=True)
class SeedMeans:
    """A figure's mean over seeds in both arms, and their paired difference.

    Attributes
    ----------
    with_forecasts, without_forecasts : float
        Mean over seeds.
    difference : float
        The first less the second.
    low, high : float
        Basic interval of the difference; it excludes 0 exactly where `p_value` is below what it
        leaves out.
    p_value : float
        Two-sided: probability of a difference at least this far from 0 if there were none.
    """

    with_forecasts: float
    without_forecasts: float
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class PairedArms:
    """Net returns of both arms of an agent over the folds that have them, chained.

    Attributes
    ----------
    agent : str
        Name of the agent.
    seeds : tuple of int
        Seeds that both arms have in each fold.
    sessions : datetime64[D] (T,)
        Sessions, ascending.
    folds : str (T,)
        Key of each session's fold.
    returns : mapping of str to float64 (S, T)
        Net returns by arm, a row a seed.
    steps : tuple of int
        Environment steps that trainings took, each number once, ascending.
    """

    agent: str
    seeds: tuple[int, ...]
    sessions: NDArray[np.datetime64]
    folds: NDArray[np.str_]
    returns: Mapping[str, Series]
    steps: tuple[int, ...]

    @cached_property
    def differences(self) -> Series:
        """Net return with forecasts less that without, float64 (S, T)."""
        return self.returns[WITH] - self.returns[WITHOUT]

    @property
    def fold_keys(self) -> list[str]:
        """Keys of the folds, ascending."""
        return sorted(set(self.folds.tolist()))


@dataclass(frozen=True, slots=True)
class ForecastEffect:
    """What forecasts add to one agent.

    Attributes
    ----------
    arms : PairedArms
        What it is measured on.
    mean_return : SeedMeans
        Of the mean net return of a session, fraction; its interval decides the standing.
    sharpe_annual : SeedMeans
        Of the annual Sharpe ratio; a book that never trades counts as 0, as cash does.
    share_of_seeds_better : float
        Share of seeds whose mean net return is higher with forecasts.
    block_bars : float
        Mean block of the bootstrap, sessions.
    """

    arms: PairedArms
    mean_return: SeedMeans
    sharpe_annual: SeedMeans
    share_of_seeds_better: float
    block_bars: float

    @property
    def standing(self) -> Standing:
        """`adds` or `takes_away` where the interval excludes 0."""
        if math.isnan(self.mean_return.difference):
            return "unknown"
        if self.mean_return.low > 0.0:
            return "adds"
        return "takes_away" if self.mean_return.high < 0.0 else "no_difference"


def pair_arms(agent: str, ablations: Mapping[str, FoldAblation]) -> PairedArms:
    """Chain both arms of an agent over its folds.

    Parameters
    ----------
    agent : str
        Name of the agent.
    ablations : mapping of str to FoldAblation
        By fold; none gives arms without sessions.
    """
    keys = sorted(ablations)
    sets = [set(ablations[key].steps[arm]) for key in keys for arm in ARMS]
    seeds = tuple(sorted(set.intersection(*sets))) if sets else ()
    days: list[NDArray[np.datetime64]] = [np.empty(0, "datetime64[D]")]
    folds: list[NDArray[np.str_]] = [np.empty(0, np.str_)]
    parts: dict[str, list[Series]] = {arm: [np.empty((len(seeds), 0))] for arm in ARMS}
    for key in keys:
        table = ablations[key].table.filter(pl.col("seed").is_in(seeds))
        sessions = table["session"].unique().sort()
        days.append(sessions.to_numpy().astype("datetime64[D]"))
        folds.append(np.full(len(sessions), key))
        for arm in ARMS:
            rows = table.filter(pl.col("arm") == arm).sort("seed", "session")
            parts[arm].append(rows["net_return"].to_numpy().reshape(len(seeds), len(sessions)))
    counts = {n for key in keys for own in ablations[key].steps.values() for n in own.values()}
    return PairedArms(
        agent,
        seeds,
        np.concatenate(days),
        np.concatenate(folds),
        {arm: np.concatenate(parts[arm], axis=1) for arm in ARMS},
        tuple(sorted(counts)),
    )


def measure_effect(arms: PairedArms, judgement: Judgement) -> ForecastEffect:
    """Return what forecasts add to an agent; `nan` where there is nothing to compare.

    Parameters
    ----------
    arms : PairedArms
        Both arms.
    judgement : Judgement
        Samples, confidence and seed of the bootstrap.
    """
    n_seeds, bars = arms.differences.shape
    if n_seeds == 0 or bars < 2:
        none = SeedMeans(*[math.nan] * 6)
        return ForecastEffect(arms, none, none, math.nan, math.nan)
    block_bars = max(optimal_block_bars(series) for series in arms.differences)
    rng = np.random.default_rng(judgement.seed)
    positions = resampled_positions(bars, block_bars, judgement.samples, rng)
    drawn = rng.integers(0, n_seeds, (judgement.samples, max(n_seeds - 1, 1)))
    draws = _Draws(positions, drawn, judgement.confidence)
    return ForecastEffect(
        arms=arms,
        mean_return=_compare(arms, _means, draws),
        sharpe_annual=_compare(arms, sharpe_ratios, draws),
        share_of_seeds_better=float((arms.differences.mean(axis=1) > 0.0).mean()),
        block_bars=block_bars,
    )


def sharpe_ratios(returns: Series) -> Series:
    """Return annual Sharpe ratios, float64 (K,), of rows of net returns, float64 (K, T).

    A row of zeros is cash and has ratio 0; any other row without variance has none.
    """
    means, deviations = returns.mean(axis=1), returns.std(axis=1, ddof=1)
    # Equal returns leave a rounding residue of a variance, not a variance.
    varies = deviations > 1e-14 * np.abs(returns).max(axis=1)
    undefined = np.where(returns.any(axis=1), np.nan, 0.0)
    ratios = np.divide(means, deviations, out=undefined, where=varies)
    return math.sqrt(BARS_PER_YEAR) * ratios


@dataclass(frozen=True, slots=True)
class _Draws:
    """Positions (samples, T) of sessions and (samples, S - 1) of seeds, at least one."""

    sessions: NDArray[np.intp]
    seeds: NDArray[np.int64]
    confidence: float


def _compare(arms: PairedArms, figure: Callable[[Series], Series], draws: _Draws) -> SeedMeans:
    with_forecasts, without_forecasts = (float(figure(arms.returns[arm]).mean()) for arm in ARMS)
    observed = with_forecasts - without_forecasts
    by_seed = np.stack(
        [
            figure(own[draws.sessions]) - figure(other[draws.sessions])
            for own, other in zip(arms.returns[WITH], arms.returns[WITHOUT], strict=True)
        ],
        axis=1,
    )
    resampled = np.take_along_axis(by_seed, draws.seeds, axis=1).mean(axis=1)
    # A resample of a book that seldom trades can repeat one value: its ratio is undefined.
    defined = resampled[~np.isnan(resampled)]
    if math.isnan(observed) or not len(defined):
        return SeedMeans(with_forecasts, without_forecasts, *[math.nan] * 4)
    interval = basic_interval(defined, observed, draws.confidence)
    return SeedMeans(
        with_forecasts,
        without_forecasts,
        observed,
        interval.low,
        interval.high,
        two_sided_p(defined, observed),
    )


def _means(returns: Series) -> Series:
    return returns.mean(axis=1)
