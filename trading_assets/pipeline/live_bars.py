"""Live bars into the lake: what `trading-assets stream` does.

The months that a stream writes are those of the asset `raw_bars`, with the same rows that a fetch
would store, so a run that fetches the month afterwards adds only what the stream missed.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from uuid import uuid4

import dagster as dg
import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar, get_calendar
from trading_assets.bars.stream.scope import StreamReport
from trading_assets.bars.stream.settings import StreamSettings, Timing
from trading_assets.errors import ConflictError, UserError
from trading_assets.lake.store import Lake, PartitionRecord
from trading_assets.market_data import MarketDataSpec
from trading_assets.pipeline.bars.raw_bars import stored_months
from trading_assets.pipeline.declared import Declared, declared_market_data
from trading_assets.pipeline.instance import open_instance
from trading_assets.pipeline.settings import open_lake, read_credentials, read_settings
from trading_assets.pipeline.task import Task, partition_facts

STORE_EVERY = timedelta(minutes=5)
# Time after the last bar's publication in which the historical source is asked for gaps.
_TIME_FOR_GAPS = timedelta(minutes=5)
_ATTEMPTS = 5
_MINUTES_A_WEEK = 7 * 24 * 60

_LOG = logging.getLogger(__name__)


@dataclass
class LiveBars:
    """Puts streamed bars into the months of `raw_bars`, every few minutes and at the end.

    Attributes
    ----------
    declared : Declared
        The data set.
    lake : Lake
        Keeps them.
    instance : DagsterInstance
        Is told of each month that was written.
    clock : callable
        Returns the aware present moment.
    run_id : str
        Name of this stream in the manifest.
    every : timedelta
        Longest time that a bar is held in memory only; a stream that dies asks the historical
        source for what was in it.
    """

    declared: Declared
    lake: Lake
    instance: dg.DagsterInstance
    clock: Callable[[], datetime]
    run_id: str
    every: timedelta = STORE_EVERY
    _waiting: list[pl.DataFrame] = field(default_factory=list[pl.DataFrame])
    _stored_at: datetime | None = None

    def take(self, rows: pl.DataFrame) -> None:
        """Hold a delivered table, and store what is held when its time has come."""
        self._waiting.append(rows)
        if self._stored_at is None:
            self._stored_at = self.clock()
        if self.clock() - self._stored_at >= self.every:
            self.store()

    def store(self) -> None:
        """Store what is held.

        Raises
        ------
        ConflictError
            If other processes keep writing the same month.
        """
        from trading_assets.bars.stream.storing import split_months

        tables: dict[date, list[pl.DataFrame]] = {}
        for table in self._waiting:
            for month, rows in split_months(table).items():
                tables.setdefault(month, []).append(rows)
        for month, delivered in tables.items():
            self._store_month(month.isoformat(), delivered)
        self._waiting.clear()
        self._stored_at = self.clock()

    def _store_month(self, key: str, delivered: list[pl.DataFrame]) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                record = self._commit(key, delivered)
            except ConflictError:
                # A fetch of the month was stored in the meantime; it is merged with that one.
                if attempt == _ATTEMPTS:
                    raise
            else:
                self.instance.report_runless_asset_event(
                    dg.AssetMaterialization(
                        asset_key=dg.AssetKey(record.asset.split("/")),
                        partition=record.partition,
                        description="Stored by a stream of live bars.",
                        metadata=partition_facts(record),
                    )
                )
                return

    def _commit(self, key: str, delivered: list[pl.DataFrame]) -> PartitionRecord:
        from trading_assets.bars.stream.storing import add_streamed

        node, now = self.declared.node("raw_bars"), self.clock()
        task = Task(self.declared, node, self.lake, now, [key], self.run_id)
        known = self.lake.records(node.key)
        before = known.get(key)
        stored = stored_months(task, known, _LOG.warning).get(key)
        month = add_streamed(stored, delivered)
        (record,) = task.commit(
            [
                task.write(
                    key,
                    {"rows": month.rows, "series": month.series, "actions": month.actions},
                    # A stream sees neither actions nor what came late: the month stays due for a
                    # fetch as it was.
                    known_until=before.known_until if before else _day_before(month.rows),
                    as_of=now,
                    replaces=before.commit_id if before else 0,
                )
            ]
        )
        return record


def run_stream(name: str, minutes: float | None = None) -> str:
    """Stream a declared data set by this machine's clock; return what a person is told of it.

    Parameters
    ----------
    name : str
        Data set.
    minutes : float, optional
        How long; until the session's last bar is published when absent.

    Raises
    ------
    UserError
        If there is no such data set, it cannot be streamed, or Alpaca refuses.
    DataError
        If the stream cannot be had after repeated attempts, or the lake refuses.
    """
    settings = read_settings()
    declarations = settings.declarations()
    if name not in declarations.market_data:
        known = ", ".join(sorted(declarations.market_data))
        msg = f"data set was {name[:40]!r}; expected one of {known}"
        raise UserError(msg)
    if minutes is not None and not 0 < minutes < _MINUTES_A_WEEK:
        msg = f"--minutes was {minutes}; expected a number above 0, at most a week"
        raise UserError(msg)
    spread = Random()  # noqa: S311 # it spreads attempts to connect, it keeps no secret
    timing = Timing(lambda: datetime.now(UTC), asyncio.sleep, spread)
    until = None if minutes is None else timing.clock() + timedelta(minutes=minutes)
    declared = declared_market_data(name, declarations)
    lake = open_lake(settings)
    with open_instance(settings.data) as instance:
        live = LiveBars(declared, lake, instance, timing.clock, f"stream-{uuid4()}")
        report = asyncio.run(stream_bars(live, read_credentials(), timing, until=until))
    counts = ", ".join(f"{n} {what}" for what, n in sorted(report.counts.items()) if n)
    return (
        f"{counts or 'no bars'}; {report.reconnects} reconnects, {len(report.open_gaps)} gaps left"
        f" to the next fetch, {report.waiting} bars not final yet"
    )


async def stream_bars(
    live: LiveBars,
    credentials: dict[str, str],
    timing: Timing,
    settings: StreamSettings | None = None,
    until: datetime | None = None,
) -> StreamReport:
    """Stream the bars of the session that is under way, or of the next one, into the lake.

    Parameters
    ----------
    live : LiveBars
        Data set and lake.
    credentials : dict
        Names and values of credentials.
    timing : Timing
        Clock, sleep and random numbers.
    settings : StreamSettings, optional
        Correction window, patience and repeats.
    until : datetime, optional
        Aware end; once the last bar is published and gaps had time to be filled when absent.

    Raises
    ------
    UserError
        If the data set cannot be streamed, or Alpaca refuses keys, feed or symbols.
    DataError
        If the stream cannot be had after repeated attempts, or the lake refuses.
    """
    from trading_assets.bars.alpaca.keys import read_keys
    from trading_assets.bars.sources.build import build_source
    from trading_assets.bars.stream.live_bars import AlpacaBarStream
    from trading_assets.bars.stream.scope import StreamedBars, backfill_from
    from trading_assets.bars.stream.settings import StreamKeys

    market = live.declared.market
    if not market.is_live:
        msg = f"data set {live.declared.name} ends on {market.end}; expected none for live bars"
        raise UserError(msg)
    calendar = get_calendar(market.calendar)
    since, end = streamed_span(market, calendar, timing.clock())
    wanted = StreamedBars.of(market, calendar, since, until or end)
    keys = StreamKeys(*read_keys(credentials))
    source = build_source(market, calendar, credentials)
    stream = AlpacaBarStream(
        wanted, keys, backfill_from(source, calendar, timing.clock), timing, settings
    )
    try:
        return await stream.run(live.take)
    finally:
        live.store()


def streamed_span(
    market: MarketDataSpec, calendar: ExchangeCalendar, now: datetime
) -> tuple[datetime, datetime]:
    """Return from when to when bars are wanted: the session under way at `now`, or the next.

    What of it has passed, or was stored by an earlier stream, is asked of the historical source.
    """
    session = calendar.next_session(calendar.last_completed_session(now))
    lag = timedelta(minutes=max(market.publication_lag_minutes, 1))
    return calendar.open_time(session), calendar.close_time(session) + lag + _TIME_FOR_GAPS


def _day_before(rows: pl.DataFrame) -> date:
    first = rows["session"].min()
    assert isinstance(first, date)
    return first - timedelta(days=1)
