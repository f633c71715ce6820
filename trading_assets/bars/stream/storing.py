"""Streamed bars on their way into the months of table `raw_bars`."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from trading_assets.bars.ingest import merge_revisions
from trading_assets.bars.sources.source import FetchedBars
from trading_assets.schema import TABLES

_BAR = [name for name in TABLES["raw_bars"].key if name != "revision"]


def split_months(rows: pl.DataFrame) -> dict[date, pl.DataFrame]:
    """Return the rows of each month of sessions, by its first day."""
    month = pl.col("session").dt.truncate("1mo").alias("_month")
    parts = rows.with_columns(month).partition_by("_month", as_dict=True, include_key=False)
    return {key[0]: part for key, part in sorted(parts.items())}


def add_streamed(stored: FetchedBars | None, delivered: Sequence[pl.DataFrame]) -> FetchedBars:
    """Return a month with what a stream delivered as further rows.

    Parameters
    ----------
    stored : FetchedBars or None
        The month as it is; None before its first fetch.
    delivered : sequence of DataFrame
        Tables `raw_bars` of the month in the order in which they were delivered. To add one again
        changes nothing. A bar of which `stored` has a later fetch is passed over: the historical
        source has had the last word on it.

    Returns
    -------
    FetchedBars
        All rows; series and actions as they were.
    """
    rows = None if stored is None else stored.rows
    for table in delivered:
        rows = merge_revisions(rows, table if rows is None else _without_later(table, rows))
    if rows is None:
        rows = TABLES["raw_bars"].empty()
    if stored is None:
        return FetchedBars(rows, TABLES["series"].empty(), TABLES["corporate_actions"].empty())
    return FetchedBars(rows, stored.series, stored.actions)


def _without_later(table: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    latest = rows.group_by(_BAR).agg(pl.col("ingest_time").max().alias("_latest"))
    return (
        table.join(latest, on=_BAR, how="left", maintain_order="left")
        .filter((pl.col("ingest_time") > pl.col("_latest")).fill_null(value=True))
        .drop("_latest")
    )
