"""What a loss of power can take: a name before its content, or a commit before its files."""

import os
from pathlib import Path

import pytest

from trading_assets_tests.lake.samples import made_by, open_lake, rows_of, write_of

MONTH = "2000-01-01"


class Disk:
    """Records, in order, which paths were flushed and which were renamed."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.flushed: list[Path] = []
        self.renamed: list[tuple[Path, Path]] = []
        self.unflushed: list[Path] = []
        flush, rename = os.fsync, os.replace

        def record_flush(handle: int) -> None:
            flush(handle)
            self.flushed.append(Path(f"/proc/self/fd/{handle}").readlink())

        def record_rename(source: Path, target: Path) -> None:
            if source not in self.flushed:
                self.unflushed.append(source)
            rename(source, target)
            self.renamed.append((Path(source), Path(target)))
            self.flushed = [path for path in self.flushed if path != Path(target).parent]

        patch.setattr(os, "fsync", record_flush)
        patch.setattr(os, "replace", record_rename)


def test_every_file_and_folder_is_flushed_before_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    seen: list[str] = []

    def look(point: str) -> None:
        seen.append(point)
        if point == "pre_manifest":
            finals = [target for _, target in disk.renamed]
            assert len(finals) == 3
            folders = {parent for target in finals for parent in target.parents}
            missing = {f for f in folders if f.is_relative_to(root)} - {*disk.flushed}
            assert not missing, f"not flushed after the renames: {missing}"

    root = tmp_path / "data"
    lake = open_lake(root, fault=look)
    tables = {"rows": rows_of(MONTH), "quarantine": rows_of(MONTH).clear()}
    lake.commit([write_of(MONTH, tables=tables, blobs={"card.json": b"{}"})], made_by())
    assert "pre_manifest" in seen
    assert not disk.unflushed, f"named before they were flushed: {disk.unflushed}"
    lake.close()
