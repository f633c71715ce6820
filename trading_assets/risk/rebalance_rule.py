"""Which part of decided weights is traded: the one rule of training, backtest and paper trading.

A rule only ever holds back: each symbol ends between its held and its decided weight. Limits go
before the rule, so that a book that prices have carried beyond them is brought back within.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.rebalance_specs import EveryBarSpec, NoTradeBandSpec, RebalanceSpec
from trading_assets.risk.limits import WeightLimits
from trading_assets.risk.projection import FEASIBILITY_TOLERANCE, project_weights

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def weights_to_trade(
    rule: RebalanceSpec,
    decided: Floats,
    held: Floats,
    begins_week: Flags,
    limits: WeightLimits,
    tradable: Flags,
) -> Floats:
    """Return the weights that are handed to the market in place of decided ones.

    - `every_bar`: the decided weights, bit for bit.
    - `weekly`: the decided weights where the session that fills them is the first of its week, the
      held ones otherwise. An account that opens within a week waits for the next.
    - `no_trade_band`: a symbol whose held weight is within the band around the decided one keeps
      it; any other is traded to the nearer edge of the band or to the decided weight. Trading to
      the edge is optimal for constant proportional costs: Constantinides, G. (1986), Capital market
      equilibrium with transaction costs, Journal of Political Economy 94 (4), 842-862; Davis, M.
      and Norman, A. (1990), Portfolio selection with transaction costs, Mathematics of Operations
      Research 15 (4), 676-713.

    What the rule keeps may break a limit: held weights drift, and a sum of kept and traded weights
    can exceed what either sum keeps. Then the symbols whose decided weights bring a sum back go on
    to these, all the same part of the way, the least that suffices where no weight changes its
    sign. Where that breaks another limit, all symbols go such a part of the way, which surely ends
    within the limits by convexity. Applying a rule again to what it left of the same decision
    changes nothing. It is no projection, though: it may be applied once to a decision, since
    weights on the edge, taken for a decision, would be held back again.

    Parameters
    ----------
    rule : RebalanceSpec
        As declared.
    decided : float64 (..., N)
        Target weights within the limits, as `project_weights` returns them.
    held : float64 (..., N)
        Weights held when it is decided, drifted with prices.
    begins_week : bool (...)
        Whether the session after the decision is the first of a calendar week, as
        `bars.calendars.weeks.decides_for_week` tells; one flag for each row, or one for all.
    limits : WeightLimits
        Limits on weights.
    tradable : bool (..., N)
        Symbols that may be held; the others get 0 as `project_weights` gives it, which trades
        nothing of them.

    Returns
    -------
    float64 (..., N)
        Weights within the limits.

    Raises
    ------
    DataError
        If weights are not finite or of different shapes.
    """
    if isinstance(rule, EveryBarSpec):
        return decided
    _require_alike(decided, held)
    kept = np.clip(held, 0.0 if limits.is_long_only else -limits.max_weight, limits.max_weight)
    if isinstance(rule, NoTradeBandSpec):
        wanted = _outside_band(rule, decided, kept)
    else:
        wanted = np.where(np.asarray(begins_week)[..., None], decided, kept)
    wanted = np.where(tradable, wanted, decided)
    for number in range(len(_limited_parts(decided, limits))):
        wanted = _bring_back(wanted, decided, limits, number)
    within = _toward(wanted, decided, _least_share(wanted, decided, limits))
    return project_weights(within, limits, tradable, held)


def name_held_back(names: Sequence[str], decided: Floats, traded: Floats) -> tuple[str, ...]:
    """Return the names of limits that bind, with `rebalance` where a rule changed a weight.

    Parameters
    ----------
    names : sequence of str
        For each symbol those of `risk.projection.binding_limits`.
    decided, traded : float64 (N,)
        Weights before and after the rule.
    """
    is_changed = (decided != traded).tolist()
    return tuple(
        "+".join(filter(None, (name, "rebalance" if changed else "")))
        for name, changed in zip(names, is_changed, strict=True)
    )


def _outside_band(rule: NoTradeBandSpec, decided: Floats, kept: Floats) -> Floats:
    """Return kept weights where they are within the band, traded ones elsewhere.

    Weights are kept within their own limits before, which the band's edge then is, too.
    """
    if rule.trade_to == "edge":
        return np.clip(kept, decided - rule.band, decided + rule.band)
    return np.where(np.abs(decided - kept) > rule.band, decided, kept)


def _bring_back(wanted: Floats, decided: Floats, limits: WeightLimits, number: int) -> Floats:
    """Return weights with one sum within its limit by those symbols alone that lower it."""
    parts, most = _limited_parts(wanted, limits)[number]
    decided_parts, _ = _limited_parts(decided, limits)[number]
    falls = np.maximum(parts - decided_parts, 0.0)
    excess = parts.sum(axis=-1) - np.maximum(decided_parts.sum(axis=-1), most)
    is_over = excess > FEASIBILITY_TOLERANCE * limits.max_gross
    # All falls together are at least the whole sum's, and so at least the excess.
    share = np.where(is_over, excess / np.where(is_over, falls.sum(axis=-1), 1.0), 0.0)
    return _toward(wanted, decided, np.where(falls > 0.0, share[..., None], 0.0))


def _least_share(wanted: Floats, decided: Floats, limits: WeightLimits) -> Floats:
    """Return the part of the way to decided weights that keeps limits on sums, float64 (..., 1).

    A sum of absolute values is convex along the way: where it starts above its limit and ends
    within, it is within from where the chord between both is.
    """
    share = np.zeros(wanted.shape[:-1])
    slack = FEASIBILITY_TOLERANCE * limits.max_gross
    for (start_parts, most), (end_parts, _) in zip(
        _limited_parts(wanted, limits), _limited_parts(decided, limits), strict=True
    ):
        start, end = start_parts.sum(axis=-1), end_parts.sum(axis=-1)
        # Where too little may be held to keep a limit, no more is asked than the decision reaches.
        reached = np.maximum(end, most)
        is_over = start > reached + slack
        falls = np.where(is_over, start - end, 1.0)
        share = np.maximum(share, np.where(is_over, (start - reached) / falls, 0.0))
    return share[..., None]


def _limited_parts(weights: Floats, limits: WeightLimits) -> list[tuple[Floats, float]]:
    """Return what each symbol adds to a limited sum, float64 (..., N), and the most of the sum."""
    sizes = np.abs(weights)
    parts = [(sizes, limits.max_gross)]
    if limits.max_net is not None:
        parts.append((weights, limits.max_net))
    if limits.min_net is not None:
        parts.append((-weights, -limits.min_net))
    if limits.max_sector_gross is not None:
        numbers = np.array(limits.sectors)
        most = limits.max_sector_gross
        parts += [(np.where(numbers == n, sizes, 0.0), most) for n in np.unique(numbers)]
    return parts


def _toward(wanted: Floats, decided: Floats, share: Floats) -> Floats:
    moved = np.where(share > 0.0, wanted + share * (decided - wanted), wanted)
    return np.where(share >= 1.0, decided, moved)


def _require_alike(decided: Floats, held: Floats) -> None:
    if decided.shape != held.shape:
        msg = (
            f"held weights were of shape {held.shape}; expected one for each decided weight,"
            f" {decided.shape}"
        )
        raise DataError(msg)
    for name, weights in (("decided", decided), ("held", held)):
        if not np.isfinite(weights).all():
            msg = (
                f"{int((~np.isfinite(weights)).sum())} {name} weights were not finite; expected"
                " a finite weight for each symbol"
            )
            raise DataError(msg)
