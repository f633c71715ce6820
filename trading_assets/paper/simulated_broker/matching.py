"""Carries the simulated broker's account over one bar: which orders fill, at which price, in steps.

A session's events come in the order of the event-driven engine: corporate actions, what fills at
the open, stops and then limits that the range reaches, exits of entries that filled within the bar,
the closing auction, the close with financing. Each is a step of the market core. The path within a
bar is unknown, so of two exits the stop comes first, and an entry that filled within the bar can
be stopped out in it but takes its profit later.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import numpy as np

from trading_assets.paper.fills import Fill
from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.simulated_broker.bar_prices import (
    SessionBar,
    close_price,
    is_triggered_at_open,
    is_triggered_within,
    open_price,
    range_price,
)
from trading_assets.paper.simulated_broker.booked import BookedOrder, Change
from trading_assets.paper.simulated_broker.lifecycle import (
    after_fill,
    changes_at_close,
    exits_after_fill,
    restated,
)
from trading_assets.paper.simulated_broker.steps import AccountTerms, SessionSteps, Wanted
from trading_assets.simulation.core import Books


@dataclass(frozen=True, slots=True)
class Carried:
    """What one bar did to the account.

    Attributes
    ----------
    books : Books
        State after the close.
    events : list of AccountEvent
        Dividends, splits, payouts, costs without a trade, financing.
    changes : list of Change
        What happened to orders, in order.
    """

    books: Books
    events: list[AccountEvent]
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class _Match:
    client_order_id: str
    price: float


def carry(
    books: Books,
    bar: SessionBar,
    orders: Sequence[BookedOrder],
    terms: AccountTerms,
    *,
    is_traded: bool,
) -> Carried:
    """Carry one book over a session.

    Parameters
    ----------
    books : Books
        One book at the close before.
    bar : SessionBar
        The session.
    orders : sequence of BookedOrder
        Open orders, the oldest first.
    terms : AccountTerms
        Costs and rules of the account.
    is_traded : bool
        Whether something was decided for the session; without a decision no cost on the change of
        weights arises.

    Raises
    ------
    DataError
        If a held or traded symbol lacks a price, volatility or dollar volume that is needed.
    """
    idle = {} if is_traded else {"quadratic_lambda": 0.0}
    steps = SessionSteps(books, bar, terms, terms.costs.model_copy(update=idle))
    matching = _Matching(bar, terms, steps, {order.client_order_id: order for order in orders})
    return matching.run()


@dataclass(slots=True)
class _Matching:
    bar: SessionBar
    terms: AccountTerms
    steps: SessionSteps
    orders: dict[str, BookedOrder]
    changes: list[Change] = field(default_factory=list[Change])
    # Shares asked for before the session's split, which the core applies to them at the open.
    _asked: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    _tried: set[str] = field(default_factory=set[str])
    _lapsing: set[str] = field(default_factory=set[str])

    def run(self) -> Carried:
        """Do the whole session."""
        self._restate()
        self._trigger(is_triggered_at_open)
        # The open's step is made even if nothing fills: corporate actions belong to it.
        at_open = sorted(self._matches(open_price), key=self._is_limit)
        self._make(self._layers(at_open) or [[]])
        entries = self._working()
        self._make(self._layers(sorted(self._matches(range_price), key=self._is_limit)))
        self._trigger(is_triggered_within)
        exits = {key for key in self._working() if key not in entries}
        reached = self._matches(range_price)
        self._make(self._layers([m for m in reached if self._is_stop_of(m, exits)]))
        self._make(self._layers(self._matches(close_price)))
        self.steps.finish()
        open_now = list(self.orders.values())
        session, closes_at = self.bar.session, self.bar.closes_at
        self.changes += changes_at_close(open_now, session, closes_at, self._lapsing)
        return Carried(self.steps.books, self.steps.events, self.changes)

    def _restate(self) -> None:
        for key, booked in list(self.orders.items()):
            self._asked[key] = booked.left
            ratio = self.bar.split_ratio(booked.order.symbol)
            if ratio != 1.0:
                done = restated(booked, ratio, self.bar.opens_at)
                self._change(Change("restated" if done.is_open else done.status, done))

    def _working(self) -> set[str]:
        return {key for key, booked in self.orders.items() if self._is_working(booked)}

    def _is_working(self, booked: BookedOrder) -> bool:
        order = booked.order
        is_halted = (order.symbol, self.bar.session) in self.terms.behaviour.halts
        is_due = order.session == self.bar.session or (
            order.session < self.bar.session and order.time_in_force == "gtc"
        )
        return booked.is_open and booked.status != "held" and is_due and not is_halted

    def _matches(self, price_of: Callable[[BookedOrder, SessionBar], float]) -> list[_Match]:
        found: list[_Match] = []
        for key, booked in self.orders.items():
            if key not in self._tried and self._is_working(booked):
                price = price_of(booked, self.bar)
                if np.isfinite(price):
                    found.append(_Match(key, price))
        return found

    def _is_limit(self, match: _Match) -> bool:
        return self.orders[match.client_order_id].order.order_type == "limit"

    def _is_stop_of(self, match: _Match, exits: set[str]) -> bool:
        return match.client_order_id in exits and not self._is_limit(match)

    def _trigger(self, is_reached: Callable[[BookedOrder, SessionBar], bool]) -> None:
        for key in sorted(self._working()):
            booked = self.orders[key]
            is_waiting = booked.order.order_type == "stop_limit" and not booked.is_triggered
            if is_waiting and is_reached(booked, self.bar):
                triggered = replace(booked, is_triggered=True, updated_at=self.bar.opens_at)
                self._change(Change("restated", triggered))

    def _layers(self, matches: Iterable[_Match]) -> list[list[_Match]]:
        """Share matches out over steps: in each a symbol is traded once."""
        layers: list[list[_Match]] = []
        place_of: dict[str, int] = {}
        for match in matches:
            symbol = self.orders[match.client_order_id].order.symbol
            place = place_of.get(symbol, -1) + 1
            place_of[symbol] = place
            if place == len(layers):
                layers.append([])
            layers[place].append(match)
        return layers

    def _make(self, layers: list[list[_Match]]) -> None:
        for layer in layers:
            # The other exit may have filled in a layer before.
            matches = [m for m in layer if self.orders[m.client_order_id].is_open]
            if not matches and self.steps.made:
                continue
            is_first = not self.steps.made
            wanted = [self._wanted(match, is_first=is_first) for match in matches]
            fills = self.steps.make(wanted, self._moment(wanted, is_first=is_first))
            for wish in wanted:
                self._book(wish.order.client_order_id, fills.get(wish.order.symbol))

    def _wanted(self, match: _Match, *, is_first: bool) -> Wanted:
        key = match.client_order_id
        booked = self.orders[key]
        left = self._asked[key] if is_first else booked.left
        part = self.terms.behaviour.part_of(booked.order, left, self.bar.session)
        return Wanted(booked.order, part if booked.order.side == "buy" else -part, match.price)

    def _moment(self, wanted: Sequence[Wanted], *, is_first: bool) -> datetime:
        if is_first:
            return self.bar.opens_at
        if all(wish.order.time_in_force == "cls" for wish in wanted):
            return self.bar.closes_at
        return self.bar.within(self.steps.made)

    def _book(self, key: str, fill: Fill | None) -> None:
        booked = self.orders[key]
        self._tried.add(key)
        if booked.order.order_type in ("market", "stop"):
            self._lapsing.add(key)
        if fill is None:
            return
        fill = replace(fill, execution_id=f"sim-{key}-{booked.executions + 1}")
        for piece in self.terms.behaviour.pieces(fill, booked.order, self.bar.session):
            booked = after_fill(booked, piece, self.terms.least_shares)
            self._change(Change("partial_fill" if booked.is_open else "fill", booked, piece))
        for change in exits_after_fill(booked, list(self.orders.values()), fill.filled_at):
            self._change(change)

    def _change(self, change: Change) -> None:
        self.orders[change.order.client_order_id] = change.order
        self.changes.append(change)
