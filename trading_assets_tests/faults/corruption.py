"""Altered files of a lake of real bars: refused by every reader, named, healed by a new commit."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.errors import DataError, UserError
from trading_assets.lake.files import decode_table, encode_table
from trading_assets.lake.names import TABLE_SUFFIX
from trading_assets.lake.records import FileRef, PartitionRecord
from trading_assets.lake.store import Lake
from trading_assets_tests.faults.real_bars import ACTIONS, KEYS, actions_write, bars_write, fill
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.lake.samples import BARS, made_by

# Every so often the catalog is built while the file is damaged, which must do it no lasting harm,
# and is asked again after healing; a query costs many times what the other readers do.
_CATALOG_MADE_ANEW_EVERY = 10


@dataclass(frozen=True)
class Amounts:
    """How often each file is altered, besides once by each whole-file alteration."""

    bit_flips: int
    truncations: int
    zeroed_blocks: int


@dataclass(frozen=True)
class Victim:
    """One file of the lake, one of the partitions that refer to it, and another file of its kind.

    A table without rows is shared, so `owners` are all partitions that a message may name.
    """

    record: PartitionRecord
    file: FileRef
    owners: frozenset[str]
    intact: bytes
    foreign: bytes

    @property
    def is_table(self) -> bool:
        return self.file.name.endswith(TABLE_SUFFIX)

    @property
    def table(self) -> str:
        return self.file.name.removesuffix(TABLE_SUFFIX)


def sweep_corruption(
    root: Path, amounts: Amounts, seed: int, step: int = 1, *, of_tables: bool = True
) -> Tally:
    """Alter Parquet files of a new lake, or its other files, one at a time.

    Parameters
    ----------
    root : Path
        Empty folder.
    amounts : Amounts
        How often each file is altered.
    seed : int
        Seed of the places.
    step : int
        1 tries every alteration, n every n-th.
    of_tables : bool
        Whether Parquet files are altered; otherwise JSON.
    """
    generator = random.Random(seed)
    lake = fill(root)
    tally = Tally()
    for victim in (victim for victim in _victims(lake) if victim.is_table == of_tables):
        for name, payload in islice(variants(victim, amounts, generator), 0, None, step):
            path = lake.root / victim.file.path
            path.unlink() if payload is None else path.write_bytes(payload)
            is_anew = tally.tried % _CATALOG_MADE_ANEW_EVERY == 0
            if is_anew:
                (lake.root / "catalog.duckdb").unlink(missing_ok=True)
            problems = [*_accepted(lake, victim), *_unhealed(lake, victim, queries=is_anew)]
            tally.add(f"{name} in {victim.file.name} of {victim.record.label}", problems)
            path.write_bytes(victim.intact)
    lake.close()
    return tally


def variants(
    victim: Victim, amounts: Amounts, generator: random.Random
) -> Iterator[tuple[str, bytes | None]]:
    """Yield alterations of a file's bytes, each different from them; None for a removed file."""
    intact = victim.intact
    size = len(intact)
    for offset in generator.sample(range(8 * size), min(amounts.bit_flips, 8 * size)):
        flipped = bytearray(intact)
        flipped[offset // 8] ^= 1 << offset % 8
        yield f"bit {offset} flipped", bytes(flipped)
    for length in sorted({size * i // amounts.truncations for i in range(amounts.truncations)}):
        yield f"cut to {length} bytes", intact[:length]
    for _ in range(amounts.zeroed_blocks):
        start, length = generator.randrange(size), generator.choice([8, 64, 512])
        block = intact[start : start + length]
        if any(block):
            zeroed = intact[:start] + bytes(len(block)) + intact[start + length :]
            yield f"{len(block)} bytes zeroed at {start}", zeroed
    yield "8 bytes appended", intact + bytes(8)
    yield "swapped with another partition's", victim.foreign
    yield "empty", b""
    yield "removed", None
    if victim.is_table:
        table = decode_table(intact)
        yield "another column name", encode_table(table.rename({table.columns[0]: "other"}))
        retyped = table.with_columns(pl.lit(0, pl.Int8).alias(table.columns[0]))
        yield "another column type", encode_table(retyped)
        yield "one row more", encode_table(pl.concat([table, table.clear(1)]))


def _victims(lake: Lake) -> Iterator[Victim]:
    """Yield two months, one of them with an action, the shared empty tables, and the actions."""
    records = [*lake.records(BARS).values(), *lake.records(ACTIONS).values()]
    seen: set[str] = set()
    for record in (records[0], records[3], records[-1]):
        for file in record.files:
            sharing = {r.label for r in records for f in r.files if f.path == file.path}
            foreign = next(f for r in reversed(records) for f in r.files if _is_alike(f, file))
            if file.path not in seen:
                seen.add(file.path)
                payloads = ((lake.root / f.path).read_bytes() for f in (file, foreign))
                yield Victim(record, file, frozenset(sharing), *payloads)


def _is_alike(one: FileRef, other: FileRef) -> bool:
    return Path(one.name).suffix == Path(other.name).suffix and one.sha256 != other.sha256


def _accepted(lake: Lake, victim: Victim) -> Iterator[str]:
    """Yield each reader that does not refuse the file with its name, an owner and the remedy."""
    for reader, read in _readers(lake, victim).items():
        try:
            read()
        except DataError as error:
            message = str(error)
            named = any(f"of {owner} " in message for owner in victim.owners)
            remedy = any(f"materialize {owner} again" in message for owner in victim.owners)
            if not (victim.file.path in message and named and remedy and "\n" not in message):
                yield f"{reader} refuses it without name and remedy: {message}"
        else:
            yield f"{reader} accepts it"


def _unhealed(lake: Lake, victim: Victim, *, queries: bool) -> Iterator[str]:
    """Commit the partition's content again; yield what is not as before."""
    record = victim.record
    write = bars_write(record.partition) if record.partition else actions_write()
    (committed,) = lake.commit([write], made_by())
    if committed != record or len(lake.history(record.asset, record.partition)) != 1:
        yield "committing the same content again made another commit"
    if (lake.root / victim.file.path).read_bytes() != victim.intact:
        yield "committing the same content again did not restore the file"
    for reader, read in _readers(lake, victim).items():
        if reader == "query" and not queries:
            continue
        try:
            read()
        except UserError as error:
            yield f"{reader} still refuses after the new commit: {error}"


def _readers(lake: Lake, victim: Victim) -> dict[str, Callable[[], Any]]:
    record = victim.record
    if not victim.is_table:
        return {"read_blobs": lambda: lake.read_blobs(record.asset, record.partition)}
    asset, table = record.asset, victim.table
    every = KEYS if record.partition else [""]
    schema, _, name = asset.partition("/")
    view = f"{schema}.{name}" if table == "rows" else f"{schema}.{name}__{table}"
    return {
        "read": lambda: lake.read(asset, [record.partition], table),
        "read of all": lambda: lake.read(asset, every, table),
        "read_table": lambda: lake.read_table(record, table),
        "query": lambda: lake.query(f"select count(*) from {view}"),
    }
