"""One paper account, its broker, and everything that may fail between them, drawn from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.inputs import SessionInputs, decision_time
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.renamed import Renaming
from trading_assets.paper.signing_keys import Signer
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.gateway import SimulatedGateway
from trading_assets.paper.witness import Witness, read_heads
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.faults.account_checks import LeftAccount, LeftSession
from trading_assets_tests.faults.broker_faults import BrokerFaults, Thrower, draw_behaviour
from trading_assets_tests.faults.network import Network, Rates
from trading_assets_tests.faults.simulated_disk import (
    CrashPlan,
    SimulatedClock,
    SimulatedFolder,
    SimulatedHeads,
)
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    NAME,
    decide_with,
    make_market,
    make_strategy,
    session_at,
)

FIRST_ROWS = (8, 9, 10)
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
RENAMED = {"AAA": "AAAX"}
_LONG_SHORT = {
    "policy": {"agents": {"ppo": {}}, "position": "long_short", "sizing": "constant_notional"}
}
_WHOLE_SHARES = {"costs": {"fee_bps": 1.0, "half_spread_bps": 2.0, "lot_shares": 1.0}}


@dataclass
class World:
    """An account under faults.

    Attributes
    ----------
    rows : range
        Rows of the market whose sessions are traded.
    renamed_row : int
        From this row on, a company has another ticker; 0 for never.
    stored, tables : dict
        The records, as a store keeps them.
    strange_row, strange_sends : int or None
        Before which session's opening something strange had happened, and how many orders had left.
    """

    seed: int
    rows: range
    market: Market
    strategy: Strategy
    broker: SimulatedBroker
    network: Network
    folder: SimulatedFolder
    heads: SimulatedHeads
    crash: CrashPlan
    clock: SimulatedClock
    weights: Mapping[date, np.ndarray]
    faults: BrokerFaults
    thrower: Thrower
    renamed_row: int
    keeps_stream: bool
    stored: dict[date, dict[str, bytes]] = field(default_factory=dict[date, dict[str, bytes]])
    tables: dict[date, dict[str, pl.DataFrame]] = field(
        default_factory=dict[date, dict[str, pl.DataFrame]]
    )
    strange_row: int | None = None
    strange_sends: int | None = None

    @classmethod
    def draw(cls, seed: int, n_sessions: int, crash_at: int | None = None) -> "World":
        """Return the world of a seed; with `crash_at`, one that dies then and meets no other fault.

        Busts, corrections, renames and a broker that fills in parts stay, as they need no luck.
        """
        rng = np.random.default_rng(seed)
        # Apart from network and disk, so that the one kind of draw does not move the other.
        apart = np.random.default_rng([seed, 1])
        is_calm = crash_at is not None
        first = int(apart.choice(FIRST_ROWS))
        rows = range(first, first + n_sessions)
        market = make_market(max(FIRST_ROWS) + n_sessions + 2, seed=int(rng.integers(1 << 30)))
        is_long_short = bool(rng.random() < 0.3)
        declared = _LONG_SHORT if is_long_short else {}
        strategy = make_strategy(**declared, **(_WHOLE_SHARES if rng.random() < 0.3 else {}))
        rate = 0.0 if is_calm else float(rng.choice([0.0, 0.01, 0.05, 0.15]))
        crash = CrashPlan(rng, rate, at=crash_at)
        refuse_rate = 0.0 if is_calm else float(rng.choice([0.0, 0.0, 0.05]))
        folder = SimulatedFolder(crash, rng, refuse_rate)
        behaviour = draw_behaviour(apart, market, seed)
        broker = SimulatedBroker(Book(), strategy, market, CALENDAR, behaviour)
        rates = Rates() if is_calm else Rates.draw(rng)
        network = Network(SimulatedGateway(broker), rng, rates, crash)
        network.lists_changes = bool(apart.random() < 0.5)
        low = -0.3 if is_long_short else 0.0
        weights = {
            session_at(market, row): rng.uniform(low, 0.32, 3)
            for row in range(len(market.sessions))
        }
        kind = (
            "none" if is_calm else str(apart.choice(["none", "kill", "strange"], p=[0.5, 0.3, 0.2]))
        )
        faults = BrokerFaults.draw(apart, broker, rows, is_disturbed=kind == "strange")
        thrower = Thrower.draw(apart, folder, network.sends, is_thrown=kind == "kill")
        renamed = rows.start + 1 + int(apart.integers(n_sessions)) if apart.random() < 0.25 else 0
        world = cls(
            seed=seed,
            rows=rows,
            market=market,
            strategy=strategy,
            broker=broker,
            network=network,
            folder=folder,
            heads=SimulatedHeads(crash),
            crash=crash,
            clock=SimulatedClock(),
            weights=weights,
            faults=faults,
            thrower=thrower,
            renamed_row=renamed,
            keeps_stream=bool(apart.random() < 0.5),
        )
        crash.on_moment = thrower.watch
        network.on_close = world.change_executions
        return world

    def market_at(self, row: int) -> Market:
        """Return the market under the tickers that companies have before a row's session."""
        if not self.renamed_row or row < self.renamed_row:
            return self.market
        symbols = tuple(RENAMED.get(symbol, symbol) for symbol in self.market.symbols)
        return replace(self.market, symbols=symbols)

    def account_folder(self) -> AccountFolder:
        """Return the account's folder, as a new process has it."""
        witness = Witness(NAME, SIGNER, self.heads, self.clock)
        return AccountFolder(self.folder, self.clock, witness=witness)

    def record(self, session: date) -> SessionRecord | None:
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
        self.folder.start_process()
        stored = self.record(session)
        self._connect(row, is_decided=stored is not None and stored.status != "halted")
        return SessionInputs(
            name=NAME,
            strategy=self.strategy,
            session=session,
            calendar=CALENDAR,
            market=known,
            decision_time=decision_time(CALENDAR, session, 15, datetime(2030, 1, 1, tzinfo=UTC)),
            decide=decide_with(lambda day: self.weights[day], known.symbols),
            gateway=self.network,
            previous=self._previous(session),
            stored=stored,
            folder=self.account_folder(),
            clock=self.clock,
        )

    def happen(self, row: int) -> None:
        """Let something strange happen before a run of a session, if it is time for it."""
        if not self.faults.is_strange and self.faults.happen(row, session_at(self.market, row)):
            self.strange_row, self.strange_sends = row, len(self.network.sends)

    def change_executions(self, session: date) -> None:
        """Bust or correct executions of a session, perhaps, unless its log has ended."""
        log = self.folder.files.get(f"{session.isoformat()}.jsonl", b"")
        if b'"event": "STOP"' not in log:
            self.faults.change_executions(session)

    def is_to_halt(self) -> bool:
        """Return whether something has happened after which nothing may be sent."""
        return self.faults.is_strange or self.thrower.sent_before is not None

    def calm(self) -> None:
        """End all faults."""
        self.network.rates = Rates()
        self.crash.rate, self.crash.at = 0.0, None
        self.folder.refuse_rate = 0.0
        self.network.deliver_all()

    def left(self) -> LeftAccount:
        """Return what the account left behind, ours and the broker's."""
        sessions = [
            LeftSession(
                record.session,
                record.status,
                record.closing,
                record.audit,
                tuple(record.tables["fills"]["execution_id"].to_list()),
            )
            for day in sorted(self.stored)
            if (record := self.record(day)) is not None
        ]
        return LeftAccount(
            sessions,
            read_heads(self.heads, NAME),
            {SIGNER.public_key},
            self.broker.book,
            is_whole=not self.faults.is_strange,
            ignored=self.faults.ignored,
        )

    def _previous(self, session: date) -> SessionRecord | None:
        earlier = [day for day in self.stored if day < session]
        previous = self.record(max(earlier)) if earlier else None
        if previous is None or not self.renamed_row:
            return previous
        renamed = session_at(self.market, self.renamed_row)
        is_before = previous.session < renamed <= session
        return Renaming(RENAMED).carry(previous) if is_before else previous

    def _connect(self, row: int, *, is_decided: bool) -> None:
        broker = self.network.broker if self.keeps_stream else SimulatedGateway(self.broker)
        self.network.connect(broker)
        if self.renamed_row and row >= self.renamed_row and not is_decided:
            self.network.rename(RENAMED, session_at(self.market, self.renamed_row))
