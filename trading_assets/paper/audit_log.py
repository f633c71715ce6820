"""The writer of a session's audit log: one at a time, each record on disk before it returns."""

import fcntl
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from trading_assets.errors import DataError
from trading_assets.paper.audit import (
    GENESIS_HASH,
    AuditHead,
    audit_records,
    canonical_record,
    record_content,
    record_hash,
)

Clock = Callable[[], datetime]


class AuditLog:
    """Appends to the log of one session; a record is on disk before `append` returns.

    One writer at a time: a second one is refused. Use as a context manager.

    Parameters
    ----------
    path : Path
        File of the log; created with its folder if absent.
    clock : callable
        Returns the time, timezone-aware.
    stored : bytes
        What is already stored of this session's log, to go on from when the file is absent.

    Raises
    ------
    DataError
        If another writer holds the log, or the log on disk is damaged other than by a last line
        that a crash cut off; such a line is replaced by a `CRASH_RECOVERED` record naming it.
    """

    def __init__(self, path: Path, clock: Clock, stored: bytes = b"") -> None:
        self._path = path
        self._clock = clock
        self._stored = stored
        self._descriptor = -1
        self._count = 0
        self._previous = GENESIS_HASH
        self._contents: set[str] = set()

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._take_lock()
            self._make_name_durable()
            self._resume()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @property
    def head(self) -> AuditHead:
        """Where the chain ends now."""
        return AuditHead(self._count, self._previous)

    def append(self, event: str, **fields: str) -> None:
        """Append one record and wait until it is on disk.

        Parameters
        ----------
        event : str
            What happened, in capitals.
        **fields : str
            The event's own fields.

        Raises
        ------
        OSError
            If the record cannot be written; whoever was about to send an order must not.
        """
        moment = self._clock().astimezone(UTC).isoformat(timespec="microseconds")
        record = {
            **fields,
            "event": event,
            "seq": str(self._count + 1),
            "ts_utc": moment,
            "prev_hash": self._previous,
        }
        record["hash"] = record_hash(record)
        self._write(f"{canonical_record(record)}\n".encode())
        self._count += 1
        self._previous = record["hash"]
        self._contents.add(record_content(record))

    def append_once(self, event: str, **fields: str) -> None:
        """Append one record unless the log already holds one with the same event and fields.

        A session that starts again after a crash repeats what it says; the log says it once.
        """
        if record_content({**fields, "event": event}) not in self._contents:
            self.append(event, **fields)

    def content(self) -> bytes:
        """Return the whole log as it is on disk."""
        return self._path.read_bytes()

    def records(self) -> list[dict[str, str]]:
        """Return the records on disk, oldest first."""
        return audit_records(self.content())

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = (
                f"audit log {self._path} is held by another session run;"
                " wait until it has ended, then run again"
            )
            raise DataError(msg) from None

    def _make_name_durable(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _resume(self) -> None:
        present = self._path.read_bytes()
        if not present and self._stored:
            self._write(self._stored)
            present = self._stored
        if not present.startswith(self._stored):
            msg = (
                f"audit log {self._path} does not go on from the stored one;"
                " move the file away so that the stored log is used"
            )
            raise DataError(msg)
        whole, _, torn = present.rpartition(b"\n")
        whole = whole + b"\n" if whole else b""
        records = audit_records(whole)
        self._count = len(records)
        self._previous = records[-1]["hash"] if records else GENESIS_HASH
        self._contents = {record_content(record) for record in records}
        if torn:
            os.ftruncate(self._descriptor, len(whole))
            self.append(
                "CRASH_RECOVERED",
                torn_bytes=str(len(torn)),
                torn_sha256=hashlib.sha256(torn).hexdigest(),
            )

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        os.fsync(self._descriptor)

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
