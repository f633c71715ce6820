"""The one market core: accounting of K books over N symbols on plain float64 arrays.

Training environment, backtest and simulated broker call these functions at different batch sizes,
so they agree. A target is decided on what is known at the close of t and filled at the open of
t + 1. Quantities are rounded to lots, prices to ticks and cash to 1e-6 USD in
`simulation.compiled.book`, nowhere else. This module knows no dates, tables, policies or rewards.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from trading_assets.simulation.compiled.books import step_books, sum_equity, weigh_books
from trading_assets.simulation.compiled.layout import (
    ADV_USD,
    CASH_PER_SHARE,
    CLOSE,
    COSTS,
    DIVIDENDS,
    EQUITY,
    EQUITY_BEFORE,
    FILL_FIELDS,
    FILL_PRICE,
    FINANCING,
    OPEN,
    OUTCOME_FIELDS,
    PAYOUT_PER_SHARE,
    PNL,
    POSITION_WEIGHT,
    PRICE,
    QUANTITY,
    SPLIT_RATIO,
    TAPE_FIELDS,
    TARGET_WEIGHT,
    TRADE,
    TRADE_COST,
    VOLATILITY,
    VOLUME,
)
from trading_assets.simulation.terms import Floats, require_finite, terms_of
from trading_assets.strategy import CostsSpec

Sizing = Literal["equity", "constant_notional"]


@dataclass(frozen=True, slots=True)
class Books:
    """State of K accounts after a close.

    Attributes
    ----------
    cash : float64 (K,)
        Cash, USD.
    quantity : float64 (K, N)
        Shares held, negative when short.
    price : float64 (K, N)
        Last known close per share of today, USD; 0 before a symbol's first bar.
    target_weight : float64 (K, N)
        Last filled target as a fraction of its base; read by the quadratic cost only.
    """

    cash: Floats
    quantity: Floats
    price: Floats
    target_weight: Floats


@dataclass(frozen=True, slots=True)
class Bar:
    """What a step needs of the market, each array (N,) or (K, N).

    Attributes
    ----------
    open, close : float64
        Prices of the bar that is filled, USD; nan where the symbol has no bar.
    split_ratio, cash_per_share : float64
        Corporate actions with ex-date on this bar: new shares for one old, USD for one old share.
    volatility, adv_usd : float64
        Daily volatility (fraction) and average dollar volume (USD) known at the close before.
    volume : float64, optional
        Shares traded in the bar that is filled; needed where participation is capped.
    payout_per_share : float64, optional
        USD that a share of a delisted symbol is paid out with, in shares after the bar's splits;
        nan where nothing is paid out.
    """

    open: Floats
    close: Floats
    split_ratio: Floats
    cash_per_share: Floats
    volatility: Floats
    adv_usd: Floats
    volume: Floats | None = None
    payout_per_share: Floats | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one bar did to K books.

    The identity `equity - equity_before = pnl + dividends - costs - financing` holds for each book.

    Attributes
    ----------
    books : Books
        State after the bar's close.
    equity_before, equity : float64 (K,)
        Cash and positions at the closes before and after, USD.
    pnl, dividends, costs, financing : float64 (K,)
        Price gains, cash from corporate actions, trading costs, interest and borrow fees, USD.
    trade : float64 (K, N)
        Shares bought (+) or sold (-) at the open.
    fill_price : float64 (K, N)
        Price of the trade before costs, USD; the last known price where there is no bar.
    trade_cost : float64 (K, N)
        Fee, half spread and impact of the trade, USD.
    position_weight : float64 (K, N)
        Positions after the trade at the fill price over equity before, or over the notional.
    """

    books: Books
    equity_before: Floats
    equity: Floats
    pnl: Floats
    dividends: Floats
    costs: Floats
    financing: Floats
    trade: Floats
    fill_price: Floats
    trade_cost: Floats
    position_weight: Floats


def open_books(n_books: int, cash_usd: float, close: Floats) -> Books:
    """Return K books that hold only cash, USD.

    `close`, float64 (N,) or (K, N), is known when the first target is decided; nan where a symbol
    has none.
    """
    n_symbols = close.shape[-1]
    return Books(
        cash=np.full(n_books, cash_usd, dtype=np.float64),
        quantity=np.zeros((n_books, n_symbols)),
        price=np.broadcast_to(
            np.where(np.isfinite(close), close, 0.0), (n_books, n_symbols)
        ).copy(),
        target_weight=np.zeros((n_books, n_symbols)),
    )


def equity_of(books: Books) -> Floats:
    """Return cash plus positions at the last known closes, float64 (K,), USD."""
    equity = np.empty(len(books.cash))
    sum_equity(books.cash, _positions_of(books), equity)
    return equity


def held_weights(books: Books, sizing: Sizing, notional_usd: float) -> Floats:
    """Return positions at the last close as fractions of equity or of the notional, float64 (K, N).

    Known at the close. A book without positive equity holds weights of 0 by convention.
    """
    notional = notional_usd if sizing == "constant_notional" else 0.0
    held = np.empty(books.quantity.shape)
    weigh_books(books.cash, _positions_of(books), notional, held)
    return held


def decide_quantities(
    books: Books, weights: Floats, close: Floats, sizing: Sizing, notional_usd: float
) -> Floats:
    """Return the shares that target weights mean, float64 (K, N), not yet rounded to lots.

    A target that is the weight held, to the bit, means the shares held, of which rounding could
    otherwise trade the smallest part.

    Parameters
    ----------
    books : Books
        State at the close of t.
    weights : float64 (K, N)
        Target weights after limits.
    close : float64 (N,) or (K, N)
        Closes of t, USD; nan where a symbol has no bar, which keeps its quantity.
    sizing : {"equity", "constant_notional"}
        Whether a weight is a fraction of the equity at the close or of `notional_usd`.
    notional_usd : float
        Notional of constant sizing, USD.
    """
    if sizing == "constant_notional":
        wanted_usd = weights * notional_usd
    else:
        wanted_usd = weights * np.maximum(equity_of(books), 0.0)[:, None]
    held = held_weights(books, sizing, notional_usd)
    # A weight of 0 is a target of no shares, whatever the convention on ruined books is.
    is_changed = (weights != held) | (held == 0.0)
    where = is_changed & np.isfinite(close)
    return np.divide(wanted_usd, close, out=books.quantity.copy(), where=where)


def step(
    books: Books,
    target_quantity: Floats,
    bar: Bar,
    costs: CostsSpec,
    *,
    is_long_only: bool,
    notional_usd: float | None = None,
) -> StepResult:
    """Carry K books from the close of t over the open to the close of t + 1.

    Order: corporate actions (quantity and target scaled by the split, cash per old share credited,
    or debited when short); fill of the difference at the open, where there is one; marking at the
    close; financing of negative cash and short positions. Long-only books never borrow: sales count
    first, then all buys of a book are scaled down by one factor so that cash after costs stays at
    or above 0. Only a cost that is due without a buy can take it below: `quadratic_lambda` charges
    a changed target weight, whatever is traded.

    Parameters
    ----------
    books : Books
        State at the close of t.
    target_quantity : float64 (K, N)
        Shares decided at the close of t, as `decide_quantities` returns them.
    bar : Bar
        The bar of t + 1, with volatility and dollar volume known at the close of t.
    costs : CostsSpec
        Costs, lot and tick.
    is_long_only : bool
        Whether books may neither borrow nor go short.
    notional_usd : float, optional
        Base of weights under constant notional; absent, the base is the equity at the close of t.

    Raises
    ------
    DataError
        If a held or traded symbol lacks a price, volatility or dollar volume that is needed.
    """
    n_books, n_symbols = books.quantity.shape
    tape = _tape_of(bar)
    rows = np.zeros(n_books, np.int64) if len(tape) == 1 else np.arange(n_books)
    cash = books.cash.copy()
    positions = _positions_of(books)
    fills = np.empty((n_books, FILL_FIELDS, n_symbols))
    outcome = np.empty((n_books, OUTCOME_FIELDS))
    terms = terms_of(costs, is_long_only=is_long_only, notional_usd=notional_usd)
    target = np.ascontiguousarray(target_quantity, dtype=np.float64)
    step_books(cash, positions, target, tape, rows, terms, fills, outcome)
    require_finite(outcome[:, EQUITY])
    return result_of(cash, positions, fills, outcome)


def result_of(cash: Floats, positions: Floats, fills: Floats, outcome: Floats) -> StepResult:
    """Return packed arrays of the core, as `simulation.compiled.layout` lays them out, by name."""
    return StepResult(
        books=books_of(cash, positions),
        equity_before=outcome[:, EQUITY_BEFORE].copy(),
        equity=outcome[:, EQUITY].copy(),
        pnl=outcome[:, PNL].copy(),
        dividends=outcome[:, DIVIDENDS].copy(),
        costs=outcome[:, COSTS].copy(),
        financing=outcome[:, FINANCING].copy(),
        trade=fills[:, TRADE].copy(),
        fill_price=fills[:, FILL_PRICE].copy(),
        trade_cost=fills[:, TRADE_COST].copy(),
        position_weight=fills[:, POSITION_WEIGHT].copy(),
    )


def books_of(cash: Floats, positions: Floats) -> Books:
    """Return packed arrays of the core as books; positions are copied."""
    return Books(
        cash,
        positions[:, QUANTITY].copy(),
        positions[:, PRICE].copy(),
        positions[:, TARGET_WEIGHT].copy(),
    )


def _positions_of(books: Books) -> Floats:
    return np.stack([books.quantity, books.price, books.target_weight], axis=1)


def _tape_of(bar: Bar) -> Floats:
    """Return a bar as rows of a tape: one row, or one for each book."""
    tape = np.empty((*bar.open.shape[:-1], TAPE_FIELDS, bar.open.shape[-1]))
    fields = (
        (OPEN, bar.open),
        (CLOSE, bar.close),
        (SPLIT_RATIO, bar.split_ratio),
        (CASH_PER_SHARE, bar.cash_per_share),
        (PAYOUT_PER_SHARE, np.nan if bar.payout_per_share is None else bar.payout_per_share),
        (VOLUME, np.nan if bar.volume is None else bar.volume),
        (VOLATILITY, bar.volatility),
        (ADV_USD, bar.adv_usd),
    )
    for field, values in fields:
        tape[..., field, :] = values
    return tape if tape.ndim == 3 else tape[None]
