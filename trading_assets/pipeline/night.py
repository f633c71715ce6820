"""What a schedule asks for at one moment: the first runs of the plan that are not yet under way."""

from collections.abc import Sequence
from datetime import date, datetime

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from trading_assets.asset_nodes import digest
from trading_assets.lake.store import Lake
from trading_assets.pipeline.declared import Declared
from trading_assets.plan import RunStep, Target, plan

STEP_TAG = "trading_assets/step"
# A step that failed this often in one night waits for a person.
MAX_ATTEMPTS = 2
# A tick's reason is one line of the UI.
MAX_NAMED = 3


def due_requests(
    declared: Declared,
    lake: Lake,
    instance: dg.DagsterInstance,
    now: datetime,
    only: Sequence[str],
    session: date,
) -> list[dg.RunRequest] | dg.SkipReason:
    """Return the run requests of the plan's first wave that neither run nor have failed too often.

    Where there is none, the reason names what is refused, and what that blocks.

    Parameters
    ----------
    declared : Declared
        The strategy.
    lake : Lake
        Whose manifest says what exists.
    instance : DagsterInstance
        Whose runs say what is under way.
    now : datetime
        Aware moment of the tick.
    only : sequence of str
        Assets that are brought up to date.
    session : date
        Session that the night prepares; it makes the requests' keys.
    """
    # Unbounded: of sessions only the newest is meant, never those that were missed before it.
    target = Target(only=frozenset(only))
    planned = plan(declared.graphs, lake.records, now, target)
    wave = planned.waves[0] if planned.waves else ()
    requests = [
        request(step, tag)
        for step in wave
        if _may_start(instance, tag := step_tag(declared.name, session, step))
    ]
    if requests:
        return requests
    reason = f"nothing is due for {session}, or it is under way"
    barred = [f"{own.asset} {own.partition} is {own.state}: {own.reason}" for own in planned.barred]
    return dg.SkipReason("; ".join([reason, *barred[:MAX_NAMED]]))


def step_tag(name: str, session: date, step: RunStep) -> str:
    """Return the tag value by which runs of the same step in the same night know each other."""
    return f"{name}-{session}-{digest([step.assets, step.partitions])[:12]}"


def request(step: RunStep, tag: str, **tags: str) -> dg.RunRequest:
    """Return the run request of one step of a plan."""
    tags[STEP_TAG] = tag
    if len(step.partitions) > 1:
        tags[ASSET_PARTITION_RANGE_START_TAG] = step.partitions[0]
        tags[ASSET_PARTITION_RANGE_END_TAG] = step.partitions[-1]
    key = next(iter(step.partitions)) if len(step.partitions) == 1 else None
    return dg.RunRequest(
        run_key=tag,
        partition_key=key,
        asset_selection=[dg.AssetKey(asset.split("/")) for asset in step.assets],
        tags=tags,
    )


def _may_start(instance: dg.DagsterInstance, tag: str) -> bool:
    runs = instance.get_runs(filters=dg.RunsFilter(tags={STEP_TAG: tag}))
    return all(run.is_finished for run in runs) and len(runs) < MAX_ATTEMPTS
