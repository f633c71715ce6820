from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bars.calendars.calendar import CALENDAR_NAMES, get_calendar
from trading_assets.bars.calendars.grid import bar_closes, session_dates
from trading_assets.errors import UserError
from trading_assets.schema import UTC_TIME
from trading_assets.source_specs import BAR_MINUTES, BarLength

XNYS = get_calendar("XNYS")
HALF_DAY = date(2012, 11, 23)


# exchange_calendars still reads times in a way that pandas 3 deprecates.
@pytest.mark.filterwarnings("ignore:Series.values returning:DeprecationWarning")
@pytest.mark.parametrize("name", CALENDAR_NAMES)
def test_minute_bars_of_a_leap_year_are_the_minutes_of_exchange_calendars(name: str) -> None:
    import exchange_calendars

    # Both switches of daylight saving, three half days and 29 February.
    first, last = date(2012, 1, 1), date(2012, 12, 31)
    theirs = exchange_calendars.get_calendar(name, start=first, end=last, side="right").minutes
    ours = bar_closes(get_calendar(name), get_calendar(name).sessions(first, last), "1m")
    expected = pl.Series("event_time", theirs.to_pydatetime().tolist(), dtype=UTC_TIME)
    assert ours["event_time"].equals(expected)


def test_hours_are_counted_from_the_open_and_the_last_one_is_shorter() -> None:
    closes = bar_closes(XNYS, [date(2012, 11, 21)], "1h")["event_time"]
    in_new_york = closes.dt.convert_time_zone("America/New_York").dt.to_string("%H:%M").to_list()
    assert in_new_york == ["10:30", "11:30", "12:30", "13:30", "14:30", "15:30", "16:00"]


@pytest.mark.parametrize(("length", "bars"), [("1m", 210), ("5m", 42), ("1h", 4), ("1d", 1)])
def test_a_half_day_has_fewer_bars_and_ends_at_one(length: BarLength, bars: int) -> None:
    grid = bar_closes(XNYS, [HALF_DAY], length)
    assert len(grid) == bars
    assert grid["event_time"][-1] == datetime(2012, 11, 23, 18, tzinfo=UTC)


def test_the_first_bar_follows_daylight_saving() -> None:
    grid = bar_closes(XNYS, [date(2012, 3, 9), date(2012, 3, 12)], "1m")
    first = grid.group_by("session", maintain_order=True).first()
    assert first["bar_open"].dt.hour().to_list() == [14, 13]


@pytest.mark.parametrize("name", CALENDAR_NAMES)
@given(
    first=st.dates(date(1990, 1, 1), date(2035, 11, 30)),
    length=st.sampled_from(["1d", "1h", "5m", "1m"]),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_bars_tile_every_session_from_open_to_close(
    name: str, first: date, length: BarLength
) -> None:
    calendar = get_calendar(name)
    sessions = calendar.sessions(first, first + timedelta(days=9))
    for (session,), bars in bar_closes(calendar, sessions, length).group_by("session"):
        assert isinstance(session, date)
        bars = bars.sort("bar_open")
        assert bars["bar_open"][0] == calendar.open_time(session)
        assert bars["event_time"][-1] == calendar.close_time(session)
        assert bars["bar_open"][1:].equals(bars["event_time"][:-1].rename("bar_open"))
        spans = (bars["event_time"] - bars["bar_open"]).dt.total_minutes()
        if length != "1d":
            assert spans[:-1].eq(BAR_MINUTES[length]).all()
            assert 0 < spans[-1] <= BAR_MINUTES[length]


def test_no_sessions_have_no_bars() -> None:
    grid = bar_closes(XNYS, [], "1m")
    assert grid.is_empty()
    assert grid.schema == {"session": pl.Date, "bar_open": UTC_TIME, "event_time": UTC_TIME}


def test_a_day_that_is_no_session_is_refused() -> None:
    with pytest.raises(UserError, match="2012-12-25 is no session"):
        bar_closes(XNYS, [date(2012, 12, 25)], "1m")


@pytest.mark.parametrize("name", CALENDAR_NAMES)
def test_every_promised_bar_belongs_to_its_session(name: str) -> None:
    calendar = get_calendar(name)
    grid = bar_closes(calendar, calendar.sessions(date(2012, 2, 1), date(2012, 3, 31)), "5m")
    found = grid.select(session_dates(pl.col("event_time"), calendar)).to_series()
    assert found.equals(grid["session"])
