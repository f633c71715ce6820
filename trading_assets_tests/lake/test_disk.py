"""A disk that refuses: one sentence, nothing lost, and the same commit succeeds afterwards."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from trading_assets.errors import DataError
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.processes import (
    REFUSED,
    commit_with_file_limit,
    commit_without_permission,
    read_with_file_limit,
    run,
)
from trading_assets_tests.lake.samples import BARS, commit, open_lake, rows_of

MONTH = "2000-01-01"
POINTS = ["before_tmp", "mid_write", "pre_fsync", "pre_rename", "post_rename", "pre_manifest"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("point", POINTS)
def test_an_error_of_the_disk_is_one_sentence_and_loses_nothing(
    tmp_path: Path, point: str, code: int
) -> None:
    is_broken = False

    def fault(name: str) -> None:
        if is_broken and name == point:
            raise OSError(code, os.strerror(code))

    lake = open_lake(tmp_path, fault=fault)
    commit(lake, MONTH)
    is_broken = True
    with pytest.raises(DataError) as refusal:
        commit(lake, MONTH, scale=2.0)
    assert os.strerror(code) in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert_frame_equal(lake.read(BARS, [MONTH]), rows_of(MONTH))
    assert not list(tmp_path.rglob(".writing-*"))
    is_broken = False
    commit(lake, MONTH, scale=2.0)
    assert_frame_equal(lake.read(BARS, [MONTH]), rows_of(MONTH, 2.0))
    lake.close()


@pytest.mark.parametrize(
    ("rows", "limit_bytes"), [(20_000, 50_000), (20, 8_000)], ids=["data file", "manifest"]
)
def test_a_full_disk_refuses_the_commit_and_keeps_the_old_partition(
    lake: Lake, rows: int, limit_bytes: int
) -> None:
    commit(lake, MONTH)
    assert run(commit_with_file_limit, lake.root, MONTH, rows, limit_bytes) == REFUSED
    assert_frame_equal(lake.read(BARS, [MONTH]), rows_of(MONTH))
    assert len(lake.history(BARS, MONTH)) == 1
    commit(lake, MONTH, scale=2.0)
    assert_frame_equal(lake.read(BARS, [MONTH]), rows_of(MONTH, 2.0))


def test_a_stored_partition_is_read_on_a_full_disk(lake: Lake) -> None:
    commit(lake, MONTH)
    lake.close()  # the last to close removes what readers of the manifest would have to write
    assert run(read_with_file_limit, lake.root, MONTH, 0) == 0
    commit(lake, MONTH, scale=2.0)
    assert_frame_equal(lake.read(BARS, [MONTH]), rows_of(MONTH, 2.0))


def test_a_new_lake_on_a_full_disk_is_refused_with_one_sentence(tmp_path: Path) -> None:
    assert run(commit_with_file_limit, tmp_path, MONTH, 20, 3_000) == REFUSED


def test_a_data_folder_without_write_permission_stays_readable() -> None:
    # Not under pytest's folder, which another user may not enter.
    root = Path(tempfile.mkdtemp())
    try:
        lake = open_lake(root)
        commit(lake, MONTH)
        lake.close()
        folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        assert run(commit_without_permission, root, MONTH) == REFUSED
        for folder in folders:
            folder.chmod(0o755)
    finally:
        shutil.rmtree(root)
