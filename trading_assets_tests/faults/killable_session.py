"""A paper session in a process that is killed: at a counted moment, or whenever its parent likes.

What it leaves is on disk alone: the account's folder, checkpoints, and one file a stored record.
"""

import base64
import io
import json
import os
import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.brokers import BrokerSetup, build_gateway
from trading_assets.paper.checkpoints import SignedHead
from trading_assets.paper.inputs import SessionInputs, decision_time
from trading_assets.paper.log_folder import DiskFolder
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.booked import uuid_of
from trading_assets.paper.witness import Witness
from trading_assets.simulation.market import Market
from trading_assets_tests.faults.account_checks import LeftAccount, LeftSession, closing_of
from trading_assets_tests.faults.fault_world import SIGNER
from trading_assets_tests.faults.network import Network, Rates
from trading_assets_tests.faults.simulated_disk import CrashPlan
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    NAME,
    cut,
    decide_with,
    make_market,
    make_strategy,
    session_at,
)
from trading_assets_tests.paper.http_broker import KEY, SECRET

FIRST_ROW = 8
_CREDENTIALS = {"ALPACA_API_KEY": KEY, "ALPACA_SECRET_KEY": SECRET}


class KillPlan(CrashPlan):
    """Ends the process by SIGKILL at one moment, counted from its start; 0 for never."""

    def __init__(self, at: int) -> None:
        super().__init__(np.random.default_rng(0), 0.0, at=at)

    @property
    def is_next(self) -> bool:
        """Whether the next moment is the last."""
        return self.moments + 1 == self.at

    def maybe(self, what: str) -> None:
        """Die here, perhaps."""
        self.moments += 1
        if self.moments == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


class KillableFolder(DiskFolder):
    """A folder on disk whose writes are moments to die at, before, within and after."""

    def __init__(self, path: Path, plan: KillPlan) -> None:
        super().__init__(path)
        self._plan = plan

    def create(self, name: str) -> None:
        self._plan.maybe(f"before {name} exists")
        super().create(name)

    def append(self, name: str, data: bytes) -> None:
        if self._plan.is_next:
            super().append(name, data[: len(data) // 2])
        self._plan.maybe(f"within a write of {name}")
        super().append(name, data)
        self._plan.maybe(f"after a write of {name}")

    def replace(self, name: str, data: bytes) -> None:
        self._plan.maybe(f"before {name} is replaced")
        super().replace(name, data)
        self._plan.maybe(f"after {name} was replaced")


@dataclass(frozen=True)
class HeadFile:
    """A `HeadStore` in a file apart from the account's folder."""

    folder: DiskFolder
    name: str = "heads.jsonl"

    def append(self, account: str, head: str) -> None:
        # Whole or absent, as in a database.
        kept = [*self.heads(account), head]
        self.folder.replace(self.name, "".join(f"{line}\n" for line in kept).encode())

    def heads(self, account: str) -> Sequence[str]:
        del account
        return self.folder.read(self.name).decode().splitlines()


class ToldTime:
    """The time that the parent said; waits pass at once."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._slept = 0.0

    def now(self) -> datetime:
        return self._now + timedelta(seconds=self._slept)

    def monotonic(self) -> float:
        return self._slept

    def sleep(self, seconds: float) -> None:
        self._slept += seconds


@dataclass(frozen=True)
class KillableAccount:
    """An account whose sessions run in processes of their own.

    Attributes
    ----------
    path : Path
        Where everything of it is.
    seed : int
        Of market and weights.
    url : str
        Address of the broker's process; empty for the embedded broker.
    """

    path: Path
    seed: int
    url: str = ""

    @property
    def market(self) -> Market:
        """Bars of all its sessions."""
        return make_market(FIRST_ROW + 8, seed=self.seed)

    @property
    def book_path(self) -> Path:
        """File of the broker's book."""
        return self.path / ("book.sqlite" if self.url else "account/broker.sqlite")

    def moment(self, row: int, *, is_known: bool) -> datetime:
        """Return when a session is decided, or settled."""
        session = session_at(self.market, row)
        if is_known:
            return CALENDAR.close_time(session) + timedelta(minutes=11)
        return CALENDAR.open_time(session) - timedelta(minutes=14)

    def run(self, row: int, plan: KillPlan, *, is_known: bool) -> str:
        """Run a session in this process, store its record, and return its status."""
        clock = ToldTime(self.moment(row, is_known=is_known))
        market = self.market
        known = cut(market, row if is_known else row - 1)
        session = session_at(market, row)
        witness = Witness(NAME, SIGNER, HeadFile(KillableFolder(self.path / "kept", plan)), clock)
        logs = KillableFolder(self.path / "account", plan)
        folder = AccountFolder(logs, clock, self.book_path, witness)
        strategy = make_strategy(**({"paper": {"gateway": "alpaca"}} if self.url else {}))
        setup = BrokerSetup(strategy, CALENDAR, folder, _CREDENTIALS, clock, alpaca_url=self.url)
        rng = np.random.default_rng([self.seed, row])
        weights = rng.uniform(0.0, 0.32, 3)
        with closing(build_gateway(setup, known)) as gateway:
            record = run_session(
                SessionInputs(
                    name=NAME,
                    strategy=strategy,
                    session=session,
                    calendar=CALENDAR,
                    market=known,
                    decision_time=decision_time(CALENDAR, session, 15, clock.now()),
                    decide=decide_with(lambda _: weights),
                    gateway=Network(gateway, rng, Rates(), plan),
                    previous=self._read(session_at(market, row - 1)),
                    stored=self._read(session),
                    folder=folder,
                    clock=clock,
                )
            )
        self._store(record, plan)
        return record.status

    def left(self) -> LeftAccount:
        """Return what it left behind; no table is read."""
        kept = DiskFolder(self.path / "records")
        sessions = [_left(kept.read(name)) for name in kept.names()]
        heads = HeadFile(DiskFolder(self.path / "kept")).heads(NAME)
        signed = [SignedHead.from_document(head) for head in heads]
        return LeftAccount(
            sessions,
            signed,
            {SIGNER.public_key},
            Book(self.book_path),
            # The face in Alpaca's dialect tells ids of its own.
            told_as=uuid_of if self.url else str,
        )

    def _store(self, record: SessionRecord, plan: KillPlan) -> None:
        files = {name: data.decode() for name, data in record.to_files().items()}
        tables: dict[str, str] = {}
        for name, table in record.tables.items():
            buffer = io.BytesIO()
            table.write_ipc(buffer)
            tables[name] = base64.b64encode(buffer.getvalue()).decode()
        content = json.dumps({"files": files, "tables": tables}).encode()
        KillableFolder(self.path / "records", plan).replace(record.session.isoformat(), content)

    def _read(self, session: date) -> SessionRecord | None:
        content = DiskFolder(self.path / "records").read(session.isoformat())
        if not content:
            return None
        kept: dict[str, Any] = json.loads(content)
        tables = {
            name: pl.read_ipc(io.BytesIO(base64.b64decode(text)))
            for name, text in kept["tables"].items()
        }
        files = {name: text.encode() for name, text in kept["files"].items()}
        return SessionRecord.from_files(tables, files)


def _left(content: bytes) -> LeftSession:
    files = json.loads(content)["files"]
    status, closing_state = closing_of(files["summary.json"].encode())
    session = date.fromisoformat(json.loads(files["summary.json"])["session"])
    return LeftSession(session, status, closing_state, files["audit.jsonl"].encode())
