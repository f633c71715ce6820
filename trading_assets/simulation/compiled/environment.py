"""What environments do for every book at every bar: show the account, gather windows, pay."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import entry_point, kernel
from trading_assets.simulation.compiled.layout import (
    BASE,
    COSTS,
    DIVIDENDS,
    FINANCING,
    PNL,
    POSITION_WEIGHT,
    WEIGHT_CHANGE,
)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Seen = NDArray[np.float32]


@entry_point
def show_accounts(held: Array, scale: float, shows_cash: bool, first: int, seen: Seen) -> None:
    """Write the first columns of account rows: weights over their scale, then the cash share.

    Parameters
    ----------
    held : float64 (K, N)
        Weights held.
    scale : float
        What a weight is divided by.
    shows_cash : bool
        Whether the share of cash follows.
    first : int
        Column of the first weight.
    seen : float32 (K, at least first + N + shows_cash)
        Written.
    """
    n_symbols = held.shape[1]
    for k in range(len(held)):
        total = 0.0
        for symbol in range(n_symbols):
            total += held[k, symbol]
            seen[k, first + symbol] = held[k, symbol] / scale
        if shows_cash:
            seen[k, first + n_symbols] = 1.0 - total


@entry_point
def gather_windows(context: Seen, rows: Rows, window: int, out: Seen) -> None:
    """Copy the last rows of a feature table, the oldest first, to the start of each output row.

    Parameters
    ----------
    context : float32 (T, C)
        Features of all rows.
    rows : int64 (K,)
        Newest row of each window; at least `window - 1`.
    window : int
        Rows of a window.
    out : float32 (K, at least window * C)
        Written.
    """
    width = context.shape[1]
    for k in range(len(rows)):
        first = rows[k] - window + 1
        if window == 1:
            for column in range(width):
                out[k, column] = context[first, column]
        else:
            out[k, : window * width] = context[first : first + window].ravel()


@kernel
def spread_of(fills: Array, k: int, field: int, covariance: Array, row: int) -> float:
    """Return `x' Sigma x` of one field of a book's fills."""
    total = 0.0
    for one in range(fills.shape[2]):
        inner = 0.0
        for other in range(fills.shape[2]):
            inner += covariance[row, one, other] * fills[k, field, other]
        total += fills[k, field, one] * inner
    return total


@entry_point
def pay_mean_variance(
    outcome: Array,
    fills: Array,
    covariance: Array,
    rows: Rows,
    risk_aversion: float,
    trade_aversion: float,
    reward: Array,
) -> None:
    """Write net return less charges for the variance of positions and of trades, float64 (K,).

    `covariance`, float64 (T or 1, N, N), is read at the rows of the decisions.
    """
    for k in range(len(outcome)):
        row = rows[k] if len(covariance) > 1 else 0
        net = outcome[k, PNL] + outcome[k, DIVIDENDS] - outcome[k, COSTS] - outcome[k, FINANCING]
        charge = risk_aversion * spread_of(fills, k, POSITION_WEIGHT, covariance, row)
        if trade_aversion > 0.0:
            charge += trade_aversion * spread_of(fills, k, WEIGHT_CHANGE, covariance, row)
        reward[k] = net / outcome[k, BASE] - 0.5 * charge
