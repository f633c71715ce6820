from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from trading_assets.bars.series.readers import build_series_sources, fetch_series, session_closes
from trading_assets.errors import UserError
from trading_assets.schema import TABLES, conform
from trading_assets_tests.bars.example_bars import CALENDAR, NOW
from trading_assets_tests.bars.series.example_series import (
    END,
    START,
    fetch,
    series_spec,
    utc,
    write_csv,
)

CPI = {"kind": "files", "file": "cpi.csv", "series": "cpi"}
NEWS = {"kind": "news", "file": "news.csv"}


def folder_with_files(folder: Path) -> Path:
    write_csv(
        folder / "cpi.csv",
        "reference_time,knowledge_time,value",
        "2020-01-31,2020-02-13T13:30:00Z,258.0",
    )
    write_csv(folder / "news.csv", "published_at,headline", "2020-02-13T13:30:00Z,prices rise")
    return folder


def test_all_declared_series_come_in_one_table_sorted_by_its_key(tmp_path: Path) -> None:
    spec = series_spec(folder_with_files(tmp_path), NEWS, CPI)
    assert len(build_series_sources(spec, CALENDAR)) == 2
    rows = fetch(spec)
    assert rows.equals(conform("series", rows).sort(TABLES["series"].key))
    names = rows["series"].unique().sort().to_list()
    assert names == ["cpi", "news_count", "news_novelty", "news_score"]


def test_a_data_set_without_series_has_an_empty_table(tmp_path: Path) -> None:
    assert fetch(series_spec(tmp_path)).equals(TABLES["series"].empty())


def test_nothing_is_read_before_the_first_fetch(tmp_path: Path) -> None:
    assert len(build_series_sources(series_spec(tmp_path, CPI, NEWS), CALENDAR)) == 2


def test_two_sources_of_one_series_are_refused(tmp_path: Path) -> None:
    folder = folder_with_files(tmp_path)
    with pytest.raises(UserError, match=r"two declared sources give the series cpi of \*"):
        fetch(series_spec(folder, CPI, CPI))
    assert fetch(series_spec(folder, CPI, {**CPI, "symbol": "IBM"})).height == 2


def test_a_moment_without_a_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="as_of was 2020-01-01 00:00:00 without a time zone"):
        fetch_series(series_spec(tmp_path), CALENDAR, START, END, datetime(2020, 1, 1))  # noqa: DTZ001


def test_sessions_divide_time_at_their_closes() -> None:
    closes = session_closes(CALENDAR, date(2020, 7, 2), date(2020, 7, 7))
    assert closes["session"].to_list() == [date(2020, 7, 2), date(2020, 7, 6), date(2020, 7, 7)]
    assert closes["close"][0] == utc("2020-07-02T20:00")
    assert closes["previous_close"].to_list() == [utc("2020-07-01T20:00"), *closes["close"][:-1]]


def test_what_was_known_before_the_calendar_begins_is_in_no_session(tmp_path: Path) -> None:
    closes = session_closes(CALENDAR, CALENDAR.first_day, date(1990, 1, 3))
    assert closes["previous_close"][0] == utc("1990-01-01T05:00")
    assert session_closes(CALENDAR, date(2020, 7, 4), date(2020, 7, 5)).is_empty()
    write_csv(
        tmp_path / "cpi.csv", "reference_time,value", "1989-11-30,1", "1989-12-31,2", "1990-01-31,3"
    )
    spec = series_spec(tmp_path, {**CPI, "release_lag_days": 1})
    rows = fetch(spec, date(1990, 1, 1), date(1990, 12, 31))
    assert rows.select("session", "value").rows() == [
        (date(1990, 1, 2), 2.0),
        (date(1990, 2, 2), 3.0),
    ]


def test_rows_are_stamped_with_the_moment_of_the_fetch(tmp_path: Path) -> None:
    spec = series_spec(folder_with_files(tmp_path), CPI)
    offset = datetime(2020, 2, 13, 8, 30, tzinfo=UTC) + timedelta(hours=5)
    assert fetch(spec, as_of=offset)["ingest_time"].to_list() == [offset]
    assert fetch(spec, as_of=offset - timedelta(microseconds=1)).is_empty()
    assert fetch(spec)["ingest_time"].to_list() == [NOW]


def test_the_other_declared_calendars_serve_series_too(tmp_path: Path) -> None:
    from trading_assets.bars.calendars.calendar import get_calendar

    spec = series_spec(folder_with_files(tmp_path), CPI, calendar="24/7")
    rows = fetch_series(spec, get_calendar("24/7"), date(2020, 2, 1), date(2020, 2, 29), NOW)
    assert rows.select("session", "value").rows() == [(date(2020, 2, 13), 258.0)]


def test_a_symbol_of_another_case_is_not_of_the_universe(tmp_path: Path) -> None:
    write_csv(
        tmp_path / "cpi.csv", "symbol,reference_time,value", "ibm,2020-01-31,1", "IBM,2020-01-31,2"
    )
    spec = series_spec(tmp_path, {**CPI, "release_lag_days": 1})
    assert fetch(spec).select("symbol", "value").rows() == [("IBM", 2.0)]
    assert fetch(spec).schema == pl.Schema({c.name: c.dtype for c in TABLES["series"].columns})
