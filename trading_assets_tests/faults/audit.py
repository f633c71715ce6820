"""What must hold of a lake after any fault, whoever was killed or refused in it."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta

from trading_assets.errors import UserError
from trading_assets.lake.names import TABLE_SUFFIX
from trading_assets.lake.records import PartitionRecord
from trading_assets.lake.store import Lake

# By the samples' clock, which stands in 2013, files just written are younger than any limit.
ANY_AGE = timedelta(days=-36500)

# Content digests by asset and partition.
Digests = Mapping[tuple[str, str], str]


def digests(lake: Lake) -> dict[tuple[str, str], str]:
    """Return the content digest of every stored partition."""
    return {
        (asset, key): record.content_digest
        for asset in lake.assets()
        for key, record in lake.records(asset).items()
    }


def damage(lake: Lake, allowed: Collection[Digests]) -> Iterator[str]:
    """Yield what is wrong with a lake whose every partition must be one of the allowed ones."""
    found = digests(lake)
    for key, digest in found.items():
        if all(states.get(key) != digest for states in allowed):
            yield f"{' '.join(key)} is visible with content that nobody committed"
    with sqlite3.connect(lake.root / "manifest.sqlite") as connection:
        (pointers,) = connection.execute("SELECT count(*) FROM pointers").fetchone()
        (is_sound,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    if pointers != len(found):
        yield f"the manifest points {pointers} times to {len(found)} partitions"
    if is_sound != "ok":
        yield f"the manifest is damaged: {is_sound}"
    yield from unreadable(lake)


def unreadable(lake: Lake) -> Iterator[str]:
    """Yield every visible partition that a reader cannot read in full."""
    for asset in lake.assets():
        for record in lake.records(asset).values():
            yield from _unreadable(lake, record)


def difference(lake: Lake, control: Digests) -> Iterator[str]:
    """Yield how the partitions differ from those of a lake that met no fault."""
    found = digests(lake)
    for key in sorted({*found, *control}):
        if found.get(key) != control.get(key):
            yield f"{' '.join(key)} is {found.get(key)} and in the control {control.get(key)}"


def litter(lake: Lake) -> Iterator[str]:
    """Sweep and clean, then yield every file that is neither in use nor removed."""
    lake.sweep(older_than=ANY_AGE)
    yield from (f"{path} is left after a sweep" for path in lake.root.rglob(".writing-*"))
    lake.clean(older_than=ANY_AGE)
    in_use = {
        file.path
        for asset in lake.assets()
        for record in lake.records(asset).values()
        for file in record.files
    }
    for path in (lake.root / "lake").rglob("*"):
        if path.is_file() and path.relative_to(lake.root).as_posix() not in in_use:
            yield f"{path} is left after a clean"


def _unreadable(lake: Lake, record: PartitionRecord) -> Iterator[str]:
    try:
        for file in record.files:
            if file.name.endswith(TABLE_SUFFIX):
                table = lake.read_table(record, file.name.removesuffix(TABLE_SUFFIX))
                if table.height != file.rows or table.is_duplicated().any():
                    yield f"{record.label} has other or repeated rows in {file.name}"
        lake.read_blobs(record.asset, record.partition)
    except UserError as error:
        yield f"{record.label} is visible and unreadable: {error}"
