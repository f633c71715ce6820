"""Which session Alpaca's own clock says is next or current, and whether its orders may go."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from trading_assets.errors import UserError, shown
from trading_assets.paper.alpaca_fields import moment_of, one_object
from trading_assets.paper.alpaca_session import AlpacaSession
from trading_assets.paper.gateways import BrokerError

# No order for the opening auction is accepted in the last two minutes before it.
WINDOW_CLOSES = timedelta(minutes=2)
# The window opens a little before the scheduled decision, as clocks differ.
WINDOW_SLACK = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class DecisionWindow:
    """When a session's orders may be sent.

    Attributes
    ----------
    before_open : timedelta
        How long before the open the decision is scheduled.
    is_intraday : bool
        Whether decisions also fall while the session goes on.

    Raises
    ------
    UserError
        If sessions are decided after the opening auction stops taking orders.
    """

    before_open: timedelta
    is_intraday: bool = False

    def __post_init__(self) -> None:
        if self.before_open <= WINDOW_CLOSES:
            minutes = self.before_open / timedelta(minutes=1)
            msg = (
                f"decision_minutes_before_open was {minutes:g}; expected more than 2, as Alpaca"
                " takes no order for the open in the last two minutes"
            )
            raise UserError(msg)


@dataclass(frozen=True, slots=True)
class BrokerClock:
    """Alpaca's clock.

    Attributes
    ----------
    now : datetime
        The time there.
    is_open : bool
        Whether the market is open.
    opens : datetime
        When it opens next.
    session : date
        The session that goes on, or else the next one.
    """

    now: datetime
    is_open: bool
    opens: datetime
    session: date


def read_clock(session: AlpacaSession, time_zone: tzinfo) -> BrokerClock:
    """Return Alpaca's clock; a session is a date in `time_zone`.

    Raises
    ------
    BrokerError
        If it cannot be read.
    """
    clock = one_object(session.read("/clock"))
    is_open = clock.get("is_open")
    if not isinstance(is_open, bool):
        msg = f"Alpaca's is_open was {shown(is_open)}; expected true or false"
        raise BrokerError(msg)
    opens = moment_of(clock, "next_open")
    ends_or_begins = moment_of(clock, "next_close") if is_open else opens
    day = ends_or_begins.astimezone(time_zone).date()
    return BrokerClock(moment_of(clock, "timestamp"), is_open, opens, day)


def refusal_of(session: date, clock: BrokerClock, window: DecisionWindow) -> str:
    """Return why orders for `session` cannot be sent now, or an empty string if they can."""
    word = "current" if clock.is_open else "next"
    if session < clock.session:
        return f"{session} is missed: the broker's {word} session is {clock.session}"
    if session > clock.session:
        return f"{session} is not due: the broker's {word} session is {clock.session}"
    if clock.is_open:
        if window.is_intraday:
            return ""
        return f"{session} is missed: the market is open, and its orders go before the open"
    begin = clock.opens - window.before_open - WINDOW_SLACK
    if clock.now < begin:
        return f"the decision window of {session} opens at {begin:%H:%M %Z}"
    end = clock.opens - WINDOW_CLOSES
    if clock.now >= end and not window.is_intraday:
        return f"{session} is missed: the decision window closed at {end:%H:%M %Z}"
    return ""
