"""The judges of the sweeps have to see harm where there is some."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.lake.store import Lake
from trading_assets_tests.faults.audit import damage, difference, digests, litter
from trading_assets_tests.faults.real_bars import KEYS, backfill, fill
from trading_assets_tests.faults.tally import Tally, ledger_of
from trading_assets_tests.lake.samples import BARS, commit, only_file, open_lake


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    lake = open_lake(tmp_path / "data")
    commit(lake, *KEYS[:2])
    yield lake
    lake.close()


def test_a_sound_lake_has_nothing_wrong(lake: Lake) -> None:
    control = digests(lake)
    found = [*damage(lake, [control]), *difference(lake, control), *litter(lake)]
    assert found == []


def test_content_that_nobody_committed_is_seen(lake: Lake) -> None:
    control = digests(lake)
    commit(lake, KEYS[0], scale=2.0)
    assert len(list(damage(lake, [control]))) == 1
    assert len(list(difference(lake, control))) == 1


def test_a_lost_partition_is_seen(lake: Lake) -> None:
    control = digests(lake) | {(BARS, KEYS[2]): "aa"}
    assert len(list(difference(lake, control))) == 1


def test_an_unreadable_partition_is_seen(lake: Lake) -> None:
    only_file(lake, BARS, KEYS[0]).write_bytes(b"")
    assert "is visible and unreadable" in next(damage(lake, [digests(lake)]))


def test_a_file_that_nothing_refers_to_and_no_clean_removes_is_seen(lake: Lake) -> None:
    (lake.root / "lake" / "notes.txt").write_bytes(b"")
    assert "is left after a clean" in next(litter(lake))


def test_a_tally_names_every_fault_that_did_harm() -> None:
    tally = Tally()
    tally.add("kill 1", [])
    tally.add("kill 2", ["lost a row"])
    assert (tally.tried, tally.harmed) == (2, {"kill 2": ["lost a row"]})
    assert "kill 2: lost a row" in tally.describe()


def test_a_backfill_month_by_month_is_one_commit_of_all_months(tmp_path: Path) -> None:
    backfill(tmp_path / "months", KEYS)
    by_month, at_once = open_lake(tmp_path / "months"), fill(tmp_path / "once")
    found = {key: digest for key, digest in digests(at_once).items() if key[0] == BARS}
    assert digests(by_month) == found
    by_month.close()
    at_once.close()


def test_the_ledger_counts_sweeps_and_shows_what_they_tell_besides() -> None:
    tally = Tally(1200, {"kill 2": ["lost a row"]}, "| more |")
    assert ledger_of({"kills": tally}).splitlines()[2:] == ["| kills | 1,200 | 1 |", "", "| more |"]
