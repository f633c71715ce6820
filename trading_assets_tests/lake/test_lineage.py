import pytest

from trading_assets.errors import DataError
from trading_assets.lake.lineage import find_damage, trace_lineage
from trading_assets.lake.store import InputRef, Lake
from trading_assets_tests.lake.samples import BARS, made_by, only_file, write_of

FEATURES, REPORT = "us_equities/features", "us_equities/walk_forward_report"


def write(lake: Lake, asset: str, partition: str, reads: list[tuple[str, str]], **facts):
    inputs = [ref for key, month in reads for ref in lake.inputs_for(key, [month])]
    lake.commit([write_of(partition, asset, inputs=inputs, **facts)], made_by())


@pytest.fixture
def chain(lake: Lake) -> Lake:
    """Two months of bars, features of both that read each other's, and a report over them."""
    for month in ("2000-01-01", "2000-02-01"):
        write(lake, BARS, month, [])
    write(lake, FEATURES, "2000-01-01", [(BARS, "2000-01-01")])
    write(lake, FEATURES, "2000-02-01", [(BARS, "2000-01-01"), (BARS, "2000-02-01")])
    write(
        lake, REPORT, "2000-03-01", [(FEATURES, "2000-01-01"), (FEATURES, "2000-02-01")], scale=2.0
    )
    return lake


def lineage(lake: Lake):
    record = lake.record(REPORT, "2000-03-01")
    assert record is not None
    return trace_lineage(lake, record)


def test_inputs_come_before_what_read_them_and_each_once(chain: Lake):
    found = [(record.asset, record.partition) for record in lineage(chain)]
    assert sorted(found) == sorted({*found})
    assert len(found) == 5
    place = {key: index for index, key in enumerate(found)}
    for record in lineage(chain):
        for ref in record.inputs:
            assert place[ref.asset, ref.partition] < place[record.asset, record.partition]
    assert found[-1] == (REPORT, "2000-03-01")


def test_a_superseded_input_is_the_one_that_was_read(chain: Lake):
    before = chain.record(BARS, "2000-01-01")
    write(chain, BARS, "2000-01-01", [], scale=3.0)
    traced = {(r.asset, r.partition): r for r in lineage(chain)}
    assert traced[BARS, "2000-01-01"] == before
    assert chain.record(BARS, "2000-01-01") != before


def test_an_input_that_the_manifest_lacks_is_named(chain: Lake):
    stranger = InputRef(BARS, "2000-01-01", "0" * 64)
    chain.commit([write_of("2000-03-01", REPORT, inputs=[stranger])], made_by())
    with pytest.raises(DataError, match=r"us_daily/raw_bars 2000-01-01 with the content 0{12}"):
        lineage(chain)


def test_one_bit_of_a_file_is_found_and_named_by_its_partition(chain: Lake):
    assert find_damage(chain, lineage(chain)) == ""
    path = only_file(chain, BARS, "2000-02-01")
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert find_damage(chain, lineage(chain)).startswith(f"{BARS} 2000-02-01: its file rows")
    path.unlink()
    assert find_damage(chain, lineage(chain)).endswith("is gone")
