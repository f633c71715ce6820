"""Schedules known before a session: a parent order spread evenly, by volume, or at least risk.

Each is a pure function from a parent order to its children, which sum exactly to it. The schedule
that follows the volume seen meanwhile is in `trading_assets.paper.participation`.
"""

import numpy as np

from trading_assets.errors import DataError
from trading_assets.paper.almgren_chriss import Horizon, LinearImpact, optimal_holdings
from trading_assets.paper.parent_order import ChildOrder, ParentOrder, divide_order
from trading_assets.simulation.terms import Floats

_SUM_TOLERANCE = 1e-9


def schedule_twap(parent: ParentOrder) -> tuple[ChildOrder, ...]:
    """Return children of equal size, to within a step: the time-weighted average price."""
    return divide_order(parent, [1.0] * parent.slots)


def schedule_vwap(parent: ParentOrder, volume_shares: Floats) -> tuple[ChildOrder, ...]:
    """Return children in proportion to a volume profile: the volume-weighted average price.

    Where a slot's temporary impact is proportional to the shares traded over its volume, no other
    schedule has less of it: by Cauchy-Schwarz the sum of n_j^2 / v_j is least at n_j proportional
    to v_j.

    Parameters
    ----------
    parent : ParentOrder
        What is spread.
    volume_shares : float64 (slots,)
        Share of the session's volume that each slot is expected to have, declared or from
        `estimate_volume_profile`; known before the session.

    Raises
    ------
    DataError
        If shares are negative, not finite, not one for each slot, or do not sum to 1.
    """
    total = float(np.sum(volume_shares))
    if np.shape(volume_shares) == (parent.slots,) and not abs(total - 1.0) <= _SUM_TOLERANCE:
        msg = f"the volume profile summed to {total:g}; expected shares of a session that sum to 1"
        raise DataError(msg)
    return divide_order(parent, np.asarray(volume_shares, dtype=np.float64).tolist())


def estimate_volume_profile(volumes: Floats) -> Floats:
    """Return the trailing mean of each slot's share of its session's volume, float64 (slots,).

    Every session counts alike, however much was traded in it.

    Parameters
    ----------
    volumes : float64 (sessions, slots)
        Shares traded in each slot of past sessions of regular length, all of them before the
        session that is scheduled.

    Raises
    ------
    DataError
        If there is no session, a volume is negative or not finite, or nothing was traded in a
        session.
    """
    if volumes.ndim != 2 or 0 in volumes.shape:
        msg = f"volumes had shape {volumes.shape}; expected at least one past session and one slot"
        raise DataError(msg)
    if not (np.isfinite(volumes).all() and (volumes >= 0.0).all()):
        msg = "volumes had negative or missing ones; expected shares traded in every past slot"
        raise DataError(msg)
    totals = volumes.sum(axis=1, keepdims=True)
    if not totals.all():
        row = int(np.flatnonzero(totals[:, 0] == 0.0)[0])
        msg = f"nothing was traded in past session {row}; expected volume: leave the session out"
        raise DataError(msg)
    profile = (volumes / totals).mean(axis=0)
    return profile / profile.sum()


def schedule_almgren_chriss(
    parent: ParentOrder, horizon_sessions: float, impact: LinearImpact, risk_aversion_per_usd: float
) -> tuple[ChildOrder, ...]:
    """Return the children of the optimal trajectory of Almgren and Chriss (2000).

    Parameters
    ----------
    parent : ParentOrder
        What is spread.
    horizon_sessions : float
        Length from the parent's start to its end as a part of a session, whose volatility `impact`
        has.
    impact : LinearImpact
        Volatility and impacts of the symbol.
    risk_aversion_per_usd : float
        lambda of E + lambda V, 1/USD; at 0 the schedule is `schedule_twap`.

    Raises
    ------
    DataError
        As `optimal_holdings` does.
    """
    horizon = Horizon(horizon_sessions, parent.slots)
    holdings = optimal_holdings(1.0, horizon, impact, risk_aversion_per_usd)
    return divide_order(parent, (holdings[:-1] - holdings[1:]).tolist())
