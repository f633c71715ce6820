"""Alpaca's live bars as table `raw_bars`: final bars, later corrections, and gaps refilled.

Each delivered table merges by `ingest.merge_revisions` into what a historical fetch gives. All
decisions are made by `BarAssembler` and `GapLedger`, which know no socket; here is only what has to
wait: for messages, for time, and for the historical source.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta

import polars as pl

from trading_assets.bars.stream.assembler import BarAssembler
from trading_assets.bars.stream.connection import StreamConnection
from trading_assets.bars.stream.gaps import Gap, GapLedger
from trading_assets.bars.stream.messages import Frame, HaltMessage
from trading_assets.bars.stream.rows import FinalBar, require_feed, to_raw_bars
from trading_assets.bars.stream.scope import Backfill, StreamedBars, StreamReport
from trading_assets.bars.stream.settings import (
    StreamKeys,
    StreamSettings,
    Subscription,
    Timing,
    first_of,
)
from trading_assets.errors import DataError

Deliver = Callable[[pl.DataFrame], None]

_LOG = logging.getLogger(__name__)
_LONGEST_NAP_S = 1.0
_SHORTEST_NAP_S = 0.001


class AlpacaBarStream:
    """Final bars of one feed, live.

    Parameters
    ----------
    wanted : StreamedBars
        Symbols, feed, length and time.
    keys : StreamKeys
        Alpaca key pair.
    backfill : callable
        Takes `after, until` and returns table `raw_bars` of the feed with the historical bars
        `after < event_time <= until`; further ones do no harm. Runs in a thread. A `DataError` is
        tried again later, and its gap stays in the report if that never helps.
    timing : Timing
        Clock, sleep and random numbers.
    settings : StreamSettings
        Correction window, patience and repeats.
    """

    def __init__(
        self,
        wanted: StreamedBars,
        keys: StreamKeys,
        backfill: Backfill,
        timing: Timing,
        settings: StreamSettings | None = None,
    ) -> None:
        settings = settings or StreamSettings()
        self._wanted = wanted
        self._backfill = backfill
        self._timing = timing
        self._times = wanted.times()
        self._assembler = BarAssembler(
            wanted.symbols, self._times, settings.correction_window_seconds
        )
        self._gaps = GapLedger(self._times, settings, wanted.since)
        margin = timedelta(seconds=settings.correction_window_seconds)
        names = [*wanted.channels, *(["statuses"] if settings.has_halts else [])]
        self._connection = StreamConnection(
            Subscription(
                f"{wanted.url.rstrip('/')}/{wanted.feed}",
                keys,
                dict.fromkeys(names, wanted.symbols),
            ),
            settings,
            timing,
            is_trading=lambda now: self._times.is_trading(now, margin),
            on_frame=self._note_frame,
            on_subscribed=self._note_subscribed,
        )
        self._heard_at = wanted.since
        self._inbox: deque[tuple[Frame, datetime]] = deque()
        self._outbox: deque[pl.DataFrame] = deque()
        self._halts: dict[str, HaltMessage] = {}
        self._malformed: Counter[str] = Counter()
        self._wake = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    @property
    def halted(self) -> frozenset[str]:
        """Symbols whose last heard status is a halt; empty unless halts are subscribed."""
        return frozenset(name for name, halt in self._halts.items() if halt.is_halted)

    async def run(self, deliver: Deliver) -> StreamReport:
        """Stream until the wanted end.

        Parameters
        ----------
        deliver : callable
            Takes table `raw_bars` with each bar at most once; merge the tables in their order. If
            it raises, the stream ends with its error and a further `run` delivers that table
            again.

        Raises
        ------
        UserError
            If Alpaca refuses the keys, the feed or the symbols.
        DataError
            If the stream cannot be had after repeated attempts.
        """
        # An event belongs to one loop, and a further run may have another.
        self._wake = asyncio.Event()
        link = asyncio.ensure_future(self._connection.run())
        link.add_done_callback(lambda _: self._wake.set())
        try:
            while (now := self._timing.clock()) < self._wanted.until:
                self._wake.clear()
                self._work(now)
                self._hand_over(deliver)
                if link.done():
                    link.result()
                await first_of(self._wake.wait(), self._timing.sleep(self._nap_s(now)))
            await self._finish()
            self._hand_over(deliver)
        finally:
            tasks = [link] if self._asking is None else [link, self._asking]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._asking = None
        return self.report()

    def report(self) -> StreamReport:
        """Return what happened so far."""
        now = min(self._timing.clock(), self._wanted.until)
        return StreamReport(
            counts={**self._assembler.counts, "malformed": self._malformed.total()},
            reconnects=self._connection.reconnects,
            mutes=self._connection.mutes,
            open_gaps=self._gaps.open,
            missing=len(self._assembler.missing(self._wanted.since, now)),
            waiting=self._assembler.waiting,
        )

    def _note_frame(self, frame: Frame, arrival: datetime) -> None:
        if frame.has_market_data and self._connection.is_subscribed:
            self._heard_at = arrival
        self._inbox.append((frame, arrival))
        self._wake.set()

    def _note_subscribed(self, moment: datetime) -> None:
        self._gaps.note_outage(self._heard_at, moment)
        self._heard_at = moment

    def _work(self, now: datetime) -> None:
        while self._inbox:
            frame, arrival = self._inbox.popleft()
            self._post(self._assembler.feed(frame.bars, arrival))
            self._note_halts(frame)
            self._note_malformed(frame)
        self._post(self._assembler.advance(now))
        self._gaps.audit(now, self._assembler.missing)
        if self._asking is not None and self._asking.done():
            self._asking.result()
            self._asking = None
        if self._asking is None and (gap := self._gaps.take_due(now)) is not None:
            self._asking = asyncio.ensure_future(self._ask(gap))

    async def _finish(self) -> None:
        now = self._timing.clock()
        self._work(now)
        self._gaps.audit(now, self._assembler.missing, is_last=True)
        self._work(now)
        while self._asking is not None:
            await self._asking
            self._work(now)

    async def _ask(self, gap: Gap) -> None:
        try:
            rows = await asyncio.to_thread(self._backfill, gap.after, gap.until)
            require_feed(rows, self._wanted.feed)
            self._post(self._assembler.adopt(rows, self._timing.clock()))
        except DataError as error:
            self._gaps.failed(gap, self._timing.clock())
            _LOG.warning("bars after %s were not refilled: %s", gap.after, error)
        else:
            self._gaps.answered(gap)
        finally:
            gap.is_asked = False
            self._wake.set()

    def _post(self, rows: list[FinalBar]) -> None:
        if rows:
            self._outbox.append(to_raw_bars(rows, self._wanted.feed, self._wanted.bar_length))

    def _hand_over(self, deliver: Deliver) -> None:
        while self._outbox:
            deliver(self._outbox[0])
            self._outbox.popleft()

    def _nap_s(self, now: datetime) -> float:
        moments = [self._wanted.until, self._assembler.next_release()]
        naps = [(moment - now).total_seconds() for moment in moments if moment is not None]
        return max(_SHORTEST_NAP_S, min(_LONGEST_NAP_S, *naps))

    def _note_halts(self, frame: Frame) -> None:
        for halt in frame.halts:
            known = self._halts.get(halt.symbol)
            if known is None or known.moment <= halt.moment:
                self._halts[halt.symbol] = halt

    def _note_malformed(self, frame: Frame) -> None:
        if not frame.malformed:
            return
        before = self._malformed.total()
        self._malformed.update(frame.malformed)
        total = self._malformed.total()
        # Ever more rarely: a broken server must not fill the disk with its log.
        if before.bit_length() != total.bit_length():
            reasons = ", ".join(f"{reason} ({n})" for reason, n in self._malformed.most_common(5))
            _LOG.warning("%d messages of the stream could not be read: %s", total, reasons)
