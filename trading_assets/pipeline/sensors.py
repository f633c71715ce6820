"""One sensor of each strategy: a failed drift check asks for a retrain, once and not too often."""

import json
from collections.abc import Iterable
from datetime import date

import dagster as dg

from trading_assets.governance.retrain import DriftEvent, should_retrain
from trading_assets.lake.store import Lake
from trading_assets.periods import Axis
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.instance import UNFINISHED
from trading_assets.pipeline.night import request
from trading_assets.pipeline.resources import LakeResource
from trading_assets.plan import RunStep

DRIFT_CHECK = "features_have_not_drifted"
SESSIONS_LOOKED_BACK = 63


def strategy_sensors(declared: Declared) -> list[dg.SensorDefinition]:
    """Return the drift sensor of a strategy on live data."""
    if not declared.market.is_live:
        return []
    return [_drift_retrain(declared)]


def _drift_retrain(declared: Declared) -> dg.SensorDefinition:
    report, challenger, champion = (
        f"{declared.name}/{name}" for name in ("drift_report", "challenger", "champion")
    )
    running = declared.trading.schedules == "running"

    @dg.sensor(
        name=f"{declared.name}_drift_retrain",
        asset_selection=dg.AssetSelection.assets(
            dg.AssetKey(challenger.split("/")), dg.AssetKey(champion.split("/"))
        ),
        minimum_interval_seconds=300,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if running else dg.DefaultSensorStatus.STOPPED
        ),
        description="Starts a challenger when the drift check failed since the last one was made.",
    )
    def drift_retrain(
        context: dg.SensorEvaluationContext, lake: LakeResource
    ) -> dg.RunRequest | dg.SkipReason:
        key = dg.AssetCheckKey(dg.AssetKey(report.split("/")), DRIFT_CHECK)
        storage = context.instance.event_log_storage
        latest = storage.get_latest_asset_check_execution_by_key([key]).get(key)
        if latest is None:
            return dg.SkipReason("the drift check has not run yet")
        store = lake.open()
        events = _alarms(store.records(report), store, report)
        made = [date.fromisoformat(key) for key in store.records(challenger)]
        if _is_under_way(context.instance, challenger):
            return dg.SkipReason("a challenger is being made")
        session = _session(declared, lake)
        decision = should_retrain(
            events,
            max(made, default=None),
            session,
            declared.trading.governance,
            declared.graph.periods.calendar,
        )
        if not decision.starts:
            return dg.SkipReason(decision.reason)
        step = RunStep(
            "retrain on drift", (challenger, champion), Axis.SESSION, (session.isoformat(),)
        )
        # The session is part of the key: a retrain that failed is asked for again a session later.
        tag = f"{declared.name}-{decision.run_key}-{session}"
        return request(step, tag, trigger="drift", reason=decision.reason)

    return drift_retrain


def _is_under_way(instance: dg.DagsterInstance, asset: str) -> bool:
    """Say whether a run of the asset has not ended, whether a night, a person or drift began it."""
    statuses = [dg.DagsterRunStatus.QUEUED, *UNFINISHED]
    runs = instance.get_runs(filters=dg.RunsFilter(statuses=statuses))
    key = dg.AssetKey(asset.split("/"))
    return any(key in (run.asset_selection or ()) for run in runs)


def _alarms(records: Iterable[str], store: Lake, asset: str) -> list[DriftEvent]:
    newest = sorted(records)[-SESSIONS_LOOKED_BACK:]
    events: list[DriftEvent] = []
    for key in newest:
        summary = json.loads(store.read_blobs(asset, key)["summary.json"])
        if summary["alarm"]:
            events.append(DriftEvent(date.fromisoformat(key), float(summary["drifted_share"])))
    return events


def _session(declared: Declared, lake: LakeResource) -> date:
    """Return the session that a retrain started now would serve: today's, or the next one."""
    periods = declared.graph.periods
    calendar, today = periods.calendar, periods.today(lake.now())
    return today if calendar.is_session(today) else calendar.next_session(today)
