"""The asset `validated_bars`: bars that passed, quarantine, and each month's verdict."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from trading_assets.bars.validation.expectations import EXPECTATIONS
from trading_assets.pages import DATA_DOCS
from trading_assets.periods import Axis
from trading_assets.pipeline.bars.corporate_actions import LISTINGS
from trading_assets.pipeline.bars.summaries import markdown_table, summarize
from trading_assets.pipeline.checks import check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions


def validated_bars_asset(declared: Declared) -> dg.AssetsDefinition:
    """Return the asset of a data set."""
    node = declared.node("validated_bars")

    @declare_asset(
        declared,
        node,
        "validated_bars",
        description="Bars that passed every row rule; the others stand in quarantine with reasons.",
        kinds={"polars", "greatexpectations", "parquet"},
        check_specs=[
            check_spec(node, expectation.name, expectation.description, blocks=expectation.blocks)
            for expectation in EXPECTATIONS
        ],
    )
    def validated_bars(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        import json

        from trading_assets.bars.longer_bars import build_declared_bars
        from trading_assets.bars.validation.bars import validate_bars
        from trading_assets.bars.validation.expectations import judge

        task = Task.begin(context, lake, declared, "validated_bars")
        raw, actions = f"{declared.name}/raw_bars", f"{declared.name}/corporate_actions"
        listed = json.loads(task.lake.read_blobs(actions)[LISTINGS])
        rows = task.read(raw)
        validated = validate_bars(
            rows,
            task.read(actions),
            declared.market,
            task.keys,
            {symbol: date.fromisoformat(day) for symbol, day in listed.items()},
            task.now,
        )
        built = build_declared_bars(validated.rows, rows, declared.market, task.now)
        series = task.read(raw, "series")
        records = task.commit(
            [
                task.write(
                    key,
                    {
                        "rows": _of_month(task, built, key),
                        "quarantine": month.quarantine,
                        "series": _of_month(task, series, key),
                    },
                    verdict="passed" if month.passed else "failed",
                    reasons=month.reasons,
                )
                for key, month in validated.months.items()
            ]
        )
        report_partitions(context, records, _quality_by_month(validated.summary))
        docs = Path(lake.root) / DATA_DOCS / declared.name
        judged = judge(validated, docs, declared.name)
        return dg.MaterializeResult(
            metadata={
                **summarize(built),
                "data_docs": lake.link(docs / "index.html"),
                "data_quality_pct": validated.data_quality_pct,
                "quarantined_rows": len(validated.quarantine),
                "failed_months": dg.MetadataValue.json(validated.failed_months),
                "months": dg.MetadataValue.md(markdown_table(validated.summary.tail(24))),
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name=result.name,
                    passed=result.passed,
                    severity=_severity(result, validated),
                    description=result.observed,
                    metadata={
                        "evidence": dg.MetadataValue.md(result.evidence)
                        if result.evidence
                        else "none"
                    },
                )
                for result in judged
            ],
        )

    return validated_bars


def _severity(result: Any, validated: Any) -> dg.AssetCheckSeverity:
    """Return ERROR for what blocks; a range with some good months goes on with those."""
    from trading_assets.bars.validation.expectations import MONTHLY

    some_months_are_good = len(validated.failed_months) < len(validated.months)
    if not result.blocks or (result.name in MONTHLY and some_months_are_good):
        return dg.AssetCheckSeverity.WARN
    return dg.AssetCheckSeverity.ERROR


def _quality_by_month(summary: pl.DataFrame) -> dict[str, dict[str, Any]]:
    counts = ("expected", "received", "missing", "quarantined")
    return {
        row["month"]: {name: row[name] for name in counts}
        # A month in which nothing was expected has no share.
        | {k: row[k] for k in ("data_quality_pct",) if row[k] is not None}
        for row in summary.iter_rows(named=True)
    }


def _of_month(task: Task, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    span = task.declared.graph.periods.span(Axis.MONTH, key)
    return frame.filter(pl.col("session").is_between(span.first, span.last))
