"""Hourly bars of crypto and forex through Dagster: days are UTC, and no partition is early."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from trading_assets.bars.ingest import as_known_at
from trading_assets.errors import DataError
from trading_assets.lake.store import PartitionWrite, Provenance
from trading_assets.schema import TABLES
from trading_assets_tests.end_to_end.materialized import DataFolder, failures, open_folder

# Half past midnight in UTC on 1 April: in New York it is still March.
NOW = datetime(2024, 4, 1, 0, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=3)
FEBRUARY, MARCH, APRIL = MONTHS = ("2024-02-01", "2024-03-01", "2024-04-01")
FIRST = date(2024, 2, 1)


@dataclass(frozen=True)
class Market:
    """A symbol with its calendar, and what is wrong in its file."""

    name: str
    symbol: str
    file_name: str
    calendar: str
    hours: dict[str, int]
    """Bars that a plain count promises by month, up to `NOW`."""
    broken: dict[datetime, str]
    missing: tuple[datetime, ...]

    def is_open(self, end: datetime) -> bool:
        # Forex vendors begin the week late on Sunday in UTC, which is no session of 24/5.
        start = end - timedelta(hours=1)
        is_sunday_evening = start.weekday() == 6 and start.hour >= 22
        return self.calendar == "24/7" or start.weekday() < 5 or is_sunday_evening


def hour(month: int, day: int, end: int) -> datetime:
    return datetime(2024, month, day, end, tzinfo=UTC)


SUNDAY_EVENINGS = {
    hour(*place): "session_is_on_the_calendar"
    for place in [
        *((2, day, 23) for day in (4, 11, 18, 25)),
        *((2, day, 0) for day in (5, 12, 19, 26)),
        *((3, day, 23) for day in (3, 10, 17, 24, 31)),
        *((3, day, 0) for day in (4, 11, 18, 25)),
        (4, 1, 0),
    ]
}
CRYPTO = Market(
    "crypto",
    "BTC/USD",
    "BTC%2FUSD.csv",
    "24/7",
    {FEBRUARY: 29 * 24, MARCH: 31 * 24, APRIL: 0},
    {
        hour(2, 29, 12): "low_is_not_above_open_and_close",
        hour(3, 10, 7): "bar_was_traded",  # as clocks change in New York
    },
    (hour(3, 31, 1), hour(3, 31, 2)),  # as clocks change in Europe
)
FOREX = Market(
    "forex",
    "EUR/USD",
    "EUR%2FUSD.csv",
    "24/5",
    {FEBRUARY: 21 * 24, MARCH: 21 * 24, APRIL: 0},
    {**SUNDAY_EVENINGS, hour(3, 8, 21): "low_is_not_above_open_and_close"},
    (hour(3, 29, 1),),
)
MARKETS = (CRYPTO, FOREX)


def write_file(market: Market, folder: Path, **revised: float) -> pl.DataFrame:
    """Write the vendor's file, up to three hours after `NOW`, and return its rows."""
    rng = np.random.default_rng(11)
    opens_at = datetime.combine(FIRST, datetime.min.time(), UTC)
    n_hours = int((NOW - opens_at) / timedelta(hours=1)) + 4
    ends = [opens_at + timedelta(hours=n + 1) for n in range(n_hours)]
    kept = [end for end in ends if market.is_open(end) and end not in market.missing]
    closes = np.round(1000 * np.exp(np.cumsum(rng.normal(0, 0.002, len(kept)))), 4)
    opens = np.concatenate(([1000.0], closes[:-1]))
    rows = pl.DataFrame(
        {
            "until": kept,
            "open": opens,
            "high": np.maximum(opens, closes) + 0.5,
            "low": np.minimum(opens, closes) - 0.5,
            "close": closes,
            "volume": rng.uniform(0.1, 9, len(kept)),
        }
    )
    is_at = {rule: pl.col("until").is_in([t for t, r in market.broken.items() if r == rule])
             for rule in set(market.broken.values())}  # fmt: skip
    never = pl.lit(value=False)
    rows = rows.with_columns(
        pl.when(is_at.get("low_is_not_above_open_and_close", never))
        .then(1e6)
        .otherwise("low")
        .alias("low"),
        pl.when(is_at.get("bar_was_traded", never)).then(0.0).otherwise("volume").alias("volume"),
        pl.when(pl.col("until") == hour(3, 15, 15))
        .then(pl.col("high") + revised.get("high", 0))
        .otherwise("high")
        .alias("high"),
    )
    folder.mkdir(parents=True, exist_ok=True)
    rows.with_columns(pl.col("until").dt.to_string("%Y-%m-%dT%H:%M:%SZ")).write_csv(
        folder / market.file_name
    )
    return rows


def declare(folder: DataFolder, market: Market) -> None:
    source = {
        "kind": "files",
        "folder": f"../../dump/{market.name}",
        "feed": "exchange",
        "columns": {"time": "until"},
        "symbol_from": "file_name",
        "time_is": "bar_close",
    }
    attributes = {
        "source": source,
        "universe": [market.symbol],
        "bar_length": "1h",
        "calendar": market.calendar,
        "start": FIRST.isoformat(),
        # Sunday evenings are 2 of 122 hours a week.
        "validation": {"max_quarantine_share": 0.03 if market is FOREX else 0.02},
    }
    folder.declare(market.name, "MarketData", attributes)


@dataclass
class Played:
    """Both data sets after one run over all months."""

    folder: DataFolder
    written: dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with open_folder(tmp_path_factory.mktemp("clock")) as folder:
        written: dict[str, pl.DataFrame] = {}
        for market in MARKETS:
            written[market.name] = write_file(market, folder.root / "dump" / market.name)
            declare(folder, market)
            folder.materialize_bars(market.name, MONTHS, NOW)
        yield Played(folder, written)


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.name)
def test_a_month_exists_from_its_first_moment_in_utc_and_not_before(
    played: Played, market: Market
) -> None:
    asset, midnight = f"{market.name}/raw_bars", hour(4, 1, 0)
    before = midnight - timedelta(seconds=1)
    assert played.folder.existing_keys(asset, midnight) == list(MONTHS)
    assert played.folder.existing_keys(asset, before) == [FEBRUARY, MARCH]


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.name)
def test_verdict_and_quality_are_what_a_plain_count_gives(played: Played, market: Market) -> None:
    for month in (FEBRUARY, MARCH):
        shown = played.folder.metadata(f"{market.name}/validated_bars", month)
        number = int(month[5:7])
        spoiled = [
            end
            for end, rule in market.broken.items()
            if rule != "session_is_on_the_calendar" and end.month == number
        ]
        lacking = [end for end in market.missing if end.month == number]
        n_good = market.hours[month] - len(spoiled) - len(lacking)
        assert shown["expected"] == market.hours[month]
        assert shown["missing"] == len(lacking)
        assert shown["data_quality_pct"] == pytest.approx(100 * n_good / market.hours[month])
        assert shown["manifest_verdict"] == "passed"


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.name)
def test_a_month_that_has_just_begun_is_empty_and_passes(played: Played, market: Market) -> None:
    shown = played.folder.metadata(f"{market.name}/validated_bars", APRIL)
    assert (shown["expected"], shown["data_quality_pct"]) == (0, None)
    assert shown["manifest_verdict"] == "passed"
    assert played.folder.table(f"{market.name}/validated_bars", APRIL).is_empty()


@pytest.mark.parametrize("market", MARKETS, ids=lambda market: market.name)
def test_each_row_is_clean_or_in_quarantine_with_its_reason(played: Played, market: Market) -> None:
    asset, written = f"{market.name}/validated_bars", played.written[market.name]
    lines = pl.concat([played.folder.table(asset, month, "quarantine") for month in MONTHS])
    known = written.filter(pl.col("until") + timedelta(minutes=15) <= NOW)
    found = dict(lines.select("event_time", "rule").iter_rows())
    assert found == {end: rule for end, rule in market.broken.items() if end <= NOW}
    assert set(lines["symbol"]) == {market.symbol}
    rows = pl.concat([played.folder.table(asset, month) for month in MONTHS])
    values = ["open", "high", "low", "close", "volume"]
    expected = known.filter(~pl.col("until").is_in(list(market.broken)))
    assert rows.select("event_time", *values).rows() == expected.select("until", *values).rows()


def test_crypto_trades_on_every_day_and_the_last_hour_belongs_to_the_day_it_ends(
    played: Played,
) -> None:
    rows = played.folder.table("crypto/validated_bars", FEBRUARY)
    assert rows["session"].n_unique() == 29
    last = rows.filter(event_time=hour(3, 1, 0))
    assert last["session"].item() == date(2024, 2, 29)


def test_a_revised_file_changes_no_past_answer(tmp_path: Path) -> None:
    with open_folder(tmp_path / "revised") as folder:
        dump = folder.root / "dump" / "crypto"
        rows = write_file(CRYPTO, dump)
        declare(folder, CRYPTO)
        folder.materialize_bars("crypto", MONTHS, NOW)
        before = folder.files()
        write_file(CRYPTO, dump, high=7.5)
        folder.materialize_bars("crypto", [MARCH], LATER)
        written = sorted(name.rsplit("/", 1)[0] for name in folder.files() - before)
        assert written == [f"crypto/bars/{name}/{MARCH}" for name in ("raw_bars", "validated_bars")]
        raw = folder.table("crypto/raw_bars", MARCH)
        bar = hour(3, 15, 15)
        old = rows.filter(until=bar)["high"].item()
        for moment, high in ((NOW, old), (LATER, old + 7.5)):
            assert as_known_at(raw, moment).filter(event_time=bar)["high"].item() == high


def test_a_month_that_was_stored_before_renames_were_known_is_carried_on(tmp_path: Path) -> None:
    with open_folder(tmp_path / "older") as folder:
        write_file(CRYPTO, folder.root / "dump" / "crypto")
        declare(folder, CRYPTO)
        folder.materialize_bars("crypto", [FEBRUARY], NOW)
        asset, lake = "crypto/raw_bars", folder.lake
        rows, series = (lake.read(asset, [FEBRUARY], name) for name in ("rows", "series"))
        split = {
            "symbol": ["BTC/USD"],
            "ex_date": [date(2024, 2, 12)],
            "kind": ["split"],
            "split_ratio": [2.0],
            "cash_usd": [None],
            "knowledge_time": [NOW],
            "origin": ["vendor"],
        }
        actions = pl.DataFrame(split, schema_overrides=TABLES["corporate_actions"].empty().schema)
        older = {"rows": rows, "series": series, "actions": actions}
        made_by = Provenance("an older version", "code", "declaration", {}, {})
        lake.commit([PartitionWrite(asset, "bars", FEBRUARY, tables=older)], made_by)
        result = folder.materialize([asset], [FEBRUARY], LATER)
        assert result.success, failures(result)
        assert folder.table(asset, FEBRUARY).equals(rows)
        kept = folder.table(asset, FEBRUARY, "actions")
        assert kept.filter(kind="split")["new_symbol"].to_list()[:1] == [None]


def test_a_month_with_too_many_bad_hours_is_refused_by_name(tmp_path: Path) -> None:
    bad = {hour(2, day, 12): "low_is_not_above_open_and_close" for day in range(1, 29)}
    market = replace(CRYPTO, broken=bad)
    with open_folder(tmp_path / "bad") as folder:
        write_file(market, folder.root / "dump" / "crypto")
        declare(folder, CRYPTO)
        folder.materialize_bars("crypto", MONTHS, NOW)
        verdicts = {key: r.verdict for key, r in folder.records("crypto/validated_bars").items()}
        assert verdicts == {FEBRUARY: "failed", MARCH: "passed", APRIL: "passed"}
        with pytest.raises(DataError, match=f"failed its validation in partition {FEBRUARY}"):
            folder.lake.read("crypto/validated_bars", MONTHS)
