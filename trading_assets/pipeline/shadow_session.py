"""Asset of the stage paper that lets the newest challenger decide beside the champion, unsent."""

import json
from typing import Any

import dagster as dg

from trading_assets.lake.store import InputRef
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.market_tables import read_market
from trading_assets.pipeline.paper import read_session
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions

SHADOW, ORDERS = "shadow_decisions", "shadow_orders"
SUMMARY = "summary.json"


def shadow_session_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the shadow session of a strategy."""
    node = declared.node("shadow_session")
    alike = "shadow_decides_on_the_sessions_data"

    @declare_asset(
        declared,
        node,
        SHADOW,
        description="What the newest challenger would have decided and ordered; nothing is sent.",
        kinds={"polars"},
        check_specs=[
            check_spec(
                node,
                alike,
                "The challenger saw the last closes that the paper session decided on.",
                blocks=True,
            )
        ],
    )
    def shadow_session(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        from trading_assets.paper.shadow import ShadowSession, empty_shadow

        task = Task.begin(context, lake, declared, "shadow_session")
        record = read_session(task.lake, f"{declared.name}/paper_session", task.key)
        challenger = task.lake.latest_before(
            f"{declared.name}/challenger", task.key, is_inclusive=True
        )
        why_not = _why_not(record, challenger)
        if why_not:
            found = ShadowSession(*empty_shadow(), {"session": task.key, "reason": why_not})
        else:
            found = _decide(task, record, challenger)
        apart = _other_prices(record, found)
        task.rows_table = SHADOW
        records = task.commit(
            [
                task.write(
                    task.key,
                    {"rows": found.decisions, ORDERS: found.orders},
                    {SUMMARY: json.dumps(found.summary, sort_keys=True, indent=1).encode()},
                    verdict="failed" if apart else "passed",
                    reasons=apart,
                    as_of=task.now,
                    inputs=_refs(task, challenger),
                )
            ]
        )
        shown = {
            name: found.summary[name]
            for name in ("decided_by", "champion", "would_send", "refused", "reason")
            if name in found.summary
        }
        distances = {
            name: found.summary[name]
            for name in ("distance", "largest_distance")
            if found.summary.get(name) is not None
        }
        report_partitions(context, records, {task.key: distances})
        return dg.MaterializeResult(
            metadata={**shown, **distances}, check_results=[check(alike, apart)]
        )

    return [shadow_session]


def _why_not(record: Any, challenger: Any) -> str:
    """Return why nothing can be decided in shadow, or an empty string."""
    if challenger is None:
        return "no challenger has been trained yet"
    if not record.knows_account:
        return f"the paper session is {record.status} and knows no account"
    return ""


def _decide(task: Task, record: Any, challenger: Any) -> Any:
    from trading_assets.paper.shadow import ShadowData, run_shadow_session

    declared = task.declared
    files = task.lake.read_blobs(f"{declared.name}/challenger", challenger.partition)
    bars, actions = read_market(task)
    paper = f"{declared.name}/paper_session"
    earlier = task.lake.latest_before(paper, task.key, allow_failed=True)
    shadow = task.lake.latest_before(task.node.key, task.key)
    blobs = {} if shadow is None else task.lake.read_blobs(task.node.key, shadow.partition)
    return run_shadow_session(
        declared.name,
        declared.trading,
        declared.market,
        ShadowData(
            bars=bars,
            actions=actions,
            series=task.read(f"{declared.trading.market_data}/validated_bars", "series"),
            challenger=files,
            digest=json.loads(files[SUMMARY])["digest"],
            record=record,
            before=None
            if earlier is None
            else read_session(task.lake, paper, earlier.partition).summary,
            shadow_before=json.loads(blobs[SUMMARY]) if blobs else None,
        ),
    )


def _other_prices(record: Any, found: Any) -> list[str]:
    """Say where the two decided on different last closes: bars were corrected in between."""
    seen = dict(record.tables["decisions"]["symbol", "reference_price_usd"].iter_rows())
    own = found.decisions["symbol", "reference_price_usd"].iter_rows()
    return [
        f"{symbol} closed at {price} USD for the challenger and {seen[symbol]} for the session"
        for symbol, price in own
        # A symbol without a bar has no close on either side.
        if symbol in seen and repr(price) != repr(seen[symbol])
    ]


def _refs(task: Task, challenger: Any) -> list[InputRef]:
    refs = task.refs(task.key)
    if challenger is not None and challenger.partition != task.key:
        refs += task.lake.inputs_for(f"{task.declared.name}/challenger", [challenger.partition])
    return refs
