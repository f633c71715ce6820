"""How often a track record would have passed the rules of a proprietary trading firm.

Losses are seen at closes: an account that would have been ended within a session is not found out.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trading_assets.backtest.metrics import Series
from trading_assets.prop_firm_specs import PropFirmSpec

# A loss that is the limit but for rounding is the limit.
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class PropFirmOutcome:
    """How runs of an account ended, as shares that sum to 1; nan without a run.

    Attributes
    ----------
    runs : int
        Accounts that were started.
    passed, daily_loss, total_loss, out_of_time : float
        Share that reached the target, and that was ended by each rule. Of two losses at one close
        the daily one counts.
    median_days : float
        Sessions that those needed that passed; nan where none did.
    """

    runs: int
    passed: float
    daily_loss: float
    total_loss: float
    out_of_time: float
    median_days: float


def judge_runs(returns: NDArray[np.float64], rules: PropFirmSpec) -> PropFirmOutcome:
    """Return how accounts ended that earned the given returns.

    Parameters
    ----------
    returns : float64 (runs, days_allowed)
        Net simple returns of each account, one a session from its start on.
    rules : PropFirmSpec
        What ends an account; all fractions are of its starting equity.
    """
    runs, days = returns.shape
    if runs == 0:
        return PropFirmOutcome(0, *[math.nan] * 5)
    equity = np.cumprod(1.0 + returns, axis=1)
    before = np.concatenate([np.ones((runs, 1)), equity[:, :-1]], axis=1)
    reference = np.ones_like(equity)
    if rules.total_loss == "trailing":
        reference = np.maximum.accumulate(before, axis=1)
    daily = before - equity >= rules.max_daily_loss - _ROUNDING
    total = reference - equity >= rules.max_total_loss - _ROUNDING
    is_traded = np.arange(1, days + 1) >= rules.minimum_days
    target = (equity >= 1.0 + rules.profit_target - _ROUNDING) & is_traded
    first_daily, first_total, first_target = (_first(hits) for hits in (daily, total, target))
    by_daily = (first_daily < days) & (first_daily <= first_total) & (first_daily <= first_target)
    by_total = (first_total < days) & (first_total < first_daily) & (first_total <= first_target)
    passed = (first_target < days) & ~by_daily & ~by_total
    needed = first_target[passed] + 1
    return PropFirmOutcome(
        runs=runs,
        passed=float(passed.mean()),
        daily_loss=float(by_daily.mean()),
        total_loss=float(by_total.mean()),
        out_of_time=float((~passed & ~by_daily & ~by_total).mean()),
        median_days=float(np.median(needed)) if len(needed) else math.nan,
    )


def runs_from_every_day(returns: Series, days: int) -> NDArray[np.float64]:
    """Return the runs of so many days that start at each session of a record, float64 (runs, days).

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns of the track record.
    days : int
        Days of a run; a session with fewer days left starts none.
    """
    if len(returns) < days:
        return np.empty((0, days))
    return sliding_window_view(returns, days)


def resampled_runs(returns: Series, positions: NDArray[np.intp], days: int) -> NDArray[np.float64]:
    """Return runs of so many days over a record drawn again in blocks, float64 (samples, days).

    Parameters
    ----------
    returns : float64 (T,)
        Net simple returns of the track record.
    positions : intp (samples, T)
        Of `resampled_positions`.
    days : int
        Days of a run; none where the record has fewer.
    """
    if len(returns) < days:
        return np.empty((0, days))
    return returns[positions[:, :days]]


def _first(hits: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the day (from 0) at which each run is hit first, as many as there are if never."""
    return np.where(hits.any(axis=1), hits.argmax(axis=1), hits.shape[1])
