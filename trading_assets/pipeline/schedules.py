"""Schedules of a strategy on live data: the night's work, and the decision before the open."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from trading_assets.periods import Axis
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.night import due_requests, request
from trading_assets.pipeline.resources import LakeResource
from trading_assets.plan import RunStep

# Every asset of the code location stands in this one implicit job.
ALL_ASSETS = "__ASSET_JOB"
NIGHT_ASSETS = ("features", "drift_report", "session_replay")
RETRAIN_ASSETS = ("challenger", "champion")
NEW_YORK = "America/New_York"


def strategy_schedules(declared: Declared) -> list[dg.ScheduleDefinition]:
    """Return a strategy's schedules; a replayed data set has none, since its history has ended.

    Where a session opens at the moment in which the one before closes, no decision can both know
    that close and come before that open, so none is scheduled.
    """
    if not declared.market.is_live:
        return []
    nightly = _nightly_retrain(declared)
    if not declared.graph.periods.calendar.has_pauses:
        return [nightly]
    return [nightly, _live_inference(declared)]


def _nightly_retrain(declared: Declared) -> dg.ScheduleDefinition:
    hour = declared.trading.governance.nightly_hour_ny
    data = [node.key for node in declared.graphs[0].nodes]
    names = [*NIGHT_ASSETS]
    if declared.trading.governance.retrain == "nightly":
        names += RETRAIN_ASSETS
    assets = [*data, *(f"{declared.name}/{name}" for name in names)]
    periods = declared.graph.periods
    # A night in New York may be any day elsewhere; a day without a session is skipped then.
    days = "1-5" if periods.time_zone == NEW_YORK else "*"

    @dg.schedule(
        name=f"{declared.name}_nightly_retrain",
        job_name=ALL_ASSETS,
        # Several ticks a night: each asks for the next wave, so a failed or missed one is made up.
        cron_schedule=f"*/10 {hour}-{hour + 4} * * {days}",
        execution_timezone=NEW_YORK,
        default_status=_status(declared),
        description="Before a session: bars, features, replay, drift, challenger.",
    )
    def nightly_retrain(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        now = context.scheduled_execution_time.astimezone(UTC)
        session = periods.today(now)
        if not periods.calendar.is_session(session):
            return dg.SkipReason(f"{session} is no session of {declared.market.calendar}")
        return due_requests(declared, lake.open(), context.instance, now, assets, session)

    return nightly_retrain


def _live_inference(declared: Declared) -> dg.ScheduleDefinition:
    minutes = declared.trading.paper.decision_minutes_before_open
    periods = declared.graph.periods
    # The exchange opens at the same local time in every session; half days only close early.
    opens = datetime.combine(date(2000, 1, 3), periods.calendar.regular_open, tzinfo=UTC)
    moment = opens - timedelta(minutes=minutes)
    asset, shadow = (f"{declared.name}/{name}" for name in ("paper_session", "shadow_session"))

    @dg.schedule(
        name=f"{declared.name}_live_inference",
        job_name=ALL_ASSETS,
        cron_schedule=f"{moment.minute} {moment.hour} * * 1-5",
        execution_timezone=periods.time_zone,
        default_status=_status(declared),
        description=f"{minutes} minutes before the open: decide and send the session's orders.",
    )
    def live_inference(
        context: dg.ScheduleEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        session = periods.today(context.scheduled_execution_time)
        if not periods.calendar.is_session(session):
            return dg.SkipReason(f"{session} is no session of {declared.market.calendar}")
        if session < (first := periods.first_session_day):
            return dg.SkipReason(
                f"sessions of {declared.name} begin with {first}, its first test window"
            )
        if session.isoformat() in lake.open().records(asset):
            return dg.SkipReason(f"the session {session} is recorded already")
        step = RunStep("live inference", (asset, shadow), Axis.SESSION, (session.isoformat(),))
        return request(step, f"{declared.name}-paper-{session}")

    return live_inference


def _status(declared: Declared) -> dg.DefaultScheduleStatus:
    if declared.trading.schedules == "running":
        return dg.DefaultScheduleStatus.RUNNING
    return dg.DefaultScheduleStatus.STOPPED
