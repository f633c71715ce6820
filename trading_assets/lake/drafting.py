"""From a partition's new content to staged files and the commit that will name them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from trading_assets.errors import DataError
from trading_assets.lake import names
from trading_assets.lake.availability import label
from trading_assets.lake.files import EMPTY_FOLDER, LAKE_FOLDER, PartWriter, encode_table
from trading_assets.lake.records import (
    FileRef,
    InputRef,
    PartitionRecord,
    PartitionWrite,
    Provenance,
    canonical_json,
    content_digest,
    document_digest,
)
from trading_assets.schema import conform


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all partitions of one commit share.

    Attributes
    ----------
    provenance : Provenance
        What made them.
    committed_at : datetime
        Aware moment of the commit.
    """

    provenance: Provenance
    committed_at: datetime

    @property
    def documents(self) -> dict[str, str]:
        """Config and environment as text, by digest."""
        texts = [
            canonical_json(self.provenance.config),
            canonical_json(self.provenance.environment),
        ]
        return {document_digest(text): text for text in texts}


def stage(
    writer: PartWriter, writes: Sequence[PartitionWrite], stamp: Stamp
) -> list[PartitionRecord]:
    """Write the files of partitions aside and return the commits to be made of them.

    Parameters
    ----------
    writer : PartWriter
        Takes the files.
    writes : sequence of PartitionWrite
        Content, each partition once.
    stamp : Stamp
        What they share.

    Returns
    -------
    list of PartitionRecord
        In the same order, `commit_id` 0.

    Raises
    ------
    DataError
        If a name is not allowed, an input is named twice with different content, a partition is
        written twice, or a table does not follow its schema. Names are checked before anything
        is written.
    OSError
        If the file system refuses.
    """
    _check_names(writes)
    inputs = [_settle_inputs(write) for write in writes]
    provenance = stamp.provenance
    config_digest = document_digest(canonical_json(provenance.config))
    environment_digest = document_digest(canonical_json(provenance.environment))
    records: list[PartitionRecord] = []
    for write, inputs_of_write in zip(writes, inputs, strict=True):
        files = _stage_files(writer, write)
        records.append(
            PartitionRecord(
                commit_id=0,
                asset=write.asset,
                stage=write.stage,
                partition=write.partition or "",
                committed_at=stamp.committed_at,
                run_id=provenance.run_id,
                code_version=provenance.code_version,
                declaration_digest=provenance.declaration_digest,
                content_digest=content_digest(files),
                config_digest=config_digest,
                environment_digest=environment_digest,
                verdict=write.verdict,
                reasons=tuple(write.reasons),
                as_of=write.as_of,
                known_until=write.known_until,
                rows=_count_rows(files),
                first_session=write.first_session,
                last_session=write.last_session,
                files=tuple(files),
                inputs=inputs_of_write,
            )
        )
    return records


def _check_names(writes: Sequence[PartitionWrite]) -> None:
    seen: set[tuple[str, str]] = set()
    for write in writes:
        key = (names.check_asset(write.asset), names.check_partition(write.partition))
        names.check_stage(write.stage)
        for table in write.tables:
            names.table_file(table)
        for blob in write.blobs:
            names.check_blob(blob)
        if key in seen:
            msg = f"{label(*key)} is written twice in one commit; expected each partition once"
            raise DataError(msg)
        seen.add(key)


def _stage_files(writer: PartWriter, write: PartitionWrite) -> list[FileRef]:
    owner, _, rest = write.asset.partition("/")
    folder = PurePosixPath(LAKE_FOLDER, owner, write.stage, rest, write.partition or "")
    staged: list[FileRef] = []
    for table, given in write.tables.items():
        frame = conform(write.schemas[table], given) if table in write.schemas else given
        name = names.table_file(table)
        place = EMPTY_FOLDER if frame.is_empty() else folder
        staged.append(writer.stage(place, name, encode_table(frame), frame.height))
    staged.extend(
        writer.stage(folder, name, payload, None) for name, payload in write.blobs.items()
    )
    return sorted(staged)


def _settle_inputs(write: PartitionWrite) -> tuple[InputRef, ...]:
    digests: dict[tuple[str, str], str] = {}
    for ref in write.inputs:
        key = (names.check_asset(ref.asset), names.check_partition(ref.partition))
        if digests.setdefault(key, ref.content_digest) != ref.content_digest:
            msg = (
                f"{label(write.asset, write.partition or '')} read {label(*key)} in two versions;"
                " run it again, so that all of it is made from one"
            )
            raise DataError(msg)
    return tuple(InputRef(*key, digest) for key, digest in sorted(digests.items()))


def _count_rows(files: Sequence[FileRef]) -> int:
    counts: Mapping[str, int] = {file.name: file.rows for file in files if file.rows is not None}
    return counts.get(f"rows{names.TABLE_SUFFIX}", sum(counts.values()))
