"""Asset of the stage policy that fits what an agent is reported beside."""

import dagster as dg

from trading_assets.backtest.folds import get_fold
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.instance import TRAINING_POOL
from trading_assets.pipeline.policy import training_tables
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions


def reference_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the references of a strategy."""
    return [_references(declared)]


def _references(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("references")
    fitted, same = "every_reference_is_fitted", "stored_references_are_the_fitted_ones"

    @declare_asset(
        declared,
        node,
        None,
        description="A direct trainer, optimal trading on estimates and a logistic rule.",
        kinds={"torch", "scikitlearn"},
        pool=TRAINING_POOL,
        check_specs=[
            check_spec(
                node, same, "What is read back from the files gives the same files.", blocks=True
            ),
            check_spec(
                node, fitted, "Nothing that agents are reported beside is missing.", blocks=False
            ),
        ],
    )
    def references(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:
        from trading_assets.policy.references import References, train_references

        task = Task.begin(context, lake, declared, "references")
        fold = get_fold(task.key, declared.trading.folds)
        trained = train_references(training_tables(task), fold, declared.trading, declared.market)
        files = trained.to_files()
        again = References.from_files(files).to_files()
        changed = [f"{name} is read back otherwise" for name in files if again[name] != files[name]]
        verdict = "failed" if changed else "passed"
        records = task.commit([task.write(task.key, {}, files, verdict=verdict, reasons=changed)])
        report_partitions(context, records)
        lacking = [f"{name}: {reason}" for name, reason in sorted(trained.absences.items())]
        return dg.MaterializeResult(
            metadata={"absent": len(lacking), "trade_aversion": trained.trade_aversion},
            check_results=[check(same, changed), check(fitted, lacking, is_warning=True)],
        )

    return references
