"""When drift starts a retrain: one pure function, so that asking twice gives the same answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.strategy import GovernanceSpec


@dataclass(frozen=True, slots=True)
class DriftEvent:
    """A drift report that was an alarm.

    Attributes
    ----------
    session : date
        Session of the report.
    drifted_share : float
        Share of features above their alarm level.
    """

    session: date
    drifted_share: float


@dataclass(frozen=True, slots=True)
class RetrainDecision:
    """Whether a retrain starts, under which run key, and why or why not.

    The run key is the same whenever the same alarm is the reason, so a launcher that refuses a
    known key starts the retrain once.
    """

    starts: bool
    run_key: str
    reason: str


def should_retrain(
    events: Sequence[DriftEvent],
    last_retrain: date | None,
    session: date,
    spec: GovernanceSpec,
    calendar: ExchangeCalendar,
) -> RetrainDecision:
    """Decide whether drift starts a retrain now.

    An alarm counts once: those up to the last retrain's session are settled by it. After a retrain
    nothing starts for `retrain_cooldown_sessions` sessions, hence at most one retrain a session.

    Parameters
    ----------
    events : sequence of DriftEvent
        Alarms known now, in any order.
    last_retrain : date, optional
        Session of the last retrain, whatever started it.
    session : date
        Current session.
    spec : GovernanceSpec
        Cool-down.
    calendar : ExchangeCalendar
        Counts the sessions between.
    """
    open_alarms = [
        event
        for event in events
        if event.session <= session and (last_retrain is None or event.session > last_retrain)
    ]
    if not open_alarms:
        return RetrainDecision(starts=False, run_key="", reason="no drift since the last retrain")
    if last_retrain is not None:
        passed = len(calendar.sessions(last_retrain, session)) - 1
        if passed < spec.retrain_cooldown_sessions:
            reason = (
                f"{passed} sessions since the retrain of {last_retrain}; a new one may start after"
                f" retrain_cooldown_sessions {spec.retrain_cooldown_sessions}"
            )
            return RetrainDecision(starts=False, run_key="", reason=reason)
    # The first open alarm names the run: later reports of the same drift must not start another.
    alarm = min(open_alarms, key=lambda event: event.session)
    reason = f"{alarm.drifted_share:.0%} of features drifted on {alarm.session}"
    return RetrainDecision(starts=True, run_key=f"drift-{alarm.session}", reason=reason)
