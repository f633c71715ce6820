"""The simulated broker's durable book: one SQLite file, or memory, for one account.

What a transaction wrote is on the disk before the request it belongs to is answered.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import ZERO
from trading_assets.paper.simulated_broker.book_file import BookFile
from trading_assets.paper.simulated_broker.booked import (
    BookedAccount,
    BookedOrder,
    BookedUpdate,
    Change,
    Execution,
)
from trading_assets.paper.simulated_broker.order_rows import (
    Row,
    execution_from_row,
    execution_to_row,
    order_from_row,
    order_to_row,
)


class Book(BookFile):
    """One account's cash, positions, orders, executions, events and messages."""

    def is_new(self) -> bool:
        """Return whether the account was not opened yet."""
        return self.one("SELECT 1 FROM account") is None

    def open_account(self, cash_usd: Decimal) -> None:
        """Open the account with cash, unless it was opened before."""
        with self.transaction():
            if self.is_new():
                self.insert("account", {"only": 1, "cash_usd": str(cash_usd)})

    def account(self) -> BookedAccount:
        """Return cash and positions."""
        row = self.must("SELECT as_of, cash_usd FROM account")
        held = self.all("SELECT * FROM positions ORDER BY symbol")
        quantity = {entry["symbol"]: Decimal(entry["quantity"]) for entry in held}
        return BookedAccount(
            as_of=None if row["as_of"] is None else date.fromisoformat(row["as_of"]),
            cash_usd=Decimal(row["cash_usd"]),
            quantity={symbol: shares for symbol, shares in quantity.items() if shares},
            price_usd={entry["symbol"]: float(entry["price_usd"]) for entry in held},
            target_weight={entry["symbol"]: float(entry["target_weight"]) for entry in held},
        )

    def write_account(self, account: BookedAccount) -> None:
        """Replace cash and positions; repr of a float gives the same float back."""
        symbols = sorted({*account.quantity, *account.price_usd, *account.target_weight})
        rows = [
            (
                symbol,
                str(account.quantity.get(symbol, ZERO)),
                repr(account.price_usd.get(symbol, 0.0)),
                repr(account.target_weight.get(symbol, 0.0)),
            )
            for symbol in symbols
        ]
        as_of = None if account.as_of is None else account.as_of.isoformat()
        with self.transaction():
            self.run("UPDATE account SET as_of = ?, cash_usd = ?", (as_of, str(account.cash_usd)))
            self.run("DELETE FROM positions")
            for row in rows:
                self.run("INSERT INTO positions VALUES (?, ?, ?, ?)", row)

    def is_suspended(self) -> bool:
        """Return whether the account's owner has suspended trading."""
        return bool(self.must("SELECT is_suspended FROM account")["is_suspended"])

    def suspend(self, *, is_suspended: bool) -> None:
        """Suspend trading, or resume it."""
        with self.transaction():
            self.run("UPDATE account SET is_suspended = ?", (int(is_suspended),))

    def blocked(self) -> str:
        """Return why the broker has blocked the account, or an empty string."""
        return str(self.must("SELECT blocked FROM account")["blocked"])

    def block(self, reason: str) -> None:
        """Block the account for a reason; an empty one lifts the block."""
        with self.transaction():
            self.run("UPDATE account SET blocked = ?", (reason,))

    def order(self, client_order_id: str) -> BookedOrder | None:
        """Return the order with this id, or None."""
        row = self.one("SELECT * FROM orders WHERE client_order_id = ?", (client_order_id,))
        return None if row is None else order_from_row(row)

    def order_by_uuid(self, uuid: str) -> BookedOrder | None:
        """Return the order that the HTTP face knows by this id, or None."""
        row = self.one("SELECT * FROM orders WHERE uuid = ?", (uuid,))
        return None if row is None else order_from_row(row)

    def orders(self, *, is_open: bool = False) -> list[BookedOrder]:
        """Return all orders in the order they were taken, or those that are open."""
        where = "WHERE is_open = 1" if is_open else ""
        return [order_from_row(row) for row in self.all(_ORDERS.format(where))]

    def exits_of(self, client_order_id: str) -> list[BookedOrder]:
        """Return the exits that a bracket left for an entry."""
        rows = self.all("SELECT * FROM orders WHERE entry = ? ORDER BY number", (client_order_id,))
        return [order_from_row(row) for row in rows]

    def record(
        self, changes: Sequence[Change], at: datetime, session: date, held: Mapping[str, Decimal]
    ) -> None:
        """Write what happened to orders: order, execution and message of each change.

        Parameters
        ----------
        changes : sequence of Change
            In the order they happened.
        at : datetime
            When, for changes without a fill that has its own time.
        session : date
            Session of the executions.
        held : mapping of str to Decimal
            Shares held before the first of them.
        """
        held = dict(held)
        with self.transaction():
            for change in changes:
                self.upsert("orders", "client_order_id", order_to_row(change.order))
                if change.undone:
                    self._undo(change, session, held)
                if change.fill is not None:
                    execution = Execution(change.fill, session, replaces=change.undone)
                    self.insert("executions", execution_to_row(execution))
                    symbol = change.fill.symbol
                    held[symbol] = held.get(symbol, ZERO) + change.fill.signed_quantity
                moment = at if change.fill is None else change.fill.filled_at
                self.insert("updates", _update_row(change, moment, held))

    def execution(self, execution_id: str) -> Execution | None:
        """Return an execution, or None."""
        row = self.one("SELECT * FROM executions WHERE execution_id = ?", (execution_id,))
        return None if row is None else execution_from_row(row)

    def executions(self) -> list[Execution]:
        """Return every execution, oldest first, undone ones among them."""
        return [execution_from_row(row) for row in self.all(_EXECUTIONS.format(""))]

    def executions_of(self, client_order_id: str) -> list[Execution]:
        """Return the executions of an order, oldest first."""
        rows = self.all(_EXECUTIONS.format("WHERE client_order_id = ?"), (client_order_id,))
        return [execution_from_row(row) for row in rows]

    def executions_between(self, after: date, until: date) -> list[Execution]:
        """Return executions that came or were undone in sessions after one, up to another."""
        rows = self.all(
            _EXECUTIONS.format(
                "WHERE (session > :after AND session <= :until)"
                " OR (undone_in > :after AND undone_in <= :until)"
            ),
            {"after": after.isoformat(), "until": until.isoformat()},
        )
        return [execution_from_row(row) for row in rows]

    def add_events(self, events: Sequence[AccountEvent]) -> None:
        """Write account events; each id once."""
        with self.transaction():
            for event in events:
                self.insert("events", _event_row(event))

    def events(self) -> list[AccountEvent]:
        """Return every account event, oldest first."""
        return [_event_of(row) for row in self.all("SELECT * FROM events ORDER BY number")]

    def events_between(self, after: date, until: date) -> list[AccountEvent]:
        """Return the account events of sessions after one, up to another."""
        rows = self.all(
            "SELECT * FROM events WHERE session > ? AND session <= ? ORDER BY number",
            (after.isoformat(), until.isoformat()),
        )
        return [_event_of(row) for row in rows]

    def last_update(self) -> int:
        """Return the number of the newest message; 0 before the first."""
        return int(self.must("SELECT coalesce(max(number), 0) AS newest FROM updates")["newest"])

    def updates_after(self, number: int) -> list[BookedUpdate]:
        """Return messages with a higher number, oldest first."""
        rows = self.all("SELECT * FROM updates WHERE number > ? ORDER BY number", (number,))
        return [self._update_of(row) for row in rows]

    def rename_symbols(self, current: Mapping[str, str]) -> None:
        """Give positions and open orders the tickers that companies have now."""
        account = self.account()
        renamed = replace(
            account,
            quantity={current.get(key, key): value for key, value in account.quantity.items()},
            price_usd={current.get(key, key): value for key, value in account.price_usd.items()},
            target_weight={
                current.get(key, key): value for key, value in account.target_weight.items()
            },
        )
        with self.transaction():
            self.write_account(renamed)
            for booked in self.orders(is_open=True):
                symbol = current.get(booked.order.symbol, booked.order.symbol)
                self.upsert(
                    "orders",
                    "client_order_id",
                    order_to_row(replace(booked, order=replace(booked.order, symbol=symbol))),
                )

    def _undo(self, change: Change, session: date, held: dict[str, Decimal]) -> None:
        undone = self.execution(change.undone)
        assert undone is not None
        held[undone.fill.symbol] = held.get(undone.fill.symbol, ZERO) - undone.fill.signed_quantity
        replaced_by = "" if change.fill is None else change.fill.execution_id
        self.run(
            "UPDATE executions SET undone_in = ?, replaced_by = ? WHERE execution_id = ?",
            (session.isoformat(), replaced_by, change.undone),
        )

    def _update_of(self, row: sqlite3.Row) -> BookedUpdate:
        order = self.order(row["client_order_id"])
        assert order is not None
        shown = replace(
            order, status=row["status"], filled_quantity=Decimal(row["filled_quantity"])
        )
        execution = self.execution(row["execution_id"]) if row["execution_id"] else None
        fill = None if execution is None else execution.fill
        change = Change(row["event"], shown, fill, row["undone"])
        at = datetime.fromisoformat(row["at"])
        return BookedUpdate(row["number"], at, change, Decimal(row["held"]))


_ORDERS = "SELECT * FROM orders {} ORDER BY number"
_EXECUTIONS = "SELECT * FROM executions {} ORDER BY number"


def _update_row(change: Change, at: datetime, held: Mapping[str, Decimal]) -> Row:
    return {
        "event": change.event,
        "at": at.isoformat(),
        "client_order_id": change.order.client_order_id,
        "status": change.order.status,
        "filled_quantity": str(change.order.filled_quantity),
        "execution_id": "" if change.fill is None else change.fill.execution_id,
        "undone": change.undone,
        "held": str(held.get(change.order.order.symbol, ZERO)),
    }


def _event_row(event: AccountEvent) -> Row:
    return {
        "event_id": event.event_id,
        "kind": event.kind,
        "session": event.session.isoformat(),
        "symbol": event.symbol,
        "quantity_change": str(event.quantity_change),
        "cash_usd": str(event.cash_usd),
    }


def _event_of(row: sqlite3.Row) -> AccountEvent:
    return AccountEvent(
        event_id=row["event_id"],
        kind=row["kind"],
        session=date.fromisoformat(row["session"]),
        symbol=row["symbol"],
        quantity_change=Decimal(row["quantity_change"]),
        cash_usd=Decimal(row["cash_usd"]),
    )
