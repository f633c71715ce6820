"""An account of ours: what the records of an audit log add up to, and nothing else.

Cash, holdings and orders change only by `apply`. Whoever reads the log again gets the same account,
so that a crash loses nothing that is on disk and invents nothing that is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from trading_assets.errors import DataError
from trading_assets.paper.fills import Fill, FillChange
from trading_assets.paper.ledger import AccountEvent, AccountState, Ledger
from trading_assets.paper.order_records import (
    change_from_fields,
    event_from_fields,
    fill_from_fields,
    order_from_fields,
    state_from_fields,
    status_from_fields,
)
from trading_assets.paper.order_state import OrderState

# Records that tell an order's status.
ORDER_EVENTS = frozenset(
    {"ACCEPTED", "REJECTED", "UNKNOWN", "NOT_SENT", "DONE", "RESTATED", "RESOLVED"}
)


@dataclass(slots=True)
class Account:
    """Cash, holdings and orders.

    Attributes
    ----------
    ledger : Ledger or None
        Cash and quantities; None before the first record opened the account.
    orders : dict of str to OrderState
        By client order id.
    opened : AccountState or None
        What the log began with.
    session : date or None
        Whose log is being read.
    events : list of AccountEvent
        Booked, oldest first.
    fills : list of Fill
        Booked and not undone, oldest first.
    """

    ledger: Ledger | None = None
    orders: dict[str, OrderState] = field(default_factory=dict[str, OrderState])
    opened: AccountState | None = None
    session: date | None = None
    events: list[AccountEvent] = field(default_factory=list[AccountEvent])
    fills: list[Fill] = field(default_factory=list[Fill])

    @staticmethod
    def from_records(records: list[dict[str, str]]) -> "Account":
        """Return the account that a log adds up to."""
        account = Account()
        for record in records:
            account.apply(record)
        return account

    @property
    def open_orders(self) -> list[OrderState]:
        """Orders that may be working at the broker, among them those whose fate is unknown."""
        return [state for state in self.orders.values() if state.may_be_open]

    def state(self, as_of: date | None) -> AccountState:
        """Return cash and holdings now.

        Raises
        ------
        DataError
            If no record has opened the account.
        """
        return self._opened_ledger().state(as_of)

    def knows_execution(self, execution_id: str) -> bool:
        """Return whether an execution, or that it was undone, has been booked."""
        return self._opened_ledger().has_booked(execution_id)

    def apply(self, record: Mapping[str, str]) -> None:
        """Book what a record says; a record that moves no cash, share or order changes nothing.

        Raises
        ------
        DataError
            If a record speaks of an order or account that no earlier one made, or opens the account
            anew with other cash or holdings.
        """
        event = record["event"]
        if event == "START":
            self._open(state_from_fields(record), date.fromisoformat(record["session"]))
        elif event == "INTENT":
            order = order_from_fields(record)
            self.orders.setdefault(order.client_order_id, OrderState(order))
        elif event in ORDER_EVENTS:
            self._hear(record)
        elif event == "FILL":
            self._book_fill(fill_from_fields(record))
        elif event in ("BUST", "CORRECT"):
            self._book_change(change_from_fields(record), record["client_order_id"])
        elif event in ("ACCOUNT_EVENT", "ACCEPT_DIFFERENCE"):
            found = event_from_fields(record)
            if self._opened_ledger().book_event(found):
                self.events.append(found)

    def _open(self, state: AccountState, session: date) -> None:
        if self.opened is None:
            self.opened, self.session = state, session
            self.ledger = Ledger.opened(state)
        elif self.opened != state:
            msg = (
                f"the log of {session} was opened with {self.opened.cash_usd} USD and is opened"
                f" again with {state.cash_usd} USD or other holdings; expected the same: restore"
                " the record of the session before"
            )
            raise DataError(msg)

    def _hear(self, record: Mapping[str, str]) -> None:
        key = record["client_order_id"]
        status, broker_order_id, reason, ratio = status_from_fields(record)
        self.orders[key] = self._order(key).hear(
            status, broker_order_id=broker_order_id, reason=reason, split_ratio=ratio
        )

    def _book_fill(self, fill: Fill) -> None:
        key = fill.client_order_id
        if key in self.orders:
            self.orders[key] = self.orders[key].execute(fill)
        if self._opened_ledger().book_fill(fill):
            self.fills.append(fill)

    def _book_change(self, change: FillChange, client_order_id: str) -> None:
        if client_order_id in self.orders:
            self.orders[client_order_id] = self.orders[client_order_id].change(change)
        ledger = self._opened_ledger()
        undone = next((f for f in self.fills if f.execution_id == change.execution_id), None)
        ledger.undo(change.execution_id, undone)
        if undone is not None:
            self.fills.remove(undone)
        if change.replacement is not None and ledger.book_fill(change.replacement):
            self.fills.append(change.replacement)

    def _order(self, client_order_id: str) -> OrderState:
        if client_order_id not in self.orders:
            msg = (
                f"the log speaks of order {client_order_id}, whose intent it lacks; expected an"
                " INTENT before anything else: restore the stored log"
            )
            raise DataError(msg)
        return self.orders[client_order_id]

    def _opened_ledger(self) -> Ledger:
        if self.ledger is None:
            msg = "the log books something before START; expected START first: restore the log"
            raise DataError(msg)
        return self.ledger
