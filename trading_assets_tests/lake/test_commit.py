import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading_assets.errors import DataError
from trading_assets.lake.records import InputRef, content_digest
from trading_assets.lake.store import Lake
from trading_assets.schema import TABLES, SchemaError
from trading_assets_tests.lake.samples import (
    BARS,
    MONTHS,
    NOW,
    commit,
    made_by,
    only_file,
    open_lake,
    rows_of,
    write_of,
)

MONTH = "2000-03-01"


def test_a_committed_partition_reads_back_the_same_rows(lake: Lake) -> None:
    commit(lake, MONTH)
    assert_frame_equal(lake.read(BARS, [MONTH]), rows_of(MONTH))


def test_a_record_tells_everything_that_was_given(lake: Lake) -> None:
    write = write_of(
        MONTH,
        inputs=[InputRef("us_daily/source", "", "aa")],
        verdict="failed",
        reasons=["too many gaps"],
        as_of=NOW,
        known_until=date(2000, 3, 31),
        first_session=date(2000, 3, 1),
        last_session=date(2000, 3, 30),
    )
    lake.commit([write], made_by("run-7"))
    record = lake.record(BARS, MONTH)
    assert record is not None
    assert (record.asset, record.stage, record.partition) == (BARS, "bars", MONTH)
    assert (record.run_id, record.code_version, record.declaration_digest) == (
        "run-7",
        "c0de",
        "dec1",
    )
    assert (record.verdict, record.reasons) == ("failed", ("too many gaps",))
    assert (record.committed_at, record.as_of) == (NOW, NOW)
    assert record.known_until == date(2000, 3, 31)
    assert (record.first_session, record.last_session) == (date(2000, 3, 1), date(2000, 3, 30))
    assert (record.rows, record.inputs) == (20, (InputRef("us_daily/source", "", "aa"),))
    assert record.content_digest == content_digest(record.files)
    assert lake.document(record.config_digest) == {"symbols": 2}
    assert lake.document(record.environment_digest) == {"python": "3.11"}


def test_files_lie_under_owner_stage_asset_and_partition_named_by_their_content(lake: Lake) -> None:
    lake.commit([write_of(MONTH, "us_equities/policy/ppo")], made_by())
    record = lake.record("us_equities/policy/ppo", MONTH)
    assert record is not None
    (file,) = record.files
    folder = "lake/us_equities/bars/policy/ppo/2000-03-01"
    assert file.path == f"{folder}/part-{file.sha256}.parquet"
    assert (lake.root / file.path).stat().st_size == file.size_bytes


def test_blobs_read_back_by_name_beside_tables(lake: Lake) -> None:
    blobs = {"seed-0/weights.safetensors": b"\x00\x01", "card.json": b"{}"}
    lake.commit([write_of(MONTH, blobs=blobs)], made_by())
    assert lake.read_blobs(BARS, MONTH) == blobs
    assert lake.read(BARS, [MONTH]).height == 20


def test_an_unpartitioned_asset_has_an_empty_key(lake: Lake) -> None:
    lake.commit([write_of(None, "us_daily/corporate_actions")], made_by())
    assert list(lake.records("us_daily/corporate_actions")) == [""]
    assert lake.read("us_daily/corporate_actions", [None]).height == 20


def test_identical_content_makes_no_new_file_and_no_new_commit(lake: Lake) -> None:
    commit(lake, MONTH)
    before = only_file(lake, BARS, MONTH)
    changed_at = before.stat().st_mtime_ns
    (record,) = lake.commit([write_of(MONTH)], made_by("another run"))
    assert (record.run_id, len(lake.history(BARS, MONTH))) == ("run-1", 1)
    assert before.stat().st_mtime_ns == changed_at


@pytest.mark.parametrize(
    "changes",
    [
        {"code_version": "new"},
        {"declaration_digest": "new"},
        {"config": {"symbols": 3}},
        {"environment": {"python": "3.12"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_change_of_provenance_alone_is_a_new_commit(lake: Lake, changes: dict[str, str]) -> None:
    commit(lake, MONTH)
    lake.commit([write_of(MONTH)], made_by(**changes))
    assert len(lake.history(BARS, MONTH)) == 2


@pytest.mark.parametrize(
    "facts",
    [
        {"inputs": [InputRef(BARS, "2000-02-01", "ff")]},
        {"verdict": "failed"},
        {"known_until": date(2000, 3, 20)},
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_a_change_of_facts_alone_is_a_new_commit(lake: Lake, facts: dict[str, object]) -> None:
    commit(lake, MONTH)
    commit(lake, MONTH, **facts)
    assert len(lake.history(BARS, MONTH)) == 2


def test_a_superseded_commit_stays_readable(lake: Lake) -> None:
    commit(lake, MONTH)
    commit(lake, MONTH, scale=2.0)
    old, new = lake.history(BARS, MONTH)
    assert_frame_equal(lake.read_table(old), rows_of(MONTH))
    assert_frame_equal(lake.read_table(new), lake.read(BARS, [MONTH]))


def test_parquet_bytes_do_not_depend_on_how_a_frame_was_put_together(tmp_path: Path) -> None:
    whole = rows_of(MONTH)
    pieces = pl.concat([whole[:7], whole[7:]], rechunk=False)
    digests: set[str] = set()
    for name, frame in (("a", whole), ("b", pieces)):
        lake = open_lake(tmp_path / name)
        (record,) = lake.commit([write_of(MONTH, tables={"rows": frame})], made_by())
        digests.add(record.content_digest)
        lake.close()
    assert len(digests) == 1


def test_a_table_that_breaks_its_schema_is_refused(lake: Lake) -> None:
    write = replace(write_of(MONTH), schemas={"rows": "raw_bars"})
    with pytest.raises(SchemaError, match="table raw_bars lacks session"):
        lake.commit([write], made_by())
    assert lake.records(BARS) == {}


def test_a_table_that_follows_its_schema_is_accepted_without_rows(lake: Lake) -> None:
    write = write_of(
        MONTH, tables={"rows": TABLES["raw_bars"].empty()}, schemas={"rows": "raw_bars"}
    )
    lake.commit([write], made_by())
    assert lake.read(BARS, [MONTH]).schema == TABLES["raw_bars"].empty().schema


def test_a_partition_written_twice_in_one_commit_is_refused(lake: Lake) -> None:
    with pytest.raises(DataError, match="us_daily/raw_bars 2000-03-01 is written twice"):
        commit(lake, MONTH, MONTH)


def test_an_input_read_in_two_versions_is_refused(lake: Lake) -> None:
    refs = [InputRef(BARS, "2000-02-01", "aa"), InputRef(BARS, "2000-02-01", "bb")]
    with pytest.raises(DataError, match="us_daily/raw_bars 2000-02-01 in two versions"):
        commit(lake, MONTH, inputs=refs)


def test_moments_come_back_aware_and_equal(lake: Lake) -> None:
    moment = datetime(2000, 3, 31, 16, 15, tzinfo=UTC)
    commit(lake, MONTH, as_of=moment)
    record = lake.record(BARS, MONTH)
    assert record is not None
    assert record.as_of == moment


def test_a_moved_data_folder_stays_readable(lake: Lake, tmp_path: Path) -> None:
    commit(lake, MONTH)
    lake.close()
    moved = lake.root.rename(tmp_path / "moved")
    other = open_lake(moved)
    assert_frame_equal(other.read(BARS, [MONTH]), rows_of(MONTH))
    other.close()


def test_150_partitions_commit_in_two_seconds_of_this_process(lake: Lake) -> None:
    writes = [write_of(month, tables={"rows": rows_of(month, count=100)}) for month in MONTHS[:150]]
    begun = time.process_time()
    lake.commit(writes, made_by())
    assert time.process_time() - begun < 2.0
    assert len(lake.records(BARS)) == 150
