"""Exchange sessions and their opening and closing times: New York, crypto and forex.

The table `xnys.csv` lists every weekday from 1990 to 2035 that is no session (no times) or has
other than regular hours (exchange time). It was made with `exchange_calendars`. Crypto (`24/7`) and
forex (`24/5`) follow rules, with the meaning those names have in that package: sessions are days in
UTC, all seven or Monday to Friday. A test compares all three with it.
Only the standard library is imported, because every run of the pipeline reads this module.
"""

import csv
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

from trading_assets.errors import UserError

Hours = tuple[time, time]

CALENDAR_NAMES = ("XNYS", "24/7", "24/5")

FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2035, 12, 31)
_MIDNIGHT = time(0)
_NEW_YORK_HOURS = (time(9, 30), time(16, 0))
_WHOLE_DAY = (_MIDNIGHT, _MIDNIGHT)
_WORKDAYS = frozenset(range(5))
_ALL_DAYS = frozenset(range(7))


class ExchangeCalendar:
    """The sessions of one exchange from `first_day` (1990) to `last_day` (2035), inclusive.

    A session lies within its own date: it opens on it and closes by the midnight that ends it.

    Parameters
    ----------
    name : str
        Market identifier code, such as `XNYS`.
    time_zone : ZoneInfo
        The exchange's time zone; a session is a date in it.
    regular_hours : (open, close)
        In exchange time; a close at 00:00 is the end of the day.
    weekdays : frozenset of int
        Days of the week that trade, Monday is 0.
    closed_days : frozenset of date
        Days without a session although their weekday trades.
    special_hours : mapping of date to (open, close)
        Sessions whose hours, in exchange time, are not `regular_hours`.

    Raises
    ------
    UserError
        If hours do not lie within one day.
    """

    def __init__(
        self,
        name: str,
        time_zone: ZoneInfo,
        *,
        regular_hours: Hours,
        weekdays: frozenset[int] = _WORKDAYS,
        closed_days: frozenset[date] = frozenset(),
        special_hours: Mapping[date, Hours] | None = None,
    ) -> None:
        self.name = name
        self.time_zone = time_zone
        self.first_day, self.last_day = FIRST_DAY, LAST_DAY
        self._special_hours = dict(special_hours or {})
        self._regular_hours = regular_hours
        for hours in (regular_hours, *self._special_hours.values()):
            _require_within_a_day(name, hours)
        n_days = (self.last_day - self.first_day).days + 1
        every_day = (self.first_day + timedelta(n) for n in range(n_days))
        self._sessions = [
            day for day in every_day if day.weekday() in weekdays and day not in closed_days
        ]
        self._session_set = frozenset(self._sessions)

    @property
    def regular_open(self) -> time:
        """Hour, in exchange time, at which a session opens unless it is a special one."""
        return self._regular_hours[0]

    @property
    def has_pauses(self) -> bool:
        """Whether a pause precedes every session; where none does, one opens as another closes."""
        return self._regular_hours != _WHOLE_DAY

    def is_session(self, day: date) -> bool:
        """Return whether the exchange trades on `day`."""
        self._require_covered(day)
        return day in self._session_set

    def sessions(self, start: date, end: date) -> list[date]:
        """Return the sessions from `start` to `end`, both inclusive; none when `end` is earlier."""
        self._require_covered(start)
        self._require_covered(end)
        left, right = bisect_left(self._sessions, start), bisect_right(self._sessions, end)
        return self._sessions[left:right]

    def previous_session(self, day: date, count: int = 1) -> date:
        """Return the `count`-th session strictly before `day`."""
        self._require_covered(day)
        return self._session_at(bisect_left(self._sessions, day) - _positive(count), day)

    def next_session(self, day: date, count: int = 1) -> date:
        """Return the `count`-th session strictly after `day`."""
        self._require_covered(day)
        return self._session_at(bisect_right(self._sessions, day) + _positive(count) - 1, day)

    def open_time(self, session: date) -> datetime:
        """Return when `session` opens, UTC."""
        return self._moment(session, self._hours(session)[0])

    def close_time(self, session: date) -> datetime:
        """Return when `session` closes, UTC; half days close early."""
        return self._end(session, self._hours(session)[1])

    def regular_close_time(self, day: date) -> datetime:
        """Return the regular closing hour of any `day`, UTC, session or not.

        It dates rows that a vendor delivers for a day without a session, so that they can be
        stored and then refused.
        """
        return self._end(day, self._regular_hours[1])

    def last_completed_session(self, now: datetime, lag_minutes: int = 0) -> date:
        """Return the last session whose close plus `lag_minutes` is not after `now`.

        Parameters
        ----------
        now : datetime
            Time zone aware.
        lag_minutes : int
            Minutes from a close until its bar counts as published.
        """
        if now.tzinfo is None:
            msg = f"now was {now} without a time zone; expected an aware time such as UTC"
            raise UserError(msg)
        published_until = now - timedelta(minutes=lag_minutes)
        day = published_until.astimezone(self.time_zone).date()
        if self.is_session(day) and self.close_time(day) <= published_until:
            return day
        return self.previous_session(day)

    def _hours(self, session: date) -> Hours:
        if not self.is_session(session):
            msg = f"{session} is no session of {self.name}; expected a day the exchange trades"
            raise UserError(msg)
        return self._special_hours.get(session, self._regular_hours)

    def _moment(self, day: date, local: time) -> datetime:
        return datetime.combine(day, local, tzinfo=self.time_zone).astimezone(UTC)

    def _end(self, day: date, local: time) -> datetime:
        return self._moment(day + timedelta(days=1) if local == _MIDNIGHT else day, local)

    def _session_at(self, position: int, day: date) -> date:
        if not 0 <= position < len(self._sessions):
            msg = f"no such session near {day}; {self.name} covers {self._coverage()}"
            raise UserError(msg)
        return self._sessions[position]

    def _require_covered(self, day: date) -> None:
        if not self.first_day <= day <= self.last_day:
            msg = f"{day} is outside the calendar {self.name}; expected a day in {self._coverage()}"
            raise UserError(msg)

    def _coverage(self) -> str:
        return f"{self.first_day} to {self.last_day}"


@lru_cache(maxsize=len(CALENDAR_NAMES))
def get_calendar(name: str) -> ExchangeCalendar:
    """Return a calendar by name, from 1990 to 2035.

    Parameters
    ----------
    name : str
        `XNYS` (New York Stock Exchange), `24/7` (crypto: every day in UTC) or `24/5` (forex: Monday
        to Friday in UTC, holidays included).

    Raises
    ------
    UserError
        If there is no such calendar.
    """
    if name == "XNYS":
        closed, special = _read_table(Path(__file__).with_name("xnys.csv"))
        return ExchangeCalendar(
            name,
            ZoneInfo("America/New_York"),
            regular_hours=_NEW_YORK_HOURS,
            closed_days=closed,
            special_hours=special,
        )
    if name in ("24/7", "24/5"):
        weekdays = _ALL_DAYS if name == "24/7" else _WORKDAYS
        return ExchangeCalendar(name, ZoneInfo("UTC"), regular_hours=_WHOLE_DAY, weekdays=weekdays)
    msg = f"calendar was {name!r}; expected one of {', '.join(CALENDAR_NAMES)}"
    raise UserError(msg)


def _read_table(table: Path) -> tuple[frozenset[date], dict[date, Hours]]:
    closed: set[date] = set()
    special: dict[date, Hours] = {}
    with table.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            day = date.fromisoformat(row["date"])
            if row["close"]:
                special[day] = time.fromisoformat(row["open"]), time.fromisoformat(row["close"])
            else:
                closed.add(day)
    return frozenset(closed), special


def _require_within_a_day(name: str, hours: Hours) -> None:
    opens, closes = hours
    if closes != _MIDNIGHT and closes <= opens:
        msg = (
            f"hours of {name} were {opens} to {closes}; expected a close after the open and by the"
            " midnight that ends the day"
        )
        raise UserError(msg)


def _positive(count: int) -> int:
    if count < 1:
        msg = f"count was {count}; expected 1 or more sessions"
        raise UserError(msg)
    return count
