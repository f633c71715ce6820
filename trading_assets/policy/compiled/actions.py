"""What actions mean where limits have a closed form: one loop over books, and no arrays between."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import entry_point
from trading_assets.risk.compiled.gross_limit import (
    LOW_SHARE,
    MAX_GROSS,
    MAX_WEIGHT,
    project_on_gross,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]


@entry_point
def weigh_actions(
    actions: NDArray[np.floating],
    max_weight: float,
    is_long_only: bool,
    factors: Array,
    tradable: Flags,
    rows: Rows,
    bounds: Array,
    out: Array,
) -> None:
    """Write the weights within box and gross limit that actions stand for.

    Parameters
    ----------
    actions : float32 or float64 (K, N)
        Actions; those beyond [-1, 1] are taken for the bound.
    max_weight : float
        Weight of an action of 1.
    is_long_only : bool
        Whether an action of -1 is no position.
    factors : float64 (T or 0, N)
        What weights are multiplied by at every row; without rows they are taken as they are.
    tradable : bool (T, N)
        Symbols that may be held at every row.
    rows : int64 (K,)
        Rows of the decisions.
    bounds : float64 (BOUND_FIELDS,)
        Limits.
    out : float64 (K, N)
        Written.
    """
    n_symbols = actions.shape[1]
    low = bounds[LOW_SHARE] * bounds[MAX_WEIGHT]
    wanted = np.empty(n_symbols)
    sizes = np.empty(n_symbols)
    is_sized = len(factors) > 0
    is_box = n_symbols * bounds[MAX_WEIGHT] <= bounds[MAX_GROSS]
    for k in range(len(actions)):
        row = rows[k]
        for symbol in range(n_symbols):
            action = np.float64(actions[k, symbol])
            action = 1.0 if action > 1.0 else action
            action = -1.0 if action < -1.0 else action
            weight = (0.5 * (action + 1.0) if is_long_only else action) * max_weight
            if is_sized:
                weight *= factors[row, symbol]
            wanted[symbol] = weight
            weight = low if weight < low else weight
            out[k, symbol] = weight if tradable[row, symbol] else 0.0
        if not is_box:
            project_on_gross(wanted, tradable[row], bounds, sizes, out[k])
