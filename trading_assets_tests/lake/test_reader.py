import subprocess
import sys

import pytest
from polars.testing import assert_frame_equal

from trading_assets.errors import DataError
from trading_assets.lake.records import InputRef
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.samples import BARS, commit, made_by, only_file, rows_of, write_of

FIRST, SECOND, THIRD = "2000-01-01", "2000-02-01", "2000-03-01"


def test_partitions_are_joined_in_the_order_given(lake: Lake) -> None:
    commit(lake, FIRST, SECOND)
    joined = lake.read(BARS, [SECOND, FIRST])
    assert_frame_equal(joined[:20], rows_of(SECOND))
    assert_frame_equal(joined[20:], rows_of(FIRST))


def test_the_columns_of_each_partition_are_read_without_its_rows(lake: Lake) -> None:
    commit(lake, FIRST)
    commit(lake, SECOND, tables={"rows": rows_of(SECOND).drop("close")})
    first, second = lake.read_columns(BARS, [FIRST, SECOND])
    assert first.schema == rows_of(FIRST).schema
    assert second.schema == rows_of(SECOND).drop("close").schema
    assert first.is_empty()


def test_columns_of_a_changed_file_are_refused(lake: Lake) -> None:
    commit(lake, FIRST)
    file = only_file(lake, BARS, FIRST)
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(DataError, match="was changed after its commit"):
        lake.read_columns(BARS, [FIRST])


def test_missing_partitions_are_named_with_what_to_run(lake: Lake) -> None:
    commit(lake, FIRST)
    command = "--select us_daily/raw_bars --partition-range 2000-02-01...2000-03-01`"
    with pytest.raises(DataError, match="lacks partitions 2000-02-01, 2000-03-01; run") as refusal:
        lake.read(BARS, [FIRST, SECOND, THIRD])
    assert command in str(refusal.value)


def test_a_missing_unpartitioned_asset_is_named_with_what_to_run(lake: Lake) -> None:
    with pytest.raises(
        DataError, match="us_daily/corporate_actions has not been materialized; run"
    ):
        lake.read("us_daily/corporate_actions", [""])


def test_long_lists_of_missing_partitions_are_cut(lake: Lake) -> None:
    keys = [f"2001-{month:02d}-01" for month in range(1, 13)]
    with pytest.raises(DataError, match="2001-05-01 and 7 more; run"):
        lake.read(BARS, keys)


def test_a_failed_partition_is_refused_by_name(lake: Lake) -> None:
    commit(lake, FIRST)
    commit(lake, SECOND, verdict="failed")
    with pytest.raises(DataError, match="failed its validation in partition 2000-02-01"):
        lake.read(BARS, [FIRST, SECOND])


def test_a_failed_partition_reads_where_that_is_asked_for(lake: Lake) -> None:
    commit(lake, SECOND, verdict="failed")
    assert lake.read(BARS, [SECOND], allow_failed=True).height == 20


def test_blobs_of_a_failed_partition_are_refused(lake: Lake) -> None:
    lake.commit([write_of(FIRST, blobs={"card.json": b"{}"}, verdict="failed")], made_by())
    with pytest.raises(DataError, match="failed its validation"):
        lake.read_blobs(BARS, FIRST)


def test_an_absent_table_is_refused_with_what_there_is(lake: Lake) -> None:
    commit(lake, FIRST)
    with pytest.raises(DataError, match=r"has no file quarantine\.parquet; it holds rows\.parquet"):
        lake.read(BARS, [FIRST], "quarantine")


def test_partitions_with_different_columns_are_refused_as_one_table(lake: Lake) -> None:
    commit(lake, FIRST)
    commit(lake, SECOND, tables={"rows": rows_of(SECOND).drop("close")})
    with pytest.raises(
        DataError, match="has different columns in partitions 2000-01-01 to 2000-02"
    ):
        lake.read(BARS, [FIRST, SECOND])


def test_reading_no_partition_is_refused(lake: Lake) -> None:
    with pytest.raises(DataError, match="no partition of us_daily/raw_bars was asked for"):
        lake.read(BARS, [])


def test_inputs_carry_the_digests_of_current_commits(lake: Lake) -> None:
    commit(lake, FIRST, SECOND)
    records = lake.records(BARS)
    expected = [InputRef(BARS, key, records[key].content_digest) for key in (SECOND, FIRST)]
    assert lake.inputs_for(BARS, [SECOND, FIRST]) == expected


def test_inputs_that_failed_or_are_missing_are_refused(lake: Lake) -> None:
    commit(lake, FIRST, verdict="failed")
    with pytest.raises(DataError, match="failed its validation"):
        lake.inputs_for(BARS, [FIRST])
    with pytest.raises(DataError, match="lacks partition 2000-02-01"):
        lake.inputs_for(BARS, [SECOND])


def test_the_latest_before_a_key_skips_refused_partitions(lake: Lake) -> None:
    commit(lake, FIRST)
    commit(lake, SECOND, verdict="failed")
    found = lake.latest_before(BARS, THIRD)
    assert found is not None
    assert found.partition == FIRST
    assert lake.latest_before(BARS, FIRST) is None
    own = lake.latest_before(BARS, FIRST, is_inclusive=True)
    assert own is not None
    assert own.partition == FIRST


def test_importing_the_lake_loads_no_heavy_library() -> None:
    heavy = "{'pandas', 'pyarrow', 'torch', 'duckdb'}"
    script = f"import sys, trading_assets.lake.store; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
