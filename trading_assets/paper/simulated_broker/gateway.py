"""The simulated broker inside the process, behind the protocol of all gateways."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.paper.fills import FillChange
from trading_assets.paper.gateways import Activities, Answer, BrokerOrder, Update
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.orders import ZERO, Order
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.booked import BookedOrder, BookedUpdate, Execution
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.rules import Refusal
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy


class SimulatedGateway:
    """A simulated broker as a paper session sees it.

    Parameters
    ----------
    broker : SimulatedBroker
        The broker; messages of its stream are seen from now on, as after connecting.
    """

    receiver = "simulated"
    is_simulated = True
    cash_tolerance_usd: Decimal = ZERO

    def __init__(self, broker: SimulatedBroker) -> None:
        self._broker = broker
        self._book = broker.book
        self._seen = broker.book.last_update()

    def refusal(self, session: date) -> str:
        """Return why orders for `session` are refused: it is over in this account."""
        self._broker.catch_up(session)
        as_of = self._book.account().as_of
        if as_of is not None and session <= as_of:
            return f"the account has already seen the close of {as_of}"
        return ""

    def blocked(self) -> str:
        """Return why the account may not trade at all, or an empty string if it may."""
        reason = self._book.blocked()
        if reason:
            return f"the account is blocked: {reason}"
        return "trading is suspended at the broker" if self._book.is_suspended() else ""

    def account(self) -> AccountState:
        """Return the broker's own cash and positions, without a date."""
        account = self._book.account()
        return AccountState(None, account.cash_usd, account.quantity)

    def send(self, order: Order) -> Answer:
        """Send an order once; an id that the broker knows already is refused."""
        return _answer(self._broker.take(order))

    def cancel(self, client_order_id: str) -> Answer:
        """Cancel an order; `refused` when it is final or unknown."""
        return _answer(self._broker.cancel(client_order_id))

    def cancel_all(self) -> Answer:
        """Cancel every open order."""
        self._broker.cancel_all()
        return Answer("taken")

    def suspend(self) -> Answer:
        """Let the broker take no more orders."""
        self._book.suspend(is_suspended=True)
        return Answer("taken")

    def resume(self) -> Answer:
        """Undo `suspend`."""
        self._book.suspend(is_suspended=False)
        return Answer("taken")

    def look_up(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order with this id, or None."""
        self._broker.acknowledge()
        booked = self._book.order(client_order_id)
        return None if booked is None else booked.shown()

    def orders(self, since: datetime | None, *, is_open: bool = False) -> tuple[BrokerOrder, ...]:
        """Return the account's orders taken since a moment, or all that are open now."""
        self._broker.acknowledge()
        found = self._book.orders(is_open=is_open)
        if since is not None and not is_open:
            found = [booked for booked in found if booked.created_at >= since]
        return tuple(booked.shown() for booked in found)

    def activities(self, since: date | None, until: date) -> Activities:
        """Return what happened after the close of `since` up to the close of session `until`.

        Without `since`, after the close of the session before `until`.
        """
        after = self._broker.calendar.previous_session(until) if since is None else since
        executions = self._book.executions_between(after, until)
        fills = [e.fill for e in executions if after < e.session and not e.replaces]
        undone = [e for e in executions if e.undone_in is not None and e.undone_in > after]
        return Activities(
            events=tuple(self._book.events_between(after, until)),
            fills=tuple(fills),
            changes=tuple(self._change(e) for e in undone if e.undone_in and e.undone_in <= until),
        )

    def updates(self) -> tuple[Update, ...]:
        """Return messages of the stream since the last call."""
        self._broker.acknowledge()
        found = self._book.updates_after(self._seen)
        if found:
            self._seen = found[-1].number
        return tuple(_update(update) for update in found)

    def has_closed(self, session: date) -> bool:
        """Return whether the session is over; its bar, once known, ends it."""
        return self._broker.carry_session(session)

    def last_targets(self) -> dict[str, str]:
        """Return the weights that the costs refer to, by symbol, as they are booked."""
        weights = self._book.account().target_weight
        return {symbol: repr(weight) for symbol, weight in sorted(weights.items())}

    def rename(self, current: Mapping[str, str], until: date) -> None:
        """Call what is held by today's names; said again, it changes nothing."""
        self._book.rename_symbols(current, until)

    def close(self) -> None:
        """Close the book's file."""
        self._book.close()

    def _change(self, execution: Execution) -> FillChange:
        execution_id = execution.fill.execution_id
        if not execution.replaced_by:
            return FillChange("bust", execution_id)
        replacement = self._book.execution(execution.replaced_by)
        assert replacement is not None
        return FillChange("correction", execution_id, replacement.fill)


def open_simulated(
    path: str | Path, strategy: Strategy, market: Market, calendar: ExchangeCalendar
) -> SimulatedGateway:
    """Return the gateway to a simulated broker with its book at a path, made if absent.

    Parameters
    ----------
    path : str or Path
        File of the book, or `:memory:`.
    strategy : Strategy
        Costs, sizing, position limits and initial cash.
    market : Market
        Bars known now.
    calendar : ExchangeCalendar
        Opening and closing times.
    """
    if isinstance(path, Path):
        path.parent.mkdir(parents=True, exist_ok=True)
    return SimulatedGateway(SimulatedBroker(Book(path), strategy, market, calendar))


def _answer(result: BookedOrder | Refusal) -> Answer:
    if isinstance(result, Refusal):
        return Answer("refused", reason=result.message)
    return Answer("taken", result.shown())


def _update(update: BookedUpdate) -> Update:
    change = update.change
    undone = None
    if change.undone:
        kind = "bust" if change.fill is None else "correction"
        undone = FillChange(kind, change.undone, change.fill)
    return Update(change.event, change.order.shown(), undone)
