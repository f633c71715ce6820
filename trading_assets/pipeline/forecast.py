"""Assets of the stage forecast: a forecaster a fold, and its predictions."""

from typing import Any

import dagster as dg
from pydantic import Field

from trading_assets.backtest.folds import get_fold
from trading_assets.cores import usable_cores
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.instance import TRAINING_POOL
from trading_assets.pipeline.market_tables import read_market
from trading_assets.pipeline.policy import png_metadata
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
        description="CNN, LSTM and attention on the fold's train window, against gate models.",
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
                "The network serves if it beats logistic beyond chance, else the best gate does.",
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
        from trading_assets.forecast import report
        from trading_assets.forecast.fold import measure_window, train_window
        from trading_assets.forecast.judgement import judge_forecaster

        task = Task.begin(context, lake, declared, "forecaster")
        strategy = config.over(declared.trading)
        fold = get_fold(task.key, strategy.folds)
        tables = forecast_tables(task)
        tags = {
            "dagster_run_id": context.run.run_id,
            "partition": task.key,
            "declaration": declared.name,
        }
        params = strategy.forecast.model_dump(mode="json")
        with tracking.follow(
            f"{declared.name}/forecaster", f"fold {task.key}", params, tags
        ) as run:
            trained = train_window(tables, fold, strategy, usable_cores())
            judged = judge_forecaster(trained, fold)
            shown = report.show_judging(trained)
            plot = report.draw_forecaster(trained, shown)
            for epoch, losses in report.logged_curves(trained):
                run.log(losses, epoch)
            for percent, kept in report.logged_kept(shown):
                run.log(kept, percent)
            run.log(judged.figures)
            run.tag(report.logged_tags(trained))
            files = trained.to_files()
            run.finish({**files, **report.logged_files(trained, plot)})
        quality = measure_window(tables, fold, strategy)
        problems = [*judged.not_purged, *judged.worse_serves]
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
            {**node.depends_on, "forecast": params},
        )
        report_partitions(context, records)
        return dg.MaterializeResult(
            metadata={
                **judged.figures,
                "served": judged.served,
                "reason": judged.reason,
                "candidates": dg.MetadataValue.md(judged.table),
                "plot": png_metadata(plot),
                "mlflow_run": run.run_id,
            },
            check_results=[
                check(purged, judged.not_purged),
                check(serves, judged.worse_serves, served=judged.served, reason=judged.reason),
            ],
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
        context: dg.AssetExecutionContext,
        config: ForecastSizes,
        lake: LakeResource,
        tracking: TrackingResource,
    ) -> dg.MaterializeResult:
        from trading_assets.forecast import report
        from trading_assets.forecast.evaluation import evaluate_forecasts
        from trading_assets.forecast.fold import predict_window
        from trading_assets.forecast.forecaster import Forecaster
        from trading_assets.forecast.plots import plot_forecasts

        task = Task.begin(context, lake, declared, "forecasts")
        strategy = config.over(declared.trading)
        params = strategy.forecast.model_dump(mode="json")
        fold = get_fold(task.key, strategy.folds)
        stored = task.lake.read_blobs(f"{declared.name}/forecaster", task.key)
        model, tables = Forecaster.from_files(stored), forecast_tables(task)
        predicted = predict_window(tables, fold, model, strategy, fold.test_end, usable_cores())
        tested = predicted.rows.filter(predicted.rows["window"] == "test")
        evaluated = evaluate_forecasts(tables, tested, model)
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
            {**node.depends_on, "forecast": params},
        )
        report_partitions(context, records)
        shown: dict[str, Any] = {}
        if evaluated is not None:
            plot = plot_forecasts(evaluated.shown, evaluated.track)
            figures = {f"test_{name}": value for name, value in evaluated.figures.items()}
            tags = {
                "dagster_run_id": context.run.run_id,
                "partition": task.key,
                "declaration": declared.name,
                **report.logged_tags(model),
            }
            with tracking.follow(
                f"{declared.name}/forecasts", f"fold {task.key}", params, tags
            ) as run:
                run.log(figures)
                for percent, kept in report.logged_kept(evaluated.shown):
                    run.log(kept, percent)
                run.finish({report.TEST_PLOT_FILE: plot, "card.json": predicted.card_json})
            shown = {**figures, "plot": png_metadata(plot), "mlflow_run": run.run_id}
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(predicted.rows),
                "train_rows": len(predicted.rows) - len(tested),
                "test_rows": len(tested),
                "train_forecasts": predicted.card["train_forecasts"],
                **_compared(predicted.card),
                **shown,
            },
            check_results=[check(unseen, predicted.seen)],
        )

    return forecasts


def _compared(card: Any) -> dict[str, Any]:
    """Return how forecasts by models that saw later rows compare with those that did not."""
    found: dict[str, Any] = {**(card["comparison"] or {}), "not_compared": card["not_compared"]}
    return {f"train_{name}": value for name, value in found.items() if value is not None}


def forecast_tables(task: Task) -> Any:
    """Read what a forecaster learns from and predicts with."""
    from trading_assets.forecast.tables import ForecastTables

    bars, actions = read_market(task)
    return ForecastTables(task.read(f"{task.declared.name}/features"), bars, actions)
