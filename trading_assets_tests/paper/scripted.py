"""A log of memory and a gateway that answers as a test says, for tests of single parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from trading_assets.paper.audit import AuditHead
from trading_assets.paper.gateways import Activities, Answer, BrokerError, BrokerOrder, Update
from trading_assets.paper.journal import Journal
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.order_records import order_fields, state_fields
from trading_assets.paper.orders import Order

SESSION = date(2024, 3, 8)


@dataclass
class ListedLog:
    """Keeps batches in a list; `fails` makes the next write fail."""

    batches: list[list[dict[str, str]]] = field(default_factory=list)
    fails: bool = False

    def append_batch(self, records: list[tuple[str, Mapping[str, str]]]) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.batches.append([{**fields, "event": event} for event, fields in records])

    def records(self) -> list[dict[str, str]]:
        return [record for batch in self.batches for record in batch]

    def holds(self, event: str, fields: Mapping[str, str]) -> bool:
        return {**fields, "event": event} in self.records()

    def content(self) -> bytes:
        return b""

    @property
    def head(self) -> AuditHead:
        return AuditHead(len(self.records()), "")


@dataclass
class ScriptedGateway:
    """Answers to writes come from a script; without one, every order is taken."""

    answers: list[Answer | Callable[[Order], Answer]] = field(default_factory=list)
    known: dict[str, BrokerOrder] = field(default_factory=dict)
    look_ups: list[str | None] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    told: Activities = field(default_factory=Activities)
    messages: tuple[Update, ...] = ()
    cash: Decimal = Decimal(1000)
    held: dict[str, Decimal] = field(default_factory=dict)
    receiver: str = "scripted"
    is_simulated: bool = True
    cash_tolerance_usd: Decimal = Decimal(0)

    def send(self, order: Order) -> Answer:
        self.sent.append(order.client_order_id)
        answer = self.answers.pop(0) if self.answers else self.take
        return answer(order) if callable(answer) else answer

    def take(self, order: Order) -> Answer:
        self.known[order.client_order_id] = broker_order(order)
        return Answer("taken", self.known[order.client_order_id])

    def take_and_lose_the_answer(self, order: Order) -> Answer:
        self.take(order)
        return Answer("unclear", reason="HTTP status 504")

    def look_up(self, client_order_id: str) -> BrokerOrder | None:
        self.asked.append(client_order_id)
        if self.look_ups and (failure := self.look_ups.pop(0)) is not None:
            raise BrokerError(failure)
        return self.known.get(client_order_id)

    def orders(self, since: datetime | None, *, is_open: bool = False) -> tuple[BrokerOrder, ...]:
        return tuple(self.known.values())

    def activities(self, since: date | None, until: date) -> Activities:
        return self.told

    def updates(self) -> tuple[Update, ...]:
        found, self.messages = self.messages, ()
        return found

    def account(self) -> AccountState:
        return AccountState(None, self.cash, self.held)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was not expected")


class StillClock:
    """Stands still but for sleeping, and remembers how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2024, 3, 8, 14, tzinfo=UTC)

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def make_order(symbol: str = "AAA", quantity: int = 10, side: str = "buy") -> Order:
    return Order(f"s-{SESSION}-{symbol}-0", SESSION, symbol, side, Decimal(quantity))  # type: ignore[arg-type]


def broker_order(order: Order, status: str = "accepted", filled: int = 0) -> BrokerOrder:
    return BrokerOrder(
        f"b-{order.client_order_id}",
        order.client_order_id,
        order.symbol,
        order.side,
        order.quantity,
        status,
        Decimal(filled),
    )


def opened_journal(*orders: Order, log: ListedLog | None = None) -> tuple[Journal, ListedLog]:
    """A journal whose account has 1,000 USD and the orders' intents."""
    log = log or ListedLog()
    journal = Journal(log)
    state = AccountState(None, Decimal(1000), {})
    journal.note("START", session=SESSION.isoformat(), **state_fields(state))
    for order in orders:
        journal.note("INTENT", **order_fields(order))
    journal.flush()
    return journal, log
