"""The embedded broker: an account of its own, stepped by the market core at batch size 1.

It fills what the backtest fills, at the same prices and costs. Each result of the core becomes a
Decimal once, here; the session's ledger books the same Decimals.
"""

from dataclasses import replace
from datetime import date
from typing import cast

import numpy as np

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.errors import DataError
from trading_assets.paper.broker_state import BrokerState, read_state, write_state
from trading_assets.paper.core_fills import Happened, SessionOpen, translate_step
from trading_assets.paper.fills import Fill
from trading_assets.paper.gateways import BrokerOrder, Settlement, require_same_order
from trading_assets.paper.ledger import AccountEvent, AccountState
from trading_assets.paper.orders import ZERO, Order, to_money, to_quantity
from trading_assets.simulation.core import Books, open_books, step
from trading_assets.simulation.market import Market, bar_after, row_of
from trading_assets.strategy import Strategy


class SimulatedBroker:
    """A broker inside the process that fills at the open of bars it is given.

    Parameters
    ----------
    strategy : Strategy
        Costs, sizing, position limits and initial cash.
    market : Market
        Bars known now, from the broker's last session on.
    calendar : ExchangeCalendar
        Opening times of the fills.
    state : bytes
        What `state()` returned last, or empty for a new account.

    Raises
    ------
    DataError
        If `state` is not one that this class wrote.
    """

    receiver = "simulated"
    cash_tolerance_usd = ZERO

    def __init__(
        self, strategy: Strategy, market: Market, calendar: ExchangeCalendar, state: bytes = b""
    ) -> None:
        self._strategy = strategy
        self._market = market
        self._calendar = calendar
        self._as_of: date | None = None
        self._orders: dict[str, tuple[Order, BrokerOrder]] = {}
        self._books: Books | None = None
        if state:
            stored = read_state(state, market.symbols)
            self._as_of, self._books = stored.as_of, stored.books
            self._orders = {entry[0].client_order_id: entry for entry in stored.orders}

    def refusal(self, session: date) -> str:
        """Return why orders for `session` are refused: it is over in this account."""
        if self._as_of is not None and session <= self._as_of:
            return f"the account has already seen the close of {self._as_of}"
        return ""

    def account(self) -> AccountState:
        """Return the broker's own cash and positions."""
        if self._books is None:
            return AccountState(None, to_money(self._strategy.paper.initial_cash_usd), {})
        held = zip(self._market.symbols, self._books.quantity[0], strict=True)
        quantity = {symbol: to_quantity(value) for symbol, value in held if value}
        return AccountState(self._as_of, to_money(self._books.cash[0]), quantity)

    def submit(self, order: Order) -> BrokerOrder:
        """Accept an order for the next open, or return the one known under its id."""
        known = self.order_by_client_id(order.client_order_id)
        if known is not None:
            return require_same_order(order, known)
        accepted = BrokerOrder(
            broker_order_id=f"sim-{order.client_order_id}",
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            quantity=order.quantity,
            status="accepted",
            filled_quantity=ZERO,
        )
        reason = self.refusal(order.session) or self._duplicate_reason(order)
        if order.symbol not in self._market.symbols:
            reason = f"{order.symbol} is not traded here"
        if reason:
            accepted = replace(accepted, status="rejected", reason=reason)
        self._orders[order.client_order_id] = (order, accepted)
        return accepted

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order with this id, or None."""
        entry = self._orders.get(client_order_id)
        return None if entry is None else entry[1]

    def settle(
        self, session: date, since: date | None, client_order_ids: tuple[str, ...]
    ) -> Settlement | None:
        """Fill the session's orders at its open and carry the account to its close.

        Sessions between the last one seen and this one are carried without orders. None while the
        market has no bar of the session.

        Raises
        ------
        DataError
            If the ledger was last closed in another session than this account was.
        """
        if np.datetime64(session, "D") > self._market.sessions[-1]:
            return None
        if since != self._as_of:
            msg = (
                f"the ledger was closed on {since} and the simulated account on {self._as_of};"
                " restart the broker from the state stored with the ledger's record"
            )
            raise DataError(msg)
        target_row = row_of(self._market, session)
        row = target_row - 1 if self._as_of is None else row_of(self._market, self._as_of)
        if row < 0:
            msg = f"the market begins on {session}; expected the session before it, too"
            raise DataError(msg)
        events: list[AccountEvent] = []
        fills: list[Fill] = []
        while row < target_row:
            row += 1
            happened = self._step_to(row, is_traded=row == target_row)
            events += happened.events
            fills += happened.fills
        self._as_of = session
        orders = tuple(self._orders[key][1] for key in client_order_ids)
        return Settlement(tuple(events), tuple(fills), orders)

    def state(self) -> bytes:
        """Return the account and its newest orders as canonical JSON."""
        newest = max((order.session for order, _ in self._orders.values()), default=None)
        orders = tuple(entry for entry in self._orders.values() if entry[0].session == newest)
        return write_state(BrokerState(self._as_of, self._books, orders), self._market.symbols)

    def _duplicate_reason(self, order: Order) -> str:
        for other, known in self._orders.values():
            is_same = (other.session, other.symbol) == (order.session, order.symbol)
            if is_same and known.status != "rejected":
                return f"{other.client_order_id} is already there; one order a symbol and open"
        return ""

    def _step_to(self, row: int, *, is_traded: bool) -> Happened:
        """Carry the account from the close of the row before to the close of `row`."""
        market, strategy = self._market, self._strategy
        session = cast("date", market.sessions[row].astype(object))
        books = self._books
        if books is None:
            books = open_books(1, strategy.paper.initial_cash_usd, market.close[row - 1])
        pending = self._pending(session) if is_traded else {}
        target = books.quantity.copy()
        for symbol, order in pending.items():
            column = market.symbols.index(symbol)
            held = to_quantity(target[0, column])
            target[0, column] = float(held + order.signed_quantity)
        bar = bar_after(market, row - 1)
        is_constant = strategy.policy.sizing == "constant_notional"
        # Without a decision nothing is traded, so a cost on the change of weights must not arise.
        idle = {} if is_traded else {"quadratic_lambda": 0.0}
        result = step(
            books,
            target,
            bar,
            strategy.costs.model_copy(update=idle),
            is_long_only=strategy.policy.position == "long_only",
            notional_usd=strategy.paper.initial_cash_usd if is_constant else None,
        )
        self._books = result.books
        moment = SessionOpen(session, self._calendar.open_time(session), market.symbols)
        happened = translate_step(moment, books, bar, result, pending)
        for order in pending.values():
            self._finish(
                order, happened, float(bar.split_ratio[market.symbols.index(order.symbol)])
            )
        return happened

    def _pending(self, session: date) -> dict[str, Order]:
        return {
            order.symbol: order
            for order, known in self._orders.values()
            if order.session == session and known.status == "accepted"
        }

    def _finish(self, order: Order, happened: Happened, split_ratio: float) -> None:
        filled = sum(
            (f.quantity for f in happened.fills if f.client_order_id == order.client_order_id), ZERO
        )
        asked = to_quantity(float(order.quantity) * split_ratio)
        status, reason = "filled", ""
        if split_ratio != 1.0:
            reason = f"the order was for {asked} shares after the split of {split_ratio:g} for 1"
        if filled < asked - to_quantity(self._strategy.costs.lot_shares or 1e-8):
            status = "expired"
            reason = f"{filled} of {asked} shares filled at the open: no bar, or cash ran out"
        entry = self._orders[order.client_order_id][1]
        done = replace(entry, status=status, filled_quantity=filled, reason=reason)
        self._orders[order.client_order_id] = (order, done)
