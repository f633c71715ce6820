"""Dagster's partitions and mappings, built from the periods and edges of the graph."""

from bisect import bisect_left
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.partitions.context import (
    PartitionLoadingContext,
    partition_loading_context,
)

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.graph import AssetGraph, AssetNode, Reads
from trading_assets.periods import NEW_YORK, Axis, Periods, add_months
from trading_assets.pipeline.refusal import Refusal

KEY_FORMAT = "%Y-%m-%d"
MONTH_CRON = "0 0 1 * *"
YEAR_CRON = "0 0 1 1 *"
QUARTER_CRON = "0 0 1 1,4,7,10 *"
DAY_CRON = "0 0 * * *"
WEEKENDS = "0 0 * * 6,0"


class PeriodPartitions(dg.TimeWindowPartitionsDefinition):
    """Dagster's time windows, which say what exists when asked for a key that does not.

    Only code that asks the declaration's own process sees this class: what Dagster's UI and daemon
    hold is its snapshot, an ordinary time-window definition.
    """

    def validate_partition_key(self, partition_key: str, context: PartitionLoadingContext) -> None:
        """Refuse a key that does not exist, in place of Dagster's error, which names no other."""
        with partition_loading_context(new_ctx=context):
            if not self.has_partition_key(partition_key):
                raise Refusal(_describe_unknown(partition_key, self))


def _describe_unknown(key: str, partitions: dg.TimeWindowPartitionsDefinition) -> str:
    known = partitions.get_partition_keys()
    if not known:
        return f"partition {key!r} does not exist; there is none yet"
    place = bisect_left(known, key)
    near = " and ".join(known[max(place - 1, 0) : place + 1])
    return (
        f"partition {key!r} does not exist; expected one of {len(known)} from {known[0]} to"
        f" {known[-1]}, next to it {near}"
    )


def partitions_of(periods: Periods, axis: Axis) -> PeriodPartitions | None:
    """Return the partitions definition of an axis, or None for an unpartitioned asset.

    Months and sessions of a live data set include the one that is still open; a fold exists only
    when its test window has ended.
    """
    if axis is Axis.NONE:
        return None
    if axis is Axis.MONTH:
        return _months(periods)
    if axis is Axis.FOLD:
        return _folds(periods)
    return _sessions(periods)


def mapping_of(
    graph: AssetGraph, node: AssetNode, upstream: AssetNode, edge: Reads
) -> dg.PartitionMapping | None:
    """Return the mapping that shows an edge's window in the lineage; None is Dagster's default."""
    if node.axis is Axis.NONE or upstream.axis is Axis.NONE or edge.reads_all:
        return None
    return dg.TimeWindowPartitionMapping(
        start_offset=edge.start_offset,
        end_offset=edge.end_offset,
        # A window may reach back before the data begins; the reader says what it lacks.
        allow_nonexistent_upstream_partitions=True,
    )


def _months(periods: Periods) -> PeriodPartitions:
    market = periods.market
    end = None if market.end is None else add_months(market.end, 1)
    return PeriodPartitions(
        cron_schedule=MONTH_CRON,
        start=_midnight(add_months(market.start, 0)),
        end=None if end is None else _midnight(end),
        fmt=KEY_FORMAT,
        timezone=NEW_YORK,
        end_offset=1,
    )


def _folds(periods: Periods) -> PeriodPartitions:
    end = periods.last_fold_end()
    return PeriodPartitions(
        cron_schedule=QUARTER_CRON if periods.fold_months == 3 else YEAR_CRON,
        start=_midnight(periods.first_session_day),
        end=None if end is None else _midnight(end),
        fmt=KEY_FORMAT,
        timezone=NEW_YORK,
    )


def _sessions(periods: Periods) -> PeriodPartitions:
    market = periods.market
    first = periods.calendar.next_session(periods.first_session_day - timedelta(days=1))
    # Windows reach back before the first session: holidays count from where the data begins.
    holidays = _weekday_holidays(market.calendar, min(first, market.start))
    return PeriodPartitions(
        cron_schedule=DAY_CRON,
        start=_midnight(first),
        end=None if market.end is None else _midnight(market.end + timedelta(days=1)),
        fmt=KEY_FORMAT,
        timezone=NEW_YORK,
        end_offset=1,
        exclusions=[WEEKENDS, *holidays],
    )


@cache
def _weekday_holidays(calendar: str, first: date) -> tuple[datetime, ...]:
    known = get_calendar(calendar)
    sessions = set(known.sessions(first, known.last_day))
    days = (first + timedelta(days=n) for n in range((known.last_day - first).days + 1))
    return tuple(_midnight(day) for day in days if day.weekday() < 5 and day not in sessions)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(NEW_YORK))
