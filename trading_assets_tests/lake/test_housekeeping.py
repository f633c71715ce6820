import os
from datetime import timedelta
from pathlib import Path

import pytest

from trading_assets.errors import DataError
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.samples import BARS, NOW, commit, only_file

MONTH = "2000-01-01"


def age(path: Path, hours: float) -> Path:
    written = (NOW - timedelta(hours=hours)).timestamp()
    os.utime(path, (written, written))
    return path


def leave_temporary(lake: Lake, name: str, hours: float) -> str:
    path = only_file(lake, BARS, MONTH).parent / f".writing-{name}.parquet"
    path.write_bytes(b"half")
    return age(path, hours).relative_to(lake.root).as_posix()


def test_sweep_removes_old_temporaries_only(lake: Lake) -> None:
    commit(lake, MONTH)
    old, young = leave_temporary(lake, "old", 2), leave_temporary(lake, "young", 0.5)
    removal = lake.sweep(older_than=timedelta(hours=1))
    assert (removal.paths, removal.freed_bytes) == ((old,), 4)
    assert (lake.root / young).exists()
    assert lake.read(BARS, [MONTH]).height == 20


def test_sweep_passes_over_a_temporary_that_was_just_given_its_name(lake: Lake) -> None:
    commit(lake, MONTH)
    # Listed, but no longer there when it is looked at.
    (lake.root / ".writing-catalog.duckdb").symlink_to(lake.root / "gone")
    old = leave_temporary(lake, "old", 2)
    assert lake.sweep().paths == (old,)


def test_clean_removes_superseded_files_and_says_which(lake: Lake) -> None:
    commit(lake, MONTH)
    superseded = age(only_file(lake, BARS, MONTH), 1)
    commit(lake, MONTH, scale=2.0)
    size = superseded.stat().st_size
    removal = lake.clean()
    assert removal.paths == (superseded.relative_to(lake.root).as_posix(),)
    assert removal.freed_bytes == size
    assert lake.read(BARS, [MONTH])["close"][0] == 2 * 20000101


def test_clean_removes_files_of_commits_that_never_happened(lake: Lake) -> None:
    commit(lake, MONTH)
    orphan = only_file(lake, BARS, MONTH).with_name(f"part-{'0' * 64}.parquet")
    orphan.write_bytes(b"")
    age(orphan, 1)
    assert lake.clean().paths == (orphan.relative_to(lake.root).as_posix(),)


def test_clean_keeps_what_is_young_or_named(lake: Lake) -> None:
    commit(lake, MONTH)
    age(only_file(lake, BARS, MONTH), 5)
    commit(lake, MONTH, scale=2.0)
    old = lake.history(BARS, MONTH)[0]
    assert lake.clean(older_than=timedelta(hours=6)).paths == ()
    assert lake.clean(keep=[old.content_digest]).paths == ()
    assert lake.read_table(old).height == 20


def test_a_cleaned_commit_is_refused_with_the_cause(lake: Lake) -> None:
    commit(lake, MONTH)
    age(only_file(lake, BARS, MONTH), 5)
    commit(lake, MONTH, scale=2.0)
    lake.clean()
    with pytest.raises(DataError, match="is missing \\(removed by hand or by clean\\)"):
        lake.read_table(lake.history(BARS, MONTH)[0])


def test_a_lake_without_files_has_nothing_to_remove(lake: Lake) -> None:
    assert lake.sweep().paths == lake.clean().paths == ()
