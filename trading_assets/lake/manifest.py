"""The manifest: which partitions exist, and the transaction that makes them exist."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from trading_assets.errors import ConflictError
from trading_assets.lake import commits, tables
from trading_assets.lake.availability import label
from trading_assets.lake.connections import ManifestConnections
from trading_assets.lake.locks import LOCK_TIMEOUT_SECONDS
from trading_assets.lake.names import TABLE_SUFFIX
from trading_assets.lake.records import FileRef, PartitionRecord
from trading_assets.lake.signed_heads import SignedHeads
from trading_assets.lake.trial_ledger import TrialLedger


class StoredTable(NamedTuple):
    """One table of one current, passed partition."""

    asset: str
    partition: str
    file: FileRef


@dataclass(frozen=True, slots=True)
class Summary:
    """The little that a reader of many partitions asks about each."""

    content_digest: str
    verdict: str


class Manifest:
    """Commits and what they read, in SQLite or PostgreSQL.

    `ledger` counts trials, `signed_heads` keeps checkpoints of audit logs.

    Parameters
    ----------
    root : Path
        Data folder; the SQLite file lies in it.
    url : str or None
        SQLAlchemy address of a PostgreSQL database, or None for SQLite.
    lock_timeout_seconds : float, optional
        How long to wait for other writers.
    """

    def __init__(
        self, root: Path, url: str | None, lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS
    ) -> None:
        self._connections = ManifestConnections(root, url, lock_timeout_seconds)
        self.close = self._connections.close
        self.ledger = TrialLedger(self._connections)
        self.signed_heads = SignedHeads(self._connections)

    def commit(
        self,
        drafts: Sequence[PartitionRecord],
        texts: Mapping[str, str],
        replaced: Mapping[tuple[str, str], int] | None = None,
    ) -> list[PartitionRecord]:
        """Point each partition to its new content, all of them or none.

        Parameters
        ----------
        drafts : sequence of PartitionRecord
            New commits, their `commit_id` not yet meant.
        texts : mapping
            Documents by digest.
        replaced : mapping, optional
            Which commit has to be current for it, by asset and partition; 0 where there is none.

        Returns
        -------
        list of PartitionRecord
            In the order given; where nothing but the run differs, the commit that is already there.

        Raises
        ------
        ConflictError
            If another commit is current than the one to be replaced.
        """
        with self._connections.writing() as connection:
            present = {
                (record.asset, record.partition): record
                for asset in {draft.asset for draft in drafts}
                for record in commits.load(
                    connection, asset, [d.partition for d in drafts if d.asset == asset]
                )
            }
            _require_current(present, replaced or {})
            settled = [present.get((draft.asset, draft.partition), draft) for draft in drafts]
            news = [
                index
                for index, (draft, record) in enumerate(zip(drafts, settled, strict=True))
                if record is draft or record.substance != draft.substance
            ]
            if news:
                commits.store_documents(connection, texts)
                stored = commits.store_commits(connection, [drafts[index] for index in news])
                for index, record in zip(news, stored, strict=True):
                    settled[index] = record
        return settled

    def assets(self) -> list[str]:
        """Return every asset that has a commit, in order of name."""
        column = tables.commits.c.asset
        with self._connections.reading() as connection:
            return list(connection.execute(sa.select(column).distinct().order_by(column)).scalars())

    def records(
        self, asset: str, partitions: Collection[str] | None = None
    ) -> dict[str, PartitionRecord]:
        """Return the current commits of an asset by partition, in the order of the keys."""
        with self._connections.reading() as connection:
            return {
                record.partition: record for record in commits.load(connection, asset, partitions)
            }

    def summaries(self, asset: str, partitions: Collection[str]) -> dict[str, Summary]:
        """Return digest and verdict of the current commits of an asset by partition."""
        columns = tables.commits.c
        query = commits.current(asset, partitions).with_only_columns(
            columns.partition, columns.content_digest, columns.verdict
        )
        with self._connections.reading() as connection:
            return {row[0]: Summary(row[1], row[2]) for row in connection.execute(query)}

    def history(self, asset: str, partition: str) -> list[PartitionRecord]:
        """Return all commits of a partition, oldest first."""
        columns = tables.commits.c
        query = (
            sa.select(tables.commits)
            .where(columns.asset == asset, columns.partition == partition)
            .order_by(columns.id)
        )
        with self._connections.reading() as connection:
            return commits.assemble(connection, query)

    def document(self, digest: str) -> str | None:
        """Return a stored document's text, or None."""
        query = sa.select(tables.documents.c.text).where(tables.documents.c.digest == digest)
        with self._connections.reading() as connection:
            return connection.execute(query).scalar()

    def stored_tables(self) -> tuple[int, list[StoredTable]]:
        """Return the newest commit's id and every table that readers may use."""
        columns, name = tables.commits.c, tables.files.c.name
        query = (
            sa.select(columns.asset, columns.partition, *commits.FILE_COLUMNS)
            .select_from(tables.commits.join(tables.pointers).join(tables.files))
            .where(columns.verdict == "passed", name.endswith(TABLE_SUFFIX))
        )
        newest = sa.select(sa.func.coalesce(sa.func.max(columns.id), 0))
        with self._connections.reading() as connection:
            commit_id = connection.execute(newest).scalar_one()
            rows = connection.execute(query).all()
        found = [StoredTable(row[0], row[1], FileRef(*row[2:])) for row in rows]
        return commit_id, sorted(found)

    def paths_in_use(self, kept_digests: Collection[str]) -> set[str]:
        """Return the files that current commits, or commits of the given content, refer to."""
        joined = tables.files.join(tables.commits).join(tables.pointers, isouter=True)
        is_current = tables.pointers.c.commit_id.is_not(None)
        is_kept = tables.commits.c.content_digest.in_(sorted(kept_digests))
        query = sa.select(tables.files.c.path).select_from(joined).where(is_current | is_kept)
        with self._connections.reading() as connection:
            return set(connection.execute(query).scalars())


def _require_current(
    present: Mapping[tuple[str, str], PartitionRecord], replaced: Mapping[tuple[str, str], int]
) -> None:
    for key, commit_id in replaced.items():
        found = present.get(key)
        if (found.commit_id if found else 0) != commit_id:
            told = f"commit {found.commit_id} of run {found.run_id}" if found else "none"
            msg = (
                f"{label(*key)} was written by another process meanwhile ({told}); expected commit"
                f" {commit_id or 'none'} to be current still, so run again, nothing was committed"
            )
            raise ConflictError(msg)
