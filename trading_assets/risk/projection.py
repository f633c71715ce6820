"""Risk limits as a projection: one function used in training, backtest and paper trading."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.risk.compiled.all_limits import project_rows
from trading_assets.risk.compiled.forces import (
    OWN_SHRINK,
    PULL,
    SHIFT,
    SHRINK,
    STATE,
    STATE_FIELDS,
    WORK_FIELDS,
)
from trading_assets.risk.compiled.gross_limit import TOLERANCE, project_rows_on_gross
from trading_assets.risk.limits import WeightLimits

FEASIBILITY_TOLERANCE = TOLERANCE

Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True, slots=True)
class PackedLimits:
    """Limits as kernels read them.

    Attributes
    ----------
    bounds : float64 (BOUND_FIELDS,)
        Fields as `risk.compiled.gross_limit` names them.
    order : int64 (N,)
        Symbols, sector by sector.
    starts : int64 (n_sectors + 1,)
        Where each sector starts in `order`.
    """

    bounds: NDArray[np.float64]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    def make_work(self) -> NDArray[np.float64]:
        """Return a work array for `risk.compiled.all_limits.project_row`."""
        return np.zeros((WORK_FIELDS, max(len(self.order), STATE_FIELDS)))


@lru_cache(maxsize=64)
def pack_limits(limits: WeightLimits, n_symbols: int) -> PackedLimits:
    """Return limits as kernels read them.

    Raises
    ------
    DataError
        If sectors are limited and there is not one for each symbol.
    """
    sectors = np.zeros(n_symbols, dtype=np.int64)
    if limits.max_sector_gross is not None:
        if len(limits.sectors) != n_symbols:
            msg = (
                f"sectors were given for {len(limits.sectors)} symbols; expected one for each of"
                f" {n_symbols}: declare the limits for these symbols"
            )
            raise DataError(msg)
        sectors = np.unique(np.array(limits.sectors), return_inverse=True)[1].astype(np.int64)
    bounds = [
        limits.max_weight,
        0.0 if limits.is_long_only else -1.0,
        limits.max_gross,
        -np.inf if limits.min_net is None else limits.min_net,
        np.inf if limits.max_net is None else limits.max_net,
        np.inf if limits.max_sector_gross is None else limits.max_sector_gross,
        np.inf if limits.max_turnover is None else limits.max_turnover,
    ]
    starts = np.concatenate([[0], np.cumsum(np.bincount(sectors))])
    order = np.argsort(sectors, kind="stable")
    return PackedLimits(np.array(bounds), order.astype(np.int64), starts.astype(np.int64))


def project_weights(
    weights: NDArray[np.float64],
    limits: WeightLimits,
    tradable: NDArray[np.bool_],
    held: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the nearest weights, in Euclidean distance, that keep the limits.

    Rows are independent and a row's result does not depend on the others. Weights that keep the
    limits are returned bit for bit, so projecting twice changes nothing.

    Symbols that are not tradable get 0. They count neither in turnover, since nothing of them can
    be traded, nor for net limits: where the others cannot reach `min_net` or go down to `max_net`,
    they go as far as the limits on gross weights allow.

    Turnover gives way to the other limits: where these need more of it than `max_turnover`, for
    instance after prices have carried a book beyond them, the result has the least turnover with
    which they can be kept, and of all such weights the nearest to those wanted.

    Parameters
    ----------
    weights : float64 (..., n_symbols)
        Wanted weights, finite.
    limits : WeightLimits
        Limits.
    tradable : bool (..., n_symbols)
        Symbols that may be held; the others get 0. Broadcast against `weights`.
    held : float64 (..., n_symbols), optional
        Weights held now, drifted with prices. Broadcast against `weights`; needed where turnover is
        limited, not read otherwise.

    Returns
    -------
    float64 (..., n_symbols)
        Weights within the box that keep the other limits (to 1e-12).

    Raises
    ------
    DataError
        If turnover is limited and `held` is missing or not finite, or sectors are limited and there
        is not one for each symbol.
    """
    n_symbols = weights.shape[-1]
    packed = pack_limits(limits, n_symbols)
    rows = _rows_of(np.asarray(weights, dtype=np.float64), weights.shape)
    may_hold = _rows_of(np.asarray(tradable, dtype=np.bool_), weights.shape)
    projected = np.empty_like(rows)
    if limits.is_closed_form:
        project_rows_on_gross(rows, may_hold, packed.bounds, projected)
    else:
        now = rows if limits.max_turnover is None else _rows_of(_known(held), weights.shape)
        _project(rows, may_hold, now, packed, projected)
    return projected.reshape(weights.shape)


def binding_limits(
    raw: NDArray[np.float64],
    limits: WeightLimits,
    tradable: NDArray[np.bool_],
    held: NDArray[np.float64] | None = None,
) -> list[str]:
    """Name, symbol by symbol, the limits that change a raw weight.

    Parameters
    ----------
    raw : float64 (n_symbols,)
        Weights before limits.
    limits : WeightLimits
        Limits to be applied.
    tradable : bool (n_symbols,)
        Symbols that may be held.
    held : float64 (n_symbols,), optional
        Weights held now; needed where turnover is limited.

    Returns
    -------
    list of str
        For each symbol the names that bind, joined by `+` (`untradable`, `long_only`, `max_weight`,
        `max_gross`, `max_sector_gross`, `max_net`, `min_net`, `max_turnover`), or an empty string.

    Raises
    ------
    DataError
        As `project_weights` does.
    """
    low = 0.0 if limits.is_long_only else -limits.max_weight
    boxed = np.where(tradable, np.clip(raw, low, limits.max_weight), 0.0)
    projected = project_weights(raw, limits, tradable, held)
    forces = _binding_sums(raw, limits, tradable, held)
    is_changed = np.abs(projected - boxed) > FEASIBILITY_TOLERANCE
    names: list[str] = []
    for at, (weight, is_tradable) in enumerate(zip(raw, tradable, strict=True)):
        found: list[str] = []
        if not is_tradable and weight != 0.0:
            found.append("untradable")
        elif limits.is_long_only and weight < 0.0:
            found.append("long_only")
        elif is_tradable and abs(weight) > limits.max_weight:
            found.append("max_weight")
        if is_changed[at]:
            found += forces[at]
        names.append("+".join(found))
    return names


def _binding_sums(
    raw: NDArray[np.float64],
    limits: WeightLimits,
    tradable: NDArray[np.bool_],
    held: NDArray[np.float64] | None,
) -> list[list[str]]:
    """Name the limits on sums that have a force on each symbol."""
    everywhere = ["max_gross"]
    if limits.is_closed_form:
        return [everywhere] * len(raw)
    packed = pack_limits(limits, len(raw))
    now = raw if held is None else held
    work = _project(raw[None, :], tradable[None, :], now[None, :], packed, np.empty((1, len(raw))))
    state = work[STATE]
    if not (state[SHIFT] or state[PULL] or work[OWN_SHRINK, : len(packed.starts) - 1].any()):
        return [everywhere] * len(raw)
    common = [
        name
        for name, is_binding in (
            ("max_net", state[SHIFT] > 0.0),
            ("min_net", state[SHIFT] < 0.0),
            ("max_turnover", state[PULL] > 0.0),
        )
        if is_binding
    ]
    by_gross = everywhere if state[SHRINK] > 0.0 else []
    of_sector = ["max_sector_gross"]
    sums: list[list[str]] = [[] for _ in range(len(raw))]
    for sector, (first, last) in enumerate(zip(packed.starts[:-1], packed.starts[1:], strict=True)):
        is_bound = work[OWN_SHRINK, sector] > state[SHRINK]
        for symbol in packed.order[first:last]:
            sums[symbol] = by_gross + (of_sector if is_bound else []) + common
    return sums


def _project(
    rows: NDArray[np.float64],
    tradable: NDArray[np.bool_],
    held: NDArray[np.float64],
    packed: PackedLimits,
    out: NDArray[np.float64],
) -> NDArray[np.float64]:
    work = packed.make_work()
    project_rows(rows, tradable, held, packed.bounds, packed.order, packed.starts, work, out)
    return work


def _known(held: NDArray[np.float64] | None) -> NDArray[np.float64]:
    if held is None or not np.isfinite(held).all():
        was = "missing" if held is None else "not finite"
        msg = f"held weights were {was}; expected those held now, since max_turnover is set"
        raise DataError(msg)
    return np.asarray(held, dtype=np.float64)


def _rows_of(values: NDArray[Value], shape: tuple[int, ...]) -> NDArray[Value]:
    spread = values if values.shape == shape else np.broadcast_to(values, shape)
    rows = np.ascontiguousarray(spread)
    # A kernel is compiled anew for an array that may not be written.
    return (rows if rows.flags.writeable else rows.copy()).reshape(-1, shape[-1])
