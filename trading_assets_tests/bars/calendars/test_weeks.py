from datetime import date, timedelta

import numpy as np
import pytest

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.calendars.weeks import begins_week, decides_for_week, ends_week
from trading_assets.errors import UserError

XNYS = get_calendar("XNYS")


def test_a_week_begins_on_its_first_session():
    assert begins_week(XNYS, date(2020, 3, 2))
    assert not begins_week(XNYS, date(2020, 3, 3))


def test_a_week_whose_monday_is_a_holiday_begins_on_tuesday():
    assert begins_week(XNYS, date(2020, 1, 21))


def test_a_week_that_spans_two_years_begins_once():
    # Monday 30 December 2019 and Thursday 2 January 2020 are of one week.
    assert begins_week(XNYS, date(2019, 12, 30))
    assert not begins_week(XNYS, date(2020, 1, 2))


def test_crypto_weeks_begin_on_monday():
    crypto = get_calendar("24/7")
    found = [
        day
        for day in crypto.sessions(date(2020, 3, 1), date(2020, 3, 31))
        if begins_week(crypto, day)
    ]
    assert [day.day for day in found] == [2, 9, 16, 23, 30]


def test_each_week_with_a_session_begins_exactly_once():
    sessions = XNYS.sessions(date(1990, 6, 4), date(2035, 6, 1))
    begun = [day for day in sessions if begins_week(XNYS, day)]
    mondays = {day - timedelta(days=day.weekday()) for day in sessions}
    assert len(begun) == len(mondays)
    assert {day - timedelta(days=day.weekday()) for day in begun} == mondays


def test_a_decision_is_for_the_week_of_the_session_after_it():
    days = [date(2020, 1, 16), date(2020, 1, 17), date(2020, 1, 21)]
    assert decides_for_week(XNYS, days).tolist() == [False, True, False]
    assert decides_for_week(XNYS, []).tolist() == []


@pytest.mark.parametrize("name", ["XNYS", "24/7"])
def test_sessions_alone_tell_what_the_calendar_tells(name):
    calendar = get_calendar(name)
    days = calendar.sessions(date(1990, 6, 4), date(2035, 6, 1))
    told = ends_week(np.array(days, dtype="datetime64[D]"))
    assert told[:-1].tolist() == decides_for_week(calendar, days[:-1]).tolist()
    assert not told[-1]
    assert ends_week(np.array([], dtype="datetime64[D]")).tolist() == []


def test_where_the_last_session_of_a_week_is_missing_the_one_before_ends_it():
    days = ["2020-01-15", "2020-01-16", "2020-01-21", "2020-01-22"]
    assert ends_week(np.array(days, dtype="datetime64[D]")).tolist() == [False, True, False, False]


def test_a_day_without_a_session_is_refused():
    with pytest.raises(UserError, match="is no session of XNYS"):
        begins_week(XNYS, date(2020, 1, 20))
