"""The asset of the stage features: pure functions of past bars, one column each."""

import dagster as dg
import polars as pl

from trading_assets.periods import Axis
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.market_tables import read_market
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions


def features_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the features asset of a strategy."""
    node = declared.node("features")

    @declare_asset(
        declared,
        node,
        "features",
        description="Model inputs by symbol and session, known at the session's close.",
        kinds={"polars", "parquet"},
        check_specs=[
            check_spec(
                node,
                "features_do_not_look_ahead",
                "Cutting off or scrambling later bars changes no earlier feature.",
                blocks=True,
            ),
            check_spec(
                node,
                "features_are_finite_after_warm_up",
                "No feature is null or infinite once its lookback is filled.",
                blocks=True,
            ),
        ],
    )
    def features(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from trading_assets.features.months import compute_months

        task = Task.begin(context, lake, declared, "features")
        bars, actions = read_market(task)
        computed = compute_months(
            bars,
            actions,
            task.read(f"{declared.trading.market_data}/validated_bars", "series"),
            declared.trading.features,
            {key: task.declared.graph.periods.span(Axis.MONTH, key).first for key in task.keys},
        )
        problems = [*computed.leaks, *computed.gaps]
        records = task.commit(
            [
                task.write(
                    key,
                    {"rows": frame},
                    verdict="failed" if problems else "passed",
                    reasons=problems,
                )
                for key, frame in computed.months.items()
            ]
        )
        report_partitions(context, records)
        rows = pl.concat(list(computed.months.values()))
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(rows),
                "features": len(computed.names),
                "feature_names": dg.MetadataValue.json(list(computed.names)),
                "null_share": computed.null_share,
            },
            check_results=[
                check("features_do_not_look_ahead", computed.leaks, moments=computed.moments),
                check("features_are_finite_after_warm_up", computed.gaps),
            ],
        )

    return [features]
