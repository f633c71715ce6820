import subprocess
import sys
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from trading_assets.bars.calendars.calendar import CALENDAR_NAMES, ExchangeCalendar, get_calendar
from trading_assets.errors import UserError

CALENDAR = get_calendar("XNYS")


# exchange_calendars still reads times in a way that pandas 3 deprecates.
@pytest.mark.filterwarnings("ignore:Series.values returning:DeprecationWarning")
@pytest.mark.parametrize("name", CALENDAR_NAMES)
def test_every_session_and_its_hours_agree_with_exchange_calendars(name: str) -> None:
    import exchange_calendars

    ours = get_calendar(name)
    theirs = exchange_calendars.get_calendar(name, start="1990-01-01", end="2035-12-31").schedule
    sessions = ours.sessions(date(1990, 1, 1), date(2035, 12, 31))
    assert sessions == [stamp.date() for stamp in theirs.index]
    assert [ours.open_time(day) for day in sessions] == theirs["open"].dt.to_pydatetime().tolist()
    assert [ours.close_time(day) for day in sessions] == theirs["close"].dt.to_pydatetime().tolist()


def test_crypto_trades_on_a_leap_day_that_is_a_saturday_and_forex_does_not() -> None:
    leap_day = date(2020, 2, 29)
    assert get_calendar("24/7").is_session(leap_day)
    assert not get_calendar("24/5").is_session(leap_day)
    assert get_calendar("24/5").next_session(leap_day) == date(2020, 3, 2)


@pytest.mark.parametrize("name", ["24/7", "24/5"])
def test_a_whole_day_session_ends_at_the_next_midnight_in_utc(name: str) -> None:
    # New York changed its clocks on that Sunday; days in UTC keep their 24 hours.
    calendar, friday = get_calendar(name), date(2012, 3, 9)
    assert calendar.open_time(friday) == datetime(2012, 3, 9, tzinfo=UTC)
    assert calendar.close_time(friday) == datetime(2012, 3, 10, tzinfo=UTC)
    assert calendar.regular_close_time(date(2012, 3, 10)) == datetime(2012, 3, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "now", "expected"),
    [
        ("24/7", datetime(2020, 3, 1, 0, 15, tzinfo=UTC), date(2020, 2, 29)),
        ("24/7", datetime(2020, 3, 1, 0, 14, tzinfo=UTC), date(2020, 2, 28)),
        ("24/5", datetime(2020, 3, 1, 12, tzinfo=UTC), date(2020, 2, 28)),
    ],
)
def test_a_whole_day_session_is_complete_after_midnight_and_the_lag(
    name: str, now: datetime, expected: date
) -> None:
    assert get_calendar(name).last_completed_session(now, 15) == expected


def test_hours_beyond_one_day_are_refused() -> None:
    with pytest.raises(UserError, match="expected a close after the open"):
        ExchangeCalendar("CME", ZoneInfo("UTC"), regular_hours=(time(23), time(22)))


def test_the_exchange_was_closed_after_2001_09_10_until_the_17th() -> None:
    assert CALENDAR.next_session(date(2001, 9, 10)) == date(2001, 9, 17)
    assert CALENDAR.previous_session(date(2001, 9, 17)) == date(2001, 9, 10)
    assert CALENDAR.sessions(date(2001, 9, 11), date(2001, 9, 16)) == []


def test_a_half_day_closes_at_one_in_new_york() -> None:
    assert CALENDAR.close_time(date(2012, 11, 23)) == datetime(2012, 11, 23, 18, 0, tzinfo=UTC)
    regular = CALENDAR.regular_close_time(date(2012, 11, 23))
    assert regular == datetime(2012, 11, 23, 21, 0, tzinfo=UTC)


def test_the_close_in_utc_follows_daylight_saving() -> None:
    assert CALENDAR.close_time(date(2012, 3, 9)).hour == 21
    assert CALENDAR.close_time(date(2012, 3, 12)).hour == 20


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2012, 11, 23, 18, 15, tzinfo=UTC), date(2012, 11, 23)),
        (datetime(2012, 11, 23, 18, 14, 59, tzinfo=UTC), date(2012, 11, 21)),
        (datetime(2012, 11, 25, 12, tzinfo=UTC), date(2012, 11, 23)),
        # After midnight in UTC it is still the session's evening in New York.
        (datetime(2012, 11, 28, 1, tzinfo=UTC), date(2012, 11, 27)),
    ],
)
def test_a_session_is_complete_once_its_close_and_the_lag_have_passed(
    now: datetime, expected: date
) -> None:
    assert CALENDAR.last_completed_session(now, 15) == expected


def test_counting_sessions_there_and_back_returns_to_the_start() -> None:
    session = date(2008, 10, 10)
    assert CALENDAR.previous_session(CALENDAR.next_session(session, 400), 400) == session


def test_a_day_outside_the_table_is_refused_with_its_range() -> None:
    with pytest.raises(UserError, match="1990-01-01 to 2035-12-31"):
        CALENDAR.is_session(date(2036, 1, 2))


def test_hours_of_a_holiday_are_refused() -> None:
    with pytest.raises(UserError, match="2012-12-25 is no session of XNYS"):
        CALENDAR.close_time(date(2012, 12, 25))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(UserError, match="without a time zone"):
        CALENDAR.last_completed_session(datetime(2012, 1, 5), 15)  # noqa: DTZ001 # what is tested


def test_another_exchange_is_refused() -> None:
    with pytest.raises(UserError, match="expected one of XNYS, 24/7, 24/5"):
        get_calendar("XLON")


def test_importing_the_calendar_imports_no_third_party_package() -> None:
    code = (
        "import sys, trading_assets.bars.calendars.calendar as c;"
        "[c.get_calendar(name) for name in c.CALENDAR_NAMES];"
        "print([m for m in ('numpy', 'pandas', 'polars') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
