"""One bar of one book: corporate actions, fill at the open, marking and financing at the close."""

import numpy as np
from numpy.typing import NDArray

from trading_assets.compiling import inlined
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

# Parts of a share and of a dollar that quantities and money are rounded to.
SHARES = 1e9
_USD = 1e6


@inlined
def round_shares(shares: float) -> float:
    return np.rint(shares * SHARES) / SHARES


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
    step = lot if lot > 0.0 else 1.0 / SHARES
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
    step = lot if lot > 0.0 else 1.0 / SHARES
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
    """Write the shares that weights of a base mean; a symbol without a close keeps its own.

    So does one whose weight is the held one, as `hold_weights` has it, unless that is 0.
    """
    per_base = 1.0 / base if base > 0.0 else 0.0
    for symbol in range(weights.shape[1]):
        price = tape[row, CLOSE, symbol]
        quantity, weight = positions[k, QUANTITY, symbol], weights[k, symbol]
        is_kept = weight != 0.0 and weight == quantity * positions[k, PRICE, symbol] * per_base
        if is_kept or not np.isfinite(price):
            target[k, symbol] = quantity
        else:
            target[k, symbol] = weight * base / price


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
