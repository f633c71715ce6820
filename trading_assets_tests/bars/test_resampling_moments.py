"""Whether a resampled bar says at every moment what could be known then, and no more."""

from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.calendars.grid import bar_closes
from trading_assets.bars.ingest import as_known_at, merge_revisions
from trading_assets.bars.resampling import resample_bars
from trading_assets.source_specs import BarLength
from trading_assets_tests.bars.example_minutes import LAG, minutes, with_history

XNYS = get_calendar("XNYS")
VALUES = ["open", "high", "low", "close", "volume", "vendor_adjusted_close"]

PERIODS = [
    # A half day, both switches of daylight saving in New York, a leap day, a weekend.
    ("XNYS", date(2012, 11, 21), date(2012, 11, 26)),
    ("XNYS", date(2012, 3, 9), date(2012, 3, 12)),
    ("XNYS", date(2012, 11, 2), date(2012, 11, 5)),
    ("24/7", date(2020, 2, 29), date(2020, 3, 1)),
    ("24/5", date(2012, 3, 9), date(2012, 3, 12)),
]


def moments(rows: pl.DataFrame, count: int, seed: int = 3) -> list[datetime]:
    """Return random moments, half of them exactly when something became known."""
    rng = np.random.default_rng(seed)
    known: list[datetime] = rows["knowledge_time"].to_list()
    start, span = min(known), max(known) - min(known)
    exact = [known[n] for n in rng.integers(0, len(known), count // 2)]
    return exact + [start + span * share for share in rng.random(count - len(exact))]


@pytest.mark.parametrize(("name", "first", "last"), PERIODS)
@pytest.mark.parametrize("length", ["5m", "1h", "1d"])
def test_what_was_known_at_any_moment_follows_from_the_rows_known_then(
    name: str, first: date, last: date, length: BarLength
) -> None:
    calendar = get_calendar(name)
    rows = with_history(minutes(calendar, first, last))
    full = resample_bars(rows, calendar, length, publication_lag=LAG)
    assert full["revision"].max() > 0  # pyright: ignore[reportOperatorIssue, reportOptionalOperand]
    for moment in moments(rows, 30):
        cut = rows.filter(pl.col("knowledge_time") <= moment)
        then = resample_bars(cut, calendar, length, as_of=moment, publication_lag=LAG)
        assert then.equals(full.filter(pl.col("knowledge_time") <= moment))


@pytest.mark.parametrize(("name", "first", "last"), PERIODS)
@pytest.mark.parametrize("length", ["5m", "1h", "1d"])
def test_bars_equal_those_that_a_loop_builds_at_the_moment(
    name: str, first: date, last: date, length: BarLength
) -> None:
    calendar = get_calendar(name)
    rows = with_history(minutes(calendar, first, last))
    full = resample_bars(rows, calendar, length)
    grid = bar_closes(calendar, calendar.sessions(first, last), length)
    for moment in moments(rows, 5, seed=4):
        known = as_known_at(rows, moment).sort("event_time").rows(named=True)
        expected: list[tuple[Any, ...]] = []
        for session, opens, closes in grid.iter_rows():
            parts = [row for row in known if opens < row["event_time"] <= closes]
            if parts and closes + LAG <= moment:
                expected.append(
                    (
                        session,
                        closes,
                        max(closes + LAG, *(row["knowledge_time"] for row in parts)),
                        parts[0]["open"],
                        max(row["high"] for row in parts),
                        min(row["low"] for row in parts),
                        parts[-1]["close"],
                        sum(row["volume"] for row in parts),
                        parts[-1]["vendor_adjusted_close"],
                    )
                )
        found = as_known_at(full, moment).sort("event_time")
        assert found.select("session", "event_time", "knowledge_time", *VALUES).rows() == expected


@pytest.mark.parametrize(("name", "first", "last"), PERIODS)
@pytest.mark.parametrize("length", ["1h", "1d"])
def test_resampling_in_two_steps_equals_one(
    name: str, first: date, last: date, length: BarLength
) -> None:
    calendar = get_calendar(name)
    rows = with_history(minutes(calendar, first, last))
    fives = resample_bars(rows, calendar, "5m", publication_lag=LAG)
    direct = resample_bars(rows, calendar, length, publication_lag=LAG)
    assert resample_bars(fives, calendar, length, publication_lag=LAG).equals(direct)


def test_fetches_on_the_way_and_one_at_the_end_agree_on_what_was_known() -> None:
    rows = minutes(XNYS, date(2012, 11, 21), date(2012, 11, 23))
    full = resample_bars(rows, XNYS, "1h")
    stored = None
    for moment in sorted(moments(rows, 12, seed=5)):
        fetched = rows.filter(pl.col("knowledge_time") <= moment).with_columns(
            pl.lit(moment).dt.cast_time_unit("us").alias("ingest_time")
        )
        stored = merge_revisions(stored, fetched)
        # Without a clock of its own, the newest fetch says what time it is.
        then = resample_bars(stored, XNYS, "1h")
        assert then.drop("ingest_time").equals(
            full.filter(pl.col("knowledge_time") <= moment).drop("ingest_time")
        )
