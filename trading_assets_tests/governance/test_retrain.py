from datetime import date

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.governance.retrain import DriftEvent, RetrainDecision, should_retrain
from trading_assets.strategy import GovernanceSpec

CALENDAR = get_calendar("XNYS")
SPEC = GovernanceSpec(retrain_cooldown_sessions=5)
MONDAY = date(2024, 5, 6)


def decide(
    alarms: list[date], last_retrain: date | None, session: date = MONDAY
) -> RetrainDecision:
    events = [DriftEvent(alarm, 0.25) for alarm in alarms]
    return should_retrain(events, last_retrain, session, SPEC, CALENDAR)


def test_an_alarm_starts_a_retrain_that_says_why() -> None:
    decision = decide([MONDAY], None)
    assert decision.starts
    assert decision.run_key == "drift-2024-05-06"
    assert decision.reason == "25% of features drifted on 2024-05-06"


def test_the_same_state_gives_the_same_run_key() -> None:
    assert decide([MONDAY], None) == decide([MONDAY], None)


def test_later_reports_of_the_same_drift_do_not_change_the_run_key() -> None:
    tuesday = date(2024, 5, 7)
    assert decide([MONDAY, tuesday], None, tuesday).run_key == "drift-2024-05-06"


def test_without_an_alarm_nothing_starts() -> None:
    assert not decide([], None).starts


def test_an_alarm_up_to_the_last_retrain_is_settled() -> None:
    assert not decide([date(2024, 4, 22), date(2024, 4, 23)], date(2024, 4, 23)).starts


def test_an_alarm_of_the_future_is_not_known() -> None:
    assert not decide([date(2024, 5, 7)], None).starts


def test_the_cool_down_counts_sessions() -> None:
    assert not decide([MONDAY], date(2024, 4, 30)).starts
    assert "4 sessions since" in decide([MONDAY], date(2024, 4, 30)).reason
    assert decide([MONDAY], date(2024, 4, 29)).starts


def test_there_is_at_most_one_retrain_a_session() -> None:
    assert not decide([MONDAY], MONDAY).starts
