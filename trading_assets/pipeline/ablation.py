"""Asset of the stage policy that measures what forecasts add: each agent trained without them too.

No asset but the walk-forward report reads it: what is trained here is no member of an ensemble, no
challenger and no trial, as nothing chooses among the arms what to trade.
"""

from pathlib import Path
from shutil import rmtree

import dagster as dg

from trading_assets.backtest.folds import get_fold
from trading_assets.cores import usable_cores
from trading_assets.periods import Axis
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.instance import TRAINING_POOL
from trading_assets.pipeline.policy import AgentSizes, training_tables
from trading_assets.pipeline.progress import watch_training
from trading_assets.pipeline.report_inputs import ABLATION, ablation_keys
from trading_assets.pipeline.resources import LakeResource, TrackingResource
from trading_assets.pipeline.task import Task, report_partitions


def ablation_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return an asset for each agent where an ablation of forecasts is declared."""
    return [_forecast_ablation(declared, agent) for agent in ablation_keys(declared)]


def _forecast_ablation(declared: Declared, agent: str) -> dg.AssetsDefinition:
    node, policy = declared.node(f"forecast_ablation/{agent}"), declared.node(f"policy/{agent}")
    name = "both_arms_are_complete_and_alike"
    strategy = declared.trading

    @declare_asset(
        declared,
        node,
        ABLATION,
        description=f"The agent {agent} trained without forecasts too, both arms traded alike.",
        kinds={"stablebaselines3", "torch", "mlflow"},
        pool=TRAINING_POOL,
        check_specs=[
            check_spec(
                node,
                name,
                "Both arms have every seed, every test session and the same steps, all finite.",
                blocks=True,
            )
        ],
    )
    def forecast_ablation(
        context: dg.AssetExecutionContext,
        config: AgentSizes,
        lake: LakeResource,
        tracking: TrackingResource,
    ) -> dg.MaterializeResult:
        from trading_assets.backtest.ablation import find_unlike, trade_arms, window_sessions
        from trading_assets.backtest.fold_ablation import WITH, WITHOUT
        from trading_assets.policy.ablation import train_without_forecasts
        from trading_assets.policy.fold import read_seeds

        task = Task.begin(context, lake, declared, f"forecast_ablation/{agent}")
        fold = get_fold(task.key, strategy.folds)
        spec = config.over(strategy.policy.agents[agent])
        shown = read_seeds(task.lake.read_blobs(policy.key, task.key))
        tables = training_tables(task)
        tags = {
            "dagster_run_id": context.run.run_id,
            "partition": task.key,
            "declaration": declared.name,
        }
        kept = Path(lake.root) / "training" / node.key / task.key
        with tracking.follow(node.key, f"fold {task.key}", spec.model_dump(), tags) as run:
            trained = train_without_forecasts(
                tables.between(fold.train_start, fold.train_end),
                fold,
                strategy,
                declared.market,
                spec,
                watch_training(context, run, kept / node.code_version, spec.total_steps),
                usable_cores(),
            )
            policies = {f"{WITHOUT}/{file}": own for file, own in trained.to_files().items()}
            run.finish(policies)
        # The window that the fold's backtest reads, so that the declared arm earns what it did.
        window = declared.graph.periods.span(Axis.FOLD, task.key, -1, 0)
        ablated = trade_arms(
            tables.between(window.first, window.last),
            agent,
            {WITH: shown, WITHOUT: trained.policies},
            fold,
            strategy,
            declared.market,
        )
        unlike = find_unlike(ablated, window_sessions(tables.bars, fold), spec)
        problems = [*(f"without forecasts, {problem}" for problem in trained.problems), *unlike]
        records = task.commit(
            [
                task.write(
                    task.key,
                    {ABLATION: ablated.table},
                    {**policies, **ablated.to_card()},
                    verdict="failed" if problems else "passed",
                    reasons=problems,
                )
            ],
            {**node.depends_on, "agent": spec.model_dump(mode="json")},
        )
        report_partitions(context, records)
        rmtree(kept, ignore_errors=True)
        return dg.MaterializeResult(
            metadata={
                **{f"mean_return_bps_{arm}": 1e4 * mean for arm, mean in ablated.means.items()},
                "seeds": len(trained.policies),
                "total_steps": spec.total_steps,
                "mlflow_run": run.run_id,
            },
            check_results=[check(name, problems)],
        )

    return forecast_ablation
