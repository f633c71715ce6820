"""The pen of a session: records are noted, made durable together, and only then booked.

What is not on disk has not happened: the account changes after the write, never before.
"""

from collections.abc import Mapping
from typing import Protocol

from trading_assets.paper.account import Account
from trading_assets.paper.audit import AuditHead, stated_genesis


class DurableLog(Protocol):
    """A log whose batches are on disk when `append_batch` returns."""

    def append_batch(self, records: list[tuple[str, Mapping[str, str]]], /) -> None:
        """Append records in one durable write."""
        ...

    def records(self) -> list[dict[str, str]]:
        """Return the records on disk, oldest first."""
        ...

    def content(self) -> bytes:
        """Return the whole log as it is on disk."""
        ...

    def holds(self, event: str, fields: Mapping[str, str]) -> bool:
        """Return whether a record on disk says exactly this."""
        ...

    @property
    def head(self) -> AuditHead:
        """Where the chain ends."""
        ...


class Journal:
    """An account and the log that it is the sum of.

    Parameters
    ----------
    log : DurableLog
        Open for writing; what it holds already is booked at once.
    """

    def __init__(self, log: DurableLog) -> None:
        self._log = log
        self._noted: list[tuple[str, Mapping[str, str]]] = []
        self.account = Account.from_records(log.records())

    @property
    def head(self) -> AuditHead:
        """Where the log's chain ends."""
        return self._log.head

    @property
    def genesis(self) -> str:
        """Hash that the log's chain begins with."""
        return stated_genesis(self._log.content())

    def content(self) -> bytes:
        """Return the log as it is on disk."""
        return self._log.content()

    def records(self, event: str = "") -> list[dict[str, str]]:
        """Return the durable records, or those of one event, oldest first."""
        return [r for r in self._log.records() if not event or r["event"] == event]

    def has(self, event: str, **fields: str) -> bool:
        """Return whether exactly this was noted before."""
        return (event, fields) in self._noted or self._log.holds(event, fields)

    def note(self, event: str, **fields: str) -> None:
        """Note what is to be said with the next `flush`."""
        self._noted.append((event, fields))

    def note_once(self, event: str, **fields: str) -> None:
        """Note it unless exactly this was noted before, in this run or an earlier one."""
        if not self.has(event, **fields):
            self.note(event, **fields)

    def forget(self) -> None:
        """Drop what was noted and is not durable: what it belongs to has failed."""
        self._noted = []

    def tell(self, event: str, **fields: str) -> None:
        """Note it and make it durable, with all that was noted before."""
        self.note(event, **fields)
        self.flush()

    def flush(self) -> None:
        """Make durable what was noted, in one write, and book it.

        Raises
        ------
        OSError, DataError
            If it cannot be written; nothing of it is booked, and nothing may be sent.
        """
        if not self._noted:
            return
        noted, self._noted = self._noted, []
        self._log.append_batch(noted)
        for event, fields in noted:
            self.account.apply({**fields, "event": event})
