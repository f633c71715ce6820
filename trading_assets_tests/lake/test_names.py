import pytest

from trading_assets.errors import DataError
from trading_assets.lake.records import InputRef, PartitionWrite
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.samples import BARS, made_by, rows_of, write_of

HOSTILE = [
    "../x",
    "us_daily/../../etc",
    "/etc/passwd",
    "us_daily/raw_bars/",
    "us_daily//raw_bars",
    "us_daily",
    "",
    "Us_daily/raw_bars",
    "us_daily/raw_bars\n",
    "us_daily/raw\0bars",
    "us_daily/'); DROP TABLE commits--",
    'us_daily/"x"',
    "us_daily/ráw",
    "us_daily/\N{FULLWIDTH LATIN SMALL LETTER A}",
    "us_daily/😀",
    "us_daily/" + "a" * 10_000,
]


@pytest.mark.parametrize("asset", HOSTILE)
def test_a_hostile_asset_is_refused_everywhere(lake: Lake, asset: str) -> None:
    for attempt in (
        lambda: lake.commit([write_of("2000-01-01", asset)], made_by()),
        lambda: lake.read(asset, ["2000-01-01"]),
        lambda: lake.records(asset),
        lambda: lake.record(asset, ""),
        lambda: lake.read_blobs(asset, ""),
        lambda: lake.inputs_for(asset, [""]),
        lambda: lake.commit(
            [write_of("2000-01-01", inputs=[InputRef(asset, "", "aa")])], made_by()
        ),
    ):
        with pytest.raises(DataError, match="is not allowed"):
            attempt()


@pytest.mark.parametrize(
    "partition",
    [
        "../../x",
        "2000-1-1",
        "2000-01-01/..",
        "2000-01-01\n",
        "..",
        "x",
        "\N{ARABIC-INDIC DIGIT TWO}000-01-01",
    ],
)
def test_a_hostile_partition_is_refused(lake: Lake, partition: str) -> None:
    with pytest.raises(DataError, match=r"partition .* is not allowed"):
        lake.commit([write_of(partition, tables={"rows": rows_of("2000-01-01")})], made_by())
    with pytest.raises(DataError, match=r"partition .* is not allowed"):
        lake.read(BARS, [partition])


@pytest.mark.parametrize(
    "name", ["../x.json", "/x.json", "x", "a/../b.json", "X.json", "x.parquet", "x.json\n", ".json"]
)
def test_a_hostile_file_name_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(DataError, match=r"file name .* is not allowed"):
        lake.commit([write_of("2000-01-01", blobs={name: b""})], made_by())


def test_a_hostile_stage_or_table_is_refused(lake: Lake) -> None:
    frame = rows_of("2000-01-01")
    with pytest.raises(DataError, match=r"stage .* is not allowed"):
        lake.commit([PartitionWrite(BARS, "../bars", None, {"rows": frame})], made_by())
    with pytest.raises(DataError, match=r"table .* is not allowed"):
        lake.commit([PartitionWrite(BARS, "bars", None, {"../rows": frame})], made_by())


def test_nothing_is_written_when_any_name_of_a_commit_is_refused(lake: Lake) -> None:
    with pytest.raises(DataError, match="is not allowed"):
        lake.commit([write_of("2000-01-01"), write_of("2000-02-01", "../x")], made_by())
    assert not (lake.root / "lake").exists()
