"""Everything that a stored partition was made from, back to what was fetched."""

import hashlib
from collections.abc import Sequence

from trading_assets.errors import DataError
from trading_assets.lake.reader import LakeReader
from trading_assets.lake.records import InputRef, PartitionRecord


def trace_lineage(lake: LakeReader, record: PartitionRecord) -> list[PartitionRecord]:
    """Return the commits that a partition was made from and its own, inputs before their readers.

    Parameters
    ----------
    lake : LakeReader
        Holds them, current or superseded.
    record : PartitionRecord
        The partition.

    Raises
    ------
    DataError
        If a commit that was read is no longer in the manifest.
    """
    found: dict[tuple[str, str, str], PartitionRecord] = {}
    ordered: list[PartitionRecord] = []
    histories: dict[tuple[str, str], list[PartitionRecord]] = {}
    # Each entry is left when its inputs have been, which puts them before it.
    waiting: list[tuple[PartitionRecord, bool]] = [(record, False)]
    while waiting:
        current, are_inputs_done = waiting.pop()
        if are_inputs_done:
            ordered.append(current)
            continue
        key = (current.asset, current.partition, current.content_digest)
        if key in found:
            continue
        found[key] = current
        waiting.append((current, True))
        waiting.extend(
            (_commit_of(lake, ref, current, histories), False)
            for ref in reversed(current.inputs)
            if tuple(ref) not in found
        )
    return ordered


def find_damage(lake: LakeReader, records: Sequence[PartitionRecord]) -> str:
    """Return a sentence on the first file that is not what was committed, or an empty one.

    Parameters
    ----------
    lake : LakeReader
        Holds the files.
    records : sequence of PartitionRecord
        Commits, looked at in this order.
    """
    for record in records:
        for file in record.files:
            path = lake.root / file.path
            if not path.exists():
                return f"{record.label}: its file {file.name} is gone"
            if hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256:
                return f"{record.label}: its file {file.name} is not the one that was stored"
    return ""


def _commit_of(
    lake: LakeReader,
    ref: InputRef,
    reader: PartitionRecord,
    histories: dict[tuple[str, str], list[PartitionRecord]],
) -> PartitionRecord:
    key = (ref.asset, ref.partition)
    if key not in histories:
        histories[key] = lake.history(*key)
    # The newest of those with this content: earlier ones may lack what it was made from.
    for commit in reversed(histories[key]):
        if commit.content_digest == ref.content_digest:
            return commit
    msg = (
        f"{reader.label} was made from {ref.asset} {ref.partition} with the content"
        f" {ref.content_digest[:12]}, which the manifest does not have; expected every input of a"
        " stored partition there"
    )
    raise DataError(msg)
