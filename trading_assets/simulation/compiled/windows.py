"""Entry points over whole windows: targets that are known before, traded bar after bar."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import bare_entry_point, fetch_ahead, inlined
from trading_assets.simulation.compiled.book import (
    decide_book,
    equity_of_book,
    step_book,
    swap_pending,
)
from trading_assets.simulation.compiled.layout import (
    ADV_USD,
    BORROW_PER_BAR,
    CASH_PER_SHARE,
    CLOSE,
    EQUITY,
    FINANCING_PER_BAR,
    IMPACT,
    LATENCY_BARS,
    MAX_PARTICIPATION,
    NOTIONAL_USD,
    OPEN,
    PAYOUT_PER_SHARE,
    PRICE,
    QUADRATIC,
    QUANTITY,
    SPLIT_RATIO,
    VOLATILITY,
    VOLUME,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

# Numbers in a line of memory, and rows that are asked for before they are read.
_LINE = 8
_AHEAD = 12


@bare_entry_point
def carry_books(
    cash: Array,
    positions: Array,
    target: Array,
    tape: Array,
    row: int,
    terms: Array,
    fills: Array,
    outcome: Array,
) -> None:
    """Carry books that stand at the close of one row to the next close, in place.

    As `step_books`, with volatility and dollar volume of `row` and prices of the row after it.
    """
    for k in range(len(cash)):
        own = k if len(terms) > 1 else 0
        step_book(cash, positions, target, k, tape, row, row + 1, terms, own, fills, outcome)


@bare_entry_point
def trade_window(
    cash: Array,
    positions: Array,
    weights: Array,
    target: Array,
    pending: Array,
    tape: Array,
    first: int,
    terms: Array,
    fills: Array,
    outcomes: Array,
    held: Array,
    money: Array,
) -> bool:
    """Trade known target weights over consecutive rows, in place.

    Parameters
    ----------
    cash, positions, target, pending, terms
        As in `trade_books`; `pending` holds what was decided before the window.
    weights : float64 (R, K, N)
        Target weights after limits, one row for each decision.
    tape : float64 (T, TAPE_FIELDS, N)
        The market.
    first : int
        Row of the first decision; the window ends at the close of row `first + R`.
    fills : float64 (R, K, FILL_FIELDS, N)
        What was filled; written.
    outcomes : float64 (R, K, OUTCOME_FIELDS)
        What each bar did; written.
    held : float64 (R, K, POSITION_FIELDS, N)
        Positions after each bar; written.
    money : float64 (R, K)
        Cash after each bar, USD; written.

    Returns
    -------
    bool
        Whether all equities are finite.
    """
    is_finite = True
    for place in range(len(weights)):
        row = first + place
        for k in range(len(cash)):
            own = k if len(terms) > 1 else 0
            base = terms[own, NOTIONAL_USD]
            if base == 0.0:
                base = max(equity_of_book(cash, positions, k), 0.0)
            decide_book(positions, weights[place], k, tape, row, base, target)
            if pending.shape[1] > 0:
                swap_pending(pending, target, k, tape, row + 1, int(terms[own, LATENCY_BARS]))
            step_book(
                cash,
                positions,
                target,
                k,
                tape,
                row,
                row + 1,
                terms,
                own,
                fills[place],
                outcomes[place],
            )
            for field in range(positions.shape[1]):
                for symbol in range(positions.shape[2]):
                    held[place, k, field, symbol] = positions[k, field, symbol]
            money[place, k] = cash[k]
            is_finite = is_finite and np.isfinite(outcomes[place, k, EQUITY])
    return is_finite


@bare_entry_point
def mark_calm_bars(
    close: Array, split_ratio: Array, cash_per_share: Array, payout: Array, is_calm: Flags
) -> None:
    """Write at which rows a kept position is only marked: all closes, no corporate action."""
    for row in range(len(close)):
        calm = True
        for symbol in range(close.shape[1]):
            calm = (
                calm
                and np.isfinite(close[row, symbol])
                and split_ratio[row, symbol] == 1.0
                and cash_per_share[row, symbol] == 0.0
                and not np.isfinite(payout[row, symbol])
            )
        is_calm[row] = calm


@inlined
def _copy_bar(fields: Array, row: int, k: int, calm: bool, terms: Array, two_rows: Array) -> None:
    # What is not needed is left in memory, which is what most of the time would go to.
    two_rows[1, OPEN, 0] = fields[OPEN, row + 1, k]
    two_rows[1, CLOSE, 0] = fields[CLOSE, row + 1, k]
    if terms[0, IMPACT] > 0.0 or terms[0, QUADRATIC] > 0.0:
        two_rows[0, VOLATILITY, 0] = fields[VOLATILITY, row, k]
        two_rows[0, ADV_USD, 0] = fields[ADV_USD, row, k]
    if terms[0, MAX_PARTICIPATION] > 0.0:
        two_rows[1, VOLUME, 0] = fields[VOLUME, row + 1, k]
    if calm:
        two_rows[1, SPLIT_RATIO, 0] = 1.0
        two_rows[1, CASH_PER_SHARE, 0] = 0.0
        two_rows[1, PAYOUT_PER_SHARE, 0] = np.nan
    else:
        for field in (SPLIT_RATIO, CASH_PER_SHARE, PAYOUT_PER_SHARE):
            two_rows[1, field, 0] = fields[field, row + 1, k]


@bare_entry_point
def trade_series(
    cash: Array,
    positions: Array,
    shares: Array,
    weights: Array,
    target: Array,
    fields: Array,
    is_calm: Flags,
    terms: Array,
    two_rows: Array,
    fills: Array,
    outcome: Array,
    stepped: Rows,
    equity: Array,
) -> None:
    """Trade one account for each symbol over consecutive rows, in place.

    Where an account decides nothing, nothing is due and nothing is owed, a bar changes its marks
    alone, which is all that is done then: the equity is the same number that a whole step gives.

    Parameters
    ----------
    cash : float64 (N,)
        Cash of each symbol's account, USD; written.
    positions : float64 (N, POSITION_FIELDS, 1)
        Positions; written. Prices lag behind where accounts are only marked.
    shares : float64 (N,)
        Shares held; written.
    weights : float64 (T - 1, N)
        Target weights; nan keeps the shares.
    target : float64 (N, 1)
        Shares that fill at a bar; written.
    fields : float64 (TAPE_FIELDS, T, N)
        The market, field by field: of most bars the closes are read alone.
    is_calm : bool (T,)
        Of `mark_calm_bars`.
    terms : float64 (1, TERM_FIELDS)
        What trading costs.
    two_rows : float64 (2, TAPE_FIELDS, 1)
        One symbol's rows of a decision and its fill; written.
    fills, outcome : float64 (N, FILL_FIELDS, 1) and (N, OUTCOME_FIELDS)
        What the last whole step of each account did; written.
    stepped : int64 (N,)
        Accounts of a bar that need a whole step; written.
    equity : float64 (T - 1, N)
        Equity of each account at each next close, USD; written.
    """
    n_accounts = len(cash)
    opens = OPEN * fields.shape[1] * n_accounts
    owes = terms[0, FINANCING_PER_BAR] > 0.0 or terms[0, BORROW_PER_BAR] > 0.0
    # A quadratic cost is due on a weight that drifts, too.
    costs_drift = terms[0, QUADRATIC] > 0.0
    for row in range(len(weights)):
        calm = is_calm[row + 1]
        is_marked = calm and not costs_drift
        if is_marked:
            n_kept = 0
            for k in range(n_accounts):
                equity[row, k] = cash[k] + shares[k] * fields[CLOSE, row + 1, k]
                n_kept += np.isnan(weights[row, k])
            # Opens are read where something is decided alone, so that nothing foresees them.
            for line in range(0, n_accounts, _LINE):
                fetch_ahead(fields, opens + (row + _AHEAD) * n_accounts + line)
            if n_kept == n_accounts and not owes:
                continue
        # Gathered without a branch: which account decides is as good as random.
        n_stepped = 0
        for k in range(n_accounts):
            stepped[n_stepped] = k
            is_owing = owes and (shares[k] < 0.0 or cash[k] < 0.0)
            n_stepped += not is_marked or is_owing or not np.isnan(weights[row, k])
        for place in range(n_stepped):
            k = stepped[place]
            wanted = weights[row, k]
            _copy_bar(fields, row, k, calm, terms, two_rows)
            price = fields[CLOSE, row, k]
            if np.isfinite(price):
                positions[k, PRICE, 0] = price
            target[k, 0] = shares[k]
            if not np.isnan(wanted) and np.isfinite(price):
                base = terms[0, NOTIONAL_USD]
                if base == 0.0:
                    base = max(equity_of_book(cash, positions, k), 0.0)
                target[k, 0] = wanted * base / price
            step_book(cash, positions, target, k, two_rows, 0, 1, terms, 0, fills, outcome)
            shares[k] = positions[k, QUANTITY, 0]
            equity[row, k] = outcome[k, EQUITY]
