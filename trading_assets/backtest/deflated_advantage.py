"""Whether an advantage over the benchmark is more than the best of many trials shows by luck.

Long-only books of one universe all hold the same market. Their returns are one cluster, of which
nothing is deducted, and what was chosen among is only how they depart from the market. So trials
are clustered, and the ratio is deflated, once more: by returns less those of the benchmark.

Before that the trial is brought to the volatility of the benchmark, since it is Sharpe ratios that
the verdict compares: `r sd(b) / sd(r) - b`. Its mean is above 0 exactly where the ratio of r is
above that of b, and borrowing neither makes an advantage nor takes one away. Less cash is `r`.

Of 50 worthless books of one market, four years each, the best by its ratio was held against the
strongest of ten baselines in 100 drawn worlds; `trading_assets_tests/backtest/shared_markets.py`
draws them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from trading_assets.backtest.figures import Judgement
from trading_assets.backtest.metrics import sharpe_per_bar
from trading_assets.backtest.statistics import describe_sharpe
from trading_assets.backtest.trial_clusters import TrialClusters, cluster_trials
from trading_assets.backtest.trials import TrialSeries

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Deflation:
    """What was taken off two ratios because of how much was tried.

    Attributes
    ----------
    trials : int
        Configurations counted.
    clusters, advantage_clusters : int
        Of alike ones: by their returns, and by their advantages over the benchmark.
    deflated_sharpe : float
        Probability that the true Sharpe ratio exceeds what the best of `clusters` shows by luck.
    deflated_advantage : float
        The same of the advantage over the benchmark and `advantage_clusters`; nan where there is
        no common session, or nothing varies.
    """

    trials: int
    clusters: int
    advantage_clusters: int
    deflated_sharpe: float
    deflated_advantage: float


def advantage_over(trial: TrialSeries, benchmark: TrialSeries) -> TrialSeries:
    """Return a trial's returns at the benchmark's volatility, less the benchmark's.

    Parameters
    ----------
    trial, benchmark : TrialSeries
        Net returns; those of the sessions that both have count. One that does not vary is as it is.

    Returns
    -------
    TrialSeries
        Over the common sessions; without sessions where there is none.
    """
    sessions, own, held = np.intersect1d(
        trial.sessions, benchmark.sessions, assume_unique=True, return_indices=True
    )
    mine, other = trial.returns[own], benchmark.returns[held]
    scale = 1.0
    if len(sessions) > 1 and not np.isnan([sharpe_per_bar(mine), sharpe_per_bar(other)]).any():
        scale = float(other.std(ddof=1) / mine.std(ddof=1))
    excess = scale * mine - other
    # What is left of a copy is rounding, not a departure.
    is_rounding = np.abs(excess) <= _ROUNDING * np.abs(other).max(initial=0.0)
    return TrialSeries(trial.label, sessions, np.where(is_rounding, 0.0, excess))


def cluster_advantages(trials: Sequence[TrialSeries], benchmark: TrialSeries) -> TrialClusters:
    """Return which trials have alike advantages over the benchmark, and how large these are.

    A trial without a session of the benchmark, such as one of a search on validation days, is a
    cluster of its own, as one without returns is.

    Parameters
    ----------
    trials : sequence of TrialSeries
        All that were counted.
    benchmark : TrialSeries
        The strongest naive baseline.
    """
    return cluster_trials([advantage_over(trial, benchmark) for trial in trials])


def deflate_advantage(
    own: TrialSeries, benchmark: TrialSeries, clusters: TrialClusters, judgement: Judgement
) -> float:
    """Return the probability that an advantage exceeds what the best of all trials shows by luck.

    The deflated Sharpe ratio of `advantage_over`, N the clusters of advantages, V their spread.

    Parameters
    ----------
    own : TrialSeries
        Net returns of the portfolio that is judged.
    benchmark : TrialSeries
        Of the strongest naive baseline.
    clusters : TrialClusters
        Of the trials' advantages over it.
    judgement : Judgement
        Number of trials.
    """
    counted = replace(
        judgement, trial_variance=clusters.excess_variance, clusters=max(1, clusters.count)
    )
    return counted.deflate(describe_sharpe(advantage_over(own, benchmark).returns))
