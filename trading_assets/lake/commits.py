"""How a commit becomes rows of the manifest, and rows a commit."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from trading_assets.lake import tables
from trading_assets.lake.records import FileRef, InputRef, PartitionRecord

_MOST_BOUND_KEYS = 500
FILE_COLUMNS = (
    tables.files.c.name,
    tables.files.c.sha256,
    tables.files.c.path,
    tables.files.c.size_bytes,
    tables.files.c.rows,
)


def current(asset: str, partitions: Collection[str] | None) -> sa.Select[Any]:
    """Return a query for the current commits of an asset, of the given partitions or a superset."""
    columns = tables.commits.c
    query = (
        sa.select(tables.commits)
        .join(tables.pointers)
        .where(columns.asset == asset)
        .order_by(columns.partition)
    )
    if partitions is not None and len(partitions) <= _MOST_BOUND_KEYS:
        query = query.where(columns.partition.in_(sorted(partitions)))
    return query


def load(
    connection: sa.Connection, asset: str, partitions: Collection[str] | None
) -> list[PartitionRecord]:
    """Return the current commits of an asset, of the given partitions or all, ordered by key."""
    records = assemble(connection, current(asset, partitions))
    wanted = None if partitions is None else set(partitions)
    return [record for record in records if wanted is None or record.partition in wanted]


def assemble(connection: sa.Connection, query: sa.Select[Any]) -> list[PartitionRecord]:
    """Return the commits that a query selects, with their files and inputs."""
    rows = connection.execute(query).mappings().all()
    chosen = query.with_only_columns(tables.commits.c.id).order_by(None).scalar_subquery()
    files, inputs = _load_files(connection, chosen), _load_inputs(connection, chosen)
    records: list[PartitionRecord] = []
    for row in rows:
        values = dict(row)
        commit_id = values.pop("id")
        values["reasons"] = tuple(values["reasons"])
        # Sorted here, because a database sorts by its own collation.
        values["files"] = tuple(sorted(files[commit_id]))
        values["inputs"] = tuple(sorted(inputs[commit_id]))
        records.append(PartitionRecord(commit_id=commit_id, **values))
    return records


def _load_files(
    connection: sa.Connection, chosen: sa.ScalarSelect[int]
) -> defaultdict[int, list[FileRef]]:
    commit_id = tables.files.c.commit_id
    query = sa.select(commit_id, *FILE_COLUMNS).where(commit_id.in_(chosen))
    found: defaultdict[int, list[FileRef]] = defaultdict(list)
    # Fetched at once: one by one costs several times as much.
    for row in connection.execute(query).all():
        found[row[0]].append(FileRef(*row[1:]))
    return found


def _load_inputs(
    connection: sa.Connection, chosen: sa.ScalarSelect[int]
) -> defaultdict[int, list[InputRef]]:
    columns = tables.inputs.c
    query = sa.select(
        columns.commit_id, columns.asset, columns.partition, columns.content_digest
    ).where(columns.commit_id.in_(chosen))
    found: defaultdict[int, list[InputRef]] = defaultdict(list)
    for commit_id, asset, partition, digest in connection.execute(query).all():
        found[commit_id].append(InputRef(asset, partition, digest))
    return found


def store_documents(connection: sa.Connection, texts: Mapping[str, str]) -> None:
    """Store documents that are not there yet, by digest."""
    digest = tables.documents.c.digest
    known = set(connection.execute(sa.select(digest).where(digest.in_(sorted(texts)))).scalars())
    new = [{"digest": key, "text": text} for key, text in texts.items() if key not in known]
    if new:
        connection.execute(sa.insert(tables.documents), new)


def store_commits(
    connection: sa.Connection, drafts: Sequence[PartitionRecord]
) -> list[PartitionRecord]:
    """Insert commits and point their partitions to them; return them with their ids."""
    names = [column.name for column in tables.commits.c if column.name != "id"]
    ids = connection.execute(
        sa.insert(tables.commits).returning(tables.commits.c.id, sort_by_parameter_order=True),
        [
            {name: getattr(draft, name) for name in names} | {"reasons": list(draft.reasons)}
            for draft in drafts
        ],
    ).scalars()
    stored = [replace(draft, commit_id=key) for draft, key in zip(drafts, ids, strict=True)]
    parts = [
        {"commit_id": record.commit_id, **file._asdict()}
        for record in stored
        for file in record.files
    ]
    reads = [
        {"commit_id": record.commit_id, **ref._asdict()}
        for record in stored
        for ref in record.inputs
    ]
    for table, values in ((tables.files, parts), (tables.inputs, reads)):
        if values:
            connection.execute(sa.insert(table), values)
    _point(connection, stored)
    return stored


def _point(connection: sa.Connection, records: Sequence[PartitionRecord]) -> None:
    pointers = tables.pointers
    connection.execute(
        sa.delete(pointers).where(
            pointers.c.asset == sa.bindparam("of_asset"),
            pointers.c.partition == sa.bindparam("of_partition"),
        ),
        [{"of_asset": record.asset, "of_partition": record.partition} for record in records],
    )
    connection.execute(
        sa.insert(pointers),
        [{"asset": r.asset, "partition": r.partition, "commit_id": r.commit_id} for r in records],
    )
