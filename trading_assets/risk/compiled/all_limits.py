"""The nearest weights that keep box, gross, net, sector and turnover limits, row by row."""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import entry_point, kernel
from trading_assets.risk.compiled.forces import (
    CAP,
    FOUND,
    HELD,
    OWN_SHRINK,
    REACH,
    STATE,
    STATE_FIELDS,
    WANTED,
    keep_limits,
)
from trading_assets.risk.compiled.gross_limit import (
    LOW_SHARE,
    MAX_GROSS,
    MAX_NET,
    MAX_SECTOR_GROSS,
    MAX_TURNOVER,
    MAX_WEIGHT,
    MIN_NET,
    TOLERANCE,
    project_on_gross,
)

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Flags = NDArray[np.bool_]


@kernel
def _breaks_hard_limits(
    row: Array, bounds: Array, starts: Index, least: float, most: float
) -> bool:
    slack = TOLERANCE * bounds[MAX_GROSS]
    gross = net = 0.0
    for group in range(len(starts) - 1):
        of_group = 0.0
        for j in range(starts[group], starts[group + 1]):
            net += row[j]
            of_group += abs(row[j])
        if of_group > bounds[MAX_SECTOR_GROSS] + slack:
            return True
        gross += of_group
    return gross > bounds[MAX_GROSS] + slack or net > most + slack or net < least - slack


@kernel
def _breaks_turnover(work: Array, bounds: Array, count: int) -> bool:
    turnover = 0.0
    for j in range(count):
        turnover += abs(work[FOUND, j] - work[HELD, j])
    return turnover > bounds[MAX_TURNOVER] + TOLERANCE * max(
        bounds[MAX_GROSS], bounds[MAX_TURNOVER]
    )


@kernel
def _gather(
    wanted: Array,
    tradable: Flags,
    held: Array,
    bounds: Array,
    order: Index,
    starts: Index,
    work: Array,
) -> float:
    """Lay the row out group by group, and return the largest net weight that it can have."""
    work[STATE, :STATE_FIELDS] = 0.0
    cap = bounds[MAX_WEIGHT]
    has_turnover = bounds[MAX_TURNOVER] < math.inf
    room = 0.0
    for group in range(len(starts) - 1):
        work[OWN_SHRINK, group] = 0.0
        of_group = 0.0
        for j in range(starts[group], starts[group + 1]):
            symbol = order[j]
            is_tradable = tradable[symbol]
            work[WANTED, j] = wanted[symbol] if is_tradable else 0.0
            work[HELD, j] = held[symbol] if is_tradable and has_turnover else 0.0
            work[CAP, j] = cap if is_tradable else 0.0
            of_group += work[CAP, j]
        room += min(of_group, bounds[MAX_SECTOR_GROSS])
    return min(room, bounds[MAX_GROSS])


@kernel
def _clipped(bounds: Array, work: Array, j: int) -> float:
    cap = work[CAP, j]
    return min(max(work[WANTED, j], bounds[LOW_SHARE] * cap), cap)


@kernel
def _solve(bounds: Array, starts: Index, work: Array, least: float, most: float) -> None:
    """Write the nearest weights, and the bits of those wanted where they are that but for rounding.

    Without it projecting twice would change the last bits.
    """
    count = starts[-1]
    cap = bounds[MAX_WEIGHT]
    is_open = _breaks_hard_limits(work[HELD], bounds, starts, least, most)
    largest_wanted = largest_held = 0.0
    for j in range(count):
        is_open |= not bounds[LOW_SHARE] * cap <= work[HELD, j] <= cap
        largest_wanted = max(largest_wanted, abs(work[WANTED, j]))
        largest_held = max(largest_held, abs(work[HELD, j]))
    reach = work[STATE, REACH] = largest_wanted + largest_held + cap
    keep_limits(bounds, starts, work, least, most, is_open)
    change = 0.0
    for j in range(count):
        change = max(change, abs(work[FOUND, j] - _clipped(bounds, work, j)))
    if change <= TOLERANCE * (bounds[MAX_GROSS] + reach):
        for j in range(count):
            work[FOUND, j] = _clipped(bounds, work, j)


@kernel
def project_row(
    wanted: Array,
    tradable: Flags,
    held: Array,
    bounds: Array,
    order: Index,
    starts: Index,
    work: Array,
    out: Array,
) -> None:
    """Project one row; afterwards `work` holds the forces of its limits."""
    count = len(wanted)
    room = _gather(wanted, tradable, held, bounds, order, starts, work)
    project_on_gross(wanted, tradable, bounds, work[FOUND], out)
    for j in range(count):
        work[FOUND, j] = out[order[j]]
    # Symbols that may not be held leave a net limit what the others can reach.
    least, most = min(bounds[MIN_NET], room), max(bounds[MAX_NET], bounds[LOW_SHARE] * room)
    # The nearest of more points is the nearest of fewer if it is one of them.
    is_within = not _breaks_hard_limits(work[FOUND], bounds, starts, least, most)
    if is_within and not _breaks_turnover(work, bounds, count):
        return
    _solve(bounds, starts, work, least, most)
    for j in range(count):
        out[order[j]] = work[FOUND, j] + 0.0


@entry_point
def project_rows(
    wanted: Array,
    tradable: Flags,
    held: Array,
    bounds: Array,
    order: Index,
    starts: Index,
    work: Array,
    out: Array,
) -> None:
    """Project rows of weights on all limits.

    Parameters
    ----------
    wanted : float64 (K, N)
        Wanted weights.
    tradable : bool (K, N)
        Symbols that may be held.
    held : float64 (K, N)
        Weights held now; read where turnover has a limit.
    bounds : float64 (BOUND_FIELDS,)
        Limits.
    order : int64 (N,)
        Symbols, group by group.
    starts : int64 (n_groups + 1,)
        Where each group starts in `order`.
    work : float64 (WORK_FIELDS, at least max(N, STATE_FIELDS))
        Written; afterwards it holds the forces of the last row.
    out : float64 (K, N)
        Written.
    """
    for k in range(len(wanted)):
        project_row(wanted[k], tradable[k], held[k], bounds, order, starts, work, out[k])
