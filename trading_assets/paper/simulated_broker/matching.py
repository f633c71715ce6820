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

from trading_assets.paper.core_fills import SessionOpen, core_money, translate_step
from trading_assets.paper.fills import Fill
from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import ZERO, Order, to_quantity
from trading_assets.paper.simulated_broker.bar_prices import (
    SessionBar,
    close_price,
    is_triggered_at_open,
    is_triggered_within,
    open_price,
    range_price,
)
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.paper.simulated_broker.booked import BookedOrder, Change
from trading_assets.paper.simulated_broker.lifecycle import (
    after_fill,
    changes_at_close,
    exits_after_fill,
    restated,
)
from trading_assets.simulation.core import Bar, Books, StepResult, step
from trading_assets.simulation.market import bar_after
from trading_assets.simulation.terms import Floats
from trading_assets.strategy import CostsSpec


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """On what terms the account trades.

    Attributes
    ----------
    costs : CostsSpec
        Costs, lot, tick and share of a bar's volume; orders reach the bar they are sent for,
        whatever latency is declared.
    is_long_only : bool
        Whether the account may neither borrow nor go short.
    notional_usd : float or None
        Base of weights under constant notional.
    behaviour : Behaviour
        What goes wrong.
    """

    costs: CostsSpec
    is_long_only: bool
    notional_usd: float | None
    behaviour: Behaviour

    @property
    def least_shares(self) -> Decimal:
        """Shares below which a rest counts as nothing."""
        return to_quantity(self.costs.lot_shares or 1.1e-8)


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
    """
    matched = _Matching(books, bar, terms, {order.client_order_id: order for order in orders})
    if not is_traded:
        matched.costs = terms.costs.model_copy(update={"quadratic_lambda": 0.0})
    return matched.run()


@dataclass(slots=True)
class _Matching:
    books: Books
    bar: SessionBar
    terms: AccountTerms
    orders: dict[str, BookedOrder]
    costs: CostsSpec = field(init=False)
    changes: list[Change] = field(default_factory=list[Change])
    events: dict[str, AccountEvent] = field(default_factory=dict[str, AccountEvent])
    _asked: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    _filled_within: set[str] = field(default_factory=set[str])
    _lapsing: set[str] = field(default_factory=set[str])
    _steps: int = 0

    def __post_init__(self) -> None:
        self.costs = self.terms.costs

    def run(self) -> Carried:
        """Do the whole session."""
        self._restate()
        self._trigger(is_triggered_at_open)
        # The open's step is made even if nothing fills: corporate actions belong to it.
        opening = self._layers(self._matches(open_price)) or [[]]
        last = self._step_over(opening)
        entries = self._working()
        stops_first = sorted(self._matches(range_price), key=self._is_limit)
        last = self._step_over(self._layers(stops_first)) or last
        self._trigger(is_triggered_within)
        is_new = {key for key in self._working() if key not in entries}
        stopped = [m for m in self._matches(range_price) if self._is_new_stop(m, is_new)]
        last = self._step_over(self._layers(stopped)) or last
        last = self._step_over(self._layers(self._matches(close_price))) or last
        assert last is not None
        self._close(*last)
        open_now = list(self.orders.values())
        self.changes += changes_at_close(
            open_now, self.bar.session, self.bar.closes_at, self._lapsing
        )
        return Carried(self.books, list(self.events.values()), self.changes)

    def _restate(self) -> None:
        for key, booked in list(self.orders.items()):
            # The core scales what it is asked for at the open itself.
            self._asked[key] = booked.left
            ratio = self.bar.split_ratio(booked.order.symbol)
            if ratio != 1.0:
                self._change(Change("restated", restated(booked, ratio, self.bar.opens_at)))

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
        for key in [key for key in self.orders if self._is_working(self.orders[key])]:
            price = price_of(self.orders[key], self.bar)
            if np.isfinite(price) and key not in self._lapsing and key not in self._filled_within:
                found.append(_Match(key, price))
        return found

    def _is_limit(self, match: _Match) -> bool:
        return self.orders[match.client_order_id].order.order_type == "limit"

    def _is_new_stop(self, match: _Match, is_new: set[str]) -> bool:
        return match.client_order_id in is_new and not self._is_limit(match)

    def _trigger(self, is_reached: Callable[[BookedOrder, SessionBar], bool]) -> None:
        for key in self._working():
            booked = self.orders[key]
            is_waiting = booked.order.order_type == "stop_limit" and not booked.is_triggered
            if is_waiting and is_reached(booked, self.bar):
                self.orders[key] = replace(booked, is_triggered=True)
                self.changes.append(Change("restated", self.orders[key]))

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

    def _step_over(self, layers: list[list[_Match]]) -> tuple[Books, Bar, Floats] | None:
        """Make the steps of one part of the session; return what the last one started from."""
        last = None
        for layer in layers:
            matches = [m for m in layer if self.orders[m.client_order_id].is_open]
            if not matches and self._steps:
                continue
            last = self._step(matches)
        return last

    def _step(self, matches: list[_Match]) -> tuple[Books, Bar, Floats]:
        before = self.books
        bar = self._bar_of(matches)
        target = before.quantity.copy()
        by_symbol: dict[str, Order] = {}
        for match in matches:
            booked = self.orders[match.client_order_id]
            column = self.bar.column(booked.order.symbol)
            held = to_quantity(target[0, column])
            wanted = held + self._part(booked)
            target[0, column] = float(max(wanted, ZERO) if self.terms.is_long_only else wanted)
            by_symbol[booked.order.symbol] = booked.order
        result = self._core_step(before, target, bar, is_last=False)
        moment = SessionOpen(self.bar.session, self._moment(matches), self.bar.market.symbols)
        happened = translate_step(moment, before, bar, result, by_symbol)
        for event in happened.events:
            self._add_event(event)
        self.books = result.books
        self._steps += 1
        fills = {fill.symbol: fill for fill in happened.fills}
        for match in matches:
            symbol = self.orders[match.client_order_id].order.symbol
            self._book(match.client_order_id, fills.get(symbol))
        return before, bar, target

    def _part(self, booked: BookedOrder) -> Decimal:
        left = booked.left if self._steps else self._asked[booked.client_order_id]
        part = self.terms.behaviour.part_of(booked.order, left, self.bar.session)
        return part if booked.order.side == "buy" else -part

    def _bar_of(self, matches: list[_Match]) -> Bar:
        """Return the bar of a step: that of the session up to its open, or matched prices."""
        whole = bar_after(self.bar.market, self.bar.row - 1)
        if not self._steps:
            return whole
        prices = np.full(len(self.bar.market.symbols), np.nan)
        for match in matches:
            symbol = self.orders[match.client_order_id].order.symbol
            prices[self.bar.column(symbol)] = match.price
        return replace(
            whole,
            open=prices,
            split_ratio=np.ones_like(prices),
            cash_per_share=np.zeros_like(prices),
            payout_per_share=None,
            volume=self._volume(whole),
        )

    def _volume(self, whole: Bar) -> Floats | None:
        """Return what the steps before have left of the bar's volume, shares."""
        share = self.costs.max_participation
        if whole.volume is None or not share:
            return whole.volume
        left = whole.volume.copy()
        for change in self.changes:
            if change.fill is not None:
                left[self.bar.column(change.fill.symbol)] -= float(change.fill.quantity) / share
        return left

    def _core_step(self, before: Books, target: Floats, bar: Bar, *, is_last: bool) -> StepResult:
        costs = self.costs
        if not is_last:
            # Marked at the prices it fills at; interest is charged once, at the close.
            bar = replace(bar, close=bar.open)
            free = {"financing_bps_per_year": 0.0, "borrow_bps_per_year": 0.0}
            costs = costs.model_copy(update=free)
        return step(
            before,
            target,
            bar,
            costs,
            is_long_only=self.terms.is_long_only,
            notional_usd=self.terms.notional_usd,
        )

    def _close(self, before: Books, bar: Bar, target: Floats) -> None:
        """Make the last step again, up to the close."""
        closes = replace(bar, close=self.bar.market.close[self.bar.row])
        result = self._core_step(before, target, closes, is_last=True)
        self.books = result.books
        financing = core_money(float(result.financing[0]))
        if financing:
            event_id = f"sim-financing-{self.bar.session}-"
            session = self.bar.session
            self._add_event(AccountEvent(event_id, "financing", session, "", ZERO, -financing))

    def _moment(self, matches: list[_Match]) -> datetime:
        if not self._steps:
            return self.bar.opens_at
        orders = [self.orders[match.client_order_id].order for match in matches]
        if all(order.time_in_force == "cls" for order in orders):
            return self.bar.closes_at
        return self.bar.within(self._steps, self._steps)

    def _add_event(self, event: AccountEvent) -> None:
        earlier = self.events.get(event.event_id)
        if earlier is not None:
            event = replace(event, cash_usd=earlier.cash_usd + event.cash_usd)
        self.events[event.event_id] = event

    def _book(self, key: str, fill: Fill | None) -> None:
        booked = self.orders[key]
        if booked.order.order_type in ("market", "stop"):
            self._lapsing.add(key)
        self._filled_within.add(key)
        if fill is None:
            return
        fill = replace(fill, execution_id=f"sim-{key}-{booked.executions + 1}")
        for piece in self.terms.behaviour.pieces(fill, booked.order, self.bar.session):
            booked = after_fill(booked, piece, self.terms.least_shares)
            event = "partial_fill" if booked.is_open else "fill"
            self._change(Change(event, booked, piece))
        for change in exits_after_fill(booked, list(self.orders.values()), fill.filled_at):
            self._change(change)

    def _change(self, change: Change) -> None:
        self.orders[change.order.client_order_id] = change.order
        self.changes.append(change)
