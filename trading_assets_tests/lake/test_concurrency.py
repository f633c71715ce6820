import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading_assets.errors import ConflictError
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.processes import commit_each, start
from trading_assets_tests.lake.samples import (
    BARS,
    MONTHS,
    commit,
    made_by,
    open_lake,
    rows_of,
    write_of,
)

FIRST, SECOND = MONTHS[:2]


def join_all(processes: list) -> list[int | None]:
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def test_two_processes_with_overlapping_partitions_lose_nothing(lake: Lake) -> None:
    one, other = MONTHS[:25], MONTHS[5:30]
    workers = [start(commit_each, lake.root, one, 1.0), start(commit_each, lake.root, other, 2.0)]
    assert join_all(workers) == [0, 0]
    records = lake.records(BARS)
    assert list(records) == MONTHS[:30]
    for month, record in records.items():
        content = lake.read(BARS, [month])
        scale = content["close"][0] / rows_of(month)["close"][0]
        assert_frame_equal(content, rows_of(month, scale))
        assert scale in (
            {1.0} if month < MONTHS[5] else {2.0} if month >= MONTHS[25] else {1.0, 2.0}
        )
        written = {1.0: month in one, 2.0: month in other}
        assert len(lake.history(BARS, month)) == sum(written.values())
        assert record == lake.history(BARS, month)[-1]


def test_processes_that_open_a_new_lake_at_once_all_commit(tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert join_all([start(commit_each, root, [month], 1.0) for month in MONTHS[:6]]) == [0] * 6
    lake = open_lake(root)
    assert list(lake.records(BARS)) == MONTHS[:6]
    lake.close()


def test_threads_on_one_partition_leave_one_whole_version(lake: Lake) -> None:
    month = MONTHS[0]
    scales = [float(scale) for scale in range(1, 9)]
    threads = [
        threading.Thread(target=lambda scale=scale: commit(lake, month, scale=scale))
        for scale in scales
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lake.history(BARS, month)) == len(scales)
    newest = lake.history(BARS, month)[-1]
    assert_frame_equal(lake.read(BARS, [month]), lake.read_table(newest))


def test_clean_waits_for_a_commit_that_is_about_to_refer_to_a_file(tmp_path: Path) -> None:
    ages = timedelta(days=-36500)
    other = open_lake(tmp_path)
    cleaning = threading.Thread(target=lambda: other.clean(older_than=ages))

    def clean_meanwhile(point: str) -> None:
        if point == "pre_manifest" and other.records(BARS):
            cleaning.start()
            cleaning.join(0.3)
            assert cleaning.is_alive()

    lake = open_lake(tmp_path, fault=clean_meanwhile)
    commit(lake, MONTHS[0])
    commit(other, MONTHS[0], scale=2.0)
    # The first content again: its file is there, superseded, and about to be current.
    commit(lake, MONTHS[0])
    cleaning.join()
    assert_frame_equal(lake.read(BARS, MONTHS[:1]), rows_of(MONTHS[0]))
    lake.close()
    other.close()


def test_assets_with_a_commit_are_listed_in_order(lake: Lake) -> None:
    commit(lake, MONTHS[0])
    commit(lake, MONTHS[0], asset="known_optimum/features")
    assert lake.assets() == ["known_optimum/features", BARS]


def test_what_was_made_from_an_older_commit_is_refused_and_nothing_is_lost(lake: Lake) -> None:
    commit(lake, FIRST)
    before = lake.records(BARS)[FIRST].commit_id
    commit(lake, FIRST, scale=2.0)
    with pytest.raises(ConflictError, match=f"expected commit {before} to be current still"):
        commit(lake, FIRST, scale=3.0, replaces=before)
    assert lake.read(BARS, [FIRST]).equals(rows_of(FIRST, 2.0))
    commit(lake, FIRST, scale=3.0, replaces=lake.records(BARS)[FIRST].commit_id)
    assert lake.read(BARS, [FIRST]).equals(rows_of(FIRST, 3.0))


def test_of_two_that_write_a_partition_first_one_is_refused(lake: Lake) -> None:
    commit(lake, FIRST, replaces=0)
    with pytest.raises(ConflictError, match="expected commit none to be current still"):
        commit(lake, FIRST, scale=2.0, replaces=0)
    assert lake.read(BARS, [FIRST]).equals(rows_of(FIRST))


def test_a_conflict_in_one_partition_leaves_the_others_of_the_commit_alone(lake: Lake) -> None:
    commit(lake, FIRST)
    with pytest.raises(ConflictError):
        lake.commit([write_of(SECOND), write_of(FIRST, scale=2.0, replaces=0)], made_by())
    assert list(lake.records(BARS)) == [FIRST]


def test_sixty_revisions_by_four_writers_at_once_are_all_kept(lake: Lake) -> None:
    def add(number: int) -> None:
        while True:
            record = lake.records(BARS).get(FIRST)
            rows = rows_of(FIRST, float(number), 1)
            if record is not None:
                rows = pl.concat([lake.read_table(record), rows])
            write = write_of(
                FIRST, tables={"rows": rows}, replaces=record.commit_id if record else 0
            )
            try:
                lake.commit([write], made_by())
            except ConflictError:
                continue
            return

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(add, range(1, 61)))
    closes = lake.read(BARS, [FIRST])["close"].sort().to_list()
    assert closes == [number * 20000101.0 for number in range(1, 61)]
