"""A vendor's minutes through Dagster: bars, verdicts, quarantine, revisions and what reads them."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import polars as pl
import pytest

from trading_assets.bars.ingest import as_known_at
from trading_assets.errors import DataError
from trading_assets_tests.end_to_end.materialized import (
    DataFolder,
    check_results,
    failures,
    open_folder,
)
from trading_assets_tests.end_to_end.vendor_minutes import (
    DECEMBER,
    FIRST,
    MONTHS,
    NOVEMBER,
    OCTOBER,
    SEPTEMBER,
    SYMBOLS,
    Minute,
    at,
    clean_minutes,
    expected_bars,
    sessions,
    write_months,
)

# After the close of 18 December; bars are published a quarter of an hour after they end.
NOW = datetime(2024, 12, 18, 21, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=10)
NAMES = ("minutes", "hourly", "daily")
PRICES = ["open", "high", "low", "close", "volume"]

SOURCE = {
    "kind": "files",
    "folder": "../../dump",
    "pattern": "minutes_*.csv",
    "feed": "my_vendor",
    "separator": ";",
    "columns": {
        "symbol": "Ticker",
        "time": "Start",
        "open": "O",
        "high": "H",
        "low": "L",
        "close": "C",
        "volume": "V",
    },
    "time_is": "bar_open",
    "time_zone": "America/New_York",
    "time_format": "%m/%d/%Y %H:%M",
}
BARS = {"source": SOURCE, "universe": list(SYMBOLS), "start": FIRST.isoformat()}
LENGTHS = {
    "minutes": {"bar_length": "1m"},
    "hourly": {"bar_length": "1h", "fetched_bar_length": "1m"},
    "daily": {"bar_length": "1d", "fetched_bar_length": "1m"},
}
STRATEGY = {
    "market_data": "daily",
    "features": {"names": ["log_return_1", "log_return_5"], "scale_bars": 60},
    "policy": {"agents": {"ppo": {}}},
    "folds": {"period": "quarter", "first": "2025-01-01"},
}


@dataclass
class Dump:
    """What the vendor delivered, and what a person would say of it."""

    lines: list[Minute]
    broken: dict[tuple[str, datetime], str]
    missing: set[tuple[str, datetime]]

    def clean(self, month: str) -> dict[tuple[str, datetime], Minute]:
        return {
            bar.key: bar
            for bar in self.lines
            if month_of(bar) == month and bar.key not in self.broken and bar.end <= NOW
        }

    def quality_pct(self, month: str) -> float:
        return 100 * len(self.clean(month)) / expected_bars(month)


def month_of(bar: Minute) -> str:
    return bar.start.date().replace(day=1).isoformat()


def dirty_dump() -> Dump:
    """Return the traded minutes with one fault of each kind, and a month with many of one kind."""
    bars = clean_minutes()
    dump = Dump([], {}, set())

    def spoil(symbol: str, start: datetime, rule: str, **changes: float) -> None:
        key = symbol, (start + timedelta(minutes=1)).astimezone(UTC)
        shape = bars.get(key) or next(iter(bars.values()))
        bars[key] = replace(shape, symbol=symbol, start=start, **changes)
        dump.broken[key] = rule

    spoil("AAA", at(date(2024, 9, 5), 9, 30), "prices_are_positive_and_finite", open=math.nan)
    spoil("AAA", at(date(2024, 9, 5), 15, 59), "bar_was_traded", volume=0.0)
    spoil("BBB", at(date(2024, 9, 6), 12, 0), "low_is_not_above_open_and_close", low=1e6)
    spoil("BBB", at(date(2024, 9, 14), 12, 0), "session_is_on_the_calendar")  # a Saturday
    spoil("CCC", at(date(2024, 9, 16), 8, 0), "bar_ends_on_the_grid")  # before the open
    spoil("CCC", at(date(2024, 11, 4), 9, 30), "prices_are_positive_and_finite", close=-1.0)
    spoil("AAA", at(date(2024, 11, 29), 13, 0), "bar_ends_on_the_grid")  # after a half day
    swapped = [bar for bar in bars.values() if month_of(bar) == OCTOBER][::30]
    for bar in swapped:  # 3.3 % of the month
        spoil(bar.symbol, bar.start, "high_is_not_below_open_and_close", high=bar.low / 2)
    lost = "BBB", at(date(2024, 9, 20), 10, 1).astimezone(UTC)
    del bars[lost]
    dump.missing.add(lost)
    dump.lines = list(bars.values())
    dump.lines.append(bars["CCC", at(date(2024, 9, 4), 11, 0).astimezone(UTC)])  # a copy
    return dump


@dataclass
class Played:
    """The data sets after one run each over all months."""

    folder: DataFolder
    dump: Dump
    results: dict[str, dg.ExecuteInProcessResult]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Only to be read: tests that materialize again have a folder of their own."""
    with open_folder(tmp_path_factory.mktemp("intraday")) as folder:
        dump = dirty_dump()
        write_months(folder.root / "dump", dump.lines)
        for name in NAMES:
            folder.declare(name, "MarketData", {**BARS, **LENGTHS[name]})
        folder.declare("trend", "TradingPipeline", STRATEGY)
        assets = ("raw_bars", "corporate_actions", "validated_bars")
        results = {
            name: folder.materialize([f"{name}/{asset}" for asset in assets], MONTHS, NOW)
            for name in NAMES
        }
        yield Played(folder, dump, results)


@pytest.mark.parametrize("name", NAMES)
def test_a_range_with_a_bad_month_is_one_run_that_succeeds(played: Played, name: str) -> None:
    assert played.results[name].success, failures(played.results[name])
    assert list(played.folder.records(f"{name}/validated_bars")) == list(MONTHS)


@pytest.mark.parametrize("name", NAMES)
def test_every_months_verdict_stands_in_manifest_and_metadata(played: Played, name: str) -> None:
    asset = f"{name}/validated_bars"
    records = played.folder.records(asset)
    for month in MONTHS:
        verdict = "failed" if month == OCTOBER else "passed"
        shown = played.folder.metadata(asset, month)
        assert records[month].verdict == shown["manifest_verdict"] == verdict
        assert bool(records[month].reasons) == (month == OCTOBER)
    (reason,) = records[OCTOBER].reasons
    assert "2024-10 has" in reason
    assert "expected at most 2.0%" in reason
    assert "high_is_not_below_open_and_close" in reason


@pytest.mark.parametrize("name", NAMES)
def test_data_quality_is_what_a_plain_count_gives(played: Played, name: str) -> None:
    for month in MONTHS:
        shown = played.folder.metadata(f"{name}/validated_bars", month)
        assert shown["expected"] == expected_bars(month)
        assert shown["quarantined_rows"] == len(
            [key for key in played.dump.broken if _in(key, month)]
        )
        assert shown["data_quality_pct"] == pytest.approx(played.dump.quality_pct(month), abs=1e-9)
    assert played.dump.quality_pct(DECEMBER) == 100
    assert played.dump.quality_pct(OCTOBER) < 97


def _in(key: tuple[str, datetime], month: str) -> bool:
    return f"{key[1]:%Y-%m}" == month[:7]


def test_the_run_warns_of_the_bad_month_and_shows_the_evidence(played: Played) -> None:
    found = check_results(played.results["minutes"], "validated_bars")
    few = found["few_bars_are_quarantined"]
    assert not few.passed
    assert few.severity is dg.AssetCheckSeverity.WARN
    assert "high_is_not_below_open_and_close" in few.metadata["evidence"].value
    failed = {name for name, result in found.items() if not result.passed}
    assert failed == {
        "few_bars_are_quarantined",
        "every_expected_bar_passed",
        "no_bar_is_quarantined",
        "bars_are_on_the_calendar",
    }


def test_the_quarantine_has_each_bad_bar_with_rule_value_and_reason(played: Played) -> None:
    lines = pl.concat(
        [played.folder.table("minutes/validated_bars", month, "quarantine") for month in MONTHS]
    )
    assert all(row["value"] and row["reason"] for row in lines.iter_rows(named=True))
    # A bar whose price is none breaks the rules about that price's neighbours, too.
    rules: dict[tuple[str, datetime], set[str]] = {}
    for row in lines.iter_rows(named=True):
        rules.setdefault((row["symbol"], row["event_time"]), set()).add(row["rule"])
    assert set(rules) == set(played.dump.broken)
    assert all(rule in rules[key] for key, rule in played.dump.broken.items())
    found = {
        (row["symbol"], row["event_time"]): row
        for row in lines.iter_rows(named=True)
        if row["rule"] == played.dump.broken[row["symbol"], row["event_time"]]
    }
    saturday = found["BBB", at(date(2024, 9, 14), 12, 1).astimezone(UTC)]
    assert saturday["value"] == "session 2024-09-14"
    assert saturday["reason"] == "XNYS has no session on that day"
    assert found["AAA", at(date(2024, 9, 5), 9, 31).astimezone(UTC)]["value"].startswith(
        "open null, high "
    )


def test_clean_rows_pass_unchanged(played: Played) -> None:
    for month in MONTHS:
        rows = played.folder.table("minutes/validated_bars", month)
        found = {(row[0], row[1]): row[2:] for row in rows.select(
            "symbol", "event_time", *PRICES
        ).iter_rows()}  # fmt: skip
        assert found == {key: bar.prices for key, bar in played.dump.clean(month).items()}
        assert len(rows) == len(found)


def test_what_is_stamped_after_the_fetch_is_not_there_yet(played: Played) -> None:
    later = [bar for bar in played.dump.lines if bar.end > NOW]
    assert {bar.start.date() for bar in later} == {date(2024, 12, 19), date(2024, 12, 20)}
    raw = played.folder.table("minutes/raw_bars", DECEMBER)
    assert raw["event_time"].max() == at(date(2024, 12, 18), 16, 0)
    assert (raw["knowledge_time"] <= NOW).all()


@pytest.mark.parametrize("name", ["hourly", "daily"])
def test_longer_bars_are_made_of_the_clean_minutes(played: Played, name: str) -> None:
    for month in MONTHS:
        rows = played.folder.table(f"{name}/validated_bars", month)
        groups: dict[tuple[str, datetime], list[Minute]] = {}
        for bar in sorted(played.dump.clean(month).values(), key=lambda bar: bar.start):
            groups.setdefault((bar.symbol, _end(bar, name)), []).append(bar)
        found = {(row["symbol"], row["event_time"]): row for row in rows.iter_rows(named=True)}
        assert set(found) == set(groups)
        for key, bars in groups.items():
            row = found[key]
            assert (row["open"], row["close"]) == (bars[0].open, bars[-1].close)
            assert row["high"] == max(bar.high for bar in bars)
            assert row["low"] == min(bar.low for bar in bars)
            assert row["volume"] == sum(bar.volume for bar in bars)
            # Known when the last of its minutes is, a quarter of an hour after it ended.
            assert row["knowledge_time"] >= key[1]


def _end(bar: Minute, name: str) -> datetime:
    day = bar.start.date()
    close = at(day, 13 if day == date(2024, 11, 29) else 16, 0)
    if name == "daily":
        return close.astimezone(UTC)
    hours = (bar.start - at(day, 9, 30)) // timedelta(hours=1) + 1
    return min(at(day, 9, 30) + timedelta(hours=hours), close).astimezone(UTC)


def test_a_day_has_as_many_bars_as_its_session_is_long(played: Played) -> None:
    rows = played.folder.table("hourly/validated_bars", NOVEMBER)
    counts = Counter(rows.filter(symbol="BBB")["session"])
    assert set(counts) == set(sessions(NOVEMBER))
    assert {day: n for day, n in counts.items() if n != 7} == {date(2024, 11, 29): 4}
    opens = rows.group_by("session").agg(pl.col("event_time").min().dt.hour())
    hours = dict(opens.iter_rows())
    # Clocks changed on the Sunday between.
    assert (hours[date(2024, 11, 1)], hours[date(2024, 11, 4)]) == (14, 15)


def test_a_reader_refuses_the_bad_month_by_name_and_reads_the_others(played: Played) -> None:
    asset = "daily/validated_bars"
    good = played.folder.lake.read(asset, [SEPTEMBER, NOVEMBER, DECEMBER])
    assert good["session"].n_unique() == len(sessions()) - len(sessions(OCTOBER))
    with pytest.raises(DataError, match=f"{asset} failed its validation in partition {OCTOBER}"):
        played.folder.lake.read(asset, MONTHS)


def test_features_are_made_up_to_the_bad_month_and_refused_after_it(played: Played) -> None:
    folder = played.folder
    made = folder.materialize(["trend/features"], [SEPTEMBER], NOW)
    assert made.success, failures(made)
    refused = folder.materialize(["trend/features"], [NOVEMBER, DECEMBER], NOW)
    assert not refused.success
    assert f"daily/validated_bars failed its validation in partition {OCTOBER}" in failures(refused)
    assert list(folder.records("trend/features")) == [SEPTEMBER]


@pytest.fixture
def again(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DataFolder, Dump]]:
    """A folder of its own, with daily bars from minutes and a strategy, materialized once."""
    with open_folder(tmp_path_factory.mktemp("again")) as folder:
        dump = dirty_dump()
        write_months(folder.root / "dump", dump.lines)
        folder.declare("daily", "MarketData", {**BARS, **LENGTHS["daily"]})
        folder.declare("trend", "TradingPipeline", STRATEGY)
        folder.materialize_bars("daily", MONTHS, NOW)
        yield folder, dump


def test_a_month_materialized_again_writes_one_file_a_changed_table_and_revisions(
    again: tuple[DataFolder, Dump],
) -> None:
    folder, dump = again
    before, records = folder.files(), _all_records(folder)

    # The same file again: nothing is written, nothing is committed.
    folder.materialize_bars("daily", [NOVEMBER], NOW + timedelta(hours=5))
    assert folder.files() == before
    assert _all_records(folder) == records

    # The vendor revises one minute of one month, the last of a session.
    day = date(2024, 11, 12)
    start = at(day, 15, 59)
    old = next(bar for bar in dump.lines if (bar.symbol, bar.start) == ("AAA", start))
    new = replace(old, close=old.high, volume=old.volume + 11)
    revised = [new if bar is old else bar for bar in dump.lines if month_of(bar) == NOVEMBER]
    write_months(folder.root / "dump", revised)
    folder.materialize_bars("daily", [NOVEMBER], LATER)
    added = folder.files() - before
    assert sorted(name.rsplit("/", 1)[0] for name in added) == [
        f"daily/bars/raw_bars/{NOVEMBER}",
        f"daily/bars/validated_bars/{NOVEMBER}",
    ]
    changed = {key for key, record in _all_records(folder).items() if records[key] != record}
    assert changed == {("daily/raw_bars", NOVEMBER), ("daily/validated_bars", NOVEMBER)}

    raw = folder.table("daily/raw_bars", NOVEMBER)
    versions = raw.filter(symbol="AAA", event_time=new.end).sort("revision")
    assert versions["revision"].to_list() == [0, 1]
    assert versions["close"].to_list() == [old.close, new.close]
    assert versions["knowledge_time"].to_list() == [old.end + timedelta(minutes=15), LATER]
    assert raw.filter(pl.col("revision") > 0).height == 1
    for moment, bar in ((NOW, old), (LATER - timedelta(microseconds=1), old), (LATER, new)):
        known = as_known_at(raw, moment).filter(symbol="AAA", event_time=new.end)
        assert known["close"].item() == bar.close

    daily = folder.table("daily/validated_bars", NOVEMBER).filter(symbol="AAA", session=day)
    assert (daily["close"].item(), daily["knowledge_time"].item()) == (new.close, LATER)


def _all_records(folder: DataFolder) -> dict[tuple[str, str], str]:
    return {
        (asset, key): record.content_digest
        for asset in ("daily/raw_bars", "daily/corporate_actions", "daily/validated_bars")
        for key, record in folder.records(asset).items()
    }


def test_a_bad_month_that_the_vendor_mends_is_used_again(again: tuple[DataFolder, Dump]) -> None:
    folder, _ = again
    write_months(
        folder.root / "dump", [bar for bar in clean_minutes().values() if month_of(bar) == OCTOBER]
    )
    folder.materialize_bars("daily", [OCTOBER], LATER)
    record = folder.records("daily/validated_bars")[OCTOBER]
    assert (record.verdict, record.reasons) == ("passed", ())
    shown = folder.metadata("daily/validated_bars", OCTOBER)
    assert (shown["data_quality_pct"], shown["quarantined_rows"]) == (100, 0)
    result = folder.materialize(["trend/features"], MONTHS, LATER)
    assert result.success, failures(result)
    rows = folder.lake.read("trend/features", MONTHS)
    assert rows["session"].n_unique() == len(sessions())
    assert folder.metadata("trend/features", SEPTEMBER)["manifest_verdict"] == "passed"
