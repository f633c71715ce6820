from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.resampling import resample_bars
from trading_assets.errors import DataError, UserError
from trading_assets.schema import column_problems
from trading_assets.source_specs import BarLength
from trading_assets_tests.bars.example_minutes import LAG, NOW, minutes, with_history

XNYS = get_calendar("XNYS")


def test_hours_are_labelled_by_their_close_and_the_last_one_is_shorter() -> None:
    rows = resample_bars(minutes(XNYS, date(2012, 11, 23), date(2012, 11, 23)), XNYS, "1h")
    hours = rows["event_time"].dt.convert_time_zone("America/New_York").dt.to_string("%H:%M")
    assert hours.to_list() == ["10:30", "11:30", "12:30", "13:00"]
    assert rows["bar_length"].unique().to_list() == ["1h"]
    assert rows["knowledge_time"].to_list() == [end + LAG for end in rows["event_time"]]
    assert column_problems("raw_bars", rows) == []


def test_a_day_of_minutes_is_stamped_like_a_daily_bar() -> None:
    parts = minutes(XNYS, date(2012, 11, 23), date(2012, 11, 26))
    days = resample_bars(parts, XNYS, "1d")
    stamps = ["session", "event_time", "knowledge_time", "bar_length", "revision"]
    daily = minutes(XNYS, date(2012, 11, 23), date(2012, 11, 26), "1d")
    assert days.select(stamps).equals(daily.select(stamps))


MORNING = minutes(XNYS, date(2012, 11, 21), date(2012, 11, 21)).head(10)
FIRST_END = datetime(2012, 11, 21, 14, 35, tzinfo=UTC)


def fives(rows: pl.DataFrame, **options: Any) -> pl.DataFrame:
    return resample_bars(rows, XNYS, "5m", **options)


def test_a_bar_whose_period_is_not_over_is_not_given() -> None:
    known = FIRST_END + LAG
    for at, bars in ((known, 1), (known - timedelta(microseconds=1), 0)):
        cut = MORNING.filter(pl.col("knowledge_time") <= at)
        assert len(fives(cut, as_of=at)) == bars


def test_a_bar_without_its_last_minute_is_known_no_sooner_than_a_whole_one() -> None:
    gap = MORNING.filter(pl.col("event_time") != FIRST_END)
    assert fives(gap)["knowledge_time"].equals(fives(MORNING)["knowledge_time"])
    assert fives(gap)["close"][0] == MORNING["close"][3]
    cut = gap.filter(pl.col("event_time") < FIRST_END)
    assert fives(cut, as_of=FIRST_END + LAG - timedelta(seconds=1)).is_empty()


def corrected(position: int, **values: Any) -> pl.DataFrame:
    """Return the morning with a correction of one minute, known two hours later."""
    correction = MORNING.slice(position, 1).with_columns(
        pl.lit(1, dtype=pl.Int32).alias("revision"),
        pl.col("knowledge_time").dt.offset_by("2h"),
        *(pl.lit(value).alias(name) for name, value in values.items()),
    )
    return pl.concat([MORNING, correction])


def test_a_corrected_part_gives_a_new_revision_known_with_it() -> None:
    rows = fives(corrected(2, high=200.0, volume=1.0))
    assert rows["revision"].to_list() == [0, 1, 0]
    before, after = rows.row(0, named=True), rows.row(1, named=True)
    assert before["high"] == MORNING["high"][:5].max()
    assert after["high"] == 200.0
    assert after["volume"] == before["volume"] - MORNING["volume"][2] + 1
    assert after["knowledge_time"] == MORNING["knowledge_time"][2] + timedelta(hours=2)


def test_a_correction_known_before_the_bar_ends_is_part_of_its_first_version() -> None:
    early = corrected(0, high=200.0).with_columns(
        pl.when(pl.col("revision") == 1)
        .then(pl.col("event_time") + LAG + timedelta(minutes=1))
        .otherwise("knowledge_time")
        .alias("knowledge_time")
    )
    rows = fives(early)
    assert rows["revision"].to_list() == [0, 0]
    assert rows["high"][0] == 200.0
    assert rows["volume"][0] == MORNING["volume"][:5].sum()


def test_a_part_that_comes_late_gives_a_new_revision() -> None:
    is_late = pl.col("event_time") == FIRST_END
    late = pl.col("knowledge_time") + timedelta(hours=3)
    rows = fives(MORNING.with_columns(pl.when(is_late).then(late).otherwise("knowledge_time")))
    assert rows["revision"].to_list() == [0, 1, 0]
    assert rows["close"].to_list()[:2] == [MORNING["close"][3], MORNING["close"][4]]


def test_the_ingest_time_is_the_newest_of_the_parts() -> None:
    newer = NOW + timedelta(days=1)
    rows = fives(
        corrected(2, ingest_time=newer).cast({"ingest_time": MORNING.schema["ingest_time"]})
    )
    assert rows["ingest_time"].to_list() == [NOW, newer, NOW]


def test_an_adjusted_close_comes_from_the_last_part_only() -> None:
    is_last = pl.col("event_time") == FIRST_END
    absent = pl.when(~is_last).then("vendor_adjusted_close").alias("vendor_adjusted_close")
    adjusted = fives(MORNING.with_columns(absent))["vendor_adjusted_close"]
    assert adjusted.to_list() == [None, MORNING["vendor_adjusted_close"][9]]


@pytest.mark.parametrize("value", [None, float("nan")])
@pytest.mark.parametrize("column", ["high", "low", "volume"])
def test_a_part_without_a_number_is_not_passed_over(column: str, value: float | None) -> None:
    odd = pl.col("event_time") == MORNING["event_time"][2]
    holed = pl.when(odd).then(pl.lit(value, dtype=pl.Float64)).otherwise(column).alias(column)
    rows = fives(MORNING.with_columns(holed))
    assert rows[column].is_nan().to_list() == [True, False]


def test_feeds_and_symbols_are_never_mixed() -> None:
    others = [
        MORNING.with_columns(pl.lit("sip").alias("feed"), pl.col("high") * 2),
        MORNING.with_columns(pl.lit("B").alias("symbol"), pl.col("high") * 3),
    ]
    rows = fives(pl.concat([*others, MORNING]))
    own = rows.filter((pl.col("symbol") == "A") & (pl.col("feed") == "sample"))
    assert own.equals(fives(MORNING))
    assert len(rows) == 6


def test_parts_off_the_grid_make_no_bar() -> None:
    shifts = ["30s", "-6h", "10h", "1d"]
    off = [
        MORNING.with_columns(
            pl.col("event_time", "knowledge_time").dt.offset_by(shift), pl.col("high") * 2
        )
        for shift in shifts
    ]
    assert fives(pl.concat([MORNING, *off])).equals(fives(MORNING))
    assert fives(off[0]).is_empty()


def test_a_part_that_claims_another_session_makes_no_bar() -> None:
    is_last = pl.col("event_time") == MORNING["event_time"][9]
    moved = pl.when(is_last).then(date(2012, 11, 20)).otherwise("session").alias("session")
    assert fives(MORNING.with_columns(moved))["close"].to_list() == [
        MORNING["close"][4],
        MORNING["close"][8],
    ]


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows = with_history(minutes(XNYS, date(2012, 11, 23), date(2012, 11, 26)))
    shuffled = rows.sample(fraction=1, shuffle=True, seed=9)
    assert resample_bars(shuffled, XNYS, "1h").equals(resample_bars(rows, XNYS, "1h"))


def test_no_rows_make_no_bars() -> None:
    assert column_problems("raw_bars", fives(MORNING.clear())) == []
    assert fives(MORNING.clear()).is_empty()


def test_one_revision_that_occurs_twice_is_refused() -> None:
    with pytest.raises(DataError, match="hold A of 2012-11-21 14:31 UTC, revision 0, more than"):
        fives(pl.concat([MORNING, MORNING.head(1)]))


@pytest.mark.parametrize("length", ["1m", "5m"])
def test_a_length_that_is_not_coarser_is_refused(length: BarLength) -> None:
    with pytest.raises(UserError, match="expected a length above that of the rows, 5m"):
        resample_bars(fives(MORNING), XNYS, length)


def test_rows_of_two_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="rows hold bars of 1m and 5m"):
        resample_bars(pl.concat([MORNING, fives(MORNING)]), XNYS, "1h")


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(UserError, match="without a time zone"):
        fives(MORNING, as_of=datetime(2012, 11, 21))  # noqa: DTZ001 # what is tested


WEEK = {
    name: minutes(get_calendar(name), date(2012, 11, 21), date(2012, 11, 23))
    for name in ("XNYS", "24/7", "24/5")
}


@given(
    name=st.sampled_from(sorted(WEEK)),
    length=st.sampled_from(["5m", "1h", "1d"]),
    kept=st.floats(0.001, 1),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_share_is_lost_or_counted_twice(
    name: str, length: BarLength, kept: float, seed: int
) -> None:
    week = WEEK[name]
    parts = week.filter(pl.Series(np.random.default_rng(seed).random(len(week)) < kept))
    bars = resample_bars(parts, get_calendar(name), length)
    volume = [pl.col("volume").sum()]
    assert (
        bars.group_by("session")
        .agg(volume)
        .sort("session")
        .equals(parts.group_by("session").agg(volume).sort("session"))
    )
    assert bars["high"].max() == parts["high"].max()
    assert bars["low"].min() == parts["low"].min()
