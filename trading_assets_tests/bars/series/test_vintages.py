from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.ingest import as_known_at, merge_revisions
from trading_assets.bars.vintages import merge_vintages, vintages_known_at
from trading_assets.errors import DataError, UserError
from trading_assets.schema import TABLES
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.bars.series.example_series import fetch, series_spec, utc, write_csv

FIRST, LAST = date(2020, 1, 2), date(2020, 4, 30)
# The third is of the same session as the second.
RELEASE, SECOND, SAME_DAY, THIRD = (
    "2020-02-13T13:30:00Z",
    "2020-02-26T13:30:00Z",
    "2020-02-26T18:00:00Z",
    "2020-03-12T12:30:00Z",
)
Published = Mapping[tuple[date, str], float]
JANUARY = date(2020, 1, 31)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vintages")


def fetched(folder: Path, published: Published, as_of: datetime) -> pl.DataFrame:
    lines = [f"{period},{known},{value}" for (period, known), value in published.items()]
    write_csv(folder / "cpi.csv", "reference_time,knowledge_time,value", *lines)
    spec = series_spec(folder, {"kind": "files", "file": "cpi.csv", "series": "cpi"})
    return fetch(spec, FIRST, LAST, as_of)


def known(rows: pl.DataFrame, moment: datetime) -> list[float]:
    return as_known_at(rows, moment, "series")["value"].to_list()


def test_several_vintages_of_one_fetch_are_all_stored(folder: Path) -> None:
    published = {
        (JANUARY, RELEASE): 1.0,
        (JANUARY, SECOND): 2.0,
        (JANUARY, SAME_DAY): 3.0,
        (JANUARY, THIRD): 4.0,
    }
    rows = fetched(folder, published, utc("2020-04-01T00:00"))
    merged = merge_revisions(None, rows, "series")
    assert merged["revision"].to_list() == [0, 1, 2, 3]
    assert merge_revisions(merged, rows, "series").equals(merged)
    moments = ("2020-02-13T13:30", "2020-02-26T17:59", "2020-02-26T18:00", "2020-03-31T00:00")
    assert [known(merged, utc(moment)) for moment in moments] == [[1.0], [2.0], [3.0], [4.0]]
    assert known(merged, utc("2020-02-13T13:29")) == []


def test_a_vintage_published_after_the_last_fetch_keeps_its_time(folder: Path) -> None:
    published: dict[tuple[date, str], float] = {(JANUARY, RELEASE): 1.0, (JANUARY, SECOND): 2.0}
    stored = merge_revisions(None, fetched(folder, published, utc("2020-02-26T15:00")), "series")
    published[(JANUARY, SAME_DAY)] = 3.0
    published[(JANUARY, THIRD)] = 4.0
    merged = merge_revisions(stored, fetched(folder, published, utc("2020-03-20T00:00")), "series")
    assert merged["revision"].to_list() == [0, 1, 2, 3]
    assert merged["knowledge_time"].to_list()[2:] == [
        utc("2020-02-26T18:00"),
        utc("2020-03-12T12:30"),
    ]


def test_a_corrected_vintage_is_known_from_its_ingestion_on(folder: Path) -> None:
    t0, t1 = utc("2020-03-01T00:00"), utc("2020-03-05T00:00")
    stored = merge_revisions(None, fetched(folder, {(JANUARY, RELEASE): 1.0}, t0), "series")
    merged = merge_revisions(stored, fetched(folder, {(JANUARY, RELEASE): 1.5}, t1), "series")
    assert merged["knowledge_time"].to_list() == [utc("2020-02-13T13:30"), t1]
    assert merged["session"].n_unique() == 1
    assert merged["revision"].to_list() == [0, 1]
    assert known(merged, t1 - timedelta(microseconds=1)) == [1.0]
    assert known(merged, t1) == [1.5]


def test_a_correction_of_a_superseded_vintage_changes_nothing_that_is_known(folder: Path) -> None:
    t0, t1 = utc("2020-04-01T00:00"), utc("2020-04-05T00:00")
    published = {(JANUARY, RELEASE): 1.0, (JANUARY, SECOND): 2.0, (JANUARY, SAME_DAY): 3.0}
    stored = merge_revisions(None, fetched(folder, published, t0), "series")
    within = {**published, (JANUARY, SECOND): 2.5}
    assert merge_revisions(stored, fetched(folder, within, t1), "series").equals(stored)
    before = {**published, (JANUARY, RELEASE): 1.5}
    merged = merge_revisions(stored, fetched(folder, before, t1), "series")
    assert len(merged) == len(stored) + 1
    assert known(merged, t1) == known(stored, t1) == [3.0]


def test_a_vintage_that_comes_late_is_known_from_its_ingestion_on(folder: Path) -> None:
    t0, t1 = utc("2020-02-28T00:00"), utc("2020-04-05T00:00")
    published: dict[tuple[date, str], float] = {(JANUARY, RELEASE): 1.0}
    stored = merge_revisions(None, fetched(folder, published, t0), "series")
    published[(JANUARY, SECOND)] = 2.0
    merged = merge_revisions(stored, fetched(folder, published, t1), "series")
    assert merged["knowledge_time"].to_list()[-1] == t1
    assert known(merged, t0) == [1.0]


def test_a_month_fetched_before_without_a_trace_counts_as_fetched(folder: Path) -> None:
    published: dict[tuple[date, str], float] = {(JANUARY, RELEASE): 1.0}
    early, late = utc("2020-02-14T00:00"), utc("2020-03-05T00:00")
    stored = merge_vintages(None, fetched(folder, published, early))
    published[(JANUARY, SECOND)] = 2.0
    rows = fetched(folder, published, late)
    assert merge_vintages(stored, rows)["knowledge_time"][1] == utc("2020-02-26T13:30")
    between = {date(2020, 2, 1): utc("2020-03-01T00:00")}
    assert merge_vintages(stored, rows, between)["knowledge_time"][1] == late


def test_history_asked_for_the_first_time_keeps_its_times(folder: Path) -> None:
    rows = fetched(
        folder, {(JANUARY, RELEASE): 1.0, (JANUARY, SECOND): 2.0}, utc("2020-03-01T00:00")
    )
    later = rows.with_columns(
        pl.lit(utc("2020-03-09T00:00")).cast(rows.schema["ingest_time"]).alias("ingest_time")
    )
    merged = merge_vintages(rows.tail(1), later)
    assert merged["knowledge_time"].to_list() == rows["knowledge_time"].to_list()


def test_what_cannot_be_merged_is_refused(folder: Path) -> None:
    t0 = utc("2020-03-01T00:00")
    rows = fetched(folder, {(JANUARY, RELEASE): 1.0}, t0)
    other = rows.with_columns(value=pl.lit(2.0))
    with pytest.raises(DataError, match=r"series cpi of \* for 2020-02-13 more than once"):
        merge_vintages(None, pl.concat([rows, other]))
    with pytest.raises(DataError, match="expected a later fetch"):
        merge_vintages(rows, other)
    with pytest.raises(UserError, match="without a time zone"):
        vintages_known_at(rows, datetime(2020, 1, 1))  # noqa: DTZ001 # what is tested


days = st.sampled_from(CALENDAR.sessions(date(2020, 1, 3), date(2020, 3, 31)))
clocks = st.sampled_from(["12:30:00", "15:00:00", "20:00:00", "23:00:00"])
periods = st.sampled_from([date(2019, 11, 30), date(2019, 12, 31)])
changes = st.dictionaries(
    st.tuples(periods, st.tuples(days, clocks).map(lambda at: f"{at[0]}T{at[1]}Z")),
    st.floats(-5, 5, allow_nan=False).map(lambda value: round(value, 1)),
    max_size=8,
)
# A vintage of each month before all others, so that no row is history asked for the first time.
EVER = {
    (date(2019, 11, 30), f"2020-0{month}-0{day}T13:00:00Z"): float(month)
    for month, day in ((1, 2), (2, 3), (3, 2), (4, 1))
}


@settings(max_examples=30, deadline=None)
@given(history=st.lists(changes, min_size=2, max_size=4))
def test_no_later_fetch_changes_what_was_known_and_each_ends_at_the_files_newest(
    folder: Path, history: list[dict[tuple[date, str], float]]
) -> None:
    published: dict[tuple[date, str], float] = dict(EVER)
    stored = None
    fetches: list[datetime] = []
    for n, changed in enumerate(history):
        published |= changed
        now = utc("2020-04-01T14:00") + timedelta(days=n)
        rows = fetched(folder, published, now)
        merged = merge_vintages(stored, rows)
        assert merge_vintages(merged, rows).equals(merged)
        assert not merged.select(pl.struct(TABLES["series"].key).is_duplicated().any()).item()
        newest = {
            period: published[max(key for key in published if key[0] == period)]
            for period in {period for period, _ in published}
        }
        values = vintages_known_at(merged, now).sort("event_time")["value"].to_list()
        assert values == [newest[period] for period in sorted(newest)]
        if stored is not None:
            assert stored.join(merged, on=stored.columns, how="anti").is_empty()
            for moment in [*fetches, *(utc(f"2020-0{m}-14T20:00") for m in (1, 2, 3))]:
                before = vintages_known_at(stored, moment)
                assert vintages_known_at(merged, moment).equals(before)
        stored = merged
        fetches.append(now)


@settings(max_examples=25, deadline=None)
@given(first=changes, second=changes)
def test_merging_a_range_equals_merging_each_of_its_months(
    folder: Path,
    first: dict[tuple[date, str], float],
    second: dict[tuple[date, str], float],
) -> None:
    stored = merge_vintages(None, fetched(folder, first, utc("2020-03-10T00:00")))
    rows = fetched(folder, {**first, **second}, utc("2020-04-10T00:00"))
    whole = merge_vintages(stored, rows)
    parts = [
        merge_vintages(stored.filter(is_month), rows.filter(is_month))
        for is_month in (pl.col("session").dt.month() == month for month in (1, 2, 3, 4))
    ]
    assert pl.concat(parts).sort(TABLES["series"].key).equals(whole)
