"""A vendor's file that holds two versions of one bar, through Dagster, until it is corrected."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from trading_assets.bars.ingest import as_known_at
from trading_assets.errors import DataError
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.end_to_end.materialized import DataFolder, open_folder

MONTHS = ("2024-09-01", "2024-10-01", "2024-11-01")
NOW = datetime(2024, 12, 2, 22, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
TWICE = date(2024, 10, 9)
ASSET = "daily/validated_bars"
SPEC = {
    "source": {"kind": "files", "folder": "../../dump", "feed": "my_vendor"},
    "universe": ["AAA"],
    "start": "2024-09-03",
}


def write_dump(root: Path, *further: str) -> None:
    sessions = CALENDAR.sessions(date(2024, 9, 3), date(2024, 11, 29))
    lines = ["symbol,time,open,high,low,close,volume"]
    lines += [f"AAA,{day},100,101,99,{100 + n % 7 / 10},5000" for n, day in enumerate(sessions)]
    (root / "dump").mkdir(exist_ok=True)
    (root / "dump" / "bars.csv").write_text("\n".join([*lines, *further]), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataFolder]:
    with open_folder(tmp_path_factory.mktemp("conflict")) as opened:
        write_dump(opened.root, f"AAA,{TWICE},100,101,99,100.95,5000")
        opened.declare("daily", "MarketData", SPEC)
        opened.materialize_bars("daily", MONTHS, NOW)
        yield opened


def test_the_month_fails_and_the_others_of_the_range_do_not(folder: DataFolder) -> None:
    records = folder.records(ASSET)
    assert {key: record.verdict for key, record in records.items()} == {
        "2024-09-01": "passed",
        "2024-10-01": "failed",
        "2024-11-01": "passed",
    }
    reasons = records["2024-10-01"].reasons
    assert any(f"holds bars more than once: AAA {TWICE}" in reason for reason in reasons)


def test_the_bar_is_in_quarantine_and_neither_version_is_used(folder: DataFolder) -> None:
    held = folder.table(ASSET, "2024-10-01", "quarantine").filter(rule="bar_is_unique")
    assert held["session"].to_list() == [TWICE]
    assert TWICE not in folder.table(ASSET, "2024-10-01")["session"].to_list()


def test_readers_refuse_the_month(folder: DataFolder) -> None:
    with pytest.raises(DataError, match="failed its validation in partition 2024-10-01"):
        folder.lake.read(ASSET, ["2024-10-01"])


def test_the_vendors_correction_heals_the_month_and_the_past_stays(folder: DataFolder) -> None:
    write_dump(folder.root)
    folder.materialize_bars("daily", [MONTHS[1]], LATER)
    assert folder.records(ASSET)["2024-10-01"].verdict == "passed"
    raw = folder.table("daily/raw_bars", "2024-10-01").filter(session=TWICE)
    assert sorted(raw.select("revision", "close").iter_rows()) == [
        (0, 100.5),
        (0, 100.95),
        (1, 100.5),
    ]
    assert len(as_known_at(raw, NOW)) == 1
