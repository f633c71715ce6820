"""Whether one set of forecasts has a lower loss than another, by more than chance.

Labels of near sessions overlap and symbols of a session move together, so sessions are resampled in
blocks. A session counts once, however many rows it has.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.bootstrap import (
    basic_interval,
    one_sided_p,
    optimal_block_bars,
    resampled_positions,
)
from trading_assets.errors import DataError

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Blocks of so many horizons hold most of the overlap: each loses what lies across its ends.
_HORIZONS_A_BLOCK = 3
_LEAST_SESSIONS = 10
_NORMAL_95 = 1.6448536269514722


@dataclass(frozen=True, slots=True)
class Resampling:
    """How sessions are resampled.

    Attributes
    ----------
    horizon_bars : int
        Bars that a label looks ahead; blocks are three times as long at least.
    seed : int
        Seed of the draws.
    samples : int
        Number of resamples.
    confidence : float
        Coverage of intervals.
    """

    horizon_bars: int
    seed: int
    samples: int = 2_000
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class LossRows:
    """Losses of forecasts.

    Attributes
    ----------
    loss : float64 (n,)
        Of each row, nats; where two sets hold different rows, minus the prior's loss of the row.
    session : int64 (n,)
        Session of each row, any numbers that rise with time.
    """

    loss: Array
    session: Index


@dataclass(frozen=True, slots=True)
class LossDifference:
    """How much lower the first loss is than the second.

    Attributes
    ----------
    difference : float
        Mean loss of the second minus that of the first, nats; above 0 the first is better.
    low, high : float
        Basic interval of the difference, of one kind with the p-value.
    p_value : float
        One-sided: probability of an advantage of the first at least this large if there were none.
        Interval and p-value are nan of fewer than 10 sessions, or fewer than three horizons.
    sessions : int
        Sessions that count; of two sets, those of the one that has fewer.
    """

    difference: float
    low: float
    high: float
    p_value: float
    sessions: int


def compare_losses(
    first: Array, second: Array, session: Index, resampling: Resampling
) -> LossDifference:
    """Return how much lower the first model's losses are on the same rows.

    The mean over sessions of the session's mean difference, by the stationary bootstrap, with
    resampled distances widened: see `_widening`. Of noise whose labels overlap over 5 bars, 4 to
    7 % then fall below p = 5 % (30 to 1,000 sessions, 2,500 series each), and 7 to 12 % without.

    Parameters
    ----------
    first, second : float64 (n,)
        Losses of two models, row by row, nats.
    session : int64 (n,)
        Session of each row, any numbers that rise with time.
    resampling : Resampling
        Horizon, seed, samples and confidence.

    Raises
    ------
    DataError
        If there are no rows, or a loss is nan or infinite.
    """
    _, advantage = _by_session(LossRows(second - first, session))
    return _resample([advantage], [1.0], resampling)


def compare_sets(first: LossRows, second: LossRows, resampling: Resampling) -> LossDifference:
    """Return how much lower the losses of the first set of rows are than those of the second.

    The sets may hold different rows and sessions, such as cross-fitted forecasts and forecasts of
    later rows. All sessions are resampled together, so that what moves both sets cancels; see
    `compare_losses` for the rest.

    Parameters
    ----------
    first, second : LossRows
        Losses minus the prior's of the same row, since another time may be harder for everyone.
    resampling : Resampling
        Horizon, seed, samples and confidence.

    Raises
    ------
    DataError
        If a set has no rows, or a loss is nan or infinite.
    """
    sets = [_by_session(second), _by_session(first)]
    every = np.unique(np.concatenate([days for days, _ in sets]))
    laid = np.full((2, len(every)), np.nan)
    for series, (days, means) in zip(laid, sets, strict=True):
        series[np.searchsorted(every, days)] = means
    return _resample(list(laid), [1.0, -1.0], resampling)


def _by_session(rows: LossRows) -> tuple[Index, Array]:
    broken = int((~np.isfinite(rows.loss)).sum())
    if broken or not len(rows.loss):
        msg = (
            f"{broken} of {len(rows.loss)} losses were nan or infinite; expected some rows, all"
            f" with finite losses: look for rows without a label, or forecast again"
        )
        raise DataError(msg)
    days, place = np.unique(rows.session, return_inverse=True)
    return days, np.bincount(place, weights=rows.loss) / np.bincount(place)


def _resample(laid: list[Array], signs: list[float], resampling: Resampling) -> LossDifference:
    """Return the signed sum of the means of series (T,) of the same sessions, nan where unknown."""
    known = [series[~np.isnan(series)] for series in laid]
    sessions = min(len(series) for series in known)
    means = [float(series.mean()) for series in known]
    observed = float(np.dot(signs, means))
    horizon = resampling.horizon_bars
    if sessions < max(_LEAST_SESSIONS, 3 * horizon):
        return LossDifference(observed, math.nan, math.nan, math.nan, sessions)
    asked = max(*(optimal_block_bars(series) for series in known), _HORIZONS_A_BLOCK * horizon)
    block = min(asked, sessions / 3)
    positions = resampled_positions(
        len(laid[0]), block, resampling.samples, np.random.default_rng(resampling.seed)
    )
    distance = np.zeros(resampling.samples)
    for sign, series, own, mean in zip(signs, laid, known, means, strict=True):
        distance += sign * _widening(len(own), block) * (_means(series, positions) - mean)
    resampled = observed + distance
    interval = basic_interval(resampled, observed, resampling.confidence)
    p_value = one_sided_p(resampled, observed)
    return LossDifference(observed, interval.low, interval.high, p_value, sessions)


def _widening(sessions: int, block: float) -> float:
    """Return by how much resampled means lie too near to the mean of T sessions.

    Their variance is too small by `1 - (2 b - 1) / T`, b the mean block, since the mean that they
    vary around is fitted to the same sessions; the first factor undoes this. And it is an estimate
    with about T / b degrees of freedom, those of the geometric weights that the bootstrap gives to
    autocovariances (Priestley, Spectral Analysis and Time Series, 1981, section 6.2); the second is
    Student's 95 % point over the normal's.
    """
    from scipy.special import stdtrit

    bias = 1.0 - (2.0 * block - 1.0) / sessions
    return float(stdtrit(sessions / block, 0.95)) / _NORMAL_95 / math.sqrt(bias)


def _means(series: Array, positions: NDArray[np.intp]) -> Array:
    """Return the mean of the known values of each resample; nan where it has none."""
    is_known = ~np.isnan(series)
    total = np.where(is_known, series, 0.0)[positions].sum(axis=1)
    count = is_known[positions].sum(axis=1)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
