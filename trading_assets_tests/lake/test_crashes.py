"""A process killed at any point of a commit leaves the old partition or the new one, never half."""

import random
import signal
import time
from datetime import timedelta

import pytest
from polars.testing import assert_frame_equal

from trading_assets.lake.store import Lake
from trading_assets_tests.lake.processes import commit_and_die, commit_forever, run, start
from trading_assets_tests.lake.samples import BARS, commit, only_file, open_lake, rows_of

FIRST, SECOND = "2000-01-01", "2000-02-01"
MONTHS = [FIRST, SECOND]
BEFORE_THE_COMMIT = [
    ("before_tmp", 1),
    ("before_tmp", 2),
    ("mid_write", 1),
    ("mid_write", 2),
    ("pre_fsync", 1),
    ("pre_rename", 1),
    ("post_rename", 1),
    ("pre_manifest", 1),
]


def digests(lake: Lake) -> dict[str, str]:
    return {key: record.content_digest for key, record in lake.records(BARS).items()}


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    lake = open_lake(tmp_path_factory.mktemp("control"))
    commit(lake, *MONTHS, scale=2.0)
    found = digests(lake)
    lake.close()
    return found


@pytest.mark.parametrize(("point", "times"), BEFORE_THE_COMMIT)
def test_killed_before_the_commit_nothing_has_changed(
    lake: Lake, control: dict[str, str], point: str, times: int
) -> None:
    commit(lake, *MONTHS)
    assert run(commit_and_die, lake.root, MONTHS, 2.0, point, times) == -signal.SIGKILL
    for month in MONTHS:
        assert_frame_equal(lake.read(BARS, [month]), rows_of(month))
    commit(lake, *MONTHS, scale=2.0)
    assert digests(lake) == control


@pytest.mark.parametrize(("point", "times"), BEFORE_THE_COMMIT)
def test_killed_before_the_first_commit_nothing_exists(
    lake: Lake, control: dict[str, str], point: str, times: int
) -> None:
    assert run(commit_and_die, lake.root, MONTHS, 2.0, point, times) == -signal.SIGKILL
    assert lake.records(BARS) == {}
    commit(lake, *MONTHS, scale=2.0)
    assert digests(lake) == control


def test_killed_after_the_commit_the_new_partitions_are_there(
    lake: Lake, control: dict[str, str]
) -> None:
    assert run(commit_and_die, lake.root, MONTHS, 2.0, "post_manifest", 1) == -signal.SIGKILL
    assert digests(lake) == control
    for month in MONTHS:
        assert_frame_equal(lake.read(BARS, [month]), rows_of(month, 2.0))


def test_what_a_killed_process_leaves_behind_can_be_swept_and_cleaned(lake: Lake) -> None:
    run(commit_and_die, lake.root, MONTHS, 2.0, "pre_rename", 1)
    run(commit_and_die, lake.root, MONTHS, 3.0, "pre_manifest", 1)
    commit(lake, *MONTHS)
    # The samples' clock stands in 2013, so files just written are younger than it by years.
    ages = timedelta(days=-36500)
    assert len(lake.sweep(older_than=ages).paths) == 2
    assert len(lake.clean(older_than=ages).paths) == 2
    left = {path for path in (lake.root / "lake").rglob("*") if path.is_file()}
    assert left == {only_file(lake, BARS, month) for month in MONTHS}


def wait_for_a_commit(lake: Lake, before: int) -> None:
    deadline = time.monotonic() + 30
    while len(lake.history(BARS, FIRST)) == before:
        assert time.monotonic() < deadline, "the process committed nothing within 30 s"
        time.sleep(0.005)


def test_killed_at_random_moments_both_partitions_are_of_one_commit(lake: Lake) -> None:
    generator = random.Random(5)
    commit(lake, *MONTHS)
    for _ in range(20):
        before = len(lake.history(BARS, FIRST))
        process = start(commit_forever, lake.root, MONTHS)
        wait_for_a_commit(lake, before)
        time.sleep(0.03 * generator.random())
        process.kill()
        process.join()
        joined = {month: lake.read(BARS, [month])["close"][0] for month in MONTHS}
        scales = {value / int(month.replace("-", "")) for month, value in joined.items()}
        assert len(scales) == 1, scales
        commits = {month: len(lake.history(BARS, month)) for month in MONTHS}
        assert len(set(commits.values())) == 1, commits
