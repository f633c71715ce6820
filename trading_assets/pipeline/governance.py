"""Assets of the stage governance: drift, the night's challenger, and who trades as champion."""

import json
from datetime import date
from typing import Any

import dagster as dg

from trading_assets.lake.store import Lake
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.instance import TRAINING_POOL
from trading_assets.pipeline.market_tables import read_market
from trading_assets.pipeline.policy import png_metadata
from trading_assets.pipeline.resources import LakeResource, TrackingResource
from trading_assets.pipeline.sensors import DRIFT_CHECK
from trading_assets.pipeline.task import Task, report_partitions
from trading_assets.stage_code import code_version

GATES = (
    "beats_champion",
    "beats_best_naive_baseline",
    "drawdown_within_limit",
    "seeds_agree",
    "oracle_ladder_is_green",
    "decides_in_time",
)
CHAMPION_RECORD = "champion.json"
SUMMARY = "summary.json"


def governance_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the assets that watch, challenge and choose what trades."""
    return [_drift_report(declared), _challenger(declared), _champion(declared)]


def champion_files(lake: Lake, name: str, session: str, *, is_inclusive: bool) -> dict[str, bytes]:
    """Return record and bundle of the newest champion up to a session; empty before the first."""
    asset = f"{name}/champion"
    record = lake.latest_before(asset, session, is_inclusive=is_inclusive)
    return {} if record is None else lake.read_blobs(asset, record.partition)


def _drift_report(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("drift_report")

    @declare_asset(
        declared,
        node,
        "drift",
        description="How far recent features have moved from those the models know.",
        kinds={"polars"},
        check_specs=[
            check_spec(
                node, DRIFT_CHECK, "Few features exceed their block-calibrated level.", blocks=False
            )
        ],
    )
    def drift_report(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from trading_assets.governance.windows import measure_recent_drift

        task = Task.begin(context, lake, declared, "drift_report")
        session = date.fromisoformat(task.key)
        report = measure_recent_drift(
            task.read(f"{declared.name}/features"), session, declared.trading
        )
        summary = {
            "alarm": report.is_alarm,
            "drifted_share": report.drifted_share,
            "session": task.key,
        }
        task.rows_table = "drift"
        records = task.commit(
            [
                task.write(
                    task.key,
                    {"rows": report.table},
                    {SUMMARY: json.dumps(summary).encode(), "drift.png": report.plot_png},
                )
            ]
        )
        report_partitions(context, records)
        drifted = report.table.filter("is_drifted")["feature"].to_list()
        problems = [f"{report.drifted_share:.0%} of features drifted: {', '.join(drifted)}"]
        return dg.MaterializeResult(
            metadata={
                "drifted_share": report.drifted_share,
                "drifted_features": ", ".join(drifted) or "none",
                "plot": png_metadata(report.plot_png),
                "plot_file": dg.MetadataValue.path(_file(task, records[0], "drift.png")),
            },
            check_results=[
                check(DRIFT_CHECK, problems if report.is_alarm else [], is_warning=True)
            ],
        )

    return drift_report


def _challenger(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("challenger")
    sound = "bundle_loads_verifies_and_decides"

    @declare_asset(
        declared,
        node,
        None,
        description="A bundle trained up to the last session, with the figures of every gate.",
        kinds={"torch", "stablebaselines3", "mlflow"},
        pool=TRAINING_POOL,
        check_specs=[
            check_spec(
                node,
                sound,
                "Read back from its files the bundle decides finite weights, as from features.",
                blocks=True,
            ),
            *(
                check_spec(
                    node, f"gate_{gate}", "Promotion gate; a refusal is no fault.", blocks=False
                )
                for gate in GATES
            ),
        ],
    )
    def challenger(
        context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource
    ) -> dg.MaterializeResult:
        from trading_assets.governance.challenger import make_challenger

        task = Task.begin(context, lake, declared, "challenger")
        session = date.fromisoformat(task.key)
        made = make_challenger(_inputs(task, session), session, declared.trading, declared.market)
        files = made.bundle.to_files()
        records = task.commit(
            [
                task.write(
                    task.key,
                    {},
                    {
                        **{f"bundle/{name}": data for name, data in files.items()},
                        SUMMARY: made.summary,
                    },
                    verdict="failed" if made.problems else "passed",
                    reasons=list(made.problems),
                    as_of=task.now,
                )
            ]
        )
        report_partitions(context, records)
        run = tracking.log_model(
            f"{declared.name}/challenger",
            f"session {task.key}",
            files,
            {"digest": made.bundle.digest, "session": task.key},
            {gate.name: gate.figure for gate in made.gates},
            {
                "dagster_run_id": context.run.run_id,
                "partition": task.key,
                "declaration": declared.name,
            },
        )
        passed = sum(gate.passed for gate in made.gates)
        return dg.MaterializeResult(
            metadata={
                "digest": made.bundle.digest,
                "gates_passed": passed,
                "gates": len(made.gates),
                "mlflow_run": run,
            },
            check_results=[
                check(sound, list(made.problems)),
                *(
                    check(
                        f"gate_{gate.name}",
                        [] if gate.passed else [gate.sentence],
                        is_warning=True,
                        figure=gate.figure,
                        threshold=gate.threshold,
                    )
                    for gate in made.gates
                ),
            ],
        )

    return challenger


def _champion(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("champion")
    verified = "exactly_one_champion_and_its_digest_verifies"

    @declare_asset(
        declared,
        node,
        None,
        description="Who trades from this session on: kept, promoted, or the declared fallback.",
        kinds={"json"},
        check_specs=[
            check_spec(
                node, verified, "The record names one champion, whose files verify.", blocks=True
            )
        ],
    )
    def champion(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from trading_assets.governance.champion import champion_problems
        from trading_assets.governance.succession import choose_champion

        task = Task.begin(context, lake, declared, "champion")
        chosen = choose_champion(
            champion_files(task.lake, declared.name, task.key, is_inclusive=False),
            task.lake.read_blobs(f"{declared.name}/challenger", task.key),
            date.fromisoformat(task.key),
            declared.trading.policy.fallback,
            task.now,
        )
        problems = champion_problems(chosen.record, chosen.bundle_files)
        records = task.commit(
            [
                task.write(
                    task.key,
                    {},
                    chosen.to_files(),
                    verdict="failed" if problems else "passed",
                    reasons=problems,
                    as_of=task.now,
                )
            ]
        )
        report_partitions(context, records)
        return dg.MaterializeResult(
            metadata={
                "status": chosen.record.status,
                "champion": chosen.record.champion,
                "reason": chosen.record.reason,
            },
            check_results=[check(verified, problems)],
        )

    return champion


def _inputs(task: Task, session: date) -> Any:
    import polars as pl

    from trading_assets.governance.challenger import ChallengerInputs
    from trading_assets.governance.succession import bundle_of

    name, data = task.declared.name, task.declared.trading.market_data
    before = pl.col("session") < session
    stored = champion_files(task.lake, name, task.key, is_inclusive=False)
    bars, actions = read_market(task)
    # Renames are no knowledge of a later day here: they say what the stored bars are called.
    is_known = (pl.col("ex_date") < session) | (pl.col("kind") == "rename")
    return ChallengerInputs(
        bars=bars.filter(before),
        actions=actions.filter(is_known),
        series=task.read(f"{data}/validated_bars", "series").filter(before),
        features=task.read(f"{name}/features").filter(before),
        champion_files=bundle_of(stored),
        ladder_of=lambda agent: _is_ladder_green(task, agent),
    )


def _is_ladder_green(task: Task, agent: str) -> bool | None:
    """Look for a ladder that this algorithm climbed with the present code, in any oracle world."""
    algorithm = task.declared.trading.policy.agents[agent].algorithm
    for asset in task.lake.assets():
        if "/oracle_ladder/" not in asset:
            continue
        record = task.lake.record(asset)
        if record is None or record.code_version != code_version("policy"):
            continue
        if task.lake.document(record.config_digest)["agent"]["algorithm"] == algorithm:
            return record.verdict == "passed"
    return None


def _file(task: Task, record: Any, name: str) -> str:
    return str(task.lake.root / record.file(name).path)
