"""Profit by member of an ensemble: what the shares that each member wished for gained.

A weighted mean of actions is a sum of wishes, and gains are linear in shares, so each member has
its part. What limits, lots and unfilled orders changed of the wishes is a part of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market

REMAINDER = "limits, lots and fills"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What members wished for at each of T closes.

    Attributes
    ----------
    weights : float64 (M, T, N)
        Each member's part of the weight wanted before limits.
    base_usd : float64 (T,)
        What a weight is a fraction of.
    rows : range
        Rows of the market at whose close was decided.
    latency_bars : int
        Bars from a decision to its fill.
    """

    weights: Floats
    base_usd: Floats
    rows: range
    latency_bars: int


def member_gains(wishes: Wishes, market: Market, gains_usd: Floats) -> Floats:
    """Return the gain of each member's wish and what is left, float64 (M + 1, T), USD.

    Parameters
    ----------
    wishes : Wishes
        Of each member.
    market : Market
        The market that was traded.
    gains_usd : float64 (T,)
        Gain of the ensemble at each session after a decision; the parts add up to it.
    """
    filled = _filled_shares(wishes, market)
    first, last = wishes.rows.start + 1, wishes.rows.stop + 1
    opened, close = market.open[first:last], market.close[first:last]
    ratio, cash = market.split_ratio[first:last], market.cash_per_share[first:last]
    before = market.close[first - 1 : last - 1]
    by_day = np.nan_to_num(close - opened)
    by_night = np.nan_to_num(ratio * opened - before) + cash
    held = np.concatenate([np.zeros_like(filled[:, :1]), filled[:, :-1]], axis=1)
    own = (filled * by_day + held * by_night).sum(axis=2)
    return np.vstack([own, gains_usd - own.sum(axis=0)])


def _filled_shares(wishes: Wishes, market: Market) -> Floats:
    """Return the shares that wishes are after each session's fill, (M, T, N)."""
    rows, waits = np.array(wishes.rows), wishes.latency_bars - 1
    close = market.close[rows]
    priced = np.divide(
        wishes.base_usd[:, None], close, out=np.zeros_like(close), where=np.isfinite(close)
    )
    shares = wishes.weights * priced
    for step in range(1, wishes.latency_bars + 1):
        # Up to the row of the fill, whose own split is the last one.
        at = np.minimum(rows + step, len(market.split_ratio) - 1)
        shares = shares * market.split_ratio[at]
    filled = np.zeros_like(shares)
    filled[:, waits:] = shares[:, : shares.shape[1] - waits]
    return filled


def sum_by_agent(members: Sequence[str], gains_usd: Sequence[float]) -> dict[str, float]:
    """Return gains of `agent/seed-n` members by agent; other names stay."""
    found: dict[str, float] = {}
    for name, usd in zip(members, gains_usd, strict=True):
        agent = name.rpartition("/seed-")[0] or name
        found[agent] = found.get(agent, 0.0) + usd
    return found
