"""Holds audit logs against their checkpoints and against each other."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from trading_assets.paper.audit import GENESIS_HASH, stated_genesis, verify_audit
from trading_assets.paper.checkpoints import SignedHead


def verify_session(
    log: bytes,
    heads: Sequence[SignedHead],
    trusted: Collection[str],
    genesis: str = GENESIS_HASH,
) -> list[str]:
    """Return what is wrong with a session's log, one sentence a problem with its line number.

    An edit, deletion, swap or insertion is found at its record. Where everything after it was
    hashed anew, it is found at the first checkpoint that no longer fits, and so is a log that was
    cut off or replaced by an older copy. Records after the last checkpoint that is not final are
    not protected against either: they may be cut off or forged up to the next one.

    Parameters
    ----------
    log : bytes
        The whole log.
    heads : sequence of SignedHead
        The session's checkpoints, oldest first.
    trusted : collection of str
        Public keys that may have signed them.
    genesis : str, optional
        Hash of the last record of the session before.
    """
    doubts = list(_doubts(heads, trusted))
    broken = verify_audit(log, genesis=genesis)
    if broken:
        return [*broken, *doubts]
    hashes = [json.loads(line)["hash"] for line in log.splitlines()]
    return [*list(_misfits(hashes, heads))[:1], *doubts]


def verify_account(
    logs: Mapping[str, bytes],
    heads: Sequence[SignedHead],
    trusted: Collection[str],
    genesis: str = GENESIS_HASH,
) -> list[str]:
    """Return what is wrong with an account's logs, each problem after its session.

    Parameters
    ----------
    logs : mapping of str to bytes
        Logs by session, whose names sort by time.
    heads : sequence of SignedHead
        The account's checkpoints, oldest first.
    trusted : collection of str
        Public keys that may have signed them.
    genesis : str, optional
        Hash that the first log goes on from.
    """
    problems: list[str] = []
    for session in sorted({*logs, *(head.session for head in heads)}):
        if session not in logs:
            problems.append(f"{session}: the log is gone; there are checkpoints of it")
            continue
        log = logs[session]
        own = [head for head in heads if head.session == session]
        start = GENESIS_HASH if _is_of_earlier_release(log) else genesis
        problems += [f"{session}: {text}" for text in verify_session(log, own, trusted, start)]
        genesis = _last_hash(log, genesis)
    return problems


def unsigned_count(log: bytes, heads: Sequence[SignedHead]) -> int:
    """Return how many records follow the session's last checkpoint."""
    return log.count(b"\n") - max((head.count for head in heads), default=0)


def _misfits(hashes: Sequence[str], heads: Sequence[SignedHead]) -> Iterator[str]:
    for head in heads:
        if head.count > len(hashes):
            yield (
                f"line {len(hashes)}: the log ends here, and the checkpoint of {head.signed_at} has"
                f" {head.count} records: its end was cut off"
            )
        elif head.count and hashes[head.count - 1] != head.head_hash:
            yield (
                f"line {head.count}: the hash is {hashes[head.count - 1][:12]}, and the checkpoint"
                f" of {head.signed_at} has {head.head_hash[:12]}: the log was rewritten here or"
                " before"
            )
        elif head.is_final and head.count < len(hashes):
            yield (
                f"line {head.count + 1}: the session ended with the checkpoint of"
                f" {head.signed_at}, and records follow"
            )


def _doubts(heads: Sequence[SignedHead], trusted: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with the checkpoints themselves."""
    before: SignedHead | None = None
    for head in heads:
        label = f"checkpoint of record {head.count} ({head.signed_at})"
        if head.public_key not in trusted:
            yield f"{label}: signed by key {head.public_key[:12]}, which is not trusted"
        elif not head.is_genuine:
            yield f"{label}: the signature does not fit"
        if head.seq != head.count:
            yield f"{label}: seq {head.seq} is not its count"
        if before is not None and _is_out_of_place(before, head):
            yield f"{label}: it does not follow the one of record {before.count}"
        before = head


def _is_out_of_place(before: SignedHead, head: SignedHead) -> bool:
    is_other_log = (before.account, before.session) != (head.account, head.session)
    return is_other_log or before.is_final or head.count < before.count


def _is_of_earlier_release(log: bytes) -> bool:
    """Return whether a log was written when every session's chain began with zeros."""
    first = log.partition(b"\n")[0]
    return b'"schema_version": ' not in first and stated_genesis(log) == GENESIS_HASH


def _last_hash(log: bytes, genesis: str) -> str:
    """Return the hash that the next session has to go on from, as far as it can be read."""
    lines = [line for line in log.split(b"\n") if line]
    if not lines:
        return genesis
    try:
        return str(json.loads(lines[-1])["hash"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""
