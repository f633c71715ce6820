"""Asset of the stage backtest that fits and trades every split of a cross-validation.

The walk-forward report alone reads it, and does without where it is missing.
"""

from datetime import date

import dagster as dg

from trading_assets.backtest.folds import get_fold, test_months, train_months
from trading_assets.errors import DataError
from trading_assets.lake.records import canonical_json
from trading_assets.periods import Axis
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.instance import TRAINING_POOL
from trading_assets.pipeline.market_tables import read_market
from trading_assets.pipeline.report_inputs import PATH_FACTS_FILE, PATH_FORECASTS, PATH_RETURNS
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions


def cross_validation_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the cross-validation of a strategy that declares one."""
    declares_it = declared.trading.backtest.cross_validation is not None
    return [_cross_validation(declared)] if declares_it else []


def _cross_validation(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("cross_validation")
    apart, complete = "no_label_reaches_into_a_test_group", "every_policy_is_on_every_path"
    strategy = declared.trading
    spec = strategy.backtest.cross_validation
    assert spec is not None

    @declare_asset(
        declared,
        node,
        PATH_RETURNS,
        description="Cheap policies and a logistic forecaster on every combination of groups.",
        kinds={"scikitlearn", "parquet"},
        pool=TRAINING_POOL,
        check_specs=[
            check_spec(
                node,
                apart,
                "No label that a split was fitted on lives in a group that it is tested on.",
                blocks=True,
            ),
            check_spec(
                node, complete, "No declared policy is absent, nor the forecaster.", blocks=False
            ),
        ],
    )
    def cross_validation(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        from trading_assets.backtest.cross_validation.cross_validate import cross_validate
        from trading_assets.policy.fold import TrainingTables

        task = Task.begin(context, lake, declared, "cross_validation")
        bars, actions = read_market(task)
        features = task.read(f"{declared.name}/features")
        found = cross_validate(
            TrainingTables(bars, actions, features, features.clear()),
            covered_days(task),
            strategy,
            declared.market,
            spec,
        )
        told = {"absences": dict(found.absences), **found.facts}
        records = task.commit(
            [
                task.write(
                    "",
                    {PATH_RETURNS: found.returns, PATH_FORECASTS: found.forecasts},
                    {PATH_FACTS_FILE: canonical_json(told).encode()},
                    verdict="failed" if found.reaching else "passed",
                    reasons=found.reaching,
                )
            ]
        )
        report_partitions(context, records)
        wanted = ("forecaster", *spec.policies)
        lacking = [f"{name}: {found.absences[name]}" for name in wanted if name in found.absences]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(found.returns),
                "splits": len(found.facts["splits"]),
                "paths": found.facts["paths"],
            },
            check_results=[
                check(apart, found.reaching),
                check(complete, lacking, is_warning=True),
            ],
        )

    return cross_validation


def covered_days(task: Task) -> tuple[date, date]:
    """Return the first train day and the last test day of the folds whose months are all stored.

    Raises
    ------
    DataError
        If no closed fold has all its months of features and bars.
    """
    declared = task.declared
    folds = declared.trading.folds
    known = task.inputs("")
    stored = {*known[f"{declared.name}/features"]}
    stored &= {*known[f"{declared.trading.market_data}/validated_bars"]}
    windows = [
        fold
        for key in declared.graph.periods.keys(Axis.FOLD, task.now)
        if {*train_months(fold := get_fold(key, folds)), *test_months(fold)} <= stored
    ]
    if not windows:
        msg = (
            f"{task.node.key} needs the months of a whole fold, train and test window, of which"
            f" {len(stored)} are stored; materialize features and bars of them first"
        )
        raise DataError(msg)
    return min(fold.train_start for fold in windows), max(fold.test_end for fold in windows)
