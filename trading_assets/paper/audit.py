"""The audit log of a paper session: append-only lines, each chained to the one before it.

A line is `json.dumps(record, sort_keys=True)`; its `hash` is the SHA-256 of the same text without
the `hash` field, and `prev_hash` is the hash of the line before. The first line of a session goes
on from the last one of the session before (its genesis), that of an account's first session from 64
zeros. All values are strings. The chain alone cannot show that its end was cut off or rewritten:
`checkpoints.py` signs heads for that.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, cast

from trading_assets.errors import DataError

GENESIS_HASH = "0" * 64

# What the writer adds to each record; a record of an earlier release has `seq`, `ts_utc` and the
# hashes only. `batch_left` counts the records of the same durable write that follow.
CHAIN_FIELDS = (
    "seq",
    "ts_utc",
    "ts_monotonic_ns",
    "clock_offset_ms",
    "prev_hash",
    "hash",
    "session_id",
    "run_id",
    "host",
    "schema_version",
    "batch_left",
)


@dataclass(frozen=True, slots=True)
class AuditHead:
    """Where a chain ends: its number of records and the hash of the last one."""

    count: int
    hash: str


def audit_records(log: bytes, genesis: str | None = None) -> list[dict[str, str]]:
    """Return the records of an intact log.

    Parameters
    ----------
    log : bytes
        The whole log.
    genesis : str, optional
        Hash that the first record goes on from; by default the one that it says.

    Raises
    ------
    DataError
        If the chain is broken anywhere.
    """
    problems = verify_audit(log, genesis=stated_genesis(log) if genesis is None else genesis)
    if problems:
        msg = f"audit log is damaged: {problems[0]}; restore the stored copy before going on"
        raise DataError(msg)
    return [json.loads(line) for line in log.splitlines()]


def audit_head(log: bytes) -> AuditHead:
    """Return the head of an intact log."""
    records = audit_records(log)
    return AuditHead(len(records), records[-1]["hash"] if records else GENESIS_HASH)


def stated_genesis(log: bytes) -> str:
    """Return the hash that a log says to go on from; 64 zeros if it is empty or unreadable."""
    try:
        record: object = json.loads(log.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return GENESIS_HASH
    stated = cast("dict[str, Any]", record).get("prev_hash") if isinstance(record, dict) else None
    return stated if isinstance(stated, str) else GENESIS_HASH


def verify_audit(
    log: bytes, head: AuditHead | None = None, genesis: str = GENESIS_HASH
) -> list[str]:
    """Return what is wrong with a log, one sentence a problem with its line number.

    Checks stop at the first broken line: what follows it has nothing to be held against.

    Parameters
    ----------
    log : bytes
        The whole log.
    head : AuditHead, optional
        The head stored elsewhere; without it a log cut at a line's end looks intact.
    genesis : str, optional
        Hash that the first record goes on from: the head of the session before.
    """
    previous = genesis
    lines = log.split(b"\n")
    torn = lines.pop()
    for number, line in enumerate(lines, start=1):
        problem, previous = _check_line(line, number, previous)
        if problem:
            return [f"line {number}: {problem}"]
    if torn:
        return [f"line {len(lines) + 1}: the last line is not complete ({len(torn)} bytes)"]
    if head is not None and (head.count, head.hash) != (len(lines), previous):
        return [
            f"line {len(lines)}: the log ends at record {len(lines)} with hash {previous[:12]};"
            f" expected {head.count} records ending with {head.hash[:12]}"
        ]
    return []


def _check_line(line: bytes, number: int, previous: str) -> tuple[str, str]:
    try:
        record: object = json.loads(line)
    except (ValueError, RecursionError):
        return "not valid JSON", previous
    if not isinstance(record, dict):
        return "not an object of strings", previous
    fields = cast("dict[str, Any]", record)
    if not all(isinstance(value, str) for value in fields.values()):
        return "not an object of strings", previous
    if canonical_record(fields).encode() != line:
        return "not in canonical form (sorted keys, one space after separators)", previous
    if fields.get("seq") != str(number):
        return f"seq was {fields.get('seq')}, expected {number}", previous
    if fields.get("prev_hash") != previous:
        return "prev_hash does not continue the chain", previous
    if fields.get("hash") != record_hash(fields):
        return "hash does not fit the record: it was changed", previous
    return "", fields["hash"]


def canonical_record(record: dict[str, Any]) -> str:
    """Return a record's line, without its end."""
    return json.dumps(record, sort_keys=True)


def record_content(record: dict[str, Any]) -> str:
    """Return what a record says, without its place in the chain."""
    said = {name: value for name, value in record.items() if name not in CHAIN_FIELDS}
    return canonical_record(said)


def record_hash(record: dict[str, Any]) -> str:
    """Return the SHA-256 of a record without its `hash` field."""
    body = {name: value for name, value in record.items() if name != "hash"}
    return hashlib.sha256(canonical_record(body).encode()).hexdigest()
