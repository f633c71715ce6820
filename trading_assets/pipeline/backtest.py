"""Assets of the stage backtest: each fold traded out of sample, and the walk-forward report."""

import json
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.backtest.folds import get_fold
from trading_assets.lake.names import table_file
from trading_assets.lake.records import canonical_json
from trading_assets.lake.store import Lake, PartitionRecord
from trading_assets.pipeline.ablation import ablation_keys, ablation_refs, read_ablations
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.explanation import read_explanations
from trading_assets.pipeline.ledger import TABLE as LEDGER
from trading_assets.pipeline.ledger import ledger_table
from trading_assets.pipeline.policy import (
    agent_nodes,
    png_metadata,
    read_ensembles,
    training_tables,
)
from trading_assets.pipeline.resources import LakeResource, TrackingResource
from trading_assets.pipeline.stress import read_stress
from trading_assets.pipeline.task import Task, report_partitions
from trading_assets.pipeline.trials import (
    Trained,
    count_backtest,
    mirrored_trials,
    trial_series,
)

MEMBERS_FILE = "member_weights.json"
ABSENCES_FILE = "absences.json"
BACKTEST_TABLES = ("weights", "trades", "equity", "holdings")


def backtest_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the backtest of folds and the report over them."""
    return [_backtest(declared), _walk_forward_report(declared)]


def _backtest(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("backtest")
    strategy = declared.trading
    conserves, parity = "accounting_conserves_equity", "engines_environment_and_referee_agree"

    @declare_asset(
        declared,
        node,
        "equity",
        description="The fold's test window traded by all seeds, ensembles, baselines, references.",
        kinds={"polars", "parquet"},
        check_specs=[
            check_spec(
                node,
                conserves,
                "Every change of equity is gains plus dividends less costs and financing.",
                blocks=True,
            ),
            check_spec(
                node,
                parity,
                "Recorded equity is that of the other engine, the referee and the environment.",
                blocks=True,
            ),
        ],
    )
    def backtest(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from trading_assets.backtest.fold import backtest_fold
        from trading_assets.policy.ensemble import weights_by_member
        from trading_assets.policy.references import References

        task = Task.begin(context, lake, declared, "backtest")
        nodes = agent_nodes(declared)
        rule = strategy.policy.ensemble
        is_weighted = rule.rule != "mean_action"
        stored = read_ensembles(task)
        policies, ensembles = stored.policies, stored.ensembles
        fold = get_fold(task.key, strategy.folds)
        fitted = task.lake.read_blobs(declared.node("references").key, task.key)
        traded = backtest_fold(
            training_tables(task),
            policies,
            fold,
            strategy,
            declared.market,
            ensembles,
            References.from_files(fitted),
        )
        problems = [*traded.accounting, *traded.parity]
        tables = traded.tables
        weights = weights_by_member(ensembles, policies)
        further = {MEMBERS_FILE: weights} if is_weighted else {}
        # There only where something is absent, as in most folds nothing is.
        further |= {ABSENCES_FILE: traded.absences} if traded.absences else {}
        records = task.commit(
            [
                task.write(
                    task.key,
                    {name: getattr(tables, name) for name in BACKTEST_TABLES},
                    {name: canonical_json(values).encode() for name, values in further.items()},
                    verdict="failed" if problems else "passed",
                    reasons=problems,
                )
            ]
        )
        count_backtest(
            task.lake,
            declared,
            {a: Trained(_committed(task, nodes[a].key), len(own)) for a, own in policies.items()},
            task.key,
            None if problems else tables.equity,
        )
        report_partitions(context, records)
        figures = {
            f"{label} {name}": float(value)
            for label, values in (
                ("sharpe_annual", traded.sharpe_annual),
                ("max_drawdown", traded.max_drawdown),
            )
            for name, value in values.items()
            # Cash does not vary, so its Sharpe ratio does not exist.
            if "seed-" not in name and isfinite(value)
        }
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(tables.equity),
                "parity_gap_usd": traded.parity_gap_usd,
                "ensemble_rule": rule.rule,
                "member_weights": dg.MetadataValue.json(weights),
                **({"absences": dg.MetadataValue.json(traded.absences)} if traded.absences else {}),
                **figures,
            },
            check_results=[check(conserves, traded.accounting), check(parity, traded.parity)],
        )

    return backtest


def _walk_forward_report(declared: Declared) -> dg.AssetsDefinition:
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
                node, counted, "The number of configurations tried is above zero.", blocks=True
            ),
        ],
    )
    def walk_forward_report(
        context: dg.AssetExecutionContext, lake: LakeResource, tracking: TrackingResource
    ) -> dg.MaterializeResult:
        from trading_assets.backtest.report import WalkForwardInputs, build_report
        from trading_assets.backtest.track_record import FoldRecord
        from trading_assets.bars.universe import survivorship

        task = Task.begin(context, lake, declared, "walk_forward_report")
        key = f"{declared.name}/backtest"
        counted_trials = task.lake.counted_trials(declared.trading.market_data)
        trials = len(counted_trials)
        expected = task.inputs("")[key]
        present = [fold for fold in expected if fold in task.lake.records(key)]
        forecaster = f"{declared.name}/forecaster"
        ablated = ablation_keys(declared)
        ablations = read_ablations(task.lake, ablated, present)
        quality = read_quality(task.lake, forecaster, present)
        explained = f"{declared.name}/explanation"
        explanations = read_explanations(task.lake, explained, present)
        stressed = read_stress(task.lake, declared.node("stress").key, present)
        report = build_report(
            WalkForwardInputs(
                strategy_name=declared.name,
                strategy=declared.trading,
                declaration_digest=node.declaration_digest,
                folds=[
                    FoldRecord(
                        get_fold(fold, declared.trading.folds),
                        read_tables(task.lake, key, fold),
                        _weights(task, key, fold),
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
            )
        )
        problems = [*report.problems, *([] if trials else ["no trial has been counted"])]
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
                        *task.lake.inputs_for(forecaster, quality),
                        *task.lake.inputs_for(explained, explanations),
                        *task.lake.inputs_for(declared.node("stress").key, stressed),
                        *ablation_refs(task.lake, ablated, ablations),
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
        tracking.mirror_trials(declared.trading.market_data, mirrored_trials(counted_trials))
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
                check(counted, [] if trials else ["no trial has been counted"], trials=trials),
            ],
        )

    return walk_forward_report


def read_tables(lake: Lake, asset: str, fold: str) -> Any:
    """Read the tables of a backtested fold as `BacktestTables`."""
    from trading_assets.backtest.engine import BacktestTables

    return BacktestTables(**{name: lake.read(asset, [fold], name) for name in BACKTEST_TABLES})


def _weights(task: Task, key: str, fold: str) -> dict[str, dict[str, float]]:
    """Return each member's weight in the fold's ensemble; nothing where all weigh the same."""
    files = task.lake.read_blobs(key, fold)
    stored = json.loads(files[MEMBERS_FILE]) if MEMBERS_FILE in files else {}
    return {name: {"weight in the ensemble": weight} for name, weight in stored.items()}


def read_absences(lake: Lake, asset: str, fold: str) -> dict[str, str]:
    """Read why portfolios of a fold were not traded, by name; empty where all of them were.

    Parameters
    ----------
    lake : Lake
        Holds the backtests.
    asset : str
        Asset key of the backtest.
    fold : str
        Partition key.
    """
    files = lake.read_blobs(asset, fold)
    return json.loads(files[ABSENCES_FILE]) if ABSENCES_FILE in files else {}


def read_quality(lake: Lake, asset: str, folds: Sequence[str]) -> dict[str, Any]:
    """Read what features were worth, by fold; folds stored without it or refused are left out.

    Parameters
    ----------
    lake : Lake
        Holds the forecasters.
    asset : str
        Asset key of the forecaster.
    folds : sequence of str
        Folds of the report.
    """
    from trading_assets.features.quality import FeatureQuality

    names = ("feature_quality", "feature_correlations")
    records = lake.records(asset)
    found: dict[str, Any] = {}
    for fold in folds:
        record = records.get(fold)
        if record is None or record.verdict != "passed":
            continue
        if {table_file(name) for name in names} <= {file.name for file in record.files}:
            found[fold] = FeatureQuality(*(lake.read_table(record, name) for name in names))
    return found


def _committed(task: Task, asset: str) -> PartitionRecord:
    record = task.lake.record(asset, task.key)
    assert record is not None
    return record


def _file_of(task: Task, record: Any, name: str) -> Path:
    return task.lake.root / record.file(name).path
