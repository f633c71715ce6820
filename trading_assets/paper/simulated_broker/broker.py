"""The simulated broker: takes orders into its book and fills them with the bars it is given.

A session is carried when it is asked for by name, never before: a replayed session's bar may be
known while its orders are still being sent.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.errors import DataError
from trading_assets.paper.orders import ZERO, Order, to_money
from trading_assets.paper.simulated_broker.account_books import (
    account_after,
    books_of,
    rounding,
)
from trading_assets.paper.simulated_broker.bar_prices import SessionBar
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.booked import BookedOrder, Change
from trading_assets.paper.simulated_broker.lifecycle import (
    cancelled,
    exits_after_end,
    exits_after_fill,
    exits_of,
)
from trading_assets.paper.simulated_broker.matching import carry
from trading_assets.paper.simulated_broker.rules import (
    FORBIDDEN,
    NOT_FOUND,
    UNPROCESSABLE,
    Refusal,
    holding_refusal,
    not_unique,
    order_refusal,
    symbol_refusal,
)
from trading_assets.paper.simulated_broker.steps import AccountTerms
from trading_assets.simulation.market import Market, row_of
from trading_assets.strategy import Strategy

# Without a clock, an order is dated so long before the open it is sent for.
_LEAD = timedelta(minutes=1)


class SimulatedBroker:
    """A broker that fills at the bars of a market.

    Parameters
    ----------
    book : Book
        The account; opened with the strategy's initial cash if it is new.
    strategy : Strategy
        Costs, sizing, position limits and initial cash.
    market : Market
        Bars known now, from the broker's last session on.
    calendar : ExchangeCalendar
        Opening and closing times.
    behaviour : Behaviour
        What goes wrong; nothing by default.
    clock : callable, optional
        The time now, aware. Without it no clock but the data's runs: every session whose bar is
        known can be traded until it is carried.
    """

    def __init__(
        self,
        book: Book,
        strategy: Strategy,
        market: Market,
        calendar: ExchangeCalendar,
        behaviour: Behaviour | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        is_constant = strategy.policy.sizing == "constant_notional"
        self.book = book
        self.market = market
        self.calendar = calendar
        self.behaviour = behaviour or Behaviour()
        self.clock = clock
        self.is_long_only = strategy.policy.position == "long_only"
        self._terms = AccountTerms(
            strategy.costs,
            self.is_long_only,
            strategy.paper.initial_cash_usd if is_constant else None,
            self.behaviour,
        )
        book.open_account(to_money(strategy.paper.initial_cash_usd))

    def now(self, session: date | None = None) -> datetime:
        """Return the time now; without a clock, shortly before a session's open.

        Parameters
        ----------
        session : date, optional
            The session; by default the one after the last that was carried.
        """
        if self.clock is not None:
            return self.clock()
        if session is None:
            as_of = self.book.account().as_of
            known: date = self.market.sessions[-1].astype(object)
            session = self.calendar.next_session(known if as_of is None else as_of)
        return self.calendar.open_time(session) - _LEAD

    def catch_up(self, before: date) -> None:
        """Carry the account over every session known that comes before one.

        A new account starts at the first session that it has orders for. By a clock, no session is
        carried before its close.
        """
        if self.clock is not None:
            done = self.calendar.last_completed_session(self.clock())
            before = min(before, done + timedelta(days=1))
        self._carry_until(before)

    def carry_session(self, session: date) -> bool:
        """Carry the account to the close of a session; return False while its bar is not known.

        Raises
        ------
        DataError
            If the market has later sessions but not this one.
        """
        if np.datetime64(session, "D") > self.market.sessions[-1]:
            return False
        if self.clock is not None and self.clock() < self.calendar.close_time(session):
            return False
        row_of(self.market, session)
        self._carry_until(session)
        as_of = self.book.account().as_of
        if as_of is None or as_of < session:
            self._carry_row(row_of(self.market, session), is_traded=True)
        return True

    def take(self, order: Order) -> BookedOrder | Refusal:
        """Take an order into the book, or say why not; what is refused leaves no trace."""
        self.catch_up(order.session)
        with self.book.transaction():
            refusal = self._refusal_of(order)
            if refusal is not None:
                return refusal
            now = self.now(order.session)
            status = "pending_new" if self.behaviour.ack_seconds else "accepted"
            booked = BookedOrder(order, status, now, now)
            exits = [
                BookedOrder(leg, "held", now, now, entry=order.client_order_id)
                for leg in exits_of(order)
            ]
            event = "pending_new" if self.behaviour.ack_seconds else "new"
            changes = [Change(event, booked), *(Change("held", leg) for leg in exits)]
            if self.behaviour.is_rejected(order):
                changes += self._rejection(booked, exits, now)
            self._record(changes, now, order.session)
            return booked

    def cancel(self, client_order_id: str) -> BookedOrder | Refusal:
        """Cancel an order, or say why that cannot be done."""
        with self.book.transaction():
            booked = self.book.order(client_order_id)
            if booked is None:
                return Refusal(404, NOT_FOUND, f"order not found for {client_order_id}")
            if not booked.is_open:
                message = f'order is already in "{booked.status}" state'
                return Refusal(422, UNPROCESSABLE, message)
            now = self.now(booked.order.session)
            done = cancelled(booked, "cancelled on request", now)
            changes = [Change("canceled", done)]
            if done.entry:
                others = self.book.exits_of(done.entry)
                ended = replace(done, status="filled")
                changes += exits_after_fill(ended, others, now)
            else:
                changes += exits_after_end(done, self.book.exits_of(client_order_id), now)
            self._record(changes, now, booked.order.session)
            return done

    def cancel_all(self) -> list[str]:
        """Cancel every open order in one transaction; return their client order ids."""
        with self.book.transaction():
            keys = [booked.client_order_id for booked in self.book.orders(is_open=True)]
            for key in keys:
                # An exit that went with its entry is refused, which changes nothing.
                self.cancel(key)
        return keys

    def acknowledge(self) -> None:
        """Show orders as accepted whose acknowledgement is due by the broker's clock."""
        if not self.behaviour.ack_seconds or self.clock is None:
            return
        now = self.clock()
        delay = timedelta(seconds=self.behaviour.ack_seconds)
        due = [
            order
            for order in self.book.orders(is_open=True)
            if order.status == "pending_new" and order.created_at + delay <= now
        ]
        for order in due:
            accepted = replace(order, status="accepted", updated_at=order.created_at + delay)
            self._record([Change("new", accepted)], accepted.updated_at, order.order.session)

    def _rejection(
        self, booked: BookedOrder, exits: list[BookedOrder], at: datetime
    ) -> list[Change]:
        reason = "the exchange rejected the order"
        rejected = replace(booked, status="rejected", reason=reason, updated_at=at)
        return [Change("rejected", rejected), *exits_after_end(rejected, exits, at)]

    def _refusal_of(self, order: Order) -> Refusal | None:
        if self.book.order(order.client_order_id) is not None:
            return not_unique()
        account = self.book.account()
        blocked = self.book.blocked()
        if blocked:
            return Refusal(403, FORBIDDEN, f"account is blocked: {blocked}")
        if self.book.is_suspended():
            return Refusal(403, FORBIDDEN, "new orders are rejected by user request")
        if account.as_of is not None and order.session <= account.as_of:
            message = f"the account has already seen the close of {account.as_of}"
            return Refusal(403, FORBIDDEN, message)
        refusal = order_refusal(order) or symbol_refusal(
            order, self.market, self.behaviour.untradable
        )
        if refusal is None and self.is_long_only:
            held = account.quantity.get(order.symbol, ZERO)
            refusal = holding_refusal(order, held, self.book.orders(is_open=True))
        return refusal

    def _record(self, changes: list[Change], at: datetime, session: date) -> None:
        self.book.record(changes, at, session, self.book.account().quantity)

    def _carry_until(self, before: date) -> None:
        as_of = self.book.account().as_of
        if as_of is None:
            open_orders = self.book.orders(is_open=True)
            first = min((order.order.session for order in open_orders), default=before)
            row = int(np.searchsorted(self.market.sessions, np.datetime64(first, "D")))
        else:
            row = row_of(self.market, as_of) + 1
        until = int(np.searchsorted(self.market.sessions, np.datetime64(before, "D")))
        for due in range(row, until):
            self._carry_row(due, is_traded=False)

    def _carry_row(self, row: int, *, is_traded: bool) -> None:
        bar = SessionBar.at(self.market, row, self.calendar)
        if row < 1:
            msg = f"the market begins on {bar.session}; expected the session before it, too"
            raise DataError(msg)
        with self.book.transaction():
            account = self.book.account()
            if account.as_of is not None and account.as_of >= bar.session:
                return  # another process has carried it meanwhile
            open_orders = self.book.orders(is_open=True)
            is_due = any(order.order.session == bar.session for order in open_orders)
            books = books_of(account, self.market, row)
            carried = carry(books, bar, open_orders, self._terms, is_traded=is_traded or is_due)
            after = account_after(carried.books, bar)
            events = [*carried.events, *rounding(account, after, carried, bar.session)]
            self.book.add_events(events)
            held = dict(account.quantity)
            for event in events:
                held[event.symbol] = held.get(event.symbol, ZERO) + event.quantity_change
            self.book.record(carried.changes, bar.closes_at, bar.session, held)
            self.book.write_account(after)
