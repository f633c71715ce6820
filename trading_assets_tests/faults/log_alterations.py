"""Alter a session's audit log at random, and ask whether each alteration is found, and where."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trading_assets.paper.audit import record_hash
from trading_assets.paper.audit_log import AuditLog, AuditOrigin
from trading_assets.paper.audit_verification import verify_session
from trading_assets.paper.checkpoints import SignedHead
from trading_assets.paper.log_folder import DiskFolder
from trading_assets.paper.signing_keys import Signer
from trading_assets.paper.witness import Witness, read_heads
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.paper.audit_disks import TickingClock

SESSION = "2020-01-02"
GENESIS = "ab" * 32
DECISIONS, ORDERS = 4, 6


class _Heads:
    def __init__(self) -> None:
        self._kept: list[str] = []

    def append(self, account: str, head: str) -> None:
        self._kept.append(head)

    def heads(self, account: str) -> list[str]:
        return self._kept


@dataclass(frozen=True)
class Written:
    """A session's log as it was, its checkpoints, and where durable writes ended."""

    log: bytes
    heads: list[SignedHead]
    trusted: set[str]
    ends: list[int]

    @property
    def lines(self) -> list[bytes]:
        return self.log.splitlines(keepends=True)

    def found(self, log: bytes) -> list[str]:
        return verify_session(log, self.heads, self.trusted, GENESIS)

    def first_head_from(self, line: int) -> int:
        """Where a rewriting from a line on shows: the first checkpoint at or after it."""
        return next(head.count for head in self.heads if head.count >= line)


@dataclass(frozen=True)
class Altered:
    """An altered log, and the lines at one of which it has to be found."""

    log: bytes
    lines: Sequence[int]


def write_session(folder: Path) -> Written:
    """Log a session of some decisions, with a checkpoint after each and a final one."""
    signer = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    store = _Heads()
    clock = TickingClock()
    witness = Witness("one", signer, store, clock)
    ends: list[int] = []
    origin = AuditOrigin(SESSION, genesis=GENESIS)
    with AuditLog(DiskFolder(folder), f"{SESSION}.jsonl", clock, origin) as log:
        log.append("START", strategy="one", session=SESSION, receiver="simulated")
        for decision in range(DECISIONS):
            names = [f"one-{decision}-{number}" for number in range(ORDERS)]
            log.append_batch(
                [("DECIDED", {"decision_id": str(decision)})]
                + [("INTENT", {**_order(name), "order_type": "market"}) for name in names]
            )
            ends.append(log.head.count)
            log.append_batch(
                [
                    ("FILL", {**_order(name), "execution_id": f"x-{name}", "price_usd": "9.87"})
                    for name in names
                ]
            )
            ends.append(log.head.count)
            witness.checkpoint(SESSION, log.head)
        log.append("STOP", session=SESSION, status="settled")
        witness.checkpoint(SESSION, log.head, is_final=True)
        content = log.content()
    return Written(content, read_heads(store, "one"), {signer.public_key}, ends)


def _order(name: str) -> dict[str, str]:
    return {
        "client_order_id": name,
        "symbol": "AAA",
        "side": "buy",
        "quantity": "1.25",
        "receiver": "simulated",
    }


def _flip(written: Written, rng: random.Random) -> Altered:
    place = rng.randrange(len(written.log))
    forged = bytearray(written.log)
    forged[place] ^= 1 << rng.randrange(8)
    line = written.log.count(b"\n", 0, place) + 1
    # A flipped line end joins two lines; the longer one then is the first.
    return Altered(bytes(forged), (line, line + 1))


def _edit(written: Written, rng: random.Random) -> Altered:
    lines = written.lines
    place = rng.randrange(len(lines))
    record = _edited(lines[place], rng)
    if is_hashed := rng.random() < 0.5:
        record["hash"] = record_hash(record)
    lines[place] = _line(record)
    # A record that was hashed anew fits itself, not what follows; the last one not its checkpoint.
    is_last = place + 1 == len(lines)
    chained = {"seq", "prev_hash"} & _differences(written.lines[place], lines[place])
    shows = place + 2 if is_hashed and not chained and not is_last else place + 1
    return Altered(b"".join(lines), (shows,))


def _delete(written: Written, rng: random.Random) -> Altered:
    lines = written.lines
    place = rng.randrange(len(lines))
    count = min(rng.randint(1, 3), len(lines) - place)
    del lines[place : place + count]
    return Altered(b"".join(lines), (min(place + 1, len(lines)),))


def _swap(written: Written, rng: random.Random) -> Altered:
    lines = written.lines
    one, other = sorted(rng.sample(range(len(lines)), 2))
    lines[one], lines[other] = lines[other], lines[one]
    return Altered(b"".join(lines), (one + 1,))


def _insert(written: Written, rng: random.Random) -> Altered:
    """Insert an old line, rubbish, or a record that goes on from the one before it."""
    lines = written.lines
    place = len(lines) if rng.random() < 0.2 else rng.randrange(len(lines))
    kind = rng.choice(("old", "rubbish", "fitting"))
    line = rng.choice(lines)
    if kind == "rubbish":
        line = rng.randbytes(rng.randrange(20)).replace(b"\n", b"") + b"\n"
    elif kind == "fitting":
        record = json.loads(line)
        before = json.loads(lines[place - 1])["hash"] if place else GENESIS
        record.update(seq=str(place + 1), prev_hash=before)
        record["hash"] = record_hash(record)
        line = _line(record)
    lines.insert(place, line)
    # A fitting record shows where the next one no longer goes on, or after the session's end. A
    # line that equals its neighbour shows after it.
    return Altered(b"".join(lines), (place + 1, place + 2))


def _rehash(written: Written, rng: random.Random) -> Altered:
    """Edit, delete or insert a record, and hash everything from there on anew."""
    records = [json.loads(line) for line in written.lines]
    place = rng.randrange(len(records))
    kind = rng.choice(("edit", "delete", "insert"))
    if kind == "edit":
        records[place] = _edited(written.lines[place], rng, chained=False)
    elif kind == "delete":
        del records[place]
    else:
        records.insert(place, dict(rng.choice(records)))
    previous = records[place - 1]["hash"] if place else GENESIS
    for number, record in enumerate(records[place:], start=place + 1):
        record.update(seq=str(number), prev_hash=previous)
        record["hash"] = previous = record_hash(record)
    forged = [_line(record) for record in records]
    # A copy put before its own record changes nothing but what follows.
    same = sum(
        1
        for _ in takewhile(
            lambda pair: pair[0] == pair[1], zip(written.lines, forged, strict=False)
        )
    )
    shows = min(written.first_head_from(min(same + 1, len(written.lines))), len(records))
    return Altered(b"".join(forged), (shows + (same == len(written.lines)),))


def _truncate(written: Written, rng: random.Random) -> Altered:
    lines = written.lines
    if rng.random() < 0.5:
        end = rng.randrange(len(lines))
        return Altered(b"".join(lines[:end]), (end,))
    size = rng.randrange(len(written.log))
    cut = written.log[:size]
    whole = cut.count(b"\n")
    return Altered(cut, (whole if cut.endswith(b"\n") or not cut else whole + 1,))


def _older(written: Written, rng: random.Random) -> Altered:
    """Put an older copy in place, as it was or gone on with other records."""
    lines = written.lines
    end = rng.choice(written.ends)
    kept = lines[:end]
    if rng.random() < 0.5:
        return Altered(b"".join(kept), (end,))
    previous = json.loads(kept[-1])["hash"]
    for line in lines[end:]:
        record = _edited(line, rng, chained=False)
        record["prev_hash"] = previous
        record["hash"] = previous = record_hash(record)
        kept.append(_line(record))
    return Altered(b"".join(kept), (written.first_head_from(end + 1),))


KINDS: dict[str, Callable[[Written, random.Random], Altered]] = {
    "byte flip": _flip,
    "field edit": _edit,
    "deletion": _delete,
    "swap": _swap,
    "insertion": _insert,
    "re-hash": _rehash,
    "truncation": _truncate,
    "older copy": _older,
}


def sweep_alterations(folder: Path, count: int, seed: int) -> Tally:
    """Alter a log `count` times; harm is what is not found, or found elsewhere."""
    written = write_session(folder)
    tally = Tally()
    assert written.found(written.log) == []
    rng = random.Random(seed)
    for number in range(count):
        kind = tuple(KINDS)[number % len(KINDS)]
        altered = KINDS[kind](written, rng)
        while altered.log == written.log:
            altered = KINDS[kind](written, rng)
        found = written.found(altered.log)
        has_line = found and any(found[0].startswith(f"line {line}:") for line in altered.lines)
        told = f"expected lines {altered.lines}, found {found[:1]}"
        tally.add(f"{kind} {number}", [] if has_line else [told])
    return tally


def _edited(line: bytes, rng: random.Random, *, chained: bool = True) -> dict[str, str]:
    record = json.loads(line)
    names = sorted(name for name in record if chained or name not in ("seq", "prev_hash", "hash"))
    name = rng.choice(names)
    if rng.random() < 0.2 and chained:
        del record[name]
    else:
        record[name] = f"{record[name]}0"
    return record


def _differences(one: bytes, other: bytes) -> set[str]:
    before, after = json.loads(one), json.loads(other)
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def _line(record: dict[str, str]) -> bytes:
    return f"{json.dumps(record, sort_keys=True)}\n".encode()
