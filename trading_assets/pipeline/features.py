"""The asset of the stage features: pure functions of past bars, one column each."""

import dagster as dg
import polars as pl

from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.catalogue import feature_names, feature_of
from trading_assets.features.definition import FeatureDefinition
from trading_assets.periods import Axis
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, column_schema, declare_asset
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
        metadata={"dagster/column_schema": _column_schema(declared.trading.features)},
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
        from trading_assets.features.month_summary import summarise_months
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
                "feature_table": _feature_table(
                    summarise_months(rows, computed.names, declared.trading.features)
                ),
                "null_share": computed.null_share,
            },
            check_results=[
                check("features_do_not_look_ahead", computed.leaks, moments=computed.moments),
                check("features_are_finite_after_warm_up", computed.gaps),
            ],
        )

    return [features]


def _column_schema(spec: FeaturesSpec) -> dg.TableSchema:
    columns = [
        dg.TableColumn(
            name=name,
            type="Float32",
            description=f"{feature.formula}; in {feature.unit}, {_described(feature)}",
            tags={"group": feature.group},
        )
        for name in feature_names(spec)
        for feature in [feature_of(name, spec.module)]
    ]
    return dg.TableSchema(columns=[*column_schema("features").columns, *columns])


def _described(feature: FeatureDefinition) -> str:
    scaled = "scaled by its own recent past" if feature.is_scaled else "not scaled"
    return f"{scaled}; {feature.lookback_bars} bars back, known {feature.known_when}"


def _feature_table(summary: pl.DataFrame) -> dg.TableMetadataValue:
    from trading_assets.features.month_summary import COLUMNS

    columns = [
        dg.TableColumn(
            name=name,
            type="int" if dtype.is_integer() else "float" if dtype.is_float() else "string",
            description=COLUMNS[name],
        )
        for name, dtype in summary.schema.items()
    ]
    rounded = summary.with_columns(pl.selectors.float().round(4)).fill_nan(None)
    records = [
        dg.TableRecord({name: "" if value is None else value for name, value in row.items()})
        for row in rounded.iter_rows(named=True)
    ]
    return dg.TableMetadataValue(records=records, schema=dg.TableSchema(columns=columns))
