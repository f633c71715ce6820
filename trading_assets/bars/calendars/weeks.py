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


def _week_of(session: date) -> tuple[int, int]:
    year, week, _ = session.isocalendar()
    return year, week
