"""A network between a session and a broker: what is lost, doubled, late or garbled, a seed says.

It stands in front of a gateway. Requests are lost before or after they were applied, arrive late,
arrive twice; reads fail; messages of the stream are dropped, doubled, delayed and shuffled.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import numpy as np

from trading_assets.paper.gateways import (
    Activities,
    Answer,
    BrokerError,
    BrokerOrder,
    Gateway,
    Update,
)
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.orders import Order
from trading_assets_tests.faults.simulated_disk import CrashPlan


@dataclass
class Rates:
    """How often each fault happens, as probabilities a request."""

    lost_before: float = 0.0
    lost_after: float = 0.0
    late: float = 0.0
    doubled: float = 0.0
    read_fails: float = 0.0
    stream_drops: float = 0.0
    stream_doubles: float = 0.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Rates":
        """Some calm, some bad: each rate is 0, small or large."""
        levels = rng.choice([0.0, 0.05, 0.3], size=7, p=[0.4, 0.4, 0.2])
        return cls(*levels.tolist())


@dataclass
class Network:
    """A `Gateway` whose requests meet faults."""

    broker: Gateway
    rng: np.random.Generator
    rates: Rates
    crash: CrashPlan
    requests: int = 0
    sends: list[str] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    on_their_way: list[tuple[int, Order]] = field(default_factory=list)
    kept_updates: list[Update] = field(default_factory=list)
    # Whether a bust or correction is listed; else only what stands is, as at Alpaca.
    lists_changes: bool = True
    has_reconciled: bool = False
    hasty: list[str] = field(default_factory=list)
    on_close: Callable[[date], None] = lambda session: None

    @property
    def receiver(self) -> str:
        return self.broker.receiver

    @property
    def is_simulated(self) -> bool:
        return self.broker.is_simulated

    @property
    def cash_tolerance_usd(self) -> Any:
        return self.broker.cash_tolerance_usd

    def refusal(self, session: date) -> str:
        self._read("refusal")
        return self.broker.refusal(session)

    def blocked(self) -> str:
        self._read("blocked")
        return self.broker.blocked()

    def account(self) -> AccountState:
        self._read("account")
        self.has_reconciled = True
        return self.broker.account()

    def send(self, order: Order) -> Answer:
        self.crash.maybe(f"before {order.client_order_id} leaves")
        self._arrive()
        self.requests += 1
        self.sends.append(order.client_order_id)
        if not self.has_reconciled:
            self.hasty.append(order.client_order_id)
        if self._happens("lost_before"):
            return Answer("unclear", reason="time-out")
        if self._happens("late"):
            self.on_their_way.append((int(self.rng.integers(1, 8)), order))
            return Answer("unclear", reason="connection reset")
        answer = self.broker.send(order)
        if self._happens("doubled"):
            again = self.broker.send(order)
            assert again.outcome != "taken", "the broker took one id twice"
        self.crash.maybe(f"after {order.client_order_id} arrived")
        if self._happens("lost_after"):
            return Answer("unclear", reason="HTTP status 504")
        return answer

    def cancel(self, client_order_id: str) -> Answer:
        return self._write("cancel", client_order_id)

    def cancel_all(self) -> Answer:
        return self._write("cancel_all")

    def suspend(self) -> Answer:
        return self._write("suspend")

    def resume(self) -> Answer:
        return self._write("resume")

    def look_up(self, client_order_id: str) -> BrokerOrder | None:
        self._read("look_up")
        return self.broker.look_up(client_order_id)

    def orders(self, since: datetime | None, *, is_open: bool = False) -> tuple[BrokerOrder, ...]:
        self._read("orders")
        found = list(self.broker.orders(since, is_open=is_open))
        self.rng.shuffle(found)  # type: ignore[arg-type]
        return tuple(found)

    def activities(self, since: date | None, until: date) -> Activities:
        self._read("activities")
        found = self.broker.activities(since, until)
        fills = list(found.fills)
        if not self.lists_changes:
            undone = {change.execution_id for change in found.changes}
            fills += [change.replacement for change in found.changes if change.replacement]
            fills = [fill for fill in fills if fill.execution_id not in undone]
            found = replace(found, changes=())
        if self._happens("doubled"):
            fills += fills
        return replace(found, fills=tuple(fills))

    def updates(self) -> tuple[Update, ...]:
        found = [*self.kept_updates, *self.broker.updates()]
        self.kept_updates = []
        arrived: list[Update] = []
        for update in found:
            if self._happens("stream_drops"):
                continue
            if self._happens("stream_doubles"):
                self.kept_updates.append(update)
            arrived.append(update)
        self.rng.shuffle(arrived)  # type: ignore[arg-type]
        return tuple(arrived)

    def has_closed(self, session: date) -> bool:
        self._read("has_closed")
        is_closed = self.broker.has_closed(session)
        if is_closed:
            self.on_close(session)
        return is_closed

    def last_targets(self) -> dict[str, str]:
        return self.broker.last_targets()

    def rename(self, current: Any, until: date) -> None:
        self.crash.maybe("before the broker's names change")
        self.broker.rename(current, until)
        self.crash.maybe("after the broker's names changed")

    def close(self) -> None:
        self.broker.close()

    def connect(self, broker: Gateway) -> None:
        """Start anew, as a new process does: what it has not read yet, it does not know."""
        self.broker = broker
        self.has_reconciled = False

    def deliver_all(self) -> None:
        """Let every request that is still on its way arrive."""
        for _, order in self.on_their_way:
            self.broker.send(order)
        self.on_their_way = []

    def _write(self, name: str, *arguments: Any) -> Answer:
        self.crash.maybe(f"before {name}")
        self.requests += 1
        if self._happens("lost_before"):
            return Answer("unclear", reason="time-out")
        answer: Answer = getattr(self.broker, name)(*arguments)
        self.crash.maybe(f"after {name}")
        if self._happens("lost_after"):
            return Answer("unclear", reason="HTTP status 502")
        return answer

    def _read(self, name: str) -> None:
        self.crash.maybe(f"before {name} is read")
        self._arrive()
        self.requests += 1
        if self._happens("read_fails"):
            raise BrokerError(f"no readable answer to {name}")

    def _arrive(self) -> None:
        """Let time pass for requests on their way."""
        waiting: list[tuple[int, Order]] = []
        for left, order in self.on_their_way:
            if left <= 1:
                self.broker.send(order)
            else:
                waiting.append((left - 1, order))
        self.on_their_way = waiting

    def _happens(self, fault: str) -> bool:
        if self.rng.random() >= getattr(self.rates, fault):
            return False
        self.faults[fault] = self.faults.get(fault, 0) + 1
        return True
