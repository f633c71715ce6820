from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.stamps import stamp_bars, stamp_series
from trading_assets.errors import DataError, UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import UTC_TIME, column_problems

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def spec(**changes: Any) -> MarketDataSpec:
    values: dict[str, Any] = {
        "source": {"kind": "alpaca", "feed": "sip"},
        "universe": ["A"],
        "start": date(2012, 1, 3),
        "bar_length": "1h",
        **changes,
    }
    return MarketDataSpec(**values)


def prices(column: str, values: list[Any]) -> pl.DataFrame:
    return pl.DataFrame({"symbol": ["A"] * len(values), column: values}).with_columns(
        pl.lit(100.0).alias(name) for name in ("open", "high", "low", "close", "volume")
    )


def stamped(
    column: str, *values: Any, as_of: datetime = NOW, feed: str | None = None, **changes: Any
) -> pl.DataFrame:
    declared = spec(**changes)
    calendar = get_calendar(declared.calendar)
    return stamp_bars(prices(column, list(values)), declared, calendar, as_of, feed)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # pyright: ignore[reportArgumentType]


def test_a_daily_bar_ends_at_its_close_and_is_known_after_the_lag() -> None:
    rows = stamped("session", date(2012, 11, 23), bar_length="1d")
    assert rows["event_time"].to_list() == [utc(2012, 11, 23, 18)]
    assert rows["knowledge_time"].to_list() == [utc(2012, 11, 23, 18, 15)]
    assert rows["ingest_time"].to_list() == [NOW]
    assert rows["bar_length"].to_list() == ["1d"]
    assert column_problems("raw_bars", rows) == []


def test_a_daily_bar_without_a_session_gets_the_regular_close() -> None:
    rows = stamped("session", date(2012, 11, 24), bar_length="1d")
    assert rows["event_time"].to_list() == [utc(2012, 11, 24, 21)]


def test_an_intraday_bar_gets_session_and_knowledge_time_from_its_close() -> None:
    rows = stamped("event_time", utc(2012, 11, 23, 15, 30))
    assert rows.select("session", "knowledge_time", "bar_length").rows() == [
        (date(2012, 11, 23), utc(2012, 11, 23, 15, 45), "1h")
    ]
    assert column_problems("raw_bars", rows) == []


def test_rows_carry_the_length_that_is_fetched() -> None:
    rows = stamped("event_time", utc(2012, 11, 23, 15), bar_length="1d", fetched_bar_length="5m")
    assert rows["bar_length"].to_list() == ["5m"]


def test_a_bar_that_ends_at_midnight_belongs_to_the_day_before() -> None:
    rows = stamped("event_time", utc(2020, 2, 29), utc(2020, 3, 1), calendar="24/7")
    assert rows["session"].to_list() == [date(2020, 2, 28), date(2020, 2, 29)]


@pytest.mark.parametrize(
    ("calendar", "close", "session"),
    [
        ("24/5", utc(2020, 2, 29, 10), date(2020, 2, 29)),
        ("24/5", utc(2020, 3, 2), date(2020, 3, 1)),
        # Evening in New York is the next day in UTC.
        ("XNYS", utc(2012, 11, 24, 0, 30), date(2012, 11, 23)),
        ("XNYS", utc(2012, 12, 25, 15), date(2012, 12, 25)),
    ],
)
def test_a_bar_outside_any_session_keeps_its_date_in_the_exchanges_zone(
    calendar: str, close: datetime, session: date
) -> None:
    assert stamped("event_time", close, calendar=calendar)["session"].to_list() == [session]


def test_a_session_that_an_intraday_row_claims_is_not_trusted() -> None:
    rows = prices("event_time", [utc(2012, 11, 23, 15)]).with_columns(session=date(2012, 11, 1))
    found = stamp_bars(rows, spec(), get_calendar("XNYS"), NOW)
    assert found["session"].to_list() == [date(2012, 11, 23)]


def test_times_in_another_zone_and_precision_become_utc() -> None:
    new_york = datetime(2012, 11, 23, 10, 30, tzinfo=ZoneInfo("America/New_York"))
    rows = prices("event_time", [new_york]).with_columns(
        pl.col("event_time").dt.cast_time_unit("ns")
    )
    found = stamp_bars(rows, spec(), get_calendar("XNYS"), NOW)
    assert found.schema["event_time"] == UTC_TIME
    assert found["event_time"].to_list() == [utc(2012, 11, 23, 15, 30)]


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        (utc(2012, 11, 23, 14, 30), utc(2012, 11, 23, 15, 30)),
        # The last bar of a half day is half an hour long.
        (utc(2012, 11, 23, 17, 30), utc(2012, 11, 23, 18)),
        # Off the grid: the end is as computed, so that validation sees and refuses it.
        (utc(2012, 11, 23, 15, 7), utc(2012, 11, 23, 16, 7)),
        (utc(2012, 11, 24, 15), utc(2012, 11, 24, 16)),
    ],
)
def test_a_bar_given_by_its_start_ends_where_the_grid_says(
    opens: datetime, closes: datetime
) -> None:
    assert stamped("bar_open", opens)["event_time"].to_list() == [closes]


def test_a_start_off_the_grid_that_would_pass_for_another_bar_is_refused() -> None:
    with pytest.raises(DataError, match="2012-11-21 20:00 UTC, off the 1h grid of XNYS"):
        stamped("bar_open", utc(2012, 11, 21, 20))


def test_what_was_not_known_at_the_fetch_is_left_out() -> None:
    closes = [utc(2012, 11, 21, 15, 30), utc(2012, 11, 21, 16, 30)]
    at = utc(2012, 11, 21, 16, 45)
    assert len(stamped("event_time", *closes, as_of=at)) == 2
    assert len(stamped("event_time", *closes, as_of=at - timedelta(microseconds=1))) == 1


def test_the_feed_is_the_declared_one_unless_a_fallback_names_its_own() -> None:
    close = utc(2012, 11, 21, 15, 30)
    assert stamped("event_time", close)["feed"].to_list() == ["sip"]
    assert stamped("event_time", close, feed="yfinance")["feed"].to_list() == ["yfinance"]


def test_a_vendors_adjusted_close_is_kept_and_null_where_it_gives_none() -> None:
    row = prices("session", [date(2012, 11, 21)])
    for given, kept in ((row, None), (row.with_columns(vendor_adjusted_close=50.0), 50.0)):
        found = stamp_bars(given, spec(bar_length="1d"), get_calendar("XNYS"), NOW)
        assert found["vendor_adjusted_close"].to_list() == [kept]


@pytest.mark.parametrize("column", ["event_time", "bar_open"])
def test_a_time_without_a_zone_is_refused(column: str) -> None:
    with pytest.raises(DataError, match=f"column {column} was .* expected times with a time zone"):
        stamped(column, datetime(2012, 11, 23, 15))  # noqa: DTZ001 # what is tested


@pytest.mark.parametrize("length", ["1d", "1h"])
def test_a_fetch_without_a_zone_is_refused(length: str) -> None:
    column, value = ("session", date(2012, 11, 23)) if length == "1d" else ("event_time", NOW)
    naive = datetime(2026, 1, 5)  # noqa: DTZ001 # what is tested
    with pytest.raises(UserError, match="without a time zone"):
        stamped(column, value, as_of=naive, bar_length=length)


def test_an_intraday_row_without_a_time_is_refused() -> None:
    with pytest.raises(DataError, match="a bar of A has no event_time"):
        stamped("event_time", utc(2012, 11, 23, 15), None)
    with pytest.raises(DataError, match="expected event_time or bar_open"):
        stamped("session", date(2012, 11, 23))


def test_no_rows_give_an_empty_table() -> None:
    empty = prices("bar_open", [utc(2012, 11, 23, 15)]).clear()
    rows = stamp_bars(empty, spec(), get_calendar("XNYS"), NOW)
    assert rows.is_empty()
    assert column_problems("raw_bars", rows) == []


def test_a_series_value_is_known_with_the_sessions_bar() -> None:
    values = pl.DataFrame(
        {"series": ["s"], "symbol": ["A"], "session": [date(2012, 11, 23)], "value": [1.0]}
    )
    rows = stamp_series(values, spec(), get_calendar("XNYS"), NOW)
    assert rows["knowledge_time"].to_list() == [utc(2012, 11, 23, 18, 15)]
