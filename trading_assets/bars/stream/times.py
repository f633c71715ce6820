"""The bars that a stream can deliver in given sessions, found by how the vendor labels them."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from trading_assets.bars.calendars.calendar import ExchangeCalendar

StreamedLength = Literal["1m", "1d"]


@dataclass(frozen=True, slots=True)
class BarTime:
    """Session, start and end (UTC) of one bar that the calendar promises."""

    session: date
    bar_open: datetime
    event_time: datetime


class BarTimes:
    """The bars of `sessions`, by the start that the vendor writes on them.

    A minute is labelled by its start. A day is labelled by a midnight, so its date in the
    exchange's time zone names it.
    """

    def __init__(
        self, calendar: ExchangeCalendar, sessions: Sequence[date], bar_length: StreamedLength
    ) -> None:
        # The grid is a table; polars loads with the first stream, not with this module.
        from trading_assets.bars.calendars.grid import bar_closes

        grid = bar_closes(calendar, sessions, bar_length).sort("event_time")
        self.bar_length: StreamedLength = bar_length
        self._zone = calendar.time_zone
        self.all = [BarTime(*row) for row in grid.select(*BarTime.__slots__).iter_rows()]
        self._closes = [bar.event_time for bar in self.all]
        self._by_label = {self._label(bar.bar_open): bar for bar in self.all}
        self._by_close = {bar.event_time: bar for bar in self.all}

    def find(self, start: datetime) -> BarTime | None:
        """Return the bar that the vendor labels `start`; None outside the sessions."""
        return self._by_label.get(self._label(start))

    def ending_at(self, event_time: datetime) -> BarTime | None:
        """Return the bar that ends at `event_time`, or None."""
        return self._by_close.get(event_time)

    def ending_in(self, after: datetime, until: datetime) -> Sequence[BarTime]:
        """Return the bars with `after < event_time <= until`, oldest first."""
        return self.all[bisect_right(self._closes, after) : bisect_right(self._closes, until)]

    def is_trading(self, moment: datetime, margin: timedelta) -> bool:
        """Return whether a bar is being built at `moment`, or ended up to `margin` before it."""
        following = bisect_right(self._closes, moment - margin)
        return following < len(self.all) and self.all[following].bar_open <= moment

    def _label(self, start: datetime) -> datetime | date:
        local = start.astimezone(self._zone)
        return local.date() if self.bar_length == "1d" else start.astimezone(UTC)
