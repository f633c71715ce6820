"""What is written to the lake and what the manifest remembers of it."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, NamedTuple

import polars as pl

from trading_assets.errors import DataError

Verdict = Literal["passed", "failed"]


class InputRef(NamedTuple):
    """A stored partition as it was read: which one, and the digest of its content."""

    asset: str
    partition: str
    content_digest: str


class FileRef(NamedTuple):
    """One immutable file: its name within the partition, sha256, path under the root, size, rows.

    `rows` is None for anything but a table.
    """

    name: str
    sha256: str
    path: str
    size_bytes: int
    rows: int | None


@dataclass(frozen=True, slots=True)
class PartitionWrite:
    """The whole new content of one partition.

    Attributes
    ----------
    asset : str
        Data set or strategy, then the asset: `us_daily/raw_bars`, `us_equities/policy/ppo`.
    stage : str
        Stage of the pipeline, which names the folder.
    partition : str or None
        Key `YYYY-MM-DD`; None or empty for an unpartitioned asset.
    tables : mapping of str to DataFrame
        Tables by name without suffix, rows in their final order.
    blobs : mapping of str to bytes
        Other files by name, such as `weights.safetensors` or `seed-0/card.json`.
    schemas : mapping of str to str
        Name in `tables` to the table of `schema.TABLES` that it must follow.
    inputs : sequence of InputRef
        Stored partitions that were read.
    verdict : 'passed' or 'failed'
        Whether readers may use it.
    reasons : sequence of str
        Why it failed, one sentence each.
    as_of : datetime or None
        Aware moment up to which data was used.
    known_until : date or None
        Last session whose data could be in it; None where time does not extend it.
    first_session, last_session : date or None
        Sessions of its rows.
    replaces : int or None
        `commit_id` of the content that this one was made from, 0 where there was none: another one
        that is current by then refuses the commit. None replaces whatever there is.
    """

    asset: str
    stage: str
    partition: str | None = None
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict[str, pl.DataFrame])
    blobs: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    schemas: Mapping[str, str] = field(default_factory=dict[str, str])
    inputs: Sequence[InputRef] = ()
    verdict: Verdict = "passed"
    reasons: Sequence[str] = ()
    as_of: datetime | None = None
    known_until: date | None = None
    first_session: date | None = None
    last_session: date | None = None
    replaces: int | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made the partitions of one commit.

    Attributes
    ----------
    run_id : str
        Run that wrote them.
    code_version, declaration_digest : str
        Code and declared values that the content depends on.
    config : mapping
        The values as they ran, in full; JSON types only.
    environment : mapping
        Versions, processor and threads: what "identical" is identical to; JSON types only.
    """

    run_id: str
    code_version: str
    declaration_digest: str
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    environment: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class PartitionRecord:
    """One commit of one partition, as the manifest has it.

    `config_digest` and `environment_digest` name documents that `Lake.document` returns; `rows` is
    the length of the table `rows`, or of all tables together where there is none of that name.
    """

    commit_id: int
    asset: str
    stage: str
    partition: str
    committed_at: datetime
    run_id: str
    code_version: str
    declaration_digest: str
    content_digest: str
    config_digest: str
    environment_digest: str
    verdict: Verdict
    reasons: tuple[str, ...]
    as_of: datetime | None
    known_until: date | None
    rows: int
    first_session: date | None
    last_session: date | None
    files: tuple[FileRef, ...]
    inputs: tuple[InputRef, ...]

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.asset} {self.partition}".rstrip()

    def file(self, name: str) -> FileRef:
        """Return the file of this name, or refuse with the names that there are."""
        for file in self.files:
            if file.name == name:
                return file
        present = ", ".join(file.name for file in self.files) or "no file"
        msg = f"{self.label} has no file {name}; it holds {present}"
        raise DataError(msg)

    @property
    def substance(self) -> tuple[object, ...]:
        """Everything but when and by which run it was committed: equal means nothing new."""
        return (
            self.stage,
            self.code_version,
            self.declaration_digest,
            self.content_digest,
            self.config_digest,
            self.environment_digest,
            self.verdict,
            self.reasons,
            self.known_until,
            self.first_session,
            self.last_session,
            self.inputs,
        )


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration whose result has been looked at, counted against significance.

    Attributes
    ----------
    data_set, strategy, agent : str
        What was tried on which data.
    declaration_digest : str
        Digest of the declared values that its results depend on.
    seeds : int
        Independent trainings behind the result.
    config : mapping
        The values in full; JSON types only.
    first_seen : datetime or None
        When it was first registered; None before.
    """

    data_set: str
    strategy: str
    agent: str
    declaration_digest: str
    seeds: int
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])
    first_seen: datetime | None = None


def content_digest(files: Iterable[FileRef]) -> str:
    """Return the sha256 over the sorted (name, sha256) of a partition's files."""
    lines = sorted(f"{file.name}\0{file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def canonical_json(document: Mapping[str, Any]) -> str:
    """Return a document as JSON with sorted keys; NaN and foreign types are refused."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def document_digest(text: str) -> str:
    """Return the sha256 that names a document."""
    return hashlib.sha256(text.encode()).hexdigest()
