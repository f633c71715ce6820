"""Which trials are one trial tried again: clusters of alike return series.

A hundred configurations that do nearly the same are not a hundred chances to be lucky. Alike is
what correlates: distance `sqrt((1 - rho) / 2)` over the sessions that two trials share, average
linkage, clusters cut at distance 0.5, where rho is 0.5.

The cut is fixed. Groups of 5 to 100 trials were drawn, rho 0.5, 0.7 or 0.9 within a group and 0 or
0.3 between groups, 250 and 1,000 sessions:

- Cut at rho 0.5, groups of rho 0.7 and 0.9 are found as drawn (5 of 5, 10 of 10, 50 of 50; 20 of 20
  unrelated trials). Groups whose rho is 0.5 itself fall apart: 10 to 12 clusters for 5 groups of 20
  trials. Of 60 sessions 16 to 17 clusters are left of 20 trials with rho 0.3.
- Cut at rho 0.4, 17 of 20 unrelated trials are left at 250 sessions (rho 0.3), 11 at 60.
- The number of clusters with the best silhouette (mean over deviation) is right for groups, but
  finds 4 to 6 clusters in 20 unrelated trials and 2 to 5 in a single group.

Too few clusters flatter what was chosen, too many only ask more of it, so the cut errs toward more.
Correlations are of returns as they are: books that hold the same market are alike.

Source: Lopez de Prado and Lewis, Detection of False Investment Strategies Using Unsupervised
Learning Methods, Quantitative Finance 19(9), 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.metrics import Series, sharpe_per_bar
from trading_assets.backtest.trials import TrialSeries

CUT_DISTANCE = 0.5
# Fewer common sessions do not say whether two trials are alike.
LEAST_SHARED_SESSIONS = 60
# Squared relative spread below which returns are equal but for rounding.
_ROUNDING = 1e-24


@dataclass(frozen=True, eq=False, slots=True)
class TrialClusters:
    """What many trials come to once alike ones count as one.

    Attributes
    ----------
    labels : int64 (N,)
        Cluster of each trial, from 0 in the order of first members.
    sharpes : float64 (C,)
        Sharpe ratio of one session of each cluster that has returns: of the mean of its members'.
    sessions : int64 (C,)
        Sessions behind each of them.
    """

    labels: NDArray[np.int64]
    sharpes: Series
    sessions: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of clusters; a trial without returns is one of its own."""
        return len(set(self.labels.tolist()))

    @property
    def excess_variance(self) -> float | None:
        """Variance of the clusters' ratios beyond what chance shows; None of fewer than two.

        Worthless trials of T sessions differ by a variance of `1 / (T - 1)` alone. Trials of other
        lengths, such as those of a search on validation days, would count their own chance as a
        difference; so it is taken off, and that of the length that is judged put in its place.
        """
        if len(self.sharpes) < 2:
            return None
        chance = float(np.mean(1.0 / (self.sessions - 1.0)))
        return max(0.0, float(self.sharpes.var(ddof=1)) - chance)


def cluster_trials(trials: Sequence[TrialSeries]) -> TrialClusters:
    """Return which trials are alike, and what each cluster earned for its risk.

    The same trials in the same order give the same clusters. Trials that share fewer than 60
    sessions, or one of which does not vary on them, are taken as uncorrelated. A cluster that never
    traded has Sharpe ratio 0, as cash has.

    Parameters
    ----------
    trials : sequence of TrialSeries
        All that were counted.
    """
    known = [place for place, trial in enumerate(trials) if len(trial.sessions) > 1]
    laid = _lay([trials[place] for place in known])
    found = _link(correlate_shared(laid))
    # Trials without returns come after all clusters, each alone.
    raw = np.arange(len(trials), dtype=np.int64) + len(trials)
    raw[known] = found
    seen: dict[int, int] = {}
    labels = np.array([seen.setdefault(int(own), len(seen)) for own in raw], dtype=np.int64)
    series = [_mean_of(laid[found == number]) for number in dict.fromkeys(found.tolist())]
    ratios = np.array([sharpe_per_bar(own) for own in series], dtype=np.float64)
    return TrialClusters(
        labels=labels,
        sharpes=np.where(np.isnan(ratios), 0.0, ratios),
        sessions=np.array([len(own) for own in series], dtype=np.int64),
    )


def correlate_shared(laid: Series) -> Series:
    """Return correlations (N, N) of rows (N, T) over the columns that two rows share.

    Parameters
    ----------
    laid : float64 (N, T)
        Returns, nan where a trial has none. Pairs with fewer than 60 common columns, and rows that
        do not vary on them, have correlation 0; a row with itself has 1.
    """
    is_known = (~np.isnan(laid)).astype(np.float64)
    shared = is_known @ is_known.T
    # Centred once, so that sums of squares keep their digits.
    means = np.nansum(laid, axis=1) / np.maximum(is_known.sum(axis=1), 1.0)
    values = np.where(np.isnan(laid), 0.0, laid - means[:, None])
    count = np.where(shared >= LEAST_SHARED_SESSIONS, shared, np.nan)
    total, squares = values @ is_known.T, (values * values) @ is_known.T
    spread = squares - total * total / count
    size = np.abs(np.nan_to_num(laid)).max(axis=1, initial=0.0)[:, None]
    varies = spread > _ROUNDING * count * size**2
    root = np.sqrt(np.where(varies, spread, np.nan))
    product = values @ values.T - total * total.T / count
    found = np.clip(np.nan_to_num(product / (root * root.T)), -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return found


def _lay(trials: Sequence[TrialSeries]) -> Series:
    """Return the returns of trials, a row each, by session, nan where there is none."""
    every = np.unique(
        np.concatenate([np.empty(0, "datetime64[D]"), *(own.sessions for own in trials)])
    )
    laid = np.full((len(trials), len(every)), np.nan)
    for row, own in zip(laid, trials, strict=True):
        row[np.searchsorted(every, own.sessions)] = own.returns
    return laid


def _link(correlations: Series) -> NDArray[np.int64]:
    if len(correlations) < 2:
        return np.zeros(len(correlations), dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage

    upper = np.triu_indices(len(correlations), 1)
    # Rounded, so that trials at one distance are at one distance on every processor.
    distance = np.round(np.sqrt((1.0 - correlations[upper]) / 2.0), 12)
    tree = linkage(distance, method="average")
    return np.asarray(fcluster(tree, t=CUT_DISTANCE, criterion="distance"), dtype=np.int64)


def _mean_of(members: Series) -> Series:
    """Return the mean over members (M, T) on the sessions that any of them has."""
    is_known = ~np.isnan(members)
    has_any = is_known.any(axis=0)
    return np.where(is_known, members, 0.0).sum(axis=0)[has_any] / is_known.sum(axis=0)[has_any]
