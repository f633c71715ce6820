"""One bar of one book: corporate actions, fill at the open, marking and financing at the close."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import bare_entry_point, inlined
from trading_assets.simulation.compiled.layout import (
    ADV_USD,
    BASE,
    BORROW_PER_BAR,
    CASH_PER_SHARE,
    CLOSE,
    COSTS,
    DIVIDENDS,
    EQUITY,
    EQUITY_BEFORE,
    FILL_PRICE,
    FINANCING,
    FINANCING_PER_BAR,
    GAIN,
    IMPACT,
    IS_LONG_ONLY,
    LATENCY_BARS,
    LINEAR,
    LOT_SHARES,
    MAX_PARTICIPATION,
    NOTIONAL_USD,
    OPEN,
    PAYOUT_PER_SHARE,
    PNL,
    POSITION_WEIGHT,
    PRICE,
    QUADRATIC,
    QUANTITY,
    SPLIT_RATIO,
    TARGET_WEIGHT,
    TICK_USD,
    TRADE,
    TRADE_COST,
    TRADED,
    VALUE,
    VOLATILITY,
    VOLUME,
    WEIGHT_CHANGE,
)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

_SHARES = 1e9
_USD = 1e6


@inlined
def round_shares(shares: float) -> float:
    return np.rint(shares * _SHARES) / _SHARES


@inlined
def round_usd(amount: float) -> float:
    return np.rint(amount * _USD) / _USD


@inlined
def whole_trade(target: float, quantity: float, lot: float) -> float:
    difference = target - quantity
    if lot == 0.0:
        return round_shares(difference)
    # A split can leave a fraction of a lot: closing a position sells that too.
    if target == 0.0:
        return -quantity
    # Toward zero, so that a lot is never bought with money that was not meant for it.
    return np.trunc(difference / lot + np.copysign(1e-9, difference)) * lot


@inlined
def cap_by_volume(trade: float, volume: float, share: float, lot: float) -> float:
    most = share * volume
    if abs(trade) <= most:
        return trade
    if not np.isfinite(most):
        return 0.0
    step = lot if lot > 0.0 else 1.0 / _SHARES
    return np.copysign(np.floor(most / step + 1e-9) * step, trade)


@inlined
def equity_of_book(cash: Array, positions: Array, k: int) -> float:
    held = 0.0
    for symbol in range(positions.shape[2]):
        held += positions[k, QUANTITY, symbol] * positions[k, PRICE, symbol]
    return cash[k] + held


@inlined
def cost_of_fill(
    fills: Array, k: int, symbol: int, base: float, tape: Array, known: int, terms: Array, own: int
) -> float:
    notional = abs(fills[k, TRADE, symbol]) * fills[k, FILL_PRICE, symbol]
    total = notional * terms[own, LINEAR]
    if terms[own, IMPACT] > 0.0 and notional > 0.0:
        # Square-root law: Y sigma sqrt(Q / ADV) for each dollar traded.
        share = notional / tape[known, ADV_USD, symbol]
        impact = terms[own, IMPACT] * tape[known, VOLATILITY, symbol]
        total += notional * impact * np.sqrt(share)
    if terms[own, QUADRATIC] > 0.0 and fills[k, WEIGHT_CHANGE, symbol] != 0.0:
        deviation = tape[known, VOLATILITY, symbol]
        change = fills[k, WEIGHT_CHANGE, symbol]
        variance = deviation * deviation
        total += 0.5 * terms[own, QUADRATIC] * variance * change * change * base
    return round_usd(total)


@inlined
def afford_buys(
    cash: float, fills: Array, k: int, base: float, tape: Array, known: int, terms: Array, own: int
) -> None:
    n_symbols = fills.shape[2]
    needed = 0.0
    available = cash
    for symbol in range(n_symbols):
        spent = fills[k, VALUE, symbol] + fills[k, TRADE_COST, symbol]
        if fills[k, TRADE, symbol] > 0.0:
            needed += spent
        else:
            available -= spent
    if needed <= available:
        return
    # Costs grow at least linearly with size, so scaling value and cost together is enough. What is
    # kept back is a micro-dollar, and one for each symbol, whose value and cost are rounded.
    spendable = max(available * (1.0 - 1e-12) - (n_symbols + 1) / _USD, 0.0)
    scale = spendable / needed
    lot = terms[own, LOT_SHARES]
    step = lot if lot > 0.0 else 1.0 / _SHARES
    for symbol in range(n_symbols):
        if fills[k, TRADE, symbol] > 0.0:
            trade = np.floor(fills[k, TRADE, symbol] * scale / step) * step
            fills[k, TRADE, symbol] = trade
            fills[k, VALUE, symbol] = round_usd(trade * fills[k, FILL_PRICE, symbol])
            fills[k, WEIGHT_CHANGE, symbol] *= scale
            fills[k, TRADE_COST, symbol] = cost_of_fill(
                fills, k, symbol, base, tape, known, terms, own
            )


@inlined
def open_book(
    positions: Array,
    target: Array,
    fills: Array,
    k: int,
    base: float,
    per_base: float,
    tape: Array,
    known: int,
    bar: int,
    terms: Array,
    own: int,
) -> float:
    """Apply corporate actions and write what is to be filled; return dividends and payouts."""
    lot, tick = terms[own, LOT_SHARES], terms[own, TICK_USD]
    dividends = 0.0
    for symbol in range(target.shape[1]):
        quantity, mark = positions[k, QUANTITY, symbol], positions[k, PRICE, symbol]
        wanted, gain = target[k, symbol], -quantity * mark
        change = wanted * mark * per_base - positions[k, TARGET_WEIGHT, symbol]
        if tape[bar, CASH_PER_SHARE, symbol] != 0.0:
            gain += round_usd(quantity * tape[bar, CASH_PER_SHARE, symbol])
            dividends += round_usd(quantity * tape[bar, CASH_PER_SHARE, symbol])
        ratio = tape[bar, SPLIT_RATIO, symbol]
        if ratio != 1.0:
            quantity = round_shares(quantity * ratio)
            wanted *= ratio
            mark /= ratio
        if np.isfinite(tape[bar, PAYOUT_PER_SHARE, symbol]):
            gain += round_usd(quantity * tape[bar, PAYOUT_PER_SHARE, symbol])
            dividends += round_usd(quantity * tape[bar, PAYOUT_PER_SHARE, symbol])
            positions[k, TARGET_WEIGHT, symbol] = 0.0
            quantity = wanted = change = 0.0
        price, trade = tape[bar, OPEN, symbol], 0.0
        if np.isfinite(price):
            if tick > 0.0:
                price = np.rint(price / tick) * tick
            trade = whole_trade(wanted, quantity, lot)
            if terms[own, MAX_PARTICIPATION] > 0.0:
                share = terms[own, MAX_PARTICIPATION]
                capped = cap_by_volume(trade, tape[bar, VOLUME, symbol], share, lot)
                if capped != trade:
                    change *= capped / trade
                    trade = capped
        else:
            price, change = mark, 0.0
        positions[k, QUANTITY, symbol] = quantity
        positions[k, PRICE, symbol] = mark
        fills[k, TRADE, symbol] = trade
        fills[k, FILL_PRICE, symbol] = price
        fills[k, WEIGHT_CHANGE, symbol] = change
        fills[k, GAIN, symbol] = gain
        fills[k, VALUE, symbol] = round_usd(trade * price) if trade != 0.0 else 0.0
        fills[k, TRADE_COST, symbol] = 0.0
        if trade != 0.0 or change != 0.0:
            fills[k, TRADE_COST, symbol] = cost_of_fill(
                fills, k, symbol, base, tape, known, terms, own
            )
    return dividends


@inlined
def step_book(
    cash: Array,
    positions: Array,
    target: Array,
    k: int,
    tape: Array,
    known: int,
    bar: int,
    terms: Array,
    own: int,
    fills: Array,
    outcome: Array,
) -> None:
    """Carry book `k` from the close of row `known` over row `bar`, on the terms of row `own`."""
    n_symbols = target.shape[1]
    before = equity_of_book(cash, positions, k)
    base = terms[own, NOTIONAL_USD] if terms[own, NOTIONAL_USD] > 0.0 else before
    per_base = 1.0 / base if base > 0.0 else 0.0
    dividends = open_book(positions, target, fills, k, base, per_base, tape, known, bar, terms, own)
    money = cash[k] + dividends
    if terms[own, IS_LONG_ONLY] > 0.0:
        afford_buys(money, fills, k, base, tape, known, terms, own)

    spent = 0.0
    costs = 0.0
    traded = 0.0
    held = 0.0
    short = 0.0
    for symbol in range(n_symbols):
        price = fills[k, FILL_PRICE, symbol]
        quantity = positions[k, QUANTITY, symbol]
        trade = fills[k, TRADE, symbol]
        if trade != 0.0:
            value = fills[k, VALUE, symbol]
            spent += value
            traded += abs(value)
            fills[k, GAIN, symbol] -= value
            quantity = round_shares(quantity + trade)
        costs += fills[k, TRADE_COST, symbol]
        mark = tape[bar, CLOSE, symbol]
        if not np.isfinite(mark):
            mark = positions[k, PRICE, symbol]
        worth = quantity * mark
        fills[k, GAIN, symbol] += worth
        positions[k, QUANTITY, symbol] = quantity
        positions[k, PRICE, symbol] = mark
        positions[k, TARGET_WEIGHT, symbol] += fills[k, WEIGHT_CHANGE, symbol]
        fills[k, POSITION_WEIGHT, symbol] = quantity * price * per_base
        held += worth
        short += max(-worth, 0.0)
    money = money - spent - costs
    owed = max(-money, 0.0) * terms[own, FINANCING_PER_BAR] + short * terms[own, BORROW_PER_BAR]
    financing = round_usd(owed) if owed > 0.0 else 0.0
    held_before = before - cash[k]
    cash[k] = round_usd(money - financing)
    outcome[k, EQUITY_BEFORE] = before
    outcome[k, EQUITY] = cash[k] + held
    outcome[k, PNL] = held - held_before - spent
    outcome[k, DIVIDENDS] = dividends
    outcome[k, COSTS] = costs
    outcome[k, FINANCING] = financing
    outcome[k, BASE] = base
    outcome[k, TRADED] = traded


@inlined
def hold_weights(positions: Array, k: int, notional: float, equity: float, held: Array) -> None:
    # A book without positive equity holds weights of 0 by convention.
    base = notional if notional > 0.0 else equity
    per_base = 1.0 / base if base > 0.0 else 0.0
    for symbol in range(held.shape[1]):
        value = positions[k, QUANTITY, symbol] * positions[k, PRICE, symbol]
        held[k, symbol] = value * per_base


@inlined
def decide_book(
    positions: Array,
    weights: Array,
    k: int,
    tape: Array,
    row: int,
    base: float,
    target: Array,
) -> None:
    """Write the shares that weights of a base mean; a symbol without a close keeps its own."""
    for symbol in range(weights.shape[1]):
        price = tape[row, CLOSE, symbol]
        if np.isfinite(price):
            target[k, symbol] = weights[k, symbol] * base / price
        else:
            target[k, symbol] = positions[k, QUANTITY, symbol]


@inlined
def swap_pending(
    pending: Array, target: Array, k: int, tape: Array, bar: int, latency: int
) -> None:
    """Take out what is due, put in what was decided, in shares after the bar's splits."""
    if latency < 2:
        return
    last = latency - 2
    for symbol in range(target.shape[1]):
        decided = target[k, symbol]
        ratio = tape[bar, SPLIT_RATIO, symbol]
        target[k, symbol] = pending[k, 0, symbol]
        for place in range(last):
            pending[k, place, symbol] = pending[k, place + 1, symbol] * ratio
        pending[k, last, symbol] = decided * ratio


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
        step = lot if lot > 0.0 else 1.0 / _SHARES
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
    # Books stand at rows far from each other: what they need next is fetched for all of them at
    # once, as waiting for memory book by book would take longer than the rest.
    for k in range(len(cash)):
        outcome[k, EQUITY] = tape[rows[k] + 1, OPEN, 0]
        outcome[k, EQUITY_BEFORE] = tape[rows[k] + 1, ADV_USD, 0]
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
        is_finite = is_finite and np.isfinite(outcome[k, EQUITY])
    return is_finite
