"""Whole sessions of a paper account under faults, replayable from one seed.

Clock, network, disk, crashes and randomness come from the seed; the broker's book is apart from
all of them and is read directly at the end. A session is run again after each crash or error, as
the schedule and a person would, until it is settled.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import numpy as np

from trading_assets.errors import DataError
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.audit import audit_records
from trading_assets.paper.gateways import BrokerError
from trading_assets.paper.inputs import SessionInputs, decision_time
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.gateway import SimulatedGateway
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.faults.network import Network, Rates
from trading_assets_tests.faults.simulated_disk import (
    CrashPlan,
    SimulatedClock,
    SimulatedCrash,
    SimulatedFolder,
)
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    NAME,
    cut,
    decide_with,
    make_market,
    make_strategy,
    session_at,
)

FIRST_ROW = 8
# After so many attempts the faults end; what then does not settle never will.
CALM_AFTER = 12
MOST_ATTEMPTS = 20


@dataclass
class Tally:
    """What happened in fault sessions, and what was wrong."""

    sessions: int = 0
    attempts: int = 0
    crashes: int = 0
    orders: int = 0
    fills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count another tally in."""
        for name in ("sessions", "attempts", "crashes", "orders", "fills"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults.update(other.faults)
        self.wrong += other.wrong


@dataclass
class World:
    """One account, its broker, and everything that may fail between them."""

    seed: int
    market: Market
    strategy: Strategy
    broker: SimulatedBroker
    network: Network
    folder: SimulatedFolder
    crash: CrashPlan
    clock: SimulatedClock
    weights: dict[date, np.ndarray]
    stored: dict[date, dict[str, bytes]] = field(default_factory=dict)
    tables: dict[date, dict] = field(default_factory=dict)

    @classmethod
    def draw(cls, seed: int) -> "World":
        """Return the world of a seed."""
        rng = np.random.default_rng(seed)
        market = make_market(FIRST_ROW + 8, seed=int(rng.integers(1 << 30)))
        is_long_short = rng.random() < 0.3
        declared: dict[str, object] = {}
        if is_long_short:
            declared = {
                "policy": {
                    "agents": {"ppo": {}},
                    "position": "long_short",
                    "sizing": "constant_notional",
                }
            }
        if rng.random() < 0.3:
            declared["costs"] = {"fee_bps": 1.0, "half_spread_bps": 2.0, "lot_shares": 1.0}
        strategy = make_strategy(**declared)
        crash = CrashPlan(rng, float(rng.choice([0.0, 0.01, 0.05, 0.15])))
        folder = SimulatedFolder(crash, rng, float(rng.choice([0.0, 0.0, 0.05])))
        broker = SimulatedBroker(Book(), strategy, market, CALENDAR)
        network = Network(SimulatedGateway(broker), rng, Rates.draw(rng), crash)
        low = -0.3 if is_long_short else 0.0
        weights = {
            session_at(market, row): rng.uniform(low, 0.32, 3)
            for row in range(20)[: len(market.sessions)]
        }
        clock = SimulatedClock()
        return cls(seed, market, strategy, broker, network, folder, crash, clock, weights)

    def record(self, session: date | None) -> SessionRecord | None:
        """Return what is stored of a session."""
        if session not in self.stored:
            return None
        return SessionRecord.from_files(self.tables[session], self.stored[session])

    def store(self, record: SessionRecord) -> None:
        """Store a record and, with it, the one before that it settled: both or neither."""
        self.crash.maybe("before the record is stored")
        for one in (record.settled_previous, record):
            if one is not None:
                self.stored[one.session] = one.to_files()
                self.tables[one.session] = dict(one.tables)
        self.crash.maybe("after the record was stored")

    def inputs(self, row: int, known: Market) -> SessionInputs:
        """Return a session's inputs, as a new process has them."""
        session = session_at(self.market, row)
        earlier = [day for day in self.stored if day < session]
        previous = self.record(max(earlier)) if earlier else None
        self.folder.locks.clear()
        return SessionInputs(
            name=NAME,
            strategy=self.strategy,
            session=session,
            calendar=CALENDAR,
            market=known,
            decision_time=decision_time(CALENDAR, session, 15, datetime(2030, 1, 1, tzinfo=UTC)),
            decide=decide_with(lambda day: self.weights[day]),
            gateway=self.network,
            previous=previous,
            stored=self.record(session),
            folder=AccountFolder(self.folder, self.clock),
            clock=self.clock,
        )

    def calm(self) -> None:
        """End all faults."""
        self.network.rates = Rates()
        self.crash.rate, self.crash.at = 0.0, None
        self.folder.refuse_rate = 0.0
        self.network.deliver_all()


def run_world(seed: int, n_sessions: int = 4) -> Tally:
    """Trade an account through sessions under the faults of a seed, and check all that it left."""
    world = World.draw(seed)
    tally = Tally()
    for row in range(FIRST_ROW, FIRST_ROW + n_sessions):
        tally.sessions += 1
        # At first the bar of the session is not there yet; then it is.
        for known in (cut(world.market, row - 1), world.market):
            problem = _run_until_done(world, row, known, tally)
            if problem:
                tally.wrong.append(f"seed {seed}, {session_at(world.market, row)}: {problem}")
                return tally
    tally.crashes += world.crash.crashes
    tally.faults.update(world.network.faults)
    tally.wrong += [f"seed {seed}: {text}" for text in _what_is_wrong(world, tally)]
    return tally


def _run_until_done(world: World, row: int, known: Market, tally: Tally) -> str:
    wanted = "settled" if known is world.market else "awaiting_fill"
    error = ""
    world.broker.market = known
    for attempt in range(MOST_ATTEMPTS):
        if attempt == CALM_AFTER:
            world.calm()
        tally.attempts += 1
        try:
            record = run_session(world.inputs(row, known))
            if record.status not in (wanted, "settled"):
                reason = record.summary.get("reason")
                error = f"{record.status}: {reason} {record.differences}"
                if record.status == "halted":
                    return error
                continue
            world.store(record)
        except SimulatedCrash as crash:
            error = f"crash {crash}"
        except (BrokerError, OSError) as failure:
            error = repr(failure)
        except DataError as failure:
            error = repr(failure)
            if "Audit" not in type(failure).__name__:
                return error
        else:
            return ""
    return f"not {wanted} after {MOST_ATTEMPTS} attempts: {error}"


def _what_is_wrong(world: World, tally: Tally) -> Iterator[str]:
    """Compare our books with the broker's own, read directly."""
    records = [record for day in sorted(world.stored) if (record := world.record(day))]
    broker = world.broker.book.account()
    last = records[-1]
    assert last.closing is not None
    if last.closing.cash_usd != broker.cash_usd:
        yield f"cash is {last.closing.cash_usd}, at the broker {broker.cash_usd}"
    if dict(last.closing.quantity) != dict(broker.quantity):
        yield f"positions are {last.closing.quantity}, at the broker {broker.quantity}"
    booked = Counter(
        row["execution_id"] for r in records for row in r.tables["fills"].iter_rows(named=True)
    )
    executed = Counter(e.fill.execution_id for e in world.broker.book.executions())
    if booked != executed:
        lost, invented = executed - booked, booked - executed
        yield f"executions lost {sorted(lost)}, invented {sorted(invented)}"
    tally.fills += sum(executed.values())
    at_broker = Counter(o.client_order_id for o in world.broker.book.orders())
    intended: Counter[str] = Counter()
    for record in records:
        logged = audit_records(record.audit, record.summary["audit"]["genesis"])
        intended.update(r["client_order_id"] for r in logged if r["event"] == "INTENT")
        yield from _order_of_records(record.session, logged)
    repeated = [key for key, count in (at_broker + Counter()).items() if count > 1]
    repeated += [key for key, count in intended.items() if count > 1]
    if repeated:
        yield f"orders twice: {repeated}"
    if set(at_broker) - set(intended):
        yield f"orders without intent: {sorted(set(at_broker) - set(intended))}"
    tally.orders += len(at_broker)
    yield from _duplicate_trades(world)


def _order_of_records(session: date, logged: list[dict[str, str]]) -> Iterator[str]:
    events = [record["event"] for record in logged]
    if "INTENT" in events:
        first = events.index("INTENT")
        agreed = [
            place
            for place, record in enumerate(logged)
            if record["event"] == "RECONCILE" and not record["differences"]
        ]
        if not agreed or agreed[0] > first:
            yield f"{session}: an order was intended before ledger and broker agreed"
    if events.count("DECIDED") > 1:
        yield f"{session}: decided {events.count('DECIDED')} times"


def _duplicate_trades(world: World) -> Iterator[str]:
    seen: Counter[tuple[date, str]] = Counter()
    for booked in world.broker.book.orders():
        if booked.status != "rejected":
            seen[booked.order.session, booked.order.symbol] += 1
    yield from (f"{key} was ordered {count} times" for key, count in seen.items() if count > 1)


def run_worlds(seeds: range, n_sessions: int = 4) -> Tally:
    """Run worlds one after another."""
    tally = Tally()
    for seed in seeds:
        tally.add(run_world(seed, n_sessions))
    return tally
