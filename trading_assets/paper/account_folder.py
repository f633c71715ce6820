"""What an account keeps on disk while it trades: logs, kill switch, the embedded broker's book.

The stored records of its sessions are elsewhere. This folder is what a session that was interrupted
goes on from, and what commands work on that need no database.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from trading_assets.paper.audit import GENESIS_HASH
from trading_assets.paper.audit_log import AuditLog, AuditOrigin
from trading_assets.paper.clock import Clock, SystemClock
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets.paper.log_folder import DiskFolder, LogFolder

BOOK_NAME = "broker.sqlite"


@dataclass(frozen=True, slots=True)
class AccountFolder:
    """The folder of one account.

    Attributes
    ----------
    logs : LogFolder
        Where logs and the kill switch are.
    clock : Clock
        Stamps records.
    path : Path or None
        The folder on disk; None for one of memory, whose broker is elsewhere.
    host : str
        Name of this machine, for the records.
    """

    logs: LogFolder
    clock: Clock
    path: Path | None = None
    host: str = ""

    @classmethod
    def on_disk(cls, path: Path, clock: Clock | None = None, host: str = "") -> Self:
        """Return the folder at a path."""
        return cls(DiskFolder(path), clock or SystemClock(), path, host)

    @property
    def switch(self) -> KillSwitch:
        """The account's kill switch."""
        return KillSwitch(self.logs, self.clock)

    @property
    def book_path(self) -> Path:
        """File of the embedded broker's book."""
        if self.path is None:
            msg = "an account folder of memory has no book on disk; pass the broker itself"
            raise ValueError(msg)
        return self.path / BOOK_NAME

    def open_log(
        self, session: date, stored: bytes, genesis: str = GENESIS_HASH, run_id: str = ""
    ) -> AuditLog:
        """Return the writer of a session's log.

        Parameters
        ----------
        session : date
            The session.
        stored : bytes
            What is already stored of the log.
        genesis : str
            Hash that the log begins with: the end of the session before.
        run_id : str
            Which run writes.
        """
        origin = AuditOrigin(session.isoformat(), run_id, self.host, "", genesis)
        return AuditLog(self.logs, f"{session}.jsonl", self.clock, origin, stored)
