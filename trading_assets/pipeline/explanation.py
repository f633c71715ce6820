"""Asset of the stage backtest that explains a fold: what moved its decisions and forecasts.

The walk-forward report alone reads it, and does without where it is missing.
"""

from dataclasses import replace
from typing import Any

import dagster as dg

from trading_assets.backtest.folds import get_fold
from trading_assets.periods import Axis
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.policy import read_ensembles, training_tables
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions


def explanation_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the explanation of folds."""
    return [_explanation(declared)]


def _explanation(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("explanation")
    adds_up = "attributions_add_up_to_the_action"
    strategy = declared.trading

    @declare_asset(
        declared,
        node,
        "action_attributions",
        description="What moved each target weight, trade and forecast of the fold's test window.",
        kinds={"torch", "polars", "parquet"},
        check_specs=[
            check_spec(
                node,
                adds_up,
                "Contributions miss recorded weights and forecasts by at most 1 % of their mean.",
                blocks=True,
            )
        ],
    )
    def explanation(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from trading_assets.backtest.explanation.fold import explain_fold
        from trading_assets.backtest.explanation.traded_fold import TradedFold
        from trading_assets.forecast.forecaster import Forecaster

        task = Task.begin(context, lake, declared, "explanation")
        learned = training_tables(task)
        recorded = f"{declared.name}/backtest"
        explained = explain_fold(
            TradedFold(
                fold=get_fold(task.key, strategy.folds),
                strategy=strategy,
                market_data=declared.market,
                learned=learned,
                read=rows_of_backtest(declared, learned, task.key),
                weights=task.read(recorded, "weights"),
                trades=task.read(recorded, "trades"),
            ),
            read_ensembles(task).ensembles,
            Forecaster.from_files(task.lake.read_blobs(f"{declared.name}/forecaster", task.key)),
        )
        records = task.commit(
            [
                task.write(
                    task.key,
                    explained.tables,
                    explained.to_card(),
                    verdict="failed" if explained.incomplete else "passed",
                    reasons=explained.incomplete,
                )
            ]
        )
        report_partitions(context, records)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(explained.tables["action_attributions"]),
                "left_out": dg.MetadataValue.json(list(explained.left_out)),
                **{
                    f"completeness_error {name}": own["completeness_error"]
                    for name, own in explained.figures.items()
                    if "completeness_error" in own
                },
            },
            check_results=[check(adds_up, explained.incomplete)],
        )

    return explanation


def rows_of_backtest(declared: Declared, learned: Any, fold: str) -> Any:
    """Return the rows that a fold's backtest read, so that decisions are those it recorded.

    Parameters
    ----------
    declared : Declared
        The strategy.
    learned : TrainingTables
        Tables that reach back at least as far.
    fold : str
        Key of the fold.
    """
    starts = {edge.asset: edge.start_offset for edge in declared.node("backtest").reads}
    spans = {
        name: declared.graph.periods.span(Axis.FOLD, fold, starts[asset], 0)
        for name, asset in (
            ("bars", f"{declared.trading.market_data}/validated_bars"),
            ("features", f"{declared.name}/features"),
        )
    }
    bars, features = (learned.between(spans[n].first, spans[n].last) for n in ("bars", "features"))
    return replace(features, bars=bars.bars)
