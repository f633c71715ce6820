"""The asset `raw_bars`: a source's bars as they came, a month a partition."""

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.errors import DataError, NotCarriedError, UserError
from trading_assets.lake.store import PartitionRecord
from trading_assets.periods import Axis
from trading_assets.pipeline.bars.summaries import summarize
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.resources import CredentialsResource, LakeResource
from trading_assets.pipeline.task import Task, report_partitions
from trading_assets.schema import column_problems


def raw_bars_asset(declared: Declared) -> dg.AssetsDefinition:
    """Return the asset of a data set."""
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
        from trading_assets.bars.actions.history import newest_actions
        from trading_assets.bars.calendars.coverage import missing_sessions
        from trading_assets.bars.months import fetch_months
        from trading_assets.bars.series.readers import fetch_series
        from trading_assets.bars.sources.build import build_source

        task = Task.begin(context, lake, declared, "raw_bars")
        market = declared.market
        calendar = get_calendar(market.calendar)
        source = build_source(market, calendar, credentials.read())
        try:
            known = task.lake.records(task.node.key)
            stored = stored_months(task, known, context.log.warning)
            fetched = fetch_months(
                source,
                _months(task),
                stored,
                task.now,
                partial(fetch_series, market, calendar),
                fetched_before={
                    key: record.as_of for key, record in known.items() if record.as_of is not None
                },
                has_fallback=market.fallback is not None,
            )
        except UserError as error:
            if isinstance(error, DataError) and not isinstance(error, NotCarriedError):
                raise  # a vendor that failed may answer the next attempt
            raise dg.Failure(str(error), allow_retries=False) from error
        records = task.commit(
            [
                task.write(
                    key,
                    {"rows": bars.rows, "series": bars.series, "actions": bars.actions},
                    known_until=_known_until(task, bars.rows),
                    as_of=task.now,
                    # Another run, or live bars, may have added rows to what was read above; the
                    # next attempt starts from those.
                    replaces=known[key].commit_id if key in known else 0,
                )
                for key, bars in fetched.items()
            ]
        )
        report_partitions(context, records)
        rows = pl.concat([bars.rows for bars in fetched.values()])
        actions = newest_actions(pl.concat([bars.actions for bars in fetched.values()]))
        gaps = missing_sessions(rows, market, task.now, actions)
        notes = next(iter(fetched.values())).notes
        return dg.MaterializeResult(
            metadata={
                **summarize(rows),
                "feeds": ", ".join(rows["feed"].unique().sort()),
                **(
                    {"notes": dg.MetadataValue.md("\n".join(f"- {n}" for n in notes))}
                    if notes
                    else {}
                ),
            },
            check_results=[
                check("columns_are_as_declared", _column_problems(task)),
                check("calendar_is_covered", gaps),
            ],
        )

    return raw_bars


def _column_problems(task: Task) -> list[str]:
    """Hold what a reader gets back against the schema, not what was about to be written."""
    stored = task.lake.read_columns(task.node.key, task.keys)
    return [problem for month in stored for problem in column_problems("raw_bars", month)]


def _months(task: Task) -> list[Any]:
    from trading_assets.bars.months import Month

    market, periods = task.declared.market, task.declared.graph.periods
    last = periods.last_day(task.now)
    spans = {key: periods.span(Axis.MONTH, key) for key in task.keys}
    return [
        Month(key, max(span.first, market.start), min(span.last, last))
        for key, span in spans.items()
    ]


def stored_months(
    task: Task, known: Mapping[str, PartitionRecord], warn: Callable[[str], None]
) -> dict[str, Any]:
    """Return what the lake has of a task's months, by key, without those whose files are lost."""
    from trading_assets.bars.sources.source import FetchedBars

    stored: dict[str, FetchedBars] = {}
    for key in (key for key in task.keys if key in known):
        record = known[key]
        try:
            stored[key] = FetchedBars(
                rows=task.lake.read_table(record, "rows"),
                series=task.lake.read_table(record, "series"),
                actions=_with_renames(task.lake.read_table(record, "actions")),
            )
        except DataError as error:
            # A file that is lost or damaged is restored by fetching the month anew, as the error
            # advises; its earlier revisions cannot be carried on.
            warn(f"{error}; the month is fetched as if for the first time")
    return stored


def _with_renames(actions: pl.DataFrame) -> pl.DataFrame:
    # Actions that were stored before renames were known lack their column.
    if "new_symbol" in actions.columns:
        return actions
    return actions.with_columns(pl.lit(None, dtype=pl.String).alias("new_symbol"))


def _known_until(task: Task, rows: pl.DataFrame) -> date | None:
    """Return the newest session the month's fetch can have seen; None once the data is complete."""
    market = task.declared.market
    if not market.is_live:
        return None
    calendar = get_calendar(market.calendar)
    return calendar.last_completed_session(task.now, market.publication_lag_minutes)
