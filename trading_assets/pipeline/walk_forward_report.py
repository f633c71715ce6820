"""The asset that judges a strategy over all its folds."""

from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.backtest.folds import get_fold
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.ledger import TABLE as LEDGER
from trading_assets.pipeline.ledger import ledger_table
from trading_assets.pipeline.ledger_check import find_uncounted
from trading_assets.pipeline.policy import png_metadata
from trading_assets.pipeline.report_inputs import (
    ablation_keys,
    ablation_refs,
    read_ablations,
    read_cross_validation,
    read_explanations,
    read_quality,
    read_stress,
)
from trading_assets.pipeline.resources import LakeResource, TrackingResource
from trading_assets.pipeline.task import Task, report_partitions
from trading_assets.pipeline.traded_folds import (
    find_left_out,
    read_absences,
    read_member_weights,
    read_tables,
)
from trading_assets.pipeline.trials import mirrored_trials, trial_series
from trading_assets.pipeline.tried_markets import counted_on_market


def walk_forward_report_asset(declared: Declared) -> dg.AssetsDefinition:
    """Return the report over all folds of a strategy."""
    node = declared.node("walk_forward_report")
    complete, counted = "statistics_are_complete", "every_trial_is_counted"

    @declare_asset(
        declared,
        node,
        None,
        description="The verdict over all folds: against baselines, after costs, with intervals.",
        kinds={"html", "mlflow"},
        check_specs=[
            check_spec(
                node, complete, "Every portfolio has every fold and finite figures.", blocks=True
            ),
            check_spec(
                node,
                counted,
                "Each agent and ensemble of each fold is a counted trial, with its returns.",
                blocks=True,
            ),
        ],
    )
    def walk_forward_report(
        context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource
    ) -> dg.MaterializeResult:
        from trading_assets.backtest.report import build_report
        from trading_assets.backtest.report_documents import WalkForwardInputs
        from trading_assets.backtest.track_record import FoldRecord
        from trading_assets.bars.universe import survivorship

        task = Task.begin(context, lake, declared, "walk_forward_report")
        key, market = f"{declared.name}/backtest", declared.trading.market_data
        counted_trials = counted_on_market(task.lake, declared)
        trials = len(counted_trials)
        expected = task.inputs("")[key]
        stored = task.lake.records(key)
        left_out = find_left_out(task, key)
        present = [fold for fold in expected if fold in stored and fold not in left_out.reasons]
        forecaster = f"{declared.name}/forecaster"
        ablated = ablation_keys(declared)
        ablations = read_ablations(task.lake, ablated, present)
        quality = read_quality(task.lake, forecaster, present)
        explained = f"{declared.name}/explanation"
        explanations = read_explanations(task.lake, explained, present)
        stressed = read_stress(task.lake, declared.node("stress").key, present)
        tables = {fold: read_tables(task.lake, key, fold) for fold in present}
        equities = {fold: own.equity for fold, own in tables.items()}
        uncounted = find_uncounted(task.lake, declared, equities, counted_trials)
        validated = f"{declared.name}/cross_validation"
        cross_validation = read_cross_validation(task.lake, validated)
        report = build_report(
            WalkForwardInputs(
                strategy_name=declared.name,
                strategy=declared.trading,
                declaration_digest=node.declaration_digest,
                folds=[
                    FoldRecord(
                        get_fold(fold, declared.trading.folds),
                        tables[fold],
                        read_member_weights(task.lake, key, fold),
                        features=quality.get(fold),
                        ablations=ablations[fold],
                        absences=read_absences(task.lake, key, fold),
                        explanation=explanations.get(fold),
                        stress=stressed.get(fold),
                    )
                    for fold in present
                ],
                expected_folds=expected,
                trials=trial_series(counted_trials),
                survivorship=survivorship(declared.market),
                left_out=left_out.reasons,
                cross_validation=cross_validation,
            )
        )
        problems = [*report.problems, *uncounted]
        files = {
            "report.html": report.html.encode(),
            "report.png": report.png,
            "figures.json": report.figures_json,
        }
        records = task.commit(
            [
                task.write(
                    "",
                    {LEDGER: ledger_table(counted_trials)},
                    files,
                    inputs=[
                        *task.lake.inputs_for(key, present),
                        *left_out.refused,
                        *task.lake.inputs_for(forecaster, quality),
                        *task.lake.inputs_for(explained, explanations),
                        *task.lake.inputs_for(declared.node("stress").key, stressed),
                        *ablation_refs(task.lake, ablated, ablations),
                        *task.lake.inputs_for(validated, [""] if cross_validation else []),
                    ],
                    verdict="failed" if problems else "passed",
                    reasons=problems,
                )
            ]
        )
        report_partitions(context, records)
        path = _file_of(task, records[0], "report.html")
        run = tracking.log_model(
            f"{declared.name}/walk_forward_report",
            "report",
            files,
            {"strategy": declared.name, "trials": trials, "folds": len(present)},
            report.headline,
            {"dagster_run_id": context.run.run_id, "declaration": declared.name},
        )
        own_trials = [own for own in counted_trials if own.trial.data_set == market]
        tracking.mirror_trials(market, mirrored_trials(own_trials))
        return dg.MaterializeResult(
            metadata={
                "verdict": report.verdict,
                **({"forecasts": report.forecasts} if report.forecasts else {}),
                "plot": png_metadata(report.thumbnail),
                "report": lake.link(path),
                "trials": trials,
                "mlflow_run": run,
                **report.headline,
            },
            check_results=[
                check(complete, report.problems),
                check(counted, uncounted, trials=trials),
            ],
        )

    return walk_forward_report


def _file_of(task: Task, record: Any, name: str) -> Path:
    return task.lake.root / record.file(name).path
