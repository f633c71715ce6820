"""Exchange sessions and their opening and closing times, from a checked-in table.

The table `xnys.csv` lists every weekday from 1990 to 2035 that is no session (no times) or has
other than regular hours (exchange time). It was made with `exchange_calendars`; a test compares
the two.
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

_REGULAR_HOURS = (time(9, 30), time(16, 0))
_SATURDAY = 5


class ExchangeCalendar:
    """The sessions of one exchange between `first_day` and `last_day`.

    Parameters
    ----------
    name : str
        Market identifier code, such as `XNYS`.
    time_zone : ZoneInfo
        The exchange's time zone; a session is a date in it.
    first_day, last_day : date
        Days the table covers, both inclusive.
    closed_days : frozenset of date
        Weekdays without a session.
    special_hours : mapping of date to (open, close)
        Sessions whose hours, in exchange time, are not `regular_hours`.
    """

    def __init__(
        self,
        name: str,
        time_zone: ZoneInfo,
        first_day: date,
        last_day: date,
        *,
        closed_days: frozenset[date],
        special_hours: Mapping[date, tuple[time, time]],
        regular_hours: tuple[time, time] = _REGULAR_HOURS,
    ) -> None:
        self.name = name
        self.time_zone = time_zone
        self.first_day = first_day
        self.last_day = last_day
        self._special_hours = dict(special_hours)
        self._regular_hours = regular_hours
        days = (first_day + timedelta(n) for n in range((last_day - first_day).days + 1))
        self._sessions = [d for d in days if d.weekday() < _SATURDAY and d not in closed_days]
        self._session_set = frozenset(self._sessions)

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
        return self._moment(session, self._hours(session)[1])

    def regular_close_time(self, day: date) -> datetime:
        """Return the regular closing hour of any `day`, UTC, session or not.

        It dates rows that a vendor delivers for a day without a session, so that they can be
        stored and then refused.
        """
        return self._moment(day, self._regular_hours[1])

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

    def _hours(self, session: date) -> tuple[time, time]:
        if not self.is_session(session):
            msg = f"{session} is no session of {self.name}; expected a day the exchange trades"
            raise UserError(msg)
        return self._special_hours.get(session, self._regular_hours)

    def _moment(self, day: date, local: time) -> datetime:
        return datetime.combine(day, local, tzinfo=self.time_zone).astimezone(UTC)

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


@lru_cache(maxsize=4)
def get_calendar(name: str) -> ExchangeCalendar:
    """Return the calendar called `name`, which is `XNYS` (New York Stock Exchange).

    Raises
    ------
    UserError
        If no table for `name` is checked in.
    """
    if name != "XNYS":
        msg = f"calendar was {name!r}; expected XNYS, the only table that is checked in"
        raise UserError(msg)
    closed: set[date] = set()
    special: dict[date, tuple[time, time]] = {}
    table = Path(__file__).with_name("xnys.csv")
    with table.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            day = date.fromisoformat(row["date"])
            if row["close"]:
                special[day] = time.fromisoformat(row["open"]), time.fromisoformat(row["close"])
            else:
                closed.add(day)
    return ExchangeCalendar(
        name,
        ZoneInfo("America/New_York"),
        date(1990, 1, 1),
        date(2035, 12, 31),
        closed_days=frozenset(closed),
        special_hours=special,
    )


def _positive(count: int) -> int:
    if count < 1:
        msg = f"count was {count}; expected 1 or more sessions"
        raise UserError(msg)
    return count
