"""The asset `validated_bars`: bars that passed, quarantine, and each month's verdict."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.validation.expectations import EXPECTATIONS
from trading_assets.pages import DATA_DOCS, DATA_DOCS_INDEX, QUARANTINE
from trading_assets.periods import Axis
from trading_assets.pipeline.bars.corporate_actions import LISTINGS
from trading_assets.pipeline.bars.summaries import markdown_table, summarize
from trading_assets.pipeline.checks import check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions

MONTHS_SHOWN = 12


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

        from trading_assets.bars.actions.companies import bars_by_company, series_by_company
        from trading_assets.bars.longer_bars import build_declared_bars
        from trading_assets.bars.validation.bars import validate_bars
        from trading_assets.bars.validation.expectation_suites import begin_import
        from trading_assets.bars.validation.expectations import judge

        # Begun after this thread's own imports: two threads must not import each other's modules.
        begin_import()
        task = Task.begin(context, lake, declared, "validated_bars")
        raw, acting = f"{declared.name}/raw_bars", f"{declared.name}/corporate_actions"
        listed = json.loads(task.lake.read_blobs(acting)[LISTINGS])
        rows, actions = task.read(raw), task.read(acting)
        validated = validate_bars(
            rows,
            actions,
            declared.market,
            task.keys,
            {symbol: date.fromisoformat(day) for symbol, day in listed.items()},
            task.now,
        )
        built = build_declared_bars(validated.rows, rows, declared.market, task.now)
        # Judged and put aside under the ticker of the day; what is clean is stored by company.
        clean = bars_by_company(built, actions)
        zone = get_calendar(declared.market.calendar).time_zone.key
        series = series_by_company(task.read(raw, "series"), actions, zone)
        records = task.commit(
            [
                task.write(
                    key,
                    {
                        "rows": _of_month(task, clean, key),
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
                **summarize(clean),
                "data_docs": lake.link(docs / DATA_DOCS_INDEX),
                "quarantine": lake.link(docs / QUARANTINE),
                "data_quality_pct": validated.data_quality_pct,
                "quarantined_rows": int(validated.summary["quarantined"].sum()),
                "failed_months": dg.MetadataValue.json(validated.failed_months),
                **_imperfect_months(validated.summary),
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


def _imperfect_months(summary: pl.DataFrame) -> dict[str, dg.MetadataValue]:
    shown = ("month", "verdict", "data_quality_pct", "expected", "quarantined", "missing")
    found = summary.filter((pl.col("data_quality_pct") < 100) | (pl.col("verdict") == "failed"))
    if found.is_empty():
        return {}
    # Each partition shows what is said of the run, so that is kept short.
    table = markdown_table(found.select(shown).tail(MONTHS_SHOWN))
    return {"months_below_100_pct": dg.MetadataValue.md(table)}


def _quality_by_month(summary: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Return each month's own numbers, which stand in place of the run's of the same name."""
    # A month in which nothing was expected has no share: null, and not that of the run.
    shown = {
        **{name: name for name in ("expected", "received", "missing", "data_quality_pct")},
        "quarantined_rows": "quarantined",
    }
    return {
        row["month"]: {name: row[column] for name, column in shown.items()}
        for row in summary.iter_rows(named=True)
    }


def _of_month(task: Task, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    span = task.declared.graph.periods.span(Axis.MONTH, key)
    return frame.filter(pl.col("session").is_between(span.first, span.last))
