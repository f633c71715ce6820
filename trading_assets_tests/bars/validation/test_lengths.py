"""Validation at every bar length and on every calendar."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trading_assets.bars.validation.bars import ValidatedMonths, validate_bars
from trading_assets.bars.validation.judged_rows import slices_by_symbol
from trading_assets.bars.validation.plausibility import OUTLIER, SPLIT_LIKE, STALE, STALE_BARS
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import TABLES
from trading_assets_tests.bars.validation.example_clean_bars import (
    NO_ACTIONS,
    NOW,
    clean_bars,
    clean_spec,
    months_of,
)

SHORT: dict[str, dict[str, Any]] = {
    "1d": {"start": date(2019, 1, 2), "end": date(2019, 12, 31)},
    "1h": {"start": date(2019, 3, 1), "end": date(2019, 4, 30)},
    "5m": {"start": date(2019, 11, 20), "end": date(2019, 12, 10)},
    "1m": {"start": date(2019, 3, 5), "end": date(2019, 3, 15)},
}
CALENDARS = ("XNYS", "24/7", "24/5")
NAMES = TABLES["validated_bars"].names


def validate(
    rows: pl.DataFrame,
    spec: MarketDataSpec,
    as_of: datetime = NOW,
    actions: pl.DataFrame = NO_ACTIONS,
) -> ValidatedMonths:
    listed = dict.fromkeys(spec.universe, spec.start)
    return validate_bars(rows, actions, spec, months_of(spec), listed, as_of)


@pytest.mark.parametrize("length", SHORT)
@pytest.mark.parametrize("calendar", CALENDARS)
def test_clean_bars_pass_without_a_single_remark(length: str, calendar: str) -> None:
    spec = clean_spec(bar_length=length, calendar=calendar, **SHORT[length])
    for seed in range(20 if calendar == "XNYS" else 4):
        rows = clean_bars(spec, seed)
        found = validate(rows, spec)
        assert found.quarantine.is_empty()
        assert found.missing.is_empty()
        assert found.warnings.is_empty()
        assert found.failed_months == []
        assert found.data_quality_pct == 100.0
        assert found.rows.equals(rows.select(NAMES))


@pytest.mark.parametrize("length", SHORT)
def test_each_length_expects_its_own_grid(length: str) -> None:
    spec = clean_spec(bar_length=length, **SHORT[length])
    off = pl.col("event_time") - timedelta(seconds=1)
    rows = clean_bars(spec)
    first = rows["event_time"].min()
    moved = rows.with_columns(
        pl.when(pl.col("event_time") == first).then(off).otherwise("event_time").alias("event_time")
    )
    found = validate(moved, spec)
    assert found.quarantine["rule"].to_list() == ["bar_ends_on_the_grid"] * 2
    # A daily bar counts as received by its session, a shorter one by its time.
    assert len(found.missing) == (0 if length == "1d" else 2)
    assert found.data_quality_pct == pytest.approx(100 * (1 - 2 / len(rows)))


def test_bars_are_judged_at_the_length_that_was_fetched() -> None:
    spec = clean_spec(bar_length="1h", fetched_bar_length="5m")
    assert spec.raw_bar_length == "5m"
    found = validate(clean_bars(spec), spec)
    assert found.quarantine.is_empty()
    assert found.data_quality_pct == 100.0


@pytest.mark.parametrize("length", SHORT)
def test_as_many_equal_closes_as_are_declared_are_reported(length: str) -> None:
    spec = clean_spec(bar_length=length, **SHORT[length])
    rows = clean_bars(spec)
    n_bars = STALE_BARS[spec.raw_bar_length]
    times = rows.filter(symbol="B")["event_time"]
    for n_equal, n_warnings in ((n_bars - 1, 0), (n_bars, 1)):
        is_stuck = (pl.col("symbol") == "B") & pl.col("event_time").is_between(
            times[20], times[19 + n_equal]
        )
        price = rows.filter(is_stuck)["close"][0]
        stuck = rows.with_columns(
            pl.when(is_stuck).then(price).otherwise(name).alias(name)
            for name in ("open", "high", "low", "close")
        )
        stale = validate(stuck, spec).warnings.filter(rule=STALE)
        assert len(stale) == n_warnings
    assert stale["event_time"].to_list() == [times[19 + n_bars]]


def test_the_number_of_equal_closes_can_be_declared() -> None:
    spec = clean_spec(validation={"stale_bars": 2})
    rows = clean_bars(spec).with_columns(close=pl.col("open"))
    assert validate(rows, spec).warnings.filter(rule=STALE).is_empty()
    again = pl.col("close").shift(1).over("symbol").fill_null(pl.col("close"))
    is_second = pl.col("event_time") == rows["event_time"][40]
    twice = rows.with_columns(
        pl.when(is_second).then(again).otherwise("close").alias("close"),
        pl.when(is_second).then(1e9).otherwise("high").alias("high"),
        pl.when(is_second).then(1e-9).otherwise("low").alias("low"),
    )
    assert len(validate(twice, spec).warnings.filter(rule=STALE)) == 2


def test_a_split_of_minute_bars_is_explained_by_its_action_in_the_first_bar() -> None:
    spec = clean_spec(bar_length="1m", **SHORT["1m"])
    ex_date = date(2019, 3, 12)
    rows = clean_bars(spec).with_columns(
        pl.when(pl.col("session") >= ex_date).then(pl.col(name) / 3).otherwise(name).alias(name)
        for name in ("open", "high", "low", "close")
    )
    split = pl.DataFrame(
        {
            "symbol": ["A"],
            "ex_date": ex_date,
            "kind": "split",
            "split_ratio": 3.0,
            "cash_usd": 0.0,
            "new_symbol": None,
            "knowledge_time": datetime(2019, 3, 12, 13, tzinfo=UTC),
            "origin": "test",
        },
        schema=NO_ACTIONS.schema,
    )
    found = validate(rows, spec, actions=split).warnings
    assert found.select("symbol", "session", "rule").rows() == [
        ("B", ex_date, SPLIT_LIKE),
        ("B", ex_date, OUTLIER),
    ]
    assert "ratio 0.33" in found["value"][0]


def test_sigma_within_sessions_is_known_before_the_session() -> None:
    spec = clean_spec(bar_length="1m", **SHORT["1m"])
    rows = clean_bars(spec)
    last = date(2019, 3, 14)
    # The whole last session moves twentyfold: its own moves must not excuse it.
    wild = pl.when(pl.col("session") == last).then(
        (pl.col("close") / pl.col("close").first().over("symbol", "session")).pow(19)
    )
    moved = rows.with_columns(
        pl.col(name) * wild.otherwise(1.0) for name in ("open", "high", "low", "close")
    ).with_columns(
        low=pl.min_horizontal("open", "low", "close"),
        high=pl.max_horizontal("open", "high", "close"),
    )
    found = validate(moved, spec)
    assert len(found.warnings.filter(rule=OUTLIER, session=last)) > 300


def test_bars_of_a_session_that_still_runs_are_expected_up_to_the_lag() -> None:
    spec = clean_spec(bar_length="1m", start=date(2019, 3, 5), end=None)
    rows = clean_bars(clean_spec(bar_length="1m", **SHORT["1m"]))
    as_of = datetime(2019, 3, 12, 15, 45, tzinfo=UTC)
    known = rows.filter(pl.col("knowledge_time") <= as_of)
    listed = dict.fromkeys(spec.universe, spec.start)
    found = validate_bars(known, NO_ACTIONS, spec, ["2019-03-01"], listed, as_of)
    # Five sessions, and two hours from the open at 13:30 UTC to a quarter of an hour ago.
    assert found.summary["expected"].to_list() == [2 * (5 * 390 + 120)]
    assert found.data_quality_pct == 100.0
    gap = pl.col("event_time") == datetime(2019, 3, 12, 14, 0, tzinfo=UTC)
    found = validate_bars(known.filter(~gap), NO_ACTIONS, spec, ["2019-03-01"], listed, as_of)
    assert found.missing["symbol"].to_list() == ["A", "B"]
    # A bar that is not due yet does not make up for one that is missing.
    early = rows.filter(event_time=as_of).with_columns(knowledge_time=pl.col("event_time"))
    known = pl.concat([known.filter(~gap), early])
    found = validate_bars(known, NO_ACTIONS, spec, ["2019-03-01"], listed, as_of)
    assert found.missing["symbol"].to_list() == ["A", "B"]


def test_a_refused_month_of_minute_bars_names_times() -> None:
    spec = clean_spec(bar_length="1m", **SHORT["1m"], validation={"max_missing_share": 0.0})
    rows = clean_bars(spec)
    gap = pl.col("event_time") == rows["event_time"][5]
    found = validate(rows.filter(~gap), spec)
    assert found.months["2019-03-01"].reasons == [
        "2019-03 lacks 2 of 7020 expected bars (0.0%, expected at most 0.0%):"
        " A 2019-03-05 14:36 UTC, B 2019-03-05 14:36 UTC"
    ]


def test_months_without_rows_and_without_expectations_pass_through() -> None:
    spec = clean_spec()
    found = validate_bars(clean_bars(spec).clear(), NO_ACTIONS, spec, months_of(spec), {}, NOW)
    assert found.data_quality_pct is None
    assert found.summary["received"].to_list() == [0, 0]
    assert found.rows.is_empty()


def test_rows_are_cut_between_symbols_only() -> None:
    rows = clean_bars(clean_spec(bar_length="1d", universe=["A", "B", "C", "D"]))
    n_bars = len(rows) // 4
    for least, lengths in ((1, [1, 1, 1, 1]), (n_bars + 1, [2, 2]), (10**9, [4])):
        parts = slices_by_symbol(rows, least)
        assert [len(part) for part in parts] == [n_bars * length for length in lengths]
        assert pl.concat(parts).equals(rows)
    assert slices_by_symbol(rows.clear()) == []
