"""The event-driven engine: accounts carried bar by bar, orders filled as the bar's events.

At each close whoever trades sees the accounts and places orders; each reaches the market
`latency_bars` later. A bar's events come in a fixed order: corporate actions, what fills at the
open, stops and then limits that the bar's range reaches, the close with financing. The path within
a bar is unknown, so the stop comes first, which is the worse for the account. Every fill is a step
of the market core: costs, caps of the volume and the cash of long-only accounts are those of all
engines.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from trading_assets.backtest.order_queue import Match, OrderQueue, share_out
from trading_assets.backtest.orders import Order, Rebalance
from trading_assets.errors import DataError
from trading_assets.simulation.compiled.books import step_books
from trading_assets.simulation.compiled.layout import (
    BASE,
    BORROW_PER_BAR,
    CASH_PER_SHARE,
    CLOSE,
    EQUITY,
    EQUITY_BEFORE,
    FILL_FIELDS,
    FILL_PRICE,
    FINANCING_PER_BAR,
    OPEN,
    OUTCOME_FIELDS,
    PAYOUT_PER_SHARE,
    POSITION_FIELDS,
    POSITION_WEIGHT,
    PRICE,
    QUANTITY,
    SPLIT_RATIO,
    TRADE,
    TRADE_COST,
    VALUE,
    VOLATILITY,
    VOLUME,
)
from trading_assets.simulation.compiled.windows import carry_books
from trading_assets.simulation.core import Books
from trading_assets.simulation.market import Market, tape_of
from trading_assets.simulation.terms import Floats, require_finite, terms_of
from trading_assets.strategy import Strategy

Orders = Iterable[Order | Rebalance]


@dataclass(frozen=True, slots=True)
class Execution:
    """What a bar filled of an order: shares in the bar's terms, USD a share, its cost in USD."""

    order: Order
    shares: float
    price_usd: float
    cost_usd: float


class EventEngine:
    """K accounts over one market, flat at first.

    Parameters
    ----------
    market : Market
        What is traded; limit and stop orders need its highs and lows.
    strategy : Strategy
        Costs, latency, sizing, position and initial equity.
    accounts : int
        K.
    first_row : int
        Row of the market at whose close the first orders are placed.

    Attributes
    ----------
    row : int
        Row at whose close the accounts stand.
    executions : list of Execution
        What the last bar filled of single orders; rebalances are not among them.
    fills, outcome, positions, cash
        Arrays of the last bar as `TradedWindow` has them, for K accounts; overwritten by the next.
    """

    def __init__(self, market: Market, strategy: Strategy, accounts: int, first_row: int) -> None:
        symbols, initial = len(market.symbols), strategy.backtest.initial_equity_usd
        is_constant = strategy.policy.sizing == "constant_notional"
        self.market = market
        self.row = first_row
        self.executions: list[Execution] = []
        self.cash: Floats = np.full(accounts, initial)
        self.positions: Floats = np.zeros((accounts, POSITION_FIELDS, symbols))
        self.positions[:, PRICE] = np.nan_to_num(market.close[first_row], nan=0.0)
        self.fills: Floats = np.zeros((accounts, FILL_FIELDS, symbols))
        self.outcome: Floats = np.zeros((accounts, OUTCOME_FIELDS))
        self.outcome[:, EQUITY] = initial
        self._latency = strategy.costs.latency_bars
        self._is_long_only = strategy.policy.position == "long_only"
        self._terms = terms_of(
            strategy.costs,
            is_long_only=self._is_long_only,
            notional_usd=initial if is_constant else None,
        )
        self._free = self._terms.copy()
        self._free[:, [FINANCING_PER_BAR, BORROW_PER_BAR]] = 0.0
        self._max_participation = strategy.costs.max_participation
        self._tape = tape_of(market)
        self._target: Floats = np.empty((accounts, symbols))
        self._queue = OrderQueue(market)

    @property
    def equity(self) -> Floats:
        """Equity of each account at the close of `row`, float64 (K,), USD."""
        return self.outcome[:, EQUITY]

    @property
    def open_orders(self) -> list[Order]:
        """Orders that wait for a bar that reaches them, in terms of today's shares."""
        return self._queue.orders

    def books(self, account: int) -> Books:
        """Return one account at the close of `row` as books of K = 1, copied."""
        own = slice(account, account + 1)
        quantity, price, target_weight = self.positions[own].transpose(1, 0, 2).copy()
        return Books(self.cash[own].copy(), quantity, price, target_weight)

    def newest_target(self, account: int) -> Floats | None:
        """Return the shares of the rebalance on its way that was placed last, float64 (1, N)."""
        shares = self._queue.newest_target(account)
        return None if shares is None else shares[None]

    def place(self, orders: Orders) -> None:
        """Place orders at the close of `row`.

        Raises
        ------
        DataError
            If a limit or stop order is placed and the market has no highs and lows, or an account
            or a symbol does not exist.
        """
        first = self.row + self._latency
        for order in orders:
            if isinstance(order, Order):
                self._require_known(order)
            self._queue.place(order, first)

    def cancel(self, account: int, symbol: int) -> int:
        """Cancel an account's waiting orders of a symbol; return how many there were."""
        return self._queue.cancel(account, symbol)

    def carry(self) -> None:
        """Carry all accounts over the next bar.

        Raises
        ------
        DataError
            If there is no next bar, or a held or traded symbol lacks a price, volatility or dollar
            volume that is needed.
        """
        bar = self.row + 1
        if bar >= len(self._tape):
            msg = f"row {self.row} is the market's last; expected a bar after it"
            raise DataError(msg)
        self.executions.clear()
        np.copyto(self._target, self.positions[:, QUANTITY])
        rebalanced: set[int] = set()
        for rebalance in self._queue.take_rebalances(bar):
            self._target[rebalance.account] = rebalance.shares
            rebalanced.add(rebalance.account)
        matches = self._queue.match(bar)
        if matches:
            self._step_in_passes(share_out(matches, rebalanced))
        else:
            self._step_whole_bar()
        if not np.isfinite(self.outcome[:, EQUITY]).all():
            require_finite(self.outcome[:, EQUITY])
        self.row = bar
        self._queue.age(bar)

    def _require_known(self, order: Order) -> None:
        accounts, symbols = self._target.shape
        if not (0 <= order.account < accounts and 0 <= order.symbol < symbols):
            msg = (
                f"an order was for account {order.account} and symbol {order.symbol}; expected one"
                f" of {accounts} accounts and {symbols} symbols, counted from 0"
            )
            raise DataError(msg)
        if order.kind != "market" and self.market.high is None:
            msg = f"a {order.kind} order was placed in a market without highs and lows"
            raise DataError(msg)

    def _step_whole_bar(self) -> None:
        carry_books(
            self.cash,
            self.positions,
            self._target,
            self._tape,
            self.row,
            self._terms,
            self.fills,
            self.outcome,
        )

    def _step_in_passes(self, passes: list[list[Match]]) -> None:
        """Fill what the open fills in one step, and what comes after it in one step each."""
        ratio = self.market.split_ratio[self.row + 1]
        for match in passes[0]:
            order = match.waiting.order
            self._target[order.account, order.symbol] += order.shares
        if self._is_long_only:
            np.maximum(self._target, 0.0, out=self._target)
        if len(passes) == 1:
            self._step_whole_bar()
            self._book_executions(passes[0], self.fills)
            return
        tape = self._first_pass_tape()
        fills, outcome = np.empty_like(self.fills), np.empty_like(self.outcome)
        rows = np.arange(len(self.cash))
        for number, matches in enumerate(passes):
            is_last = number == len(passes) - 1
            if number:
                self._set_pass(tape, matches, ratio)
            if is_last:
                tape[:, CLOSE] = self._tape[self.row + 1, CLOSE]
            terms = self._terms if is_last else self._free
            step_books(self.cash, self.positions, self._target, tape, rows, terms, fills, outcome)
            self._book_executions(matches, fills)
            self._add_pass(fills, outcome, is_first=number == 0)
            if self._max_participation:
                tape[:, VOLUME] -= np.abs(fills[:, TRADE]) / self._max_participation

    def _first_pass_tape(self) -> Floats:
        """Return the bar up to its open, a row for each account, with what is known before it."""
        bar = self._tape[self.row + 1].copy()
        bar[VOLATILITY:] = self._tape[self.row, VOLATILITY:]
        bar[CLOSE] = bar[OPEN]
        return np.repeat(bar[None], len(self.cash), axis=0)

    def _set_pass(self, tape: Floats, matches: list[Match], ratio: Floats) -> None:
        tape[:, [OPEN, CLOSE, PAYOUT_PER_SHARE]] = np.nan
        tape[:, SPLIT_RATIO], tape[:, CASH_PER_SHARE] = 1.0, 0.0
        np.copyto(self._target, self.positions[:, QUANTITY])
        for match in matches:
            order = match.waiting.order
            at = (order.account, order.symbol)
            tape[order.account, [OPEN, CLOSE], order.symbol] = match.price
            self._target[at] += order.shares * ratio[order.symbol]
        if self._is_long_only:
            np.maximum(self._target, 0.0, out=self._target)

    def _book_executions(self, matches: list[Match], fills: Floats) -> None:
        for match in matches:
            order = match.waiting.order
            at = (order.account, slice(None), order.symbol)
            filled = fills[at]
            shares = float(filled[TRADE])
            if shares:
                price, cost = float(filled[FILL_PRICE]), float(filled[TRADE_COST])
                self.executions.append(Execution(order, shares, price, cost))
            ratio = float(self.market.split_ratio[self.row + 1, order.symbol])
            self._queue.fill(match.waiting, shares / ratio)

    def _add_pass(self, fills: Floats, outcome: Floats, *, is_first: bool) -> None:
        if is_first:
            self.fills[:], self.outcome[:] = fills, outcome
            return
        value = self.fills[:, VALUE] + fills[:, VALUE]
        trade = self.fills[:, TRADE] + fills[:, TRADE]
        price = np.where(fills[:, TRADE] != 0.0, fills[:, FILL_PRICE], self.fills[:, FILL_PRICE])
        weight = fills[:, POSITION_WEIGHT]
        before, base = self.outcome[:, EQUITY_BEFORE].copy(), self.outcome[:, BASE].copy()
        self.fills += fills
        self.outcome += outcome
        self.fills[:, FILL_PRICE] = np.divide(value, trade, out=price, where=trade != 0.0)
        self.fills[:, POSITION_WEIGHT] = weight
        self.outcome[:, EQUITY_BEFORE], self.outcome[:, BASE] = before, base
        self.outcome[:, EQUITY] = outcome[:, EQUITY]


def trade_orders(
    market: Market,
    strategy: Strategy,
    accounts: int,
    rows: range,
    trade: Callable[[EventEngine], Orders],
) -> Floats:
    """Return the equity of accounts at each next close, float64 (R, K), USD.

    Parameters
    ----------
    market : Market
        Covers the rows and one more.
    strategy : Strategy
        Costs, latency, sizing, position and initial equity.
    accounts : int
        K.
    rows : range
        Rows at whose close orders are placed.
    trade : callable
        Asked at each close with the engine, which shows all accounts; returns orders.
    """
    engine = EventEngine(market, strategy, accounts, rows.start)
    equity = np.empty((len(rows), accounts))
    for place in range(len(rows)):
        engine.place(trade(engine))
        engine.carry()
        equity[place] = engine.equity
    return equity
