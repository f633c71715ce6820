import errno
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from trading_assets.errors import DataError
from trading_assets.lake.store import Lake
from trading_assets_tests.lake.samples import BARS, commit, made_by, only_file, rows_of, write_of

FIRST, SECOND = "2000-01-01", "2000-02-01"


def flip_one_bit(path: Path, generator: random.Random) -> None:
    payload = bytearray(path.read_bytes())
    payload[generator.randrange(len(payload))] ^= 1 << generator.randrange(8)
    path.write_bytes(payload)


def truncate(path: Path, generator: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: generator.randrange(path.stat().st_size)])


def zero_a_block(path: Path, generator: random.Random) -> None:
    payload = bytearray(path.read_bytes())
    start = generator.randrange(8, len(payload) - 16)
    payload[start : start + 16] = b"\x00" * 16
    if bytes(payload) == path.read_bytes():
        payload[start] = 1
    path.write_bytes(payload)


def empty(path: Path, generator: random.Random) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "times"), [(flip_one_bit, 100), (truncate, 20), (zero_a_block, 20), (empty, 1)]
)
def test_a_damaged_file_is_refused_by_name(
    lake: Lake, damage: Callable[[Path, random.Random], None], times: int
) -> None:
    commit(lake, FIRST)
    path = only_file(lake, BARS, FIRST)
    intact = path.read_bytes()
    generator = random.Random(0)
    for _ in range(times):
        damage(path, generator)
        with pytest.raises(
            DataError, match=f"{path.name} of us_daily/raw_bars 2000-01-01 was change"
        ):
            lake.read(BARS, [FIRST])
        path.write_bytes(intact)


def test_files_swapped_between_partitions_are_refused(lake: Lake) -> None:
    commit(lake, FIRST, SECOND)
    one, other = only_file(lake, BARS, FIRST), only_file(lake, BARS, SECOND)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    for key in (FIRST, SECOND):
        with pytest.raises(DataError, match=f"{key} was changed"):
            lake.read(BARS, [key])


def test_a_missing_file_is_refused_by_name(lake: Lake) -> None:
    commit(lake, FIRST)
    only_file(lake, BARS, FIRST).unlink()
    with pytest.raises(DataError, match="us_daily/raw_bars 2000-01-01 is missing"):
        lake.read(BARS, [FIRST])


def test_a_damaged_blob_is_refused_by_name(lake: Lake) -> None:
    lake.commit([write_of(FIRST, blobs={"card.json": b"{}"})], made_by())
    record = lake.record(BARS, FIRST)
    assert record is not None
    (lake.root / record.file("card.json").path).write_bytes(b"[]")
    with pytest.raises(DataError, match="was changed after its commit"):
        lake.read_blobs(BARS, FIRST)


@pytest.mark.parametrize("is_present", [True, False], ids=["damaged", "missing"])
def test_committing_the_same_content_again_restores_a_file(lake: Lake, is_present: bool) -> None:
    commit(lake, FIRST)
    path = only_file(lake, BARS, FIRST)
    truncate(path, random.Random(0)) if is_present else path.unlink()
    commit(lake, FIRST)
    assert_frame_equal(lake.read(BARS, [FIRST]), rows_of(FIRST))
    assert len(lake.history(BARS, FIRST)) == 1


def read_by_table(lake: Lake, table: str) -> None:
    record = lake.record(BARS, FIRST)
    assert record is not None
    lake.read_table(record, table)


READERS: list[Callable[[Lake], object]] = [
    lambda lake: lake.read(BARS, [FIRST, SECOND], "quarantine"),
    lambda lake: read_by_table(lake, "quarantine"),
    lambda lake: lake.query("from us_daily.raw_bars__quarantine"),
]


@pytest.mark.parametrize("is_present", [True, False], ids=["damaged", "missing"])
def test_the_shared_table_without_rows_is_refused_and_restored(
    lake: Lake, is_present: bool
) -> None:
    writes = [
        write_of(month, tables={"rows": rows_of(month), "quarantine": rows_of(month).clear()})
        for month in (FIRST, SECOND)
    ]
    records = lake.commit(writes, made_by())
    (path,) = {lake.root / record.file("quarantine.parquet").path for record in records}
    assert path.parent == lake.root / "lake" / "empty"
    flip_one_bit(path, random.Random(0)) if is_present else path.unlink()
    for read in READERS:
        with pytest.raises(
            DataError, match=rf"{path.name} of .* materialize us_daily/raw_bars .* again"
        ):
            read(lake)
    assert lake.commit(writes[1:], made_by()) == records[1:]
    for read in READERS:
        read(lake)


def test_a_file_on_a_bad_sector_is_restored(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(lake, FIRST)
    path = only_file(lake, BARS, FIRST)
    bad, read = path.stat().st_ino, Path.read_bytes

    def read_unless_bad(self: Path) -> bytes:
        if self.exists() and self.stat().st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", read_unless_bad)
    with pytest.raises(DataError, match=r"could not be read \(Input/output error\); materialize"):
        lake.read(BARS, [FIRST])
    commit(lake, FIRST)
    assert_frame_equal(lake.read(BARS, [FIRST]), rows_of(FIRST))
