import random
import shutil
import threading
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from trading_assets.errors import DataError, UserError
from trading_assets.lake.records import PartitionWrite
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.processes import REFUSED, rebuild_with_file_limit, run
from trading_assets_tests.lake.samples import BARS, commit, made_by, only_file, open_lake, rows_of
from trading_assets_tests.lake.test_damage import flip_one_bit

FIRST, SECOND = "2000-01-01", "2000-02-01"


def count(lake: Lake, view: str = "us_daily.raw_bars") -> int:
    return lake.query(f"select count(*) as n from {view}")["n"].item()


def test_a_view_joins_partitions_and_names_them(lake: Lake) -> None:
    commit(lake, SECOND, FIRST)
    found = lake.query(
        'select "partition", count(*) as n, min(close) as low from us_daily.raw_bars'
        " where symbol = 'MSFT' group by all order by all"
    )
    assert found.to_dicts() == [
        {"partition": date(2000, 1, 1), "n": 10, "low": 20000101.0},
        {"partition": date(2000, 2, 1), "n": 10, "low": 20000201.0},
    ]


def test_views_of_deep_assets_and_further_tables_are_named_with_two_underscores(lake: Lake) -> None:
    write = PartitionWrite(
        "us_equities/policy/ppo",
        "policy",
        FIRST,
        {"rows": rows_of(FIRST), "equity": rows_of(FIRST)[:5]},
        {"card.json": b"{}"},
    )
    lake.commit([write], made_by())
    assert count(lake, "us_equities.policy__ppo") == 20
    assert count(lake, "us_equities.policy__ppo__equity") == 5


def test_a_view_of_an_unpartitioned_asset_has_no_partition_column(lake: Lake) -> None:
    lake.commit([PartitionWrite(BARS, "bars", None, {"rows": rows_of(FIRST)})], made_by())
    assert lake.query("from us_daily.raw_bars limit 1").columns == ["symbol", "time", "close"]


def test_times_come_back_in_utc(lake: Lake) -> None:
    commit(lake, FIRST)
    found = lake.query("select time, date_trunc('hour', time) as hour from us_daily.raw_bars")
    assert set(found.dtypes) == {pl.Datetime("us", "UTC")}
    assert found["time"].to_list() == rows_of(FIRST)["time"].to_list()


def test_failed_partitions_are_left_out(lake: Lake) -> None:
    commit(lake, FIRST)
    commit(lake, SECOND, verdict="failed")
    assert count(lake) == 20


def test_a_query_sees_the_newest_commit(lake: Lake) -> None:
    commit(lake, FIRST)
    assert count(lake) == 20
    commit(lake, SECOND)
    assert count(lake) == 40


def test_partitions_with_further_columns_are_joined_by_name(lake: Lake) -> None:
    commit(lake, FIRST)
    commit(lake, SECOND, tables={"rows": rows_of(SECOND).with_columns(extra=pl.lit(1.0))})
    found = lake.query("select count(*) as n, count(extra) as extras from us_daily.raw_bars")
    assert found.to_dicts() == [{"n": 40, "extras": 20}]


def test_the_catalog_is_not_written_again_while_nothing_was_committed(lake: Lake) -> None:
    commit(lake, FIRST)
    before = lake.rebuild_catalog().stat()
    count(lake)
    after = lake.rebuild_catalog().stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize("content", [None, b"", b"not a database" * 500])
def test_a_missing_or_broken_catalog_is_made_again(lake: Lake, content: bytes | None) -> None:
    commit(lake, FIRST)
    path = lake.rebuild_catalog()
    path.unlink() if content is None else path.write_bytes(content)
    assert lake.read(BARS, [FIRST]).height == 20
    commit(lake, SECOND)
    assert count(lake) == 40


def test_a_moved_data_folder_can_be_queried(lake: Lake, tmp_path: Path) -> None:
    commit(lake, FIRST)
    count(lake)
    lake.close()
    moved = open_lake(lake.root.rename(tmp_path / "moved"))
    assert count(moved) == 20
    moved.close()


@pytest.mark.parametrize(
    ("name", "matched"), [("a'b", "c"), ("a[b]c", "abc"), ("a*b", "axb"), ('a"b; c', "c")]
)
def test_a_data_folder_with_a_strange_name_can_be_queried(
    tmp_path: Path, name: str, matched: str
) -> None:
    lake = open_lake(tmp_path / name)
    commit(lake, FIRST)
    # Beside it, what its name would match if it were a pattern.
    shutil.copytree(lake.root, tmp_path / matched)
    assert count(lake) == 20
    lake.close()


def test_a_changed_file_is_refused_by_name(lake: Lake) -> None:
    commit(lake, FIRST, SECOND)
    count(lake)
    path = only_file(lake, BARS, SECOND)
    flip_one_bit(path, random.Random(3))
    with pytest.raises(DataError, match=f"{path.name} of us_daily/raw_bars 2000-02-01 was changed"):
        count(lake)


def test_a_changed_file_stops_only_queries_that_read_it(lake: Lake) -> None:
    commit(lake, FIRST)
    commit(lake, FIRST, asset="us_daily/validated_bars")
    only_file(lake, BARS, FIRST).write_bytes(b"")
    assert count(lake, "us_daily.validated_bars") == 20
    with pytest.raises(DataError, match="was changed"):
        count(lake)
    commit(lake, FIRST)
    assert count(lake) == 20


@pytest.mark.parametrize(
    "sql",
    [
        "copy (select 1) to '{root}/lake/x.csv'",
        "copy us_daily.raw_bars to '{file}'",
        "create table t (a int)",
        "attach '{root}/x.duckdb'",
        "set enable_external_access = true",
        "install httpfs",
        "explain analyze copy (select 1) to '{root}/lake/x.csv'",
        "select 1; select 2",
        "export database '{root}/lake/out'",
        "",
    ],
)
def test_anything_but_one_select_is_refused(lake: Lake, sql: str) -> None:
    commit(lake, FIRST)
    file = only_file(lake, BARS, FIRST)
    before = sorted((lake.root / "lake").rglob("*"))
    with pytest.raises(UserError, match="is not one SELECT statement; expected exactly one"):
        lake.query(sql.format(root=lake.root, file=file))
    assert sorted((lake.root / "lake").rglob("*")) == before
    assert count(lake) == 20


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/passwd')",
        "select * from read_csv('{root}/manifest.sqlite')",
        "select * from '{superseded}'",
        "select * from read_parquet('{root}/lake/**/*.parquet')",
        "select * from glob('/etc/*')",
        "select * from us_daily.raw_bars, read_blob('{root}/manifest.sqlite')",
    ],
)
def test_reading_past_the_views_is_refused(lake: Lake, sql: str) -> None:
    commit(lake, FIRST)
    superseded = only_file(lake, BARS, FIRST)
    commit(lake, FIRST, scale=2.0)
    with pytest.raises(UserError, match="file system operations are disabled"):
        lake.query(sql.format(root=lake.root, superseded=superseded))


@pytest.mark.parametrize(
    "setting", ["enable_external_access", "python_enable_replacements", "temp_directory"]
)
def test_a_query_runs_without_ways_out(lake: Lake, setting: str) -> None:
    found = lake.query(f"select current_setting('{setting}') as value")["value"].item()
    assert not found


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("selekt 1", "syntax error at or near"),
        ("select * from us_daily.raw_barz", "raw_barz does not exist"),
        ("select cloze from us_daily.raw_bars", '"cloze" not found'),
        ("select 1 / 'x'", "Could not convert string 'x'"),
    ],
)
def test_bad_sql_is_refused_with_the_sentence_of_duckdb(
    lake: Lake, sql: str, sentence: str
) -> None:
    commit(lake, FIRST)
    with pytest.raises(UserError, match=sentence) as refusal:
        lake.query(sql)
    assert "\n" not in str(refusal.value)


def test_threads_query_side_by_side(lake: Lake) -> None:
    commit(lake, FIRST)
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(count(lake))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [20] * 4


def test_views_can_be_described_and_listed(lake: Lake) -> None:
    commit(lake, FIRST)
    assert lake.query("describe us_daily.raw_bars")["column_name"][0] == "partition"
    assert "raw_bars" in lake.query("show all tables")["name"].to_list()
    assert lake.query("select 1 as one").to_dicts() == [{"one": 1}]


def test_a_query_on_an_empty_lake_is_refused_with_a_sentence(lake: Lake) -> None:
    with pytest.raises(UserError, match="does not exist"):
        lake.query("select * from us_daily.raw_bars")


def test_a_catalog_that_cannot_be_written_is_one_sentence(lake: Lake) -> None:
    commit(lake, FIRST)
    (lake.root / "catalog.duckdb").mkdir()
    with pytest.raises(DataError, match=r"catalog\.duckdb could not be written") as refusal:
        lake.rebuild_catalog()
    assert "\n" not in str(refusal.value)
    assert lake.read(BARS, [FIRST]).height == 20


def test_a_catalog_on_a_full_disk_is_one_sentence(lake: Lake) -> None:
    commit(lake, FIRST)
    assert run(rebuild_with_file_limit, lake.root, 4_000) == REFUSED
    assert count(lake) == 20
