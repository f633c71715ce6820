"""The asset `corporate_actions`: what changes holdings of a data set's symbols, by ex-date."""

from datetime import date

import dagster as dg
import polars as pl

from trading_assets.errors import DataError
from trading_assets.pipeline.bars.summaries import markdown_table
from trading_assets.pipeline.checks import check, check_spec
from trading_assets.pipeline.declared import Declared, declare_asset
from trading_assets.pipeline.resources import LakeResource
from trading_assets.pipeline.task import Task, report_partitions

LISTINGS = "listings.json"


def corporate_actions_asset(declared: Declared) -> dg.AssetsDefinition:
    """Return the asset of a data set."""
    node = declared.node("corporate_actions")
    name, heard = "actions_are_plausible", "every_symbol_has_bars"

    @declare_asset(
        declared,
        node,
        "corporate_actions",
        # Unpartitioned, but selected together with ranges of months.
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="Splits and dividends by ex-date, from the vendor or from its adjusted close.",
        kinds={"polars", "parquet"},
        check_specs=[
            check_spec(node, name, "Ratios and amounts of all actions are possible.", blocks=True),
            check_spec(node, heard, "Every symbol of the universe has a bar by now.", blocks=False),
        ],
    )
    def corporate_actions(
        context: dg.AssetExecutionContext, lake: LakeResource
    ) -> dg.MaterializeResult:
        import json

        from trading_assets.bars.actions.companies import rename_problems, undeclared_tickers
        from trading_assets.bars.actions.corporate_actions import (
            check_actions,
            collect_actions,
            newest_closes,
        )
        from trading_assets.bars.calendars.listing_spans import silent_symbols

        task = Task.begin(context, lake, declared, "corporate_actions")
        raw = f"{declared.name}/raw_bars"
        stored = sorted(task.lake.records(raw))
        if not stored:
            msg = f"{node.key} needs {raw}, which has no partition yet; materialize it first"
            raise DataError(msg)
        # Month by month: of many minutes only the closes are kept in memory.
        rows = pl.concat([newest_closes(task.lake.read(raw, [month])) for month in stored])
        announced = task.lake.read(raw, stored, "actions")
        actions = collect_actions(rows, announced)
        listings = rows.group_by("symbol").agg(pl.col("session").min()).sort("symbol")
        first_sessions: dict[str, date] = dict(listings.iter_rows())
        listed = {symbol: day.isoformat() for symbol, day in first_sessions.items()}
        silent = silent_symbols(declared.market, first_sessions, task.now)
        silent += undeclared_tickers(declared.market.universe, actions)
        problems = check_actions(actions) or rename_problems(rows, actions)
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
                "actions": dg.MetadataValue.md(markdown_table(counts)),
                "first_sessions": dg.MetadataValue.json(listed),
            },
            check_results=[check(name, problems), check(heard, silent, is_warning=True)],
        )

    return corporate_actions
