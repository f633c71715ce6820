"""The three partition axes as plain dates: months, walk-forward folds and exchange sessions.

A key is a date `YYYY-MM-DD`: a month's first day, a test window's first day, or the session. Which
day it is, and so which keys exist, is decided in the time zone of the data set's calendar: New York
for its exchange, UTC for crypto and forex. Dagster's partitions are built from the same numbers; a
test holds the two against each other.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from trading_assets.bars.calendars.calendar import ExchangeCalendar, get_calendar
from trading_assets.market_data import MarketDataSpec
from trading_assets.strategy import FoldsSpec


class Axis(StrEnum):
    """What a partition key of an asset stands for."""

    NONE = "none"
    MONTH = "month"
    FOLD = "fold"
    SESSION = "session"


def add_months(day: date, months: int) -> date:
    """Return the first day of the month `months` after that of `day`."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


@dataclass(frozen=True, slots=True)
class Periods:
    """Partition keys of one data set and, if given, one strategy's folds.

    Attributes
    ----------
    market : MarketDataSpec
        Start, end and calendar of the sessions.
    folds : FoldsSpec or None
        Walk-forward windows.
    """

    market: MarketDataSpec
    folds: FoldsSpec | None = None

    @property
    def calendar(self) -> ExchangeCalendar:
        """Calendar of the exchange."""
        return get_calendar(self.market.calendar)

    @property
    def time_zone(self) -> str:
        """Name of the zone in which days, and so partitions, begin and end."""
        return self.calendar.time_zone.key

    @property
    def fold_months(self) -> int:
        """Months of a test window."""
        return 3 if self.folds is not None and self.folds.period == "quarter" else 12

    @property
    def first_session_day(self) -> date:
        """First day of the session axis: where the first test window begins."""
        return self.folds.first if self.folds is not None else self.market.start

    def today(self, now: datetime) -> date:
        """Return the date at the aware moment `now` in the calendar's time zone."""
        return now.astimezone(self.calendar.time_zone).date()

    def last_day(self, now: datetime) -> date:
        """Return the newest day whose session exists at `now`: today, or the data's end."""
        today = self.today(now)
        return today if self.market.end is None else min(today, self.market.end)

    def last_fold_end(self) -> date | None:
        """Return the day after the last declared test window, or None while folds keep coming."""
        if self.folds is None:
            return None
        ends: list[date] = []
        if self.folds.last is not None:
            ends.append(add_months(self.folds.last, self.fold_months))
        if self.market.end is not None:
            # A test window that the data does not cover to its end is no fold.
            first = self.folds.first
            while add_months(first, self.fold_months) <= self.market.end + timedelta(days=1):
                first = add_months(first, self.fold_months)
            ends.append(first)
        return min(ends) if ends else None

    def keys(self, axis: Axis, now: datetime) -> list[str]:
        """Return all partition keys of an axis that exist at `now`, oldest first."""
        if axis is Axis.NONE:
            return []
        if axis is Axis.MONTH:
            return self._month_keys(now)
        if axis is Axis.FOLD:
            return self._fold_keys(now)
        days = self.calendar.sessions(self.first_session_day, self.last_day(now))
        return [day.isoformat() for day in days]

    def span(self, axis: Axis, key: str, start_offset: int = 0, end_offset: int = 0) -> "Span":
        """Return the days of a partition's window, its ends moved by whole partitions.

        Parameters
        ----------
        axis : Axis
            What `key` stands for.
        key : str
            Partition key.
        start_offset, end_offset : int
            Partitions by which the first and the last day move; negative is earlier.
        """
        first = date.fromisoformat(key)
        if axis is Axis.SESSION:
            return Span(
                self._move_session(first, start_offset), self._move_session(first, end_offset)
            )
        months = 1 if axis is Axis.MONTH else self.fold_months
        last = add_months(first, months * (end_offset + 1)) - timedelta(days=1)
        return Span(add_months(first, months * start_offset), last)

    def keys_in(self, axis: Axis, span: "Span", now: datetime) -> list[str]:
        """Return the keys of `axis` whose window meets `span` and that exist at `now`."""
        if axis is Axis.NONE:
            return [""]
        keys = self.keys(axis, now)
        return [key for key in keys if self.span(axis, key).meets(span)]

    def _month_keys(self, now: datetime) -> list[str]:
        last = self.last_day(now)
        keys: list[str] = []
        month = add_months(self.market.start, 0)
        while month <= last:
            keys.append(month.isoformat())
            month = add_months(month, 1)
        return keys

    def _fold_keys(self, now: datetime) -> list[str]:
        if self.folds is None:
            return []
        today = self.today(now)
        end = self.last_fold_end()
        keys: list[str] = []
        first = self.folds.first
        while (after := add_months(first, self.fold_months)) <= today:
            if end is not None and after > end:
                break
            keys.append(first.isoformat())
            first = after
        return keys

    def _move_session(self, session: date, offset: int) -> date:
        if offset == 0:
            return session
        if offset < 0:
            return self.calendar.previous_session(session, -offset)
        return self.calendar.next_session(session, offset)


@dataclass(frozen=True, slots=True)
class Span:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    def meets(self, other: "Span") -> bool:
        """Whether the two spans share a day."""
        return self.first <= other.last and other.first <= self.last
