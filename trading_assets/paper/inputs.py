"""What a paper session is made from: data, declaration, broker, clock and who decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.audit import GENESIS_HASH
from trading_assets.paper.audit_log import AuditLog
from trading_assets.paper.clock import Clock
from trading_assets.paper.gateways import Gateway
from trading_assets.paper.guards import Guard
from trading_assets.paper.kill_switch import KillSwitch
from trading_assets.paper.record import SessionRecord
from trading_assets.policy.decision import Decision
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

# Digests that the records of a decision name: of the bundle, the declared values, the code of the
# stage, the features and all stored data that it was made from.
DECISION_FACTS = ("model_digest", "config_digest", "code_version", "features_digest", "data_digest")

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
        The broker.
    previous : SessionRecord or None
        The latest earlier session's record.
    stored : SessionRecord or None
        This session's record, if it was run before.
    folder : AccountFolder
        The account's logs and its kill switch.
    clock : Clock
        The time, and how to wait.
    run_id : str
        Which run this is, for the records; empty where nobody counts runs.
    facts : mapping of str to str
        What is known of the decision before it is made, by the names of `DECISION_FACTS`.
    """

    name: str
    strategy: Strategy
    session: date
    calendar: ExchangeCalendar
    market: Market
    decision_time: datetime
    decide: DecisionFunction
    gateway: Gateway
    previous: SessionRecord | None
    stored: SessionRecord | None
    folder: AccountFolder
    clock: Clock
    run_id: str = ""
    facts: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def guard(self) -> Guard:
        """What stops the account by itself."""
        return Guard(self.name, self.strategy.risk, self.folder.logs, self.switch)

    @property
    def switch(self) -> KillSwitch:
        """The account's kill switch."""
        return self.folder.switch

    def open_log(self, record: SessionRecord | None = None) -> AuditLog:
        """Return the writer of a recorded session's log, or of this session's new one."""
        known = record or self.stored
        if known is not None:
            genesis = str(known.summary["audit"]["genesis"])
            return self.folder.open_log(known.session, known.audit, genesis, self.run_id)
        genesis = GENESIS_HASH
        if self.previous is not None:
            genesis = str(self.previous.summary["audit"]["hash"])
        return self.folder.open_log(self.session, b"", genesis, self.run_id)


def orders_since(
    inputs: SessionInputs, as_of: date | None = None, session: date | None = None
) -> datetime:
    """Return the moment from which a session's orders are listed at the broker.

    Parameters
    ----------
    inputs : SessionInputs
        Calendar, and the session that is meant unless another one is given.
    as_of, session : date, optional
        Session whose close is booked, and the session that is traded.
    """
    return session_orders_since(inputs.calendar, as_of, session or inputs.session)


def session_orders_since(calendar: ExchangeCalendar, as_of: date | None, session: date) -> datetime:
    """Return the same moment without a session's inputs."""
    if as_of is not None:
        return calendar.close_time(as_of)
    return calendar.open_time(session) - timedelta(days=1)


def decision_time(
    calendar: ExchangeCalendar, session: date, minutes_before_open: int, now: datetime
) -> datetime:
    """Return up to when data may be used: the scheduled moment, or now if that is earlier."""
    scheduled = calendar.open_time(session) - timedelta(minutes=minutes_before_open)
    return min(scheduled, now)
