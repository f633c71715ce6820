"""Reading the lake: what the manifest says of partitions, and their content after a check."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.errors import DataError
from trading_assets.lake import names
from trading_assets.lake.availability import describe_columns_mismatch, refuse_unusable
from trading_assets.lake.files import decode_columns, decode_table, read_checked
from trading_assets.lake.manifest import Manifest
from trading_assets.lake.records import InputRef, PartitionRecord


class LakeReader:
    """Partitions by key, each file compared with the hash that the manifest has of it.

    Parameters
    ----------
    root : Path
        Data folder.
    manifest : Manifest
        Says which partitions exist.
    """

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self._manifest = manifest

    def record(self, asset: str, partition: str | None = None) -> PartitionRecord | None:
        """Return what the manifest says of a partition, or None."""
        key = names.check_partition(partition)
        return self._manifest.records(names.check_asset(asset), [key]).get(key)

    def assets(self) -> list[str]:
        """Return every asset that has a stored partition, in order of name."""
        return self._manifest.assets()

    def records(self, asset: str) -> dict[str, PartitionRecord]:
        """Return what the manifest says of every stored partition of an asset, ordered by key."""
        return self._manifest.records(names.check_asset(asset))

    def history(self, asset: str, partition: str | None = None) -> list[PartitionRecord]:
        """Return all commits of a partition, oldest first; old ones can be read until `clean`."""
        key = names.check_partition(partition)
        return self._manifest.history(names.check_asset(asset), key)

    def latest_before(
        self, asset: str, partition: str, *, is_inclusive: bool = False, allow_failed: bool = False
    ) -> PartitionRecord | None:
        """Return the stored partition with the greatest key before the given one, or None.

        Parameters
        ----------
        asset : str
            Asset key.
        partition : str
            Key `YYYY-MM-DD`.
        is_inclusive : bool
            Whether the given partition itself counts.
        allow_failed : bool
            Whether refused partitions count.
        """
        limit = names.check_partition(partition)
        found = [
            record
            for key, record in self.records(asset).items()
            if (key < limit or (is_inclusive and key == limit))
            and (allow_failed or record.verdict == "passed")
        ]
        return found[-1] if found else None

    def document(self, digest: str) -> dict[str, Any]:
        """Return the config or environment that a record's digest names."""
        text = self._manifest.document(digest)
        if text is None:
            msg = f"document {digest} is not in the manifest; expected a digest of a stored record"
            raise DataError(msg)
        return json.loads(text)

    def read(
        self,
        asset: str,
        partitions: Iterable[str | None],
        table: str = "rows",
        allow_failed: bool = False,
    ) -> pl.DataFrame:
        """Return the rows of partitions, in the order given.

        Parameters
        ----------
        asset : str
            Asset key.
        partitions : iterable of str or None
            Partition keys; empty or None for an unpartitioned asset.
        table : str
            Table within the partitions.
        allow_failed : bool
            Whether partitions that were refused are read too.

        Raises
        ------
        DataError
            If a partition is missing, refused, or its file is not what was committed.
        """
        records = self._usable(asset, partitions, allow_failed)
        if not records:
            msg = f"no partition of {asset} was asked for; expected at least one"
            raise DataError(msg)
        frames = [self.read_table(record, table) for record in records]
        try:
            return pl.concat(frames, how="vertical", rechunk=True)
        except (pl.exceptions.SchemaError, pl.exceptions.ShapeError) as error:
            keys = [record.partition for record in records]
            raise DataError(describe_columns_mismatch(asset, keys, error)) from error

    def read_table(self, record: PartitionRecord, table: str = "rows") -> pl.DataFrame:
        """Return a table of one commit, current or superseded, after checking its hash."""
        file = record.file(names.table_file(table))
        return decode_table(read_checked(self.root, file, record.label))

    def read_columns(
        self, asset: str, partitions: Iterable[str | None], table: str = "rows"
    ) -> list[pl.DataFrame]:
        """Return the table of each partition without its rows, hashes checked, in that order.

        Raises
        ------
        DataError
            If a partition is missing, or its file is not what was committed.
        """
        name = names.table_file(table)
        return [
            decode_columns(read_checked(self.root, record.file(name), record.label))
            for record in self._usable(asset, partitions, allow_failed=True)
        ]

    def read_blobs(
        self, asset: str, partition: str | None = None, allow_failed: bool = False
    ) -> dict[str, bytes]:
        """Return every file of a partition that is not a table, by name, hashes checked.

        Raises
        ------
        DataError
            If the partition is missing or refused, or a file is not what was committed.
        """
        record = self._usable(asset, [partition], allow_failed)[0]
        return {
            file.name: read_checked(self.root, file, record.label)
            for file in record.files
            if not file.name.endswith(names.TABLE_SUFFIX)
        }

    def inputs_for(
        self, asset: str, partitions: Iterable[str | None], allow_failed: bool = False
    ) -> list[InputRef]:
        """Return references to stored partitions, for the commit of whatever reads them.

        Raises
        ------
        DataError
            If a partition is missing or refused.
        """
        keys = [names.check_partition(partition) for partition in partitions]
        found = self._manifest.summaries(names.check_asset(asset), keys)
        refuse_unusable(
            asset, keys, {k: s.verdict for k, s in found.items()}, allow_failed=allow_failed
        )
        return [InputRef(asset, key, found[key].content_digest) for key in keys]

    def _usable(
        self, asset: str, partitions: Iterable[str | None], allow_failed: bool
    ) -> list[PartitionRecord]:
        keys = [names.check_partition(partition) for partition in partitions]
        found = self._manifest.records(names.check_asset(asset), keys)
        refuse_unusable(
            asset, keys, {k: r.verdict for k, r in found.items()}, allow_failed=allow_failed
        )
        return [found[key] for key in keys]
