"""What an account keeps on disk while it trades: logs, kill switch, the embedded broker's book.

The stored records of its sessions are elsewhere. This folder is what a session that was interrupted
goes on from, and what commands work on that need no database.
"""

import re
from datetime import date
from pathlib import Path

from trading_assets.errors import DataError, shown
from trading_assets.paper.audit import GENESIS_HASH, AuditHead
from trading_assets.paper.audit_log import AuditLog, AuditOrigin
from trading_assets.paper.clock import Clock
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets.paper.log_folder import DiskFolder, LogFolder
from trading_assets.paper.witness import Witness

BOOK_NAME = "broker.sqlite"

_SUFFIX = ".jsonl"
_SESSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STRATEGY = re.compile(r"[a-z][a-z0-9_]{0,199}")


def account_path(data: Path, strategy: str) -> Path:
    """Return the folder of a strategy's account, there or not.

    Raises
    ------
    DataError
        If the name is not one that a strategy can have.
    """
    if not _STRATEGY.fullmatch(strategy):
        msg = (
            f"strategy was {shown(strategy)}; expected a declared name, of lower-case letters,"
            " digits and _"
        )
        raise DataError(msg)
    return data / "paper" / strategy


def account_folder(data: Path, strategy: str) -> DiskFolder:
    """Return the folder of a strategy's account for its logs and its kill switch."""
    return DiskFolder(account_path(data, strategy))


def signing_key_path(data: Path) -> Path:
    """Return the file of the key that signs checkpoints, apart from the logs."""
    return data / "keys" / "audit.pem"


def log_name(session: str) -> str:
    """Return the name of a session's log in the account's folder."""
    return f"{session}{_SUFFIX}"


def session_logs(folder: LogFolder) -> dict[str, bytes]:
    """Return the logs in an account's folder by session, oldest first."""
    names = {name.removesuffix(_SUFFIX): name for name in folder.names() if name.endswith(_SUFFIX)}
    return {
        session: folder.read(name) for session, name in names.items() if _SESSION.fullmatch(session)
    }


class AccountFolder:
    """The folder of one account, as a session uses it.

    Parameters
    ----------
    logs : LogFolder
        Where logs and the kill switch are.
    clock : Clock
        Stamps records.
    book_path : Path, optional
        File of the embedded broker's book; needed where the account has one.
    witness : Witness, optional
        Signs where logs end; without one, nothing is signed.
    host : str, optional
        Name of this machine, for the records.
    """

    def __init__(
        self,
        logs: LogFolder,
        clock: Clock,
        book_path: Path | None = None,
        witness: Witness | None = None,
        host: str = "",
    ) -> None:
        self.logs = logs
        self.switch = KillSwitch(logs, clock)
        self._clock = clock
        self._book_path = book_path
        self._witness = witness
        self._host = host

    @classmethod
    def on_disk(
        cls, path: Path, clock: Clock, witness: Witness | None = None, host: str = ""
    ) -> "AccountFolder":
        """Return the folder at a path, with the book in it."""
        return cls(DiskFolder(path), clock, path / BOOK_NAME, witness, host)

    @property
    def book_path(self) -> Path:
        """File of the embedded broker's book."""
        if self._book_path is None:
            msg = f"{self.logs.label} keeps no broker's book; expected a gateway to be given"
            raise DataError(msg)
        return self._book_path

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
        genesis : str, optional
            Hash that the log begins with: the end of the session before.
        run_id : str, optional
            Which run writes.
        """
        name = session.isoformat()
        origin = AuditOrigin(name, run_id, self._host, "", genesis)
        signed = None if self._witness is None else self._witness.last(name)
        known = None if signed is None else signed.head
        return AuditLog(self.logs, log_name(name), self._clock, origin, stored, known)

    def checkpoint(self, session: date, head: AuditHead, *, is_final: bool = False) -> None:
        """Have the end of a session's log signed and kept elsewhere."""
        if self._witness is not None:
            self._witness.checkpoint(session.isoformat(), head, is_final=is_final)
