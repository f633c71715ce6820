"""Fetches a range of months at once and folds the answer into what each month already has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from trading_assets.bars.ingest import merge_revisions
from trading_assets.bars.sources import BarSource, FetchedBars
from trading_assets.errors import DataError


@dataclass(frozen=True, slots=True)
class Month:
    """One month that is fetched: its key and the sessions asked for, both ends included."""

    key: str
    first: date
    last: date


def fetch_months(
    source: BarSource, months: Sequence[Month], stored: Mapping[str, FetchedBars], as_of: datetime
) -> dict[str, FetchedBars]:
    """Fetch consecutive months in one request and merge each with its stored rows.

    Parameters
    ----------
    source : BarSource
        Vendor of bars.
    months : sequence of Month
        Consecutive months, oldest first.
    stored : mapping
        Rows that the lake has of some of these months, by key.
    as_of : datetime
        Aware moment of the fetch; rows not known by then are left out.

    Returns
    -------
    dict
        Every month's rows, series and actions: stored rows unchanged, changed bars as revisions.

    Raises
    ------
    DataError
        If no row of the range is known yet.
    """
    fetched = source.fetch(months[0].first, months[-1].last, as_of)
    if fetched.rows.is_empty():
        msg = (
            f"the source has no bar from {months[0].first} to {months[-1].last} that was known at"
            f" {as_of:%Y-%m-%d %H:%M} UTC; choose a range with closed sessions"
        )
        raise DataError(msg)
    return {month.key: _merged(month, fetched, stored.get(month.key)) for month in months}


def _merged(month: Month, fetched: FetchedBars, stored: FetchedBars | None) -> FetchedBars:
    rows, series = (
        merge_revisions(
            None if stored is None else getattr(stored, attribute),
            _within(getattr(fetched, attribute), "session", month),
            table,
        )
        for attribute, table in (("rows", "raw_bars"), ("series", "series"))
    )
    actions = _within(fetched.actions, "ex_date", month)
    return FetchedBars(rows=rows, series=series, actions=actions)


def _within(frame: pl.DataFrame, column: str, month: Month) -> pl.DataFrame:
    return frame.filter(pl.col(column).is_between(month.first, month.last))
