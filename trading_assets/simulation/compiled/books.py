"""One bar of one book: corporate actions, fill at the open, marking and financing at the close."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.features.compiled.compiling import entry_point, kernel
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
    IMPACT,
    IS_LONG_ONLY,
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
    VOLATILITY,
    VOLUME,
    WEIGHT_CHANGE,
)

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

_SHARES = 1e9
_USD = 1e6


@kernel
def round_shares(shares: float) -> float:
    return np.rint(shares * _SHARES) / _SHARES


@kernel
def round_usd(amount: float) -> float:
    return np.rint(amount * _USD) / _USD


@kernel
def equity_of_book(cash: float, positions: Array) -> float:
    held = 0.0
    for symbol in range(positions.shape[1]):
        held += positions[QUANTITY, symbol] * positions[PRICE, symbol]
    return cash + held


@kernel
def decide_book(
    cash: float, positions: Array, weights: Array, close: Array, terms: Array, target: Array
) -> None:
    notional = terms[NOTIONAL_USD]
    if notional == 0.0:
        notional = max(equity_of_book(cash, positions), 0.0)
    for symbol in range(len(weights)):
        price = close[symbol]
        if np.isfinite(price):
            target[symbol] = weights[symbol] * notional / price
        else:
            target[symbol] = positions[QUANTITY, symbol]


@kernel
def whole_trade(target: float, quantity: float, lot: float) -> float:
    difference = target - quantity
    if lot == 0.0:
        return round_shares(difference)
    # A split can leave a fraction of a lot: closing a position sells that too.
    if target == 0.0:
        return -quantity
    # Toward zero, so that a lot is never bought with money that was not meant for it.
    return np.trunc(difference / lot + np.copysign(1e-9, difference)) * lot


@kernel
def cost_of_trade(
    trade: float, change: float, price: float, base: float, terms: Array, known: Array, symbol: int
) -> float:
    notional = abs(trade) * price
    total = notional * terms[LINEAR]
    if terms[IMPACT] > 0.0 and notional > 0.0:
        # Square-root law: Y sigma sqrt(Q / ADV) for each dollar traded.
        share = notional / known[ADV_USD, symbol]
        total += notional * terms[IMPACT] * known[VOLATILITY, symbol] * np.sqrt(share)
    if terms[QUADRATIC] > 0.0 and change != 0.0:
        deviation = known[VOLATILITY, symbol]
        total += 0.5 * terms[QUADRATIC] * (deviation * deviation) * change * change * base
    return round_usd(total)


@kernel
def cap_by_volume(trade: float, volume: float, terms: Array) -> float:
    most = terms[MAX_PARTICIPATION] * volume
    if abs(trade) <= most:
        return trade
    if not np.isfinite(most):
        return 0.0
    step = terms[LOT_SHARES] if terms[LOT_SHARES] > 0.0 else 1.0 / _SHARES
    return np.copysign(np.floor(most / step + 1e-9) * step, trade)


@kernel
def afford_buys(cash: float, fills: Array, base: float, terms: Array, known: Array) -> None:
    needed = 0.0
    available = cash
    for symbol in range(fills.shape[1]):
        value = round_usd(fills[TRADE, symbol] * fills[FILL_PRICE, symbol])
        if fills[TRADE, symbol] > 0.0:
            needed += value + fills[TRADE_COST, symbol]
        else:
            available -= value + fills[TRADE_COST, symbol]
    if needed <= available:
        return
    # Costs grow at least linearly with size, so scaling value and cost together is enough. What is
    # kept back is a micro-dollar, and one for each symbol, whose value and cost are rounded.
    spendable = max(available * (1.0 - 1e-12) - (fills.shape[1] + 1) / _USD, 0.0)
    scale = spendable / needed
    step = terms[LOT_SHARES] if terms[LOT_SHARES] > 0.0 else 1.0 / _SHARES
    for symbol in range(fills.shape[1]):
        if fills[TRADE, symbol] > 0.0:
            trade = np.floor(fills[TRADE, symbol] * scale / step) * step
            change = fills[WEIGHT_CHANGE, symbol] * scale
            fills[TRADE, symbol] = trade
            fills[WEIGHT_CHANGE, symbol] = change
            fills[TRADE_COST, symbol] = cost_of_trade(
                trade, change, fills[FILL_PRICE, symbol], base, terms, known, symbol
            )


@kernel
def step_book(
    cash: float,
    positions: Array,
    target: Array,
    bar: Array,
    known: Array,
    terms: Array,
    fills: Array,
    outcome: Array,
) -> float:
    n_symbols = len(target)
    before = equity_of_book(cash, positions)
    base = terms[NOTIONAL_USD] if terms[NOTIONAL_USD] > 0.0 else before
    weight_base = base if base > 0.0 else np.inf

    dividends = 0.0
    held_before = 0.0
    for symbol in range(n_symbols):
        quantity, mark = positions[QUANTITY, symbol], positions[PRICE, symbol]
        ratio = bar[SPLIT_RATIO, symbol]
        held_before += quantity * mark
        dividends += round_usd(quantity * bar[CASH_PER_SHARE, symbol])
        quantity = round_shares(quantity * ratio)
        wanted = target[symbol] * ratio
        change = target[symbol] * mark / weight_base - positions[TARGET_WEIGHT, symbol]
        mark /= ratio
        payout = bar[PAYOUT_PER_SHARE, symbol]
        if np.isfinite(payout):
            dividends += round_usd(quantity * payout)
            quantity = 0.0
            wanted = 0.0
            change = 0.0
            positions[TARGET_WEIGHT, symbol] = 0.0
        trade = 0.0
        price = mark
        if np.isfinite(bar[OPEN, symbol]):
            price = bar[OPEN, symbol]
            if terms[TICK_USD] > 0.0:
                price = np.rint(price / terms[TICK_USD]) * terms[TICK_USD]
            trade = whole_trade(wanted, quantity, terms[LOT_SHARES])
            if terms[MAX_PARTICIPATION] > 0.0:
                capped = cap_by_volume(trade, bar[VOLUME, symbol], terms)
                if capped != trade:
                    change *= capped / trade
                    trade = capped
        else:
            change = 0.0
        positions[QUANTITY, symbol] = quantity
        positions[PRICE, symbol] = mark
        fills[TRADE, symbol] = trade
        fills[FILL_PRICE, symbol] = price
        fills[WEIGHT_CHANGE, symbol] = change
        fills[TRADE_COST, symbol] = cost_of_trade(trade, change, price, base, terms, known, symbol)
    cash += dividends
    if terms[IS_LONG_ONLY] > 0.0:
        afford_buys(cash, fills, base, terms, known)

    spent = 0.0
    costs = 0.0
    traded = 0.0
    held = 0.0
    short = 0.0
    for symbol in range(n_symbols):
        trade, price = fills[TRADE, symbol], fills[FILL_PRICE, symbol]
        value = round_usd(trade * price)
        spent += value
        traded += abs(value)
        costs += fills[TRADE_COST, symbol]
        quantity = round_shares(positions[QUANTITY, symbol] + trade)
        close = bar[CLOSE, symbol]
        mark = close if np.isfinite(close) else positions[PRICE, symbol]
        positions[QUANTITY, symbol] = quantity
        positions[PRICE, symbol] = mark
        positions[TARGET_WEIGHT, symbol] += fills[WEIGHT_CHANGE, symbol]
        fills[POSITION_WEIGHT, symbol] = quantity * price / weight_base
        held += quantity * mark
        short += max(-quantity * mark, 0.0)
    cash = cash - spent - costs
    financing = round_usd(
        max(-cash, 0.0) * terms[FINANCING_PER_BAR] + short * terms[BORROW_PER_BAR]
    )
    cash = round_usd(cash - financing)
    outcome[EQUITY_BEFORE] = before
    outcome[EQUITY] = cash + held
    outcome[PNL] = held - held_before - spent
    outcome[DIVIDENDS] = dividends
    outcome[COSTS] = costs
    outcome[FINANCING] = financing
    outcome[BASE] = base
    outcome[TRADED] = traded
    return cash


@entry_point
def sum_equity(cash: Array, quantity: Array, price: Array) -> Array:
    """Return cash plus positions at their prices, float64 (K,), in the core's order of sums."""
    equity = np.empty(len(cash))
    for k in range(len(cash)):
        held = 0.0
        for symbol in range(quantity.shape[1]):
            held += quantity[k, symbol] * price[k, symbol]
        equity[k] = cash[k] + held
    return equity


@entry_point
def step_books(
    cash: Array,
    positions: Array,
    target: Array,
    tape: Array,
    known_rows: Rows,
    fill_rows: Rows,
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
        The market.
    known_rows, fill_rows : int64 (K,)
        Rows of the tape at which was decided, and that are filled and marked.
    terms : float64 (K or 1, TERM_FIELDS)
        What trading costs.
    fills : float64 (K, FILL_FIELDS, N)
        What was filled; written.
    outcome : float64 (K, OUTCOME_FIELDS)
        What the bar did; written.
    """
    for k in range(len(cash)):
        cash[k] = step_book(
            cash[k],
            positions[k],
            target[k],
            tape[fill_rows[k]],
            tape[known_rows[k]],
            terms[k % len(terms)],
            fills[k],
            outcome[k],
        )


@kernel
def swap_pending(pending: Array, target: Array, split_ratio: Array) -> None:
    """Take out what is due, put in what was decided, per share after the bar's splits."""
    last = len(pending) - 1
    for symbol in range(len(target)):
        decided = target[symbol]
        target[symbol] = pending[0, symbol]
        for place in range(last):
            pending[place, symbol] = pending[place + 1, symbol] * split_ratio[symbol]
        pending[last, symbol] = decided * split_ratio[symbol]


@entry_point
def trade_books(
    cash: Array,
    positions: Array,
    weights: Array,
    pending: Array,
    tape: Array,
    rows: Rows,
    terms: Array,
    fills: Array,
    outcome: Array,
) -> None:
    """Decide at the close of `rows` and carry books to the next close, in place.

    Parameters
    ----------
    cash, positions, tape, terms, fills, outcome
        As in `step_books`.
    weights : float64 (K, N)
        Target weights after limits.
    pending : float64 (K, latency - 1, N)
        Shares decided earlier and not due yet, the oldest first; written.
    rows : int64 (K,)
        Rows at whose close is decided.
    """
    target = np.empty(weights.shape[1])
    n_pending = pending.shape[1]
    for k in range(len(cash)):
        row = rows[k]
        book = positions[k]
        known, bar, own = tape[row], tape[row + 1], terms[k % len(terms)]
        decide_book(cash[k], book, weights[k], known[CLOSE], own, target)
        if n_pending:
            swap_pending(pending[k], target, bar[SPLIT_RATIO])
        cash[k] = step_book(cash[k], book, target, bar, known, own, fills[k], outcome[k])
