"""Assets of the stage forecast: a forecaster a fold, and its predictions."""

from typing import Any

import dagster as dg
from pydantic import Field

from trading_assets.backtest.folds import get_fold
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.instance import TRAINING_POOL
from trading_assets.pipeline.market_tables import read_market
from trading_assets.pipeline.resources import LakeResource, TrackingResource
from trading_assets.pipeline.task import Task, report_partitions
from trading_assets.strategy import Strategy, with_sizes


class ForecastSizes(dg.Config):
    """Sizes of one launch; those left out are the declared ones."""

    epochs: int | None = Field(None, description="Passes over the train window.")

    def over(self, strategy: Strategy) -> Strategy:
        """Return the strategy with these sizes."""
        if self.epochs is None:
            return strategy
        forecast = with_sizes(strategy.forecast, {"epochs": self.epochs})
        return strategy.model_copy(update={"forecast": forecast})


def forecast_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the forecaster and its forecasts."""
    return [_forecaster(declared), _forecasts(declared)]


def _forecaster(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("forecaster")
    purged, serves = "labels_end_before_later_windows", "the_better_model_serves"

    @declare_asset(
        declared,
        node,
        None,
        description="CNN, LSTM and attention on the fold's train window, against a gate model.",
        kinds={"torch", "mlflow"},
        pool=TRAINING_POOL,
        check_specs=[
            check_spec(
                node,
                purged,
                "No label used in training reaches into validation or test.",
                blocks=True,
            ),
            check_spec(
                node,
                serves,
                "Network or logistic model, whichever predicts the validation days better.",
                blocks=True,
            ),
        ],
    )
    def forecaster(
        context: dg.AssetExecutionContext,
        config: ForecastSizes,
        lake: LakeResource,
        tracking: TrackingResource,
    ) -> dg.MaterializeResult:
        from trading_assets.forecast.fold import measure_window, train_window
        from trading_assets.forecast.judgement import judge_forecaster

        task = Task.begin(context, lake, declared, "forecaster")
        strategy = config.over(declared.trading)
        fold = get_fold(task.key, strategy.folds)
        tables = forecast_tables(task)
        trained = train_window(tables, fold, strategy)
        quality = measure_window(tables, fold, strategy)
        judged = judge_forecaster(trained, fold)
        problems = [*judged.not_purged, *judged.worse_serves]
        files = trained.to_files()
        records = task.commit(
            [
                task.write(
                    task.key,
                    {
                        "feature_quality": quality.features,
                        "feature_correlations": quality.correlations,
                    },
                    files,
                    verdict="failed" if problems else "passed",
                    reasons=problems,
                )
            ],
            {**node.depends_on, "forecast": strategy.forecast.model_dump(mode="json")},
        )
        report_partitions(context, records)
        run = tracking.log_model(
            f"{declared.name}/forecaster",
            f"fold {task.key}",
            files,
            strategy.forecast.model_dump(),
            judged.figures,
            {
                "dagster_run_id": context.run.run_id,
                "partition": task.key,
                "declaration": declared.name,
            },
        )
        return dg.MaterializeResult(
            metadata={**judged.figures, "served": judged.served, "mlflow_run": run},
            check_results=[check(purged, judged.not_purged), check(serves, judged.worse_serves)],
        )

    return forecaster


def _forecasts(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("forecasts")
    unseen = "no_row_was_predicted_by_a_model_that_saw_it"

    @declare_asset(
        declared,
        node,
        "forecasts",
        description="Cross-fitted in the train window, out of sample in the test window.",
        kinds={"torch", "parquet"},
        pool=TRAINING_POOL,
        check_specs=[
            check_spec(
                node,
                unseen,
                "No label of a row lies in what its model was trained on.",
                blocks=True,
            )
        ],
    )
    def forecasts(
        context: dg.AssetExecutionContext, config: ForecastSizes, lake: LakeResource
    ) -> dg.MaterializeResult:
        from trading_assets.forecast.fold import predict_window
        from trading_assets.forecast.forecaster import Forecaster

        task = Task.begin(context, lake, declared, "forecasts")
        strategy = config.over(declared.trading)
        fold = get_fold(task.key, strategy.folds)
        stored = task.lake.read_blobs(f"{declared.name}/forecaster", task.key)
        predicted = predict_window(
            forecast_tables(task), fold, Forecaster.from_files(stored), strategy, fold.test_end
        )
        records = task.commit(
            [
                task.write(
                    task.key,
                    {"rows": predicted.rows},
                    {"card.json": predicted.card_json},
                    verdict="failed" if predicted.seen else "passed",
                    reasons=predicted.seen,
                )
            ],
            {**node.depends_on, "forecast": strategy.forecast.model_dump(mode="json")},
        )
        report_partitions(context, records)
        windows = predicted.rows["window"]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(predicted.rows),
                "train_rows": int((windows == "train").sum()),
                "test_rows": int((windows == "test").sum()),
            },
            check_results=[check(unseen, predicted.seen)],
        )

    return forecasts


def forecast_tables(task: Task) -> Any:
    """Read what a forecaster learns from and predicts with."""
    from trading_assets.forecast.fold import ForecastTables

    bars, actions = read_market(task)
    return ForecastTables(task.read(f"{task.declared.name}/features"), bars, actions)
