"""Asset of the stage paper that trades settled sessions again as a backtest would.

A session is settled by the run that decides the next one, shortly before that one opens, or by its
own run where its bar is known. No night between the two could replay it. So a partition is what a
night found: it replays every session of the month before, its own included, that is settled and
that no other partition has replayed. By schedule that is the session before the last one; a run by
hand that settles a session, or one over replayed bars, replays it at once. A night that was missed
is made up by the next one, and nothing is replayed twice.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import dagster as dg

from trading_assets.lake.store import InputRef
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.market_tables import read_market
from trading_assets.pipeline.paper import read_session
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions

TABLE, SYMBOLS = "session_replay", "replay_symbols"


def session_replay_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the replay of a strategy's paper sessions."""
    node = declared.node("session_replay")
    explained, alike = "differences_add_up_to_the_divergence", "sessions_replay_as_they_were_traded"
    limit_bps = declared.trading.paper.replay_limit_bps

    @declare_asset(
        declared,
        node,
        TABLE,
        description="Settled sessions traded again as a backtest would, and how far they diverge.",
        kinds={"polars"},
        check_specs=[
            check_spec(
                node,
                explained,
                "A session's equity differs from its replay by what symbols and other cash do.",
                blocks=True,
            ),
            check_spec(
                node,
                alike,
                f"No session ended more than {limit_bps:g} bps from its replay.",
                blocks=False,
            ),
        ],
    )
    def session_replay(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        from trading_assets.paper.replay_tables import (
            divergences,
            session_table,
            symbol_table,
            unexplained,
        )

        task = Task.begin(context, lake, declared, TABLE)
        left_out, due = _due(task)
        done = _replay(task, due)
        sessions = session_table(done.replays, _cumulative_before(task))
        failed = [
            f"{day} could not be replayed: {reason}" for day, reason in sorted(done.failed.items())
        ]
        apart = unexplained(done.replays)
        reasons = {day.isoformat(): why for day, why in sorted({**left_out, **done.failed}.items())}
        records = task.commit(
            [
                task.write(
                    task.key,
                    {"rows": sessions, SYMBOLS: symbol_table(done.replays)},
                    {"summary.json": json.dumps({"not_replayed": reasons}, indent=1).encode()},
                    verdict="failed" if apart else "passed",
                    reasons=apart,
                    as_of=task.now,
                    inputs=_refs(task, due),
                )
            ]
        )
        numbers = _numbers(sessions)
        report_partitions(context, records, {task.key: numbers})
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(sessions),
                **numbers,
                "not_replayed": dg.MetadataValue.json(reasons),
            },
            check_results=[
                check(explained, apart),
                check(alike, [*divergences(done.replays, limit_bps), *failed], is_warning=True),
            ],
        )

    return [session_replay]


def _paper(task: Task) -> str:
    return f"{task.declared.name}/paper_session"


def _due(task: Task) -> tuple[dict[date, str], list[tuple[Any, Any]]]:
    """Return why sessions have no replay, and those to be replayed with where they began."""
    from trading_assets.paper.replay import why_not_replayed

    asset, known = _paper(task), task.inputs(task.key)
    replayed = _replayed_elsewhere(task, min(known[asset], default=task.key))
    left_out: dict[date, str] = {}
    due: list[tuple[Any, Any]] = []
    for key in sorted({*known[asset]} - replayed):
        record = read_session(task.lake, asset, key)
        refused = why_not_replayed(record, task.declared.trading)
        if refused:
            left_out[record.session] = refused
            continue
        due.append((record, _began_from(task, record)))
    return left_out, due


def _began_from(task: Task, record: Any) -> Any:
    """Return the session that an account comes from where its targets matter, or None."""
    asset, began = _paper(task), record.opening.as_of
    if not task.declared.trading.costs.quadratic_lambda or began is None:
        return None
    is_stored = task.lake.record(asset, began.isoformat()) is not None
    return read_session(task.lake, asset, began.isoformat()) if is_stored else None


def _replayed_elsewhere(task: Task, first: str) -> set[str]:
    """Return the sessions from `first` on that other partitions have replayed."""
    lake, since = task.lake, date.fromisoformat(first)
    found: set[str] = set()
    for key, record in lake.records(task.node.key).items():
        newest = record.last_session
        if key != task.key and newest is not None and newest >= since:
            days = lake.read_table(record)["session"].to_list()
            found |= {day.isoformat() for day in days}
    return found


def _cumulative_before(task: Task) -> float:
    """Return what the sessions replayed by earlier partitions compound to, basis points."""
    lake = task.lake
    stored = lake.records(task.node.key).items()
    earlier = [record for key, record in stored if key < task.key and record.last_session]
    if not earlier:
        return 0.0
    return float(lake.read_table(earlier[-1])["cumulative_bps"][-1])


def _replay(task: Task, due: list[tuple[Any, Any]]) -> Any:
    from trading_assets.paper.replay import ReplayData
    from trading_assets.paper.replay_due import Replays, replay_due

    if not due:
        return Replays((), {})
    data = ReplayData(task.declared.trading, task.declared.market, *read_market(task))
    return replay_due(due, data)


def _refs(task: Task, due: list[tuple[Any, Any]]) -> list[InputRef]:
    """Return what was read to replay sessions; nothing where there are none."""
    if not due:
        return []
    sessions = {r.session.isoformat() for pair in due for r in pair if r is not None}
    read = {**task.inputs(task.key), _paper(task): sorted(sessions)}
    return [ref for asset, keys in read.items() for ref in task.lake.inputs_for(asset, keys)]


def _numbers(sessions: Any) -> Mapping[str, Any]:
    """Return the figures of the newest session that was replayed, if there is one."""
    if sessions.is_empty():
        return {"replayed": "none"}
    last = sessions.row(-1, named=True)
    return {
        "replayed": ", ".join(str(day) for day in sessions["session"]),
        **{name: last[name] for name in ("divergence_bps", "cumulative_bps")},
    }
