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

from trading_assets.asset_nodes import AssetGraph, AssetNode, Reads
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.errors import shown
from trading_assets.periods import Axis, Periods, add_months
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
            if not self._has(partition_key):
                raise Refusal(_describe_unknown(partition_key, self))

    def _has(self, partition_key: str) -> bool:
        try:
            return self.has_partition_key(partition_key)
        except OverflowError:
            return False  # a day at the end of all days, after which none can be looked for


def _describe_unknown(key: str, partitions: dg.TimeWindowPartitionsDefinition) -> str:
    known = partitions.get_partition_keys()
    if not known:
        return f"partition {shown(key)} does not exist; there is none yet"
    place = bisect_left(known, key)
    near = " and ".join(known[max(place - 1, 0) : place + 1])
    return (
        f"partition {shown(key)} does not exist; expected one of {len(known)} from {known[0]} to"
        f" {known[-1]}, next to it {near}"
    )


def partitions_of(periods: Periods, axis: Axis) -> PeriodPartitions | None:
    """Return the partitions definition of an axis, or None for an unpartitioned asset.

    Months and sessions of a live data set include the one that is still open; a fold exists only
    when its test window has ended. Days begin and end in the time zone of the data set's calendar.
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
    market, zone = periods.market, periods.time_zone
    end = None if market.end is None else add_months(market.end, 1)
    return PeriodPartitions(
        cron_schedule=MONTH_CRON,
        start=_midnight(add_months(market.start, 0), zone),
        end=None if end is None else _midnight(end, zone),
        fmt=KEY_FORMAT,
        timezone=zone,
        end_offset=1,
    )


def _folds(periods: Periods) -> PeriodPartitions:
    end, zone = periods.last_fold_end(), periods.time_zone
    return PeriodPartitions(
        cron_schedule=QUARTER_CRON if periods.fold_months == 3 else YEAR_CRON,
        start=_midnight(periods.first_session_day, zone),
        end=None if end is None else _midnight(end, zone),
        fmt=KEY_FORMAT,
        timezone=zone,
    )


def _sessions(periods: Periods) -> PeriodPartitions:
    market, zone = periods.market, periods.time_zone
    first = periods.calendar.next_session(periods.first_session_day - timedelta(days=1))
    # Windows reach back before the first session: days count from where the data begins.
    closed = _closed_days(market.calendar, min(first, market.start))
    return PeriodPartitions(
        cron_schedule=DAY_CRON,
        start=_midnight(first, zone),
        end=None if market.end is None else _midnight(market.end + timedelta(days=1), zone),
        fmt=KEY_FORMAT,
        timezone=zone,
        end_offset=1,
        exclusions=list(closed),
    )


@cache
def _closed_days(calendar: str, first: date) -> tuple[str | datetime, ...]:
    """Return the days without a session from `first` on; weekends as one rule if none trades."""
    known = get_calendar(calendar)
    sessions = set(known.sessions(first, known.last_day))
    days = (first + timedelta(days=n) for n in range((known.last_day - first).days + 1))
    closed = [day for day in days if day not in sessions]
    zone = known.time_zone.key
    if any(_is_weekend(day) for day in sessions):
        return tuple(_midnight(day, zone) for day in closed)
    return WEEKENDS, *(_midnight(day, zone) for day in closed if not _is_weekend(day))


def _is_weekend(day: date) -> bool:
    return day.weekday() >= 5


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone))
