"""The writer of a session's audit log: one at a time, each record on disk before it returns."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC
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
from trading_assets.paper.audit_fields import require_fields
from trading_assets.paper.clock import Clock
from trading_assets.paper.log_folder import ACCOUNT_LOCK, LogFolder
from trading_assets.paper.torn_tail import split_torn_tail

SCHEMA_VERSION = "2"
_SEALED = "CRASH_RECOVERED"


class AuditWriteError(DataError):
    """An audit record that could not be made durable: no order may be sent on it."""


@dataclass(frozen=True, slots=True)
class AuditOrigin:
    """Where the records of a log come from; each record repeats all but `genesis`.

    Attributes
    ----------
    session_id : str
        The session, such as `2024-03-08`.
    run_id, host : str
        Who writes now; empty where it is not known.
    clock_offset_ms : str
        How far this machine's clock was from a reference when the log was opened, in milliseconds;
        empty where it was not measured.
    genesis : str
        Hash of the last record of the session before; 64 zeros for an account's first session.
    """

    session_id: str = ""
    run_id: str = ""
    host: str = ""
    clock_offset_ms: str = ""
    genesis: str = GENESIS_HASH


class AuditLog:
    """Appends to the log of one session; a record is on disk before `append` returns.

    One writer an account: a second one is refused. Use as a context manager. After a write that
    failed, nobody knows what is on disk, so that nothing more is accepted; opening anew finds out.

    Parameters
    ----------
    folder : LogFolder
        Folder of the account.
    name : str
        Name of the log's file, created if absent.
    clock : Clock
        Stamps the records.
    origin : AuditOrigin
        Session, writer, and the hash that a new log goes on from.
    stored : bytes, optional
        What is already stored of this log, to go on from when the file is absent.
    known : AuditHead, optional
        Head signed last; a log that does not reach it, or reaches it otherwise, is damaged.
    lock : str, optional
        What its writers exclude each other by.

    Raises
    ------
    DataError
        If another writer holds the folder, or the log on disk is damaged other than by a last write
        that a crash cut off; that is replaced by a `CRASH_RECOVERED` record naming its bytes.
    AuditWriteError
        If the disk refuses.
    """

    def __init__(
        self,
        folder: LogFolder,
        name: str,
        clock: Clock,
        origin: AuditOrigin,
        stored: bytes = b"",
        known: AuditHead | None = None,
        lock: str = ACCOUNT_LOCK,
    ) -> None:
        self._folder = folder
        self._name = name
        self._clock = clock
        self._origin = origin
        self._stored = stored
        self._known = known
        self._lock = lock
        self._held = ExitStack()
        self._count = 0
        self._previous = origin.genesis
        self._contents: set[str] = set()
        self._refusal = "is not open"

    def __enter__(self) -> Self:
        with ExitStack() as held:
            held.enter_context(self._folder.lock(self._lock))
            try:
                self._folder.create(self._name)
                self._resume()
            except OSError as error:
                raise self._write_error(error) from error
            self._held = held.pop_all()
        self._refusal = ""
        return self

    def __exit__(self, *_: object) -> None:
        self._refusal = "is not open"
        self._held.close()

    @property
    def head(self) -> AuditHead:
        """Where the chain ends, as far as writes have succeeded."""
        return AuditHead(self._count, self._previous)

    def append(self, event: str, **fields: str) -> None:
        """Append one record and wait until it is on disk.

        Parameters
        ----------
        event : str
            What happened, one of `audit_fields.EVENTS`.
        **fields : str
            The event's own fields.

        Raises
        ------
        AuditWriteError
            If it cannot be written; whoever was about to send an order must not.
        DataError
            If the event or a field is none that a record may have.
        """
        self.append_batch([(event, fields)])

    def append_once(self, event: str, **fields: str) -> None:
        """Append one record unless the log already holds one with the same event and fields.

        A session that starts again after a crash repeats what it says; the log says it once.
        """
        self.append_batch([(event, fields)], is_once=True)

    def append_batch(
        self, said: Sequence[tuple[str, Mapping[str, str]]], *, is_once: bool = False
    ) -> None:
        """Append records by one durable write: after a crash all of them are there, or none.

        Parameters
        ----------
        said : sequence of (str, mapping)
            Event and fields of each record.
        is_once : bool, optional
            Whether to leave out what the log already holds.

        Raises
        ------
        AuditWriteError
            If they cannot be written.
        DataError
            If an event or a field is not one that a record may have; nothing is written.
        """
        self._require_writable()
        bodies = [{**require_fields(event, fields), "event": event} for event, fields in said]
        if is_once:
            new = {record_content(body): body for body in bodies}
            bodies = [body for content, body in new.items() if content not in self._contents]
        if not bodies:
            return
        records = self._chained(bodies)
        self._refusal = "has a write that did not end"
        try:
            self._folder.append(self._name, _lines(records))
        except OSError as error:
            self._refusal = f"could not be written ({error.strerror or error})"
            raise self._write_error(error) from error
        self._refusal = ""
        self._remember(records)

    def holds(self, event: str, fields: Mapping[str, str]) -> bool:
        """Return whether the log has a record with this event and these fields."""
        return record_content({**require_fields(event, fields), "event": event}) in self._contents

    def content(self) -> bytes:
        """Return the whole log as it is on disk."""
        self._require_writable()
        return self._folder.read(self._name)

    def records(self) -> list[dict[str, str]]:
        """Return the records on disk, oldest first."""
        return audit_records(self.content(), self._origin.genesis)

    def _resume(self) -> None:
        present = self._folder.read(self._name)
        if not present and self._stored:
            self._folder.replace(self._name, self._stored)
            present = self._stored
        if not present.startswith(self._stored):
            msg = (
                f"audit log {self._label} does not go on from the stored one;"
                " move the file away so that the stored log is used"
            )
            raise DataError(msg)
        whole, torn = split_torn_tail(present)
        records = audit_records(whole, self._origin.genesis)
        self._require_known(records)
        self._count, self._previous, self._contents = 0, self._origin.genesis, set()
        self._remember(records)
        if torn:
            self._seal(whole, torn)

    def _require_known(self, records: list[dict[str, str]]) -> None:
        known = self._known
        if known is None or known.count == 0:
            return
        if len(records) < known.count or records[known.count - 1]["hash"] != known.hash:
            msg = (
                f"audit log {self._label} has {len(records)} records; expected the one signed as"
                f" {known.hash[:12]} to be number {known.count}, so it was cut or rewritten:"
                " restore the stored copy before going on"
            )
            raise DataError(msg)

    def _seal(self, whole: bytes, torn: bytes) -> None:
        # One replacement, so that no second crash can lose the bytes before they are named.
        named = {"torn_bytes": str(len(torn)), "torn_sha256": hashlib.sha256(torn).hexdigest()}
        sealed = self._chained([{**require_fields(_SEALED, named), "event": _SEALED}])
        self._folder.replace(self._name, whole + _lines(sealed))
        self._remember(sealed)

    def _chained(self, bodies: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        """Return the bodies as the records that follow, stamped with one moment."""
        origin, previous = self._origin, self._previous
        shared = {
            "ts_utc": self._clock.now().astimezone(UTC).isoformat(timespec="microseconds"),
            "ts_monotonic_ns": str(int(self._clock.monotonic() * 1e9)),
            "clock_offset_ms": origin.clock_offset_ms,
            "session_id": origin.session_id,
            "run_id": origin.run_id,
            "host": origin.host,
            "schema_version": SCHEMA_VERSION,
        }
        records: list[dict[str, str]] = []
        for index, body in enumerate(bodies):
            record = {
                **body,
                **shared,
                "seq": str(self._count + index + 1),
                "batch_left": str(len(bodies) - index - 1),
                "prev_hash": previous,
            }
            record["hash"] = previous = record_hash(record)
            records.append(record)
        return records

    def _remember(self, records: Sequence[Mapping[str, str]]) -> None:
        self._count += len(records)
        self._previous = records[-1]["hash"] if records else self._previous
        self._contents.update(record_content(dict(record)) for record in records)

    def _require_writable(self) -> None:
        if self._refusal:
            msg = (
                f"audit log {self._label} {self._refusal}; expected every record on disk before"
                " anything is sent, so open it again before going on"
            )
            raise AuditWriteError(msg)

    def _write_error(self, error: OSError) -> AuditWriteError:
        msg = (
            f"audit log {self._label} could not be written ({error.strerror or error}); expected"
            " every record on disk before anything is sent, so free space or mend the disk, then"
            " run the session again"
        )
        return AuditWriteError(msg)

    @property
    def _label(self) -> str:
        return f"{self._folder.label}/{self._name}"


def _lines(records: Sequence[Mapping[str, str]]) -> bytes:
    return "".join(f"{canonical_record(dict(record))}\n" for record in records).encode()
