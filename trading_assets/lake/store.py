"""The lake: partitions written so that a crash never leaves half of one, and read with a check."""

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from trading_assets.errors import DataError
from trading_assets.lake.catalog import Catalog
from trading_assets.lake.drafting import Stamp, stage
from trading_assets.lake.files import PartWriter
from trading_assets.lake.housekeeping import Removal, remove_superseded, remove_temporaries
from trading_assets.lake.locks import LOCK_TIMEOUT_SECONDS, hold
from trading_assets.lake.manifest import Manifest
from trading_assets.lake.reader import LakeReader
from trading_assets.lake.records import (
    InputRef,
    PartitionRecord,
    PartitionWrite,
    Provenance,
    Trial,
)
from trading_assets.lake.signed_heads import SignedHeads
from trading_assets.lake.trial_returns import CountedTrial, TrialReturns

__all__ = [
    "CountedTrial",
    "InputRef",
    "Lake",
    "PartitionRecord",
    "PartitionWrite",
    "Provenance",
    "Removal",
    "Trial",
    "TrialReturns",
]


# Where a crash in a commit must do no harm, in the order in which a commit passes them.
CRASH_POINTS = (
    "before_tmp",
    "mid_write",
    "pre_fsync",
    "pre_rename",
    "post_rename",
    "pre_manifest",
    "post_manifest",
)


def no_fault(point: str) -> None:
    """Pass the named crash point; tests put a crash here."""


class Lake(LakeReader):
    """Immutable files, and the manifest that says which of them exist.

    Parameters
    ----------
    root : Path
        Data folder.
    clock : callable
        Returns the aware moment that commits are stamped with.
    manifest_url : str, optional
        SQLAlchemy address of a PostgreSQL manifest; by default `<root>/manifest.sqlite`.
    fault : callable, optional
        Called at each of `CRASH_POINTS`.
    lock_timeout_seconds : float, optional
        How long to wait for another process that commits, cleans or writes the catalog.
    """

    def __init__(
        self,
        root: Path,
        clock: Callable[[], datetime],
        manifest_url: str | None = None,
        fault: Callable[[str], None] = no_fault,
        lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(root, Manifest(root, manifest_url, lock_timeout_seconds))
        self._clock = clock
        self._fault = fault
        self._lock_timeout_seconds = lock_timeout_seconds
        self._catalog = Catalog(root, self._manifest, lock_timeout_seconds)

    def commit(
        self, writes: Sequence[PartitionWrite], provenance: Provenance
    ) -> list[PartitionRecord]:
        """Store partitions: their files first, then one transaction that is the commit.

        Parameters
        ----------
        writes : sequence of PartitionWrite
            Whole content of each partition, each partition once.
        provenance : Provenance
            What made them.

        Returns
        -------
        list of PartitionRecord
            In the order of `writes`; where nothing but the run differs from what is stored, the
            record that was there before.

        Raises
        ------
        ConflictError
            If a partition is no longer what a write `replaces`; nothing is committed.
        DataError
            If a name is not allowed, a table does not follow its schema, another process keeps its
            lock, or the disk refuses. Then nothing is committed and what was stored stays readable.
        """
        stamp = Stamp(provenance, self._clock())
        writer = PartWriter(self.root, self._fault)
        try:
            # Cleaning waits for commits: it must not remove a file that one is about to refer to.
            with self._hold(is_exclusive=False), writer:
                drafts = stage(writer, writes, stamp)
                writer.settle()
                self._fault("pre_manifest")
                replaced = {
                    (write.asset, write.partition or ""): write.replaces
                    for write in writes
                    if write.replaces is not None
                }
                records = self._manifest.commit(drafts, stamp.documents, replaced)
                self._fault("post_manifest")
        except OSError as error:
            msg = (
                f"data folder {self.root} could not be written ({error.strerror or error}); check"
                " free space and permissions, then run again, earlier commits are unchanged"
            )
            raise DataError(msg) from error
        return records

    @property
    def signed_heads(self) -> SignedHeads:
        """Checkpoints of audit logs."""
        return self._manifest.signed_heads

    def register_trial(self, trial: Trial) -> bool:
        """Count a configuration as tried, once; return whether it is new."""
        return self._manifest.ledger.register(replace(trial, first_seen=self._clock()))

    def keep_trial_returns(self, trial: Trial, returns: TrialReturns) -> bool:
        """Count a configuration, once, and keep what it earned in a window, the newest alone.

        Parameters
        ----------
        trial : Trial
            The configuration.
        returns : TrialReturns
            Net returns; those of the same window that were kept before are replaced.

        Returns
        -------
        bool
            Whether the configuration is new.

        Raises
        ------
        DataError
            If a return is missing or not finite, or sessions do not ascend; nothing is counted.
        """
        return self._manifest.ledger.keep_returns(replace(trial, first_seen=self._clock()), returns)

    def trial_count(self, data_set: str) -> int:
        """Return how many configurations have been tried on a data set."""
        return self._manifest.ledger.count(data_set)

    def trials(self, data_set: str) -> list[Trial]:
        """Return the configurations tried on a data set, oldest first."""
        return [counted.trial for counted in self.counted_trials(data_set)]

    def trial_configs(self) -> list[tuple[str, dict[str, Any]]]:
        """Return each data set that anything was tried on with each configuration tried on it."""
        return [(name, json.loads(text)) for name, text in self._manifest.ledger.configs()]

    def counted_trials(self, *data_sets: str) -> list[CountedTrial]:
        """Return the configurations tried on data sets with their returns, oldest first.

        Raises
        ------
        DataError
            If stored returns are damaged.
        """
        return [
            CountedTrial(replace(trial, config=json.loads(text)), returns)
            for trial, text, returns in self._manifest.ledger.trials(data_sets)
        ]

    def query(self, sql: str) -> pl.DataFrame:
        """Return the result of one SELECT over the catalog's views.

        Raises
        ------
        UserError
            If it is not one SELECT, or DuckDB refuses it.
        DataError
            If a file that it reads is not what was committed.
        """
        return self._catalog.query(sql)

    def rebuild_catalog(self) -> Path:
        """Bring `<root>/catalog.duckdb` up to date if it is not, and return its path."""
        return self._catalog.rebuild()

    def sweep(self, older_than: timedelta = timedelta(hours=1)) -> Removal:
        """Remove what crashed commits left under temporary names, if that old."""
        with self._hold(is_exclusive=True):
            return remove_temporaries(self.root, self._clock() - older_than)

    def clean(self, older_than: timedelta = timedelta(0), keep: Collection[str] = ()) -> Removal:
        """Remove files that no current commit refers to.

        Parameters
        ----------
        older_than : timedelta
            Only files written at least that long ago.
        keep : collection of str
            Content digests of commits whose files stay although superseded.
        """
        with self._hold(is_exclusive=True):
            in_use = self._manifest.paths_in_use(keep)
            return remove_superseded(self.root, in_use, self._clock() - older_than)

    def close(self) -> None:
        """Give up connections to the manifest."""
        self._manifest.close()

    def _hold(self, *, is_exclusive: bool) -> AbstractContextManager[None]:
        lock = self.root / ".locks" / "lake"
        return hold(lock, is_exclusive=is_exclusive, timeout_seconds=self._lock_timeout_seconds)
