"""Entry points over K books: opened, endowed, weighed, and carried over a bar each."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import bare_entry_point, fetch_ahead
from trading_assets.simulation.compiled.book import (
    SHARES,
    decide_book,
    equity_of_book,
    hold_weights,
    round_shares,
    round_usd,
    step_book,
    swap_pending,
)
from trading_assets.simulation.compiled.layout import (
    CLOSE,
    EQUITY,
    LATENCY_BARS,
    LOT_SHARES,
    NOTIONAL_USD,
    PRICE,
    QUANTITY,
    TARGET_WEIGHT,
)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

# Numbers in a line of memory.
_LINE = 8


@bare_entry_point
def open_books_at(
    which: Rows,
    at: Rows,
    tape: Array,
    initial_usd: float,
    rows: Rows,
    cash: Array,
    positions: Array,
    held: Array,
) -> None:
    """Make books flat at the close of some rows, in place.

    Parameters
    ----------
    which, at : int64 (M,)
        Books, and the row of each.
    tape : float64 (T, TAPE_FIELDS, N)
        The market.
    initial_usd : float
        Cash of each, USD.
    rows, cash, positions, held
        As in `trade_books`; written.
    """
    for place in range(len(which)):
        k, row = which[place], at[place]
        rows[k] = row
        cash[k] = initial_usd
        for symbol in range(held.shape[1]):
            close = tape[row, CLOSE, symbol]
            held[k, symbol] = 0.0
            positions[k, QUANTITY, symbol] = 0.0
            positions[k, PRICE, symbol] = close if np.isfinite(close) else 0.0
            positions[k, TARGET_WEIGHT, symbol] = 0.0


@bare_entry_point
def endow_books(
    which: Rows,
    weights: Array,
    initial_usd: float,
    terms: Array,
    cash: Array,
    positions: Array,
    pending: Array,
    held: Array,
    outcome: Array,
) -> None:
    """Give flat books positions in place of cash, at their marks and without a cost, in place.

    Quantities are rounded toward zero, to lots where there are any. Targets that would be due
    before the first decision's are the positions themselves, so that nothing is traded by them.

    Parameters
    ----------
    which : int64 (M,)
        Books, as `open_books_at` has left them.
    weights : float64 (M, N)
        Weights to hold, as fractions of `initial_usd`.
    initial_usd : float
        Equity of each, and the notional of constant sizing, USD.
    terms, cash, positions, pending, held, outcome
        As in `trade_books`; those of these books are written.
    """
    for place in range(len(which)):
        k = which[place]
        own = k if len(terms) > 1 else 0
        lot = terms[own, LOT_SHARES]
        step = lot if lot > 0.0 else 1.0 / SHARES
        spent = 0.0
        for symbol in range(held.shape[1]):
            price = positions[k, PRICE, symbol]
            quantity = 0.0
            if price > 0.0:
                quantity = np.trunc(weights[place, symbol] * initial_usd / price / step) * step
            if lot == 0.0:
                quantity = round_shares(quantity)
            worth = quantity * price
            spent += worth
            positions[k, QUANTITY, symbol] = quantity
            positions[k, TARGET_WEIGHT, symbol] = worth / initial_usd
            for waiting in range(int(terms[own, LATENCY_BARS]) - 1):
                pending[k, waiting, symbol] = quantity
        cash[k] = round_usd(initial_usd - spent)
        equity = equity_of_book(cash, positions, k)
        outcome[k, EQUITY] = equity
        hold_weights(positions, k, terms[own, NOTIONAL_USD], equity, held)


@bare_entry_point
def sum_equity(cash: Array, positions: Array, equity: Array) -> None:
    """Write cash plus positions at their prices, float64 (K,), in the core's order of sums."""
    for k in range(len(cash)):
        equity[k] = equity_of_book(cash, positions, k)


@bare_entry_point
def weigh_books(cash: Array, positions: Array, notional_usd: float, held: Array) -> None:
    """Write what books hold as fractions of equity, or of a notional above 0, float64 (K, N)."""
    for k in range(len(cash)):
        equity = equity_of_book(cash, positions, k)
        hold_weights(positions, k, notional_usd, equity, held)


@bare_entry_point
def step_books(
    cash: Array,
    positions: Array,
    target: Array,
    tape: Array,
    rows: Rows,
    terms: Array,
    fills: Array,
    outcome: Array,
) -> None:
    """Carry books over one bar each, in place.

    Parameters
    ----------
    cash : float64 (K,)
        Cash, USD; written.
    positions : float64 (K, POSITION_FIELDS, N)
        Positions; written.
    target : float64 (K, N)
        Shares decided at the close before.
    tape : float64 (T, TAPE_FIELDS, N)
        Bars, each with the volatility and dollar volume known before it.
    rows : int64 (K,)
        Row of the tape that each book is carried over.
    terms : float64 (K or 1, TERM_FIELDS)
        What trading costs.
    fills : float64 (K, FILL_FIELDS, N)
        What was filled; written.
    outcome : float64 (K, OUTCOME_FIELDS)
        What the bar did; written.
    """
    for k in range(len(cash)):
        own = k if len(terms) > 1 else 0
        step_book(cash, positions, target, k, tape, rows[k], rows[k], terms, own, fills, outcome)


@bare_entry_point
def trade_books(
    cash: Array,
    positions: Array,
    weights: Array,
    target: Array,
    pending: Array,
    tape: Array,
    rows: Rows,
    terms: Array,
    fills: Array,
    outcome: Array,
    held: Array,
) -> bool:
    """Decide at the close of `rows` and carry books to the next close, in place.

    Parameters
    ----------
    cash, positions, terms, fills, outcome
        As in `step_books`.
    weights : float64 (K, N)
        Target weights after limits.
    target : float64 (K, N)
        Shares that fill at the bar; written.
    pending : float64 (K, largest latency - 1, N)
        Shares decided earlier and not due yet, the oldest first; written. A book of a shorter
        latency leaves its last places as they are.
    tape : float64 (T, TAPE_FIELDS, N)
        The market: volatility and dollar volume are those known at a row's close.
    rows : int64 (K,)
        Rows at whose close is decided; each is moved on by one.
    held : float64 (K, N)
        Weights held at the next close; written.

    Returns
    -------
    bool
        Whether all equities are finite.
    """
    # Books stand at rows far from each other, and waiting for memory book by book would take longer
    # than the rest: each asks for the bar after this one, which is there by then.
    n_fields = tape.shape[1] * tape.shape[2]
    is_finite = True
    for k in range(len(cash)):
        own = k if len(terms) > 1 else 0
        row = rows[k]
        notional = terms[own, NOTIONAL_USD]
        base = notional
        if notional == 0.0:
            base = max(equity_of_book(cash, positions, k), 0.0)
        decide_book(positions, weights, k, tape, row, base, target)
        if pending.shape[1] > 0:
            swap_pending(pending, target, k, tape, row + 1, int(terms[own, LATENCY_BARS]))
        step_book(cash, positions, target, k, tape, row, row + 1, terms, own, fills, outcome)
        hold_weights(positions, k, notional, outcome[k, EQUITY], held)
        rows[k] = row + 1
        for place in range(0, n_fields, _LINE):
            fetch_ahead(tape, (row + 2) * n_fields + place)
        is_finite = is_finite and np.isfinite(outcome[k, EQUITY])
    return is_finite
