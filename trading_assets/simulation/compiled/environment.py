"""What environments do for every book at every bar: show the account, gather windows, end, pay."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import bare_entry_point, fetch_ahead, inlined
from trading_assets.simulation.compiled.layout import (
    BASE,
    COSTS,
    DIVIDENDS,
    EQUITY,
    FINANCING,
    PNL,
    POSITION_WEIGHT,
    WEIGHT_CHANGE,
)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
Seen = NDArray[np.float32]
Flags = NDArray[np.bool_]

# Numbers of 4 bytes in a line of memory.
_LINE = 16


@inlined
def show_account(
    held: Array, k: int, scale: float, shows_cash: bool, first: int, row: Seen
) -> None:
    total = 0.0
    for symbol in range(held.shape[1]):
        total += held[k, symbol]
        row[first + symbol] = held[k, symbol] / scale
    if shows_cash:
        row[first + held.shape[1]] = 1.0 - total


@bare_entry_point
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
    for k in range(len(held)):
        show_account(held, k, scale, shows_cash, first, seen[k])


@bare_entry_point
def show_windows(
    flat: Seen,
    width: int,
    rows: Rows,
    window: int,
    held: Array,
    scale: float,
    shows_cash: bool,
    seen: Seen,
) -> None:
    """Write the last rows of a feature table, the oldest first, and what `show_accounts` writes.

    Parameters
    ----------
    flat : float32 (T x C,)
        Features of all rows, row after row: a window is one stretch of it.
    width : int
        C.
    rows : int64 (K,)
        Newest row of each window; at least `window - 1`.
    window : int
        Rows of a window.
    held, scale, shows_cash
        As in `show_accounts`.
    seen : float32 (K, at least window * C + N + shows_cash)
        Written.
    """
    length = window * width
    for k in range(len(rows)):
        # Two stretches of known length are copied as blocks; an index that might be negative is
        # looked at number by number.
        first = (rows[k] - window + 1) * width
        stretch = flat[first : first + length]
        row = seen[k]
        for place in range(length):
            row[place] = stretch[place]
        # As in `trade_books`.
        for place in range(0, width, _LINE):
            fetch_ahead(flat, (rows[k] + 1) * width + place)
        show_account(held, k, scale, shows_cash, length, row)


@bare_entry_point
def end_episodes(rows: Rows, ends: Rows, outcome: Array, ruined: Flags, done: Flags) -> int:
    """Write which books have lost all equity and which episodes are over, bool (K,); count these.

    An episode is over at the row of `ends`, int64 (K,), or by ruin.
    """
    count = 0
    for k in range(len(rows)):
        ruined[k] = outcome[k, EQUITY] <= 0.0
        done[k] = ruined[k] or rows[k] >= ends[k]
        count += done[k]
    return count


@bare_entry_point
def take_starts(indices: Rows, drawn: Rows, used: Rows, starts: Rows) -> int:
    """Write the next drawn row of each environment, and count it as used.

    Where an environment has used all its rows, int64 (K, ahead), nothing counts as used and its
    place is returned; else the number of places.
    """
    for place in range(len(indices)):
        if used[indices[place]] == drawn.shape[1]:
            return place
    for place in range(len(indices)):
        index = indices[place]
        starts[place] = drawn[index, used[index]]
        used[index] += 1
    return len(indices)


@bare_entry_point
def end_of_starts(
    indices: Rows, starts: Rows, first_row: int, history_rows: int, length_bars: int, ends: Rows
) -> None:
    """Write the row of each episode's last bar, which is traded and not decided at, int64 (K,)."""
    for place in range(len(indices)):
        history = (starts[place] - first_row) // history_rows
        last = first_row + (history + 1) * history_rows - 1
        ends[indices[place]] = min(starts[place] + length_bars, last)


@inlined
def spread_of(
    fills: Array, k: int, field: int, covariance: Array, row: int, product: Array
) -> float:
    """Return `x' Sigma x` of one field of a book's fills; `product`, float64 (N,), is written."""
    n_symbols = fills.shape[2]
    if n_symbols == 1:
        return covariance[row, 0, 0] * fills[k, field, 0] * fills[k, field, 0]
    product[:] = 0.0
    # Row by row of a symmetric matrix: sums of all symbols then run side by side.
    for other in range(n_symbols):
        weight = fills[k, field, other]
        for one in range(n_symbols):
            product[one] += covariance[row, other, one] * weight
    total = 0.0
    for one in range(n_symbols):
        total += fills[k, field, one] * product[one]
    return total


@bare_entry_point
def pay_mean_variance(
    outcome: Array,
    fills: Array,
    covariance: Array,
    rows: Rows,
    risk_aversion: float,
    trade_aversion: float,
    product: Array,
    reward: Array,
) -> None:
    """Write net return less charges for the variance of positions and of trades, float64 (K,).

    `covariance`, float64 (T or 1, N, N), is read at the rows of the decisions; `product`, float64
    (N,), is room to calculate in.
    """
    for k in range(len(outcome)):
        row = rows[k] if len(covariance) > 1 else 0
        net = outcome[k, PNL] + outcome[k, DIVIDENDS] - outcome[k, COSTS] - outcome[k, FINANCING]
        charge = risk_aversion * spread_of(fills, k, POSITION_WEIGHT, covariance, row, product)
        if trade_aversion > 0.0:
            charge += trade_aversion * spread_of(fills, k, WEIGHT_CHANGE, covariance, row, product)
        reward[k] = net / outcome[k, BASE] - 0.5 * charge
