"""Assets of the stage bars: as fetched, corporate actions, and bars that passed every rule."""

from collections.abc import Callable
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from trading_assets.bars.calendar import get_calendar
from trading_assets.bars.expectations import EXPECTATIONS
from trading_assets.errors import DataError, UserError
from trading_assets.periods import Axis
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.resources import CredentialsResource, LakeResource
from trading_assets.pipeline.task import Task, report_partitions
from trading_assets.schema import column_problems

LISTINGS = "listings.json"


def bars_assets(declared: Declared) -> list[dg.AssetsDefinition]:
    """Return the assets of a data set."""
    return [_raw_bars(declared), _corporate_actions(declared), _validated_bars(declared)]


def _raw_bars(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("raw_bars")
    specs = [
        check_spec(
            node, "columns_are_as_declared", "Columns and types follow the schema.", blocks=True
        ),
        check_spec(
            node,
            "calendar_is_covered",
            "Every symbol that is listed has a bar in nearly every session.",
            blocks=True,
        ),
    ]

    @declare_asset(
        declared,
        node,
        "raw_bars",
        description="Bars as the vendor gave them, unadjusted; corrections are new rows.",
        kinds={"polars", "parquet"},
        check_specs=specs,
        retry_policy=dg.RetryPolicy(
            max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
        ),
    )
    def raw_bars(
        context: dg.AssetExecutionContext, lake: LakeResource, credentials: CredentialsResource
    ) -> dg.MaterializeResult:
        from trading_assets.bars.coverage import missing_sessions
        from trading_assets.bars.months import fetch_months
        from trading_assets.bars.sources import build_source

        task = Task.begin(context, lake, declared, "raw_bars")
        source = build_source(
            declared.market, get_calendar(declared.market.calendar), credentials.read()
        )
        try:
            stored = _stored(task, context.log.warning)
            fetched = fetch_months(source, _months(task), stored, task.now)
        except DataError:
            raise  # a vendor that failed may answer the next attempt
        except UserError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        records = task.commit(
            [
                task.write(
                    key,
                    {"rows": bars.rows, "series": bars.series, "actions": bars.actions},
                    known_until=_known_until(task, bars.rows),
                    as_of=task.now,
                )
                for key, bars in fetched.items()
            ]
        )
        report_partitions(context, records)
        rows = pl.concat([bars.rows for bars in fetched.values()])
        gaps = missing_sessions(rows, declared.market, task.now)
        return dg.MaterializeResult(
            metadata=_summary(rows),
            check_results=[
                check("columns_are_as_declared", _column_problems(task)),
                check("calendar_is_covered", gaps),
            ],
        )

    return raw_bars


def _corporate_actions(declared: Declared) -> dg.AssetsDefinition:
    node = declared.node("corporate_actions")
    name = "ratios_and_dividends_are_plausible"

    @declare_asset(
        declared,
        node,
        "corporate_actions",
        # Unpartitioned, but selected together with ranges of months.
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="Splits and dividends by ex-date, from the vendor or from its adjusted close.",
        kinds={"polars", "parquet"},
        check_specs=[
            check_spec(
                node, name, "Ratios are positive and dividends below the price.", blocks=True
            )
        ],
    )
    def corporate_actions(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        import json

        from trading_assets.bars.corporate_actions import check_actions, collect_actions

        task = Task.begin(context, lake, declared, "corporate_actions")
        raw = f"{declared.name}/raw_bars"
        stored = sorted(task.lake.records(raw))
        if not stored:
            msg = f"{node.key} needs {raw}, which has no partition yet; materialize it first"
            raise DataError(msg)
        rows, announced = task.lake.read(raw, stored), task.lake.read(raw, stored, "actions")
        actions = collect_actions(rows, announced)
        listings = rows.group_by("symbol").agg(pl.col("session").min()).sort("symbol")
        listed = {symbol: day.isoformat() for symbol, day in listings.iter_rows()}
        problems = check_actions(actions)
        records = task.commit(
            [
                task.write(
                    "",
                    {"rows": actions},
                    {LISTINGS: json.dumps(listed, sort_keys=True).encode()},
                    inputs=task.lake.inputs_for(raw, stored),
                    verdict="failed" if problems else "passed",
                    reasons=problems,
                )
            ]
        )
        report_partitions(context, records)
        counts = actions.group_by("symbol", "kind").len("count").sort("symbol", "kind")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(actions),
                "actions": dg.MetadataValue.md(_table(counts)),
                "first_sessions": dg.MetadataValue.json(listed),
            },
            check_results=[check(name, problems)],
        )

    return corporate_actions


def _validated_bars(declared: Declared) -> dg.AssetsDefinition:
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

        from trading_assets.bars.expectations import judge
        from trading_assets.bars.validation import validate_bars

        task = Task.begin(context, lake, declared, "validated_bars")
        raw, actions = f"{declared.name}/raw_bars", f"{declared.name}/corporate_actions"
        listed = json.loads(task.lake.read_blobs(actions)[LISTINGS])
        validated = validate_bars(
            task.read(raw),
            task.read(actions),
            declared.market,
            task.keys,
            {symbol: date.fromisoformat(day) for symbol, day in listed.items()},
            task.now,
        )
        series = task.read(raw, "series")
        records = task.commit(
            [
                task.write(
                    key,
                    {
                        "rows": month.rows,
                        "quarantine": month.quarantine,
                        "series": _of_month(task, series, key),
                    },
                    verdict="passed" if month.passed else "failed",
                    reasons=month.reasons,
                )
                for key, month in validated.months.items()
            ]
        )
        report_partitions(context, records)
        judged = judge(validated)
        return dg.MaterializeResult(
            metadata={
                **_summary(validated.rows),
                "data_quality_pct": validated.data_quality_pct,
                "quarantined_rows": len(validated.quarantine),
                "failed_months": dg.MetadataValue.json(validated.failed_months),
                "months": dg.MetadataValue.md(_table(validated.summary.tail(24))),
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
    from trading_assets.bars.expectations import MONTHLY

    some_months_are_good = len(validated.failed_months) < len(validated.months)
    if not result.blocks or (result.name in MONTHLY and some_months_are_good):
        return dg.AssetCheckSeverity.WARN
    return dg.AssetCheckSeverity.ERROR


def _column_problems(task: Task) -> list[str]:
    """Hold what a reader gets back against the schema, not what was about to be written."""
    stored = task.lake.read(task.node.key, task.keys)
    return column_problems("raw_bars", stored)


def _months(task: Task) -> list[Any]:
    from trading_assets.bars.months import Month

    market, periods = task.declared.market, task.declared.graph.periods
    last = periods.last_day(task.now)
    spans = {key: periods.span(Axis.MONTH, key) for key in task.keys}
    return [
        Month(key, max(span.first, market.start), min(span.last, last))
        for key, span in spans.items()
    ]


def _stored(task: Task, warn: Callable[[str], None]) -> dict[str, Any]:
    from trading_assets.bars.sources import FetchedBars

    known = task.lake.records(task.node.key)
    stored: dict[str, FetchedBars] = {}
    for key in (key for key in task.keys if key in known):
        tables = (
            task.lake.read_table(known[key], table) for table in ("rows", "series", "actions")
        )
        try:
            stored[key] = FetchedBars(*tables)
        except DataError as error:
            # A file that is lost or damaged is restored by fetching the month anew, as the error
            # advises; its earlier revisions cannot be carried on.
            warn(f"{error}; the month is fetched as if for the first time")
    return stored


def _known_until(task: Task, rows: pl.DataFrame) -> date | None:
    """Return the newest session the month's fetch can have seen; None once the data is complete."""
    market = task.declared.market
    if not market.is_live:
        return None
    calendar = get_calendar(market.calendar)
    return calendar.last_completed_session(task.now, market.publication_lag_minutes)


def _of_month(task: Task, frame: pl.DataFrame, key: str) -> pl.DataFrame:
    span = task.declared.graph.periods.span(Axis.MONTH, key)
    return frame.filter(pl.col("session").is_between(span.first, span.last))


def _summary(rows: pl.DataFrame) -> dict[str, Any]:
    if rows.is_empty():
        return {"dagster/row_count": 0}
    return {
        "dagster/row_count": len(rows),
        "symbols": rows["symbol"].n_unique(),
        "first_session": str(rows["session"].min()),
        "last_session": str(rows["session"].max()),
    }


def _table(frame: pl.DataFrame) -> str:
    header = "| " + " | ".join(frame.columns) + " |\n|" + "---|" * len(frame.columns)
    lines = ["| " + " | ".join(str(value) for value in row) + " |" for row in frame.iter_rows()]
    return "\n".join([header, *lines])
