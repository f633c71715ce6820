"""The forces by which limits on sums hold weights, their Lagrange multipliers.

For given forces each weight is the minimum of
`(x - w)^2 / 2 + shrink |x| + shift x + pull |x - held|` in its box. A sum falls as its own force
grows, continuously and in straight pieces, so each force is found by a bracketed Newton iteration
that ends on the right piece: the shrinks that limit gross weights for a given shift and pull, the
shift that limits the net weight for a given pull, and the pull that limits turnover. Limits that do
not bind have no force.

Groups are sectors, or all symbols where sectors have no limit. A group's shrink is the larger one
of its own and of that of all, as a limit that another one has met already has no force of its own.
"""

import math

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import kernel
from trading_assets.risk.compiled.gross_limit import (
    LOW_SHARE,
    MAX_GROSS,
    MAX_SECTOR_GROSS,
    MAX_TURNOVER,
    next_point,
)

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Rows of the work array, float64 (WORK_FIELDS, at least max(N, STATE_FIELDS)), group by group.
WANTED, HELD, CAP, FOUND, OWN_SHRINK, STATE = range(6)
WORK_FIELDS = 6
# The forces, what they lead to, how fast net and turnover fall as shift and pull grow, and more
# than any weight is moved by a shrink alone.
SHRINK, SHIFT, PULL, NET, TURNOVER, NET_BY_SHIFT, NET_BY_PULL, TURNOVER_BY_PULL, REACH = range(9)
STATE_FIELDS = 9

_ALL = -1
_STEPS = 120
_SMALLEST = -5e-324
# How far gross, net and turnover may stay from their limits, each found within those before: as a
# share of the limit, and of the numbers that weights are made from, which rounding follows.
_GROSS_EXACT, _NET_EXACT, _TURNOVER_EXACT = 1e-14, 3e-14, 1e-13
_GROSS_ROUNDING, _NET_ROUNDING, _TURNOVER_ROUNDING = 4e-16, 2e-15, 5e-15
# A pull that no other force withstands, as a multiple of the largest weights.
_FIRM = 4.0


@kernel
def _larger(a: float, b: float) -> float:
    return a if a > b else b


@kernel
def _smaller(a: float, b: float) -> float:
    return a if a < b else b


@kernel
def _respond(
    wanted: float, held: float, low: float, cap: float, shrink: float, pull: float
) -> float:
    outer = shrink + pull
    inner = shrink - pull if held > 0.0 else pull - shrink
    near, far = _smaller(held, 0.0), _larger(held, 0.0)
    x = _larger(wanted - inner, _smaller(near, wanted + outer))
    x = _larger(wanted - outer, _smaller(far, x))
    return _smaller(_larger(x, low), cap)


@kernel
def _is_free(x: float, held: float, low: float, cap: float, pull: float) -> bool:
    return (x != 0.0) & (x > low) & (x < cap) & ((x != held) | (pull == 0.0))


@kernel
def _sum_group(
    bounds: Array, starts: Index, work: Array, group: int, shrink: float
) -> tuple[float, float]:
    """Return the gross weight of a group, and how fast it falls as `shrink` grows."""
    state = work[STATE]
    shift, pull, low_share = state[SHIFT], state[PULL], bounds[LOW_SHARE]
    gross = free = 0.0
    for j in range(starts[group], starts[group + 1]):
        held, cap = work[HELD, j], work[CAP, j]
        low = low_share * cap
        x = _respond(work[WANTED, j] - shift, held, low, cap, shrink, pull)
        gross += abs(x)
        free += 1.0 if _is_free(x, held, low, cap, pull) else 0.0
    return gross, free


@kernel
def _measure(bounds: Array, starts: Index, work: Array, shrink: float) -> tuple[float, float]:
    """Return the gross weight of all groups, and how fast it falls as `shrink` grows.

    Writes the weights that the forces lead to, their net and turnover and how fast these fall.
    Where gross is kept at its limit, what one weight loses the others of its group gain.
    """
    state, found = work[STATE], work[FOUND]
    shift, pull, low_share = state[SHIFT], state[PULL], bounds[LOW_SHARE]
    gross = net = turnover = slope = 0.0
    by_shift = both = by_pull = 0.0
    common_s = common_t = 0.0
    for group in range(len(starts) - 1):
        own = work[OWN_SHRINK, group]
        applied = max(shrink, own)
        n = s = t = st = 0.0
        for j in range(starts[group], starts[group + 1]):
            held, cap = work[HELD, j], work[CAP, j]
            low = low_share * cap
            x = _respond(work[WANTED, j] - shift, held, low, cap, applied, pull)
            found[j] = x
            gross += abs(x)
            net += x
            turnover += abs(x - held)
            free = 1.0 if _is_free(x, held, low, cap, pull) else 0.0
            side = free if x > 0.0 else -free
            away = 1.0 if x > held else -1.0
            n += free
            s += side
            t += free * away
            st += side * away
        by_shift += n
        both += t
        by_pull += n
        if shrink >= own:
            slope += n
            common_s += s
            common_t += st
        elif n > 0.0:
            by_shift -= s * s / n
            both -= s * st / n
            by_pull -= st * st / n
    if shrink > 0.0 and slope > 0.0:
        by_shift -= common_s * common_s / slope
        both -= common_s * common_t / slope
        by_pull -= common_t * common_t / slope
    state[SHRINK], state[NET], state[TURNOVER] = shrink, net, turnover
    state[NET_BY_SHIFT], state[NET_BY_PULL], state[TURNOVER_BY_PULL] = by_shift, both, by_pull
    return gross, slope


@kernel
def _find_shrink(
    bounds: Array, starts: Index, work: Array, group: int, most: float, guess: float
) -> float:
    """Return the least shrink that keeps the gross weight of a group, or of all, at `most`."""
    state = work[STATE]
    low, high = _SMALLEST, state[REACH] + abs(state[SHIFT]) + state[PULL]
    exact = _GROSS_EXACT * most + _GROSS_ROUNDING * high
    point = min(guess, high)
    for step in range(_STEPS):
        if group == _ALL:
            gross, slope = _measure(bounds, starts, work, point)
        else:
            gross, slope = _sum_group(bounds, starts, work, group, point)
        over = gross - most
        if over > 0.0:
            low = point
        else:
            high = point
        if abs(over) <= exact or high == 0.0:
            break
        following = next_point(point, over, slope, low, high, step)
        if not low < following < high:
            break
        point = following
    return point


@kernel
def _keep_gross(bounds: Array, starts: Index, work: Array) -> None:
    """Find the shrinks for the shift and the pull in the state."""
    most = bounds[MAX_SECTOR_GROSS]
    if most < math.inf:
        for group in range(len(starts) - 1):
            guess = work[OWN_SHRINK, group]
            work[OWN_SHRINK, group] = _find_shrink(bounds, starts, work, group, most, guess)
    _find_shrink(bounds, starts, work, _ALL, bounds[MAX_GROSS], work[STATE, SHRINK])


@kernel
def _keep_net(bounds: Array, starts: Index, work: Array, least: float, most: float) -> None:
    """Find the shift for the pull in the state, and the shrinks with it."""
    state = work[STATE]
    high = state[REACH] + state[PULL]
    low = -high
    state[SHIFT] = min(max(state[SHIFT], low), high)
    exact = _NET_EXACT * bounds[MAX_GROSS] + _NET_ROUNDING * high
    for step in range(_STEPS):
        _keep_gross(bounds, starts, work)
        shift, net = state[SHIFT], state[NET]
        if shift > 0.0 or (shift == 0.0 and net > most):
            over = net - most
        elif shift < 0.0 or net < least:
            over = net - least
        else:
            return
        if over > 0.0:
            low = shift
        else:
            high = shift
        if abs(over) <= exact:
            return
        point = next_point(shift, over, state[NET_BY_SHIFT], low, high, step)
        if not low < point < high:
            return
        state[SHIFT] = point


@kernel
def _try_pull(
    bounds: Array, starts: Index, work: Array, least: float, most: float, pull: float
) -> None:
    state = work[STATE]
    if state[SHIFT] != 0.0 and state[NET_BY_SHIFT] > 0.0:
        # Where the net weight stays at its limit if both forces go on as they do now.
        moved = (pull - state[PULL]) * state[NET_BY_PULL] / state[NET_BY_SHIFT]
        shift = state[SHIFT] - moved
        state[SHIFT] = shift if shift * state[SHIFT] > 0.0 else 0.0
    state[PULL] = pull
    _keep_net(bounds, starts, work, least, most)


@kernel
def keep_limits(
    bounds: Array, starts: Index, work: Array, least: float, most: float, is_open: bool
) -> None:
    """Find all forces, and the weights that they lead to.

    `least` and `most` are the net limits that can be kept. `is_open` says that the weights held may
    break other limits, which then may need more turnover than is allowed: a firm pull leads to the
    least.
    """
    state = work[STATE]
    _keep_net(bounds, starts, work, least, most)
    limit = bounds[MAX_TURNOVER]
    exact = _TURNOVER_EXACT * max(bounds[MAX_GROSS], limit) + _TURNOVER_ROUNDING * state[REACH]
    over = state[TURNOVER] - limit
    if not over > exact:
        return
    # Without other limits to break, a pull as large as the farthest way leads to what is held.
    low, high, point = 0.0, (_FIRM if is_open else 1.0) * state[REACH], 0.0
    slope = _turnover_slope(state)
    if is_open:
        _try_pull(bounds, starts, work, least, most, high)
        if state[TURNOVER] >= limit - exact:
            return
    for step in range(_STEPS):
        point = next_point(point, over, slope, low, high, step)
        if not low < point < high:
            return
        _try_pull(bounds, starts, work, least, most, point)
        over, slope = state[TURNOVER] - limit, _turnover_slope(state)
        if over > 0.0:
            low = point
        else:
            high = point
        if abs(over) <= exact:
            return


@kernel
def _turnover_slope(state: Array) -> float:
    slope = state[TURNOVER_BY_PULL]
    if state[SHIFT] != 0.0 and state[NET_BY_SHIFT] > 0.0:
        slope -= state[NET_BY_PULL] * state[NET_BY_PULL] / state[NET_BY_SHIFT]
    return slope
