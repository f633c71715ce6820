"""Files made durable before anything refers to them, and checked whenever they are read."""

import hashlib
import io
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

import polars as pl

from trading_assets.errors import DataError
from trading_assets.lake.names import TABLE_SUFFIX
from trading_assets.lake.records import FileRef

Fault = Callable[[str], None]

LAKE_FOLDER = "lake"
# A table without rows is the same file wherever it occurs: a month without actions costs no file.
EMPTY_FOLDER = PurePosixPath(LAKE_FOLDER, "empty")
TEMPORARY_PREFIX = ".writing-"
PART_PREFIX = "part-"
# The kernel joins flushes that wait at the same time, so flushing in threads is one journal commit.
_FLUSH_THREADS = 16


@dataclass(frozen=True, slots=True)
class _Staged:
    """A file written aside, waiting for its name."""

    temporary: Path
    final: Path
    sha256: str
    rows: int | None


class PartWriter:
    """Writes the files of one commit: aside, flushed, verified, then renamed to their content.

    Parameters
    ----------
    root : Path
        Data folder; files go to `<root>/lake`.
    fault : callable
        Called with the name of each point at which a crash is survivable.
    """

    def __init__(self, root: Path, fault: Fault) -> None:
        self._root = root
        self._fault = fault
        self._staged: list[_Staged] = []
        self._seen: set[PurePosixPath] = set()
        self._folders: set[Path] = set()

    def stage(self, folder: PurePosixPath, name: str, payload: bytes, rows: int | None) -> FileRef:
        """Write one file aside, unless the same content is already in place and intact.

        Parameters
        ----------
        folder : PurePosixPath
            Folder under the root.
        name : str
            Name within the partition; its suffix becomes the file's.
        payload : bytes
            Content.
        rows : int or None
            Rows of a table, verified after writing.

        Raises
        ------
        OSError
            If the file system refuses.
        """
        digest = hashlib.sha256(payload).hexdigest()
        suffix = PurePosixPath(name).suffix
        path = folder / f"{PART_PREFIX}{digest}{suffix}"
        reference = FileRef(name, digest, path.as_posix(), len(payload), rows)
        if path in self._seen:
            return reference
        self._seen.add(path)
        final = self._root / path
        # Also for content already in place: a crash may have come before its folder was flushed.
        self._folders.update(self._root / parent for parent in path.parents)
        if not _is_intact(final, digest):
            self._fault("before_tmp")
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary = final.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}{suffix}"
            self._staged.append(_Staged(temporary, final, digest, rows))
            self._write_aside(temporary, payload)
        return reference

    def settle(self) -> None:
        """Flush, verify and rename everything staged, then flush the folders.

        Raises
        ------
        OSError
            If the file system refuses.
        DataError
            If what was read back is not what was written.
        """
        with ThreadPoolExecutor(_FLUSH_THREADS) as flushers:
            self._fault("pre_fsync")
            list(flushers.map(_flush, [file.temporary for file in self._staged]))
            for file in self._staged:
                _verify(file)
            self._fault("pre_rename")
            for file in self._staged:
                file.temporary.replace(file.final)
            self._fault("post_rename")
            list(flushers.map(_flush, sorted(self._folders)))
        self._staged.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        # Whatever still has a temporary name belongs to a commit that failed.
        for file in self._staged:
            file.temporary.unlink(missing_ok=True)

    def _write_aside(self, temporary: Path, payload: bytes) -> None:
        half = len(payload) // 2
        with temporary.open("xb") as file:
            file.write(payload[:half])
            file.flush()
            self._fault("mid_write")
            file.write(payload[half:])


def encode_table(frame: pl.DataFrame) -> bytes:
    """Return a table as Parquet bytes that depend on its rows only, not on how it was put together.

    Parameters
    ----------
    frame : DataFrame
        Rows in their final order.
    """
    buffer = io.BytesIO()
    frame.rechunk().write_parquet(
        buffer, compression="zstd", compression_level=3, statistics=True, row_group_size=1 << 18
    )
    return buffer.getvalue()


def decode_table(payload: bytes) -> pl.DataFrame:
    """Return the table that `encode_table` wrote."""
    return pl.read_parquet(io.BytesIO(payload))


def decode_columns(payload: bytes) -> pl.DataFrame:
    """Return the table that `encode_table` wrote without its rows."""
    return pl.DataFrame(schema=pl.read_parquet_schema(io.BytesIO(payload)))


def read_checked(root: Path, file: FileRef, owner: str) -> bytes:
    """Return a file's bytes after comparing them with the manifest's hash.

    Parameters
    ----------
    root : Path
        Data folder.
    file : FileRef
        The manifest's entry.
    owner : str
        Asset and partition, for messages.

    Raises
    ------
    DataError
        If the file is missing, unreadable or not what was committed.
    """
    path = root / file.path
    remedy = f"materialize {owner} again to restore it"
    try:
        payload = path.read_bytes()
    except FileNotFoundError:
        msg = f"file {path} of {owner} is missing (removed by hand or by clean); {remedy}"
        raise DataError(msg) from None
    except OSError as error:
        msg = f"file {path} of {owner} could not be read ({error.strerror}); {remedy}"
        raise DataError(msg) from error
    if hashlib.sha256(payload).hexdigest() != file.sha256:
        msg = f"file {path} of {owner} was changed after its commit and is refused; {remedy}"
        raise DataError(msg)
    return payload


def _is_intact(path: Path, digest: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False  # absent, or on a bad sector: written anew either way


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _verify(file: _Staged) -> None:
    payload = file.temporary.read_bytes()
    is_same = hashlib.sha256(payload).hexdigest() == file.sha256
    if is_same and file.rows is not None and file.final.suffix == TABLE_SUFFIX:
        stored = pl.scan_parquet(io.BytesIO(payload)).select(pl.len()).collect().item()
        is_same = stored == file.rows
    if not is_same:
        msg = (
            f"file {file.temporary} did not read back as written; check the disk and run again,"
            " nothing was committed"
        )
        raise DataError(msg)
