"""What goes wrong at the broker itself, and with people, while a session trades.

Busts and corrections, trades by hand, blocks, and a kill switch that is thrown at any moment. What
is drawn comes from a generator of its own, apart from that of network and disk.
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import numpy as np

from trading_assets.paper.kill_switch import CONTROL_LOCK, KillSwitch
from trading_assets.paper.orders import Order
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.paper.simulated_broker.booked import Execution
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.interventions import (
    bust,
    correct,
    move,
    trade_elsewhere,
)
from trading_assets.simulation.market import Market
from trading_assets_tests.faults.simulated_disk import SimulatedClock, SimulatedFolder

STRANGE = ("trade by hand", "order by hand", "cash moved", "shares moved", "blocked", "late bust")
_MOST_MOMENTS = 250


def draw_behaviour(rng: np.random.Generator, market: Market, seed: int) -> Behaviour:
    """Return how a broker misbehaves: calm in a third of the worlds."""
    if rng.random() < 1 / 3:
        return Behaviour()
    rows = rng.integers(8, len(market.sessions), 2)
    halts = {(str(rng.choice(market.symbols)), market.sessions[row].astype(object)) for row in rows}
    return Behaviour(
        seed=seed,
        max_pieces=int(rng.integers(1, 5)),
        partial_share=float(rng.choice([0.0, 0.3])),
        reject_share=float(rng.choice([0.0, 0.2])),
        ack_seconds=float(rng.choice([0.0, 2.0])),
        halts=frozenset(halts) if rng.random() < 0.5 else frozenset(),
    )


@dataclass
class BrokerFaults:
    """Changes executions, account and switch behind a session's back.

    Attributes
    ----------
    change_rate : float
        Probability that executions are changed between two attempts to settle them.
    strange : str
        What of `STRANGE` happens once, or empty.
    strange_row : int
        Before which session's row it happens at the earliest.
    is_within : bool
        Whether it happens between two runs of one session, not between two sessions.
    done : list of str
        What happened, in order.
    ignored : set of str
        Executions that changed after their session had ended: nobody can book them unasked.
    """

    rng: np.random.Generator
    broker: SimulatedBroker
    change_rate: float
    strange: str
    strange_row: int
    is_within: bool = False
    done: list[str] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    is_strange: bool = False

    @classmethod
    def draw(
        cls, rng: np.random.Generator, broker: SimulatedBroker, rows: range, *, is_disturbed: bool
    ) -> "BrokerFaults":
        """Return the faults of a world; something strange happens in those that are disturbed."""
        strange = str(rng.choice(STRANGE)) if is_disturbed else ""
        row = rows.start + 1 + int(rng.integers(max(len(rows) - 1, 1)))
        rate = float(rng.choice([0.0, 0.4, 0.8]))
        return cls(rng, broker, rate, strange, row, bool(rng.random() < 0.4))

    def change_executions(self, session: date) -> None:
        """Bust or correct executions of a session that is carried, perhaps."""
        if self.broker.book.account().as_of != session:
            return
        while self.rng.random() < self.change_rate:
            found = self._standing(session)
            if not found:
                return
            self._change(found[int(self.rng.integers(len(found)))], session)
            self.change_rate /= 2

    def happen(self, row: int, session: date) -> bool:
        """Do the strange thing if this is where it happens, and return whether it did."""
        if self.is_strange or not self.strange or row < self.strange_row:
            return False
        self.is_strange = True
        self.done.append(self.strange)
        shares, price = Decimal(int(self.rng.integers(1, 9))), Decimal("50.25")
        symbol = self.broker.market.symbols[0]
        order = Order("by-hand-1", session, symbol, "buy", shares)
        if self.strange == "trade by hand":
            trade_elsewhere(self.broker, order, price, session if self.rng.random() < 0.5 else None)
        elif self.strange == "order by hand":
            self.broker.take(order)
            known = self.broker.book.order(order.client_order_id)
            if known is None or not known.is_open:
                # The broker would not have it.
                self.broker.book.block("margin call")
        elif self.strange == "cash moved":
            move(self.broker, symbol, Decimal(0), Decimal("-0.000001"), is_told=False)
        elif self.strange == "shares moved":
            move(self.broker, symbol, Decimal("1e-9"), Decimal(0), is_told=True)
        elif self.strange == "blocked":
            self.broker.book.block("margin call")
        else:
            self._bust_late(session)
        return True

    def _bust_late(self, session: date) -> None:
        found = self._standing(None)
        if not found:
            self.broker.book.block("nothing to bust")
            return
        execution = found[-1].fill
        self.ignored.add(execution.execution_id)
        bust(self.broker, execution.execution_id, session if self.rng.random() < 0.5 else None)

    def _standing(self, session: date | None) -> list[Execution]:
        return [
            execution
            for execution in self.broker.book.executions()
            if execution.undone_in is None and session in (None, execution.session)
        ]

    def _change(self, execution: Execution, session: date) -> None:
        fill = execution.fill
        if self.rng.random() < 0.5:
            bust(self.broker, fill.execution_id, session)
            self.done.append("bust")
            return
        price = fill.price_usd + Decimal(int(self.rng.integers(-3, 4))) / 100
        half = (fill.quantity / 2).quantize(Decimal(1))
        quantity = half if half and self.rng.random() < 0.5 else fill.quantity
        correct(self.broker, fill.execution_id, quantity, price, session)
        self.done.append("correction")


@dataclass
class Thrower:
    """Throws the kill switch at one moment of a world, from another process than the session's.

    Attributes
    ----------
    at : int
        The moment; 0 for never.
    sends : list of str
        Ids of the orders that left so far; kept by the network.
    sent_before : int or None
        How many orders had left when the marker stood.
    """

    at: int
    switch: KillSwitch
    folder: SimulatedFolder
    sends: list[str]
    sent_before: int | None = None
    moments: int = 0

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        folder: SimulatedFolder,
        sends: list[str],
        *,
        is_thrown: bool,
    ) -> "Thrower":
        """Return one that throws at a drawn moment, or never."""
        at = int(rng.integers(1, _MOST_MOMENTS)) if is_thrown else 0
        return cls(at, KillSwitch(folder.calm(), SimulatedClock()), folder, sends)

    def watch(self, what: str) -> None:
        """Throw if the moment has come, not while an order is on its way out or a write torn."""
        if self.sent_before is not None or not self.at:
            return
        self.moments += 1
        is_busy = what.endswith(" leaves") or CONTROL_LOCK in self.folder.locks
        if self.moments < self.at or is_busy or "write" in what or "switch.json" in what:
            return
        self.switch.halt("drill", "thrown at a random moment")
        self.sent_before = len(self.sends)
