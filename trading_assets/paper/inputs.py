"""What a paper session is made from: data, declaration, broker, clock and who decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.paper.account_folder import log_name
from trading_assets.paper.audit import GENESIS_HASH, stated_genesis
from trading_assets.paper.audit_log import AuditLog, AuditOrigin
from trading_assets.paper.clock import SystemClock
from trading_assets.paper.gateways import BrokerGateway
from trading_assets.paper.log_folder import DiskFolder
from trading_assets.paper.record import SessionRecord
from trading_assets.policy.decision import Decision
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

# From the account's weights at the last close, the session whose close was last known, and the
# summary of the settled session before, if there was one.
DecisionFunction = Callable[[Mapping[str, float], date, Mapping[str, Any] | None], Decision]


@dataclass(frozen=True, slots=True)
class SessionInputs:
    """Everything a session is made from.

    Attributes
    ----------
    name : str
        Strategy's name; part of every order id.
    strategy : Strategy
        Its declaration.
    session : date
        The session to trade.
    calendar : ExchangeCalendar
        Sessions and opening times.
    market : Market
        Bars known now, one row a session without gaps, from the account's last session on. The row
        of `session` itself is used to settle, never to decide.
    decision_time : datetime
        Time up to which data was used, before the open; see `decision_time`.
    decide : callable
        The champion or the fallback.
    gateway : BrokerGateway
        The broker, started from the state of `stored` if there is one, else of `previous`.
    previous : SessionRecord or None
        The latest earlier session's record.
    stored : SessionRecord or None
        This session's record, if it was run before.
    audit_folder : Path
        Where logs are written while a session runs, one file a session.
    clock : callable
        The time now, timezone-aware.
    """

    name: str
    strategy: Strategy
    session: date
    calendar: ExchangeCalendar
    market: Market
    decision_time: datetime
    decide: DecisionFunction
    gateway: BrokerGateway
    previous: SessionRecord | None
    stored: SessionRecord | None
    audit_folder: Path
    clock: Callable[[], datetime]

    def audit_log(self, session: date, stored: bytes) -> AuditLog:
        """Return the writer of a session's log, which goes on from `stored`."""
        folder, name = DiskFolder(self.audit_folder), log_name(session.isoformat())
        begun = stored or folder.read(name)
        before = GENESIS_HASH
        if begun:
            before = stated_genesis(begun)
        elif self.previous is not None:
            before = str(self.previous.summary["audit"]["hash"])
        origin = AuditOrigin(session_id=session.isoformat(), genesis=before)
        return AuditLog(folder, name, SystemClock(self.clock), origin, stored)


def decision_time(
    calendar: ExchangeCalendar, session: date, minutes_before_open: int, now: datetime
) -> datetime:
    """Return up to when data may be used: the scheduled moment, or now if that is earlier."""
    scheduled = calendar.open_time(session) - timedelta(minutes=minutes_before_open)
    return min(scheduled, now)
