"""Which sessions begin a calendar week, by the exchange's calendar."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from trading_assets.bars.calendars.calendar import ExchangeCalendar


def begins_week(calendar: ExchangeCalendar, session: date) -> bool:
    """Return whether no earlier session is in the week, Monday to Sunday, of a session.

    Raises
    ------
    UserError
        If the day is no session of the calendar, or has none before it there.
    """
    calendar.open_time(session)  # refuses a day that is no session
    return _week_of(calendar.previous_session(session)) != _week_of(session)


def decides_for_week(
    calendar: ExchangeCalendar, decision_sessions: Sequence[date]
) -> NDArray[np.bool_]:
    """Return whether what is decided at each close fills in a week's first session, bool (T,).

    Known at the close, since calendars are published years ahead.

    Parameters
    ----------
    calendar : ExchangeCalendar
        The exchange's.
    decision_sessions : sequence of date
        Sessions at whose close is decided; each decision fills in the next session.

    Raises
    ------
    UserError
        If the calendar does not cover a session or the one after it.
    """
    following = [calendar.next_session(session) for session in decision_sessions]
    return np.array([begins_week(calendar, session) for session in following], dtype=np.bool_)


def ends_week(sessions: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Return whether the session after each of a market's is in a later calendar week, bool (T,).

    What `decides_for_week` tells by the calendar, told by the sessions that there are: where a
    session is missing, the next one that can fill takes its place.

    Parameters
    ----------
    sessions : datetime64[D] (T,)
        Consecutive sessions. The last one has none after it to fill anything, and gets False.
    """
    # 1970-01-01, which days are counted from, was the fourth day of its week.
    weeks = (sessions.astype("datetime64[D]").astype(np.int64) + 3) // 7
    ended = np.zeros(len(weeks), dtype=np.bool_)
    ended[:-1] = weeks[1:] != weeks[:-1]
    return ended


def _week_of(session: date) -> tuple[int, int]:
    year, week, _ = session.isocalendar()
    return year, week
