"""Asset of the stage backtest that stresses a fold: other costs, conditions, prices and paths.

The walk-forward report alone reads it, and does without where it is missing.
"""

from math import ceil

import dagster as dg

from trading_assets.backtest.folds import get_fold
from trading_assets.fold_graph import BASELINE_MONTHS
from trading_assets.periods import Axis
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.policy import read_ensembles, training_tables
from trading_assets.pipeline.report_inputs import STRESS
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions


def stress_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the stress of folds."""
    return [_stress(declared)]


def _stress(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("stress")
    complete, agrees = "every_scenario_is_complete", "unshocked_path_earns_what_was_recorded"
    strategy = declared.trading

    @declare_asset(
        declared,
        node,
        STRESS,
        description="What the fold's portfolios earn under other costs, conditions, prices, paths.",
        kinds={"polars", "parquet"},
        check_specs=[
            check_spec(
                node,
                complete,
                "Each scenario has each portfolio over each bar of the window, all finite.",
                blocks=True,
            ),
            check_spec(
                node,
                agrees,
                "The unshocked path earns what the backtest recorded.",
                blocks=False,
            ),
        ],
    )
    def stress(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from trading_assets.backtest.redeciding import RedecidedFold
        from trading_assets.backtest.stress import find_incomplete, stress_fold
        from trading_assets.forecast.forecaster import Forecaster

        task = Task.begin(context, lake, declared, STRESS)
        periods = declared.graph.periods
        # The bars that the fold's backtest reads, so that what is traded again is what it traded.
        before = -ceil(BASELINE_MONTHS / periods.fold_months)
        data, recorded = f"{strategy.market_data}/validated_bars", f"{declared.name}/backtest"
        stressed = stress_fold(
            RedecidedFold(
                fold=get_fold(task.key, strategy.folds),
                strategy=strategy,
                market_data=declared.market,
                tables=training_tables(task),
                series=task.read(data, "series"),
                forecaster=Forecaster.from_files(
                    task.lake.read_blobs(f"{declared.name}/forecaster", task.key)
                ),
                ensembles=read_ensembles(task).ensembles,
                traded_from=periods.span(Axis.FOLD, task.key, before, 0).first,
            ),
            task.read(recorded, "weights"),
            task.read(recorded, "equity"),
        )
        incomplete = find_incomplete(stressed.table)
        records = task.commit(
            [
                task.write(
                    task.key,
                    {STRESS: stressed.table},
                    verdict="failed" if incomplete else "passed",
                    reasons=incomplete,
                )
            ]
        )
        report_partitions(context, records)
        apart = {f"apart_bps {name}": value for name, value in stressed.apart_bps.items()}
        return dg.MaterializeResult(
            metadata={"dagster/row_count": len(stressed.table), **apart},
            check_results=[
                check(complete, incomplete),
                check(agrees, stressed.problems, is_warning=True),
            ],
        )

    return stress
