"""The asset that trades each fold out of sample."""

from math import isfinite

import dagster as dg

from trading_assets.backtest.folds import get_fold
from trading_assets.lake.records import canonical_json
from trading_assets.lake.store import PartitionRecord
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.policy import (
    agent_nodes,
    read_ensembles,
    training_tables,
)
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions
from trading_assets.pipeline.traded_folds import ABSENCES_FILE, BACKTEST_TABLES, MEMBERS_FILE
from trading_assets.pipeline.trials import (
    Trained,
    count_backtest,
)


def backtest_asset(declared: Declared) -> dg.AssetsDefinition:
    """Return the backtest of a strategy's folds."""
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


def _committed(task: Task, asset: str) -> PartitionRecord:
    record = task.lake.record(asset, task.key)
    assert record is not None
    return record
