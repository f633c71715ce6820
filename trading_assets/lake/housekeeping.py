"""Removal of files that nothing refers to; the caller keeps commits out meanwhile."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trading_assets.lake.files import LAKE_FOLDER, PART_PREFIX, TEMPORARY_PREFIX


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed: paths under the data folder, and the bytes they held."""

    paths: tuple[str, ...]
    freed_bytes: int


def remove_temporaries(root: Path, limit: datetime) -> Removal:
    """Remove files that crashed writers never gave their name, last written before `limit`."""
    found = (
        *root.glob(f"{TEMPORARY_PREFIX}*"),
        *(root / LAKE_FOLDER).rglob(f"{TEMPORARY_PREFIX}*"),
    )
    return _remove(root, found, limit)


def remove_superseded(root: Path, paths_in_use: Collection[str], limit: datetime) -> Removal:
    """Remove files of the lake that are not in use, last written before `limit`."""
    found = (
        path
        for path in (root / LAKE_FOLDER).rglob(f"{PART_PREFIX}*")
        if path.relative_to(root).as_posix() not in paths_in_use
    )
    return _remove(root, found, limit)


def _remove(root: Path, paths: Iterable[Path], limit: datetime) -> Removal:
    removed: list[str] = []
    freed = 0
    for path in sorted(paths):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # a catalog that another process has just given its name
        if datetime.fromtimestamp(status.st_mtime, UTC) <= limit:
            path.unlink(missing_ok=True)
            removed.append(path.relative_to(root).as_posix())
            freed += status.st_size
    return Removal(tuple(removed), freed)
