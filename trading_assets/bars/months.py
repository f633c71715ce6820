"""Fetches a range of months at once and folds the answer into what each month already has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from trading_assets.bars.actions.history import merge_actions
from trading_assets.bars.ingest import merge_revisions
from trading_assets.bars.sources.source import BarSource, FetchedBars
from trading_assets.errors import DataError

FetchSeries = Callable[[date, date, datetime], pl.DataFrame]


@dataclass(frozen=True, slots=True)
class Month:
    """One month that is fetched: its key and the sessions asked for, both ends included."""

    key: str
    first: date
    last: date


def fetch_months(
    source: BarSource,
    months: Sequence[Month],
    stored: Mapping[str, FetchedBars],
    as_of: datetime,
    further_series: FetchSeries | None = None,
    *,
    fetched_before: Mapping[str, datetime] | None = None,
    has_fallback: bool = False,
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
    further_series : callable, optional
        Returns table `series` of a range of sessions at a moment, beside those of the source.
    fetched_before : mapping, optional
        When each stored month was last fetched, by key.
    has_fallback : bool
        Whether another source may have answered: an action that the fetch lacks is then kept.

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
    if further_series is not None:
        others = further_series(months[0].first, months[-1].last, as_of)
        fetched = replace(fetched, series=pl.concat([fetched.series, others]))
    before = fetched_before or {}
    moments = {
        month.first.replace(day=1): before[month.key] for month in months if month.key in before
    }
    known = [stored[month.key] for month in months if month.key in stored]
    rows, series = (
        _by_month(
            merge_revisions(
                pl.concat([getattr(bars, attribute) for bars in known]) if known else None,
                getattr(fetched, attribute),
                table,
                moments,
            ),
            "session",
        )
        for attribute, table in (("rows", "raw_bars"), ("series", "series"))
    )
    actions = _by_month(fetched.actions, "ex_date")
    return {
        month.key: FetchedBars(
            rows=rows(month),
            series=series(month),
            actions=merge_actions(
                stored[month.key].actions if month.key in stored else None,
                actions(month),
                as_of,
                fetched_before=before.get(month.key),
                is_complete=not has_fallback,
            ),
            notes=fetched.notes,
        )
        for month in months
    }


def _by_month(frame: pl.DataFrame, column: str) -> Callable[[Month], pl.DataFrame]:
    dated = frame.with_columns(pl.col(column).dt.truncate("1mo").alias("_month"))
    parts = dated.partition_by("_month", as_dict=True, include_key=False)
    return lambda month: parts.get((month.first.replace(day=1),), frame.clear())
