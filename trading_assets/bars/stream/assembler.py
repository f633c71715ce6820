"""Turns streamed messages into final bars: a pure state machine without socket, clock or thread.

What a bar is in the end does not depend on the order or number of its messages. A version that
holds more volume replaces one that holds less, since late trades only add; of equal volume, an
update replaces a first bar, and the historical source replaces both. A cancelled trade lowers the
volume, so it is not taken from the stream but from the next historical fetch.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from trading_assets.bars.stream.messages import BarMessage
from trading_assets.bars.stream.rows import FinalBar, Prices, read_prices
from trading_assets.bars.stream.times import BarTime, BarTimes
from trading_assets.errors import UserError

_KINDS = {"1m": {"b", "u"}, "1d": {"d"}}
_FIRST, _UPDATE, _HISTORICAL = 0, 1, 2
_TICK = timedelta(microseconds=1)

_Key = tuple[str, datetime]


@dataclass(frozen=True, slots=True)
class _Version:
    prices: Prices
    authority: int
    trades: int

    @property
    def rank(self) -> tuple[float, int, int]:
        return (self.prices[-1], self.authority, self.trades)


@dataclass(slots=True)
class _Bar:
    time: BarTime
    newest: _Version
    is_complete: bool = False
    seen: set[_Version] = field(default_factory=set[_Version])
    released: Prices | None = None
    released_at: datetime | None = None
    revision: int = -1


class BarAssembler:
    """Final bars of one feed, assembled from messages that may be late, doubled or out of order.

    Parameters
    ----------
    symbols : iterable of str
        Symbols asked for; messages about others are counted and dropped.
    times : BarTimes
        Bars of the sessions; messages about other times are counted and dropped.
    correction_window_seconds : float
        Seconds from a bar's end until it counts as final. An update within them replaces the bar,
        a later one becomes a revision.

    Attributes
    ----------
    counts : Counter
        Messages by what became of them: `bars`, `updates`, `duplicates`, `superseded`,
        `outside_session`, `not_asked_for`, `before_open`, `after_final` (a day that went on); and
        rows: `final`, `revisions`.
    """

    def __init__(
        self, symbols: Iterable[str], times: BarTimes, correction_window_seconds: float
    ) -> None:
        if not correction_window_seconds >= 0:
            msg = (
                f"correction_window_seconds was {correction_window_seconds}; expected 0 or more,"
                " such as 60"
            )
            raise UserError(msg)
        self.counts: Counter[str] = Counter()
        self._symbols = frozenset(symbols)
        self._times = times
        self._is_daily = times.bar_length == "1d"
        self._window = timedelta(seconds=correction_window_seconds)
        self._bars: dict[_Key, _Bar] = {}
        # When a bar whose newest version was not released yet becomes final, soonest first.
        self._queue: list[tuple[datetime, _Key]] = []
        self._queued: set[_Key] = set()
        self._now: datetime | None = None

    @property
    def waiting(self) -> int:
        """Number of bars that wait for the end of their correction window."""
        return len(self._queued)

    def feed(self, messages: Sequence[BarMessage], arrival: datetime) -> list[FinalBar]:
        """Take messages that arrived together and return what is final by then.

        Parameters
        ----------
        messages : sequence of BarMessage
            One frame's bars.
        arrival : datetime
            Aware. A clock that was set back counts as standing still, so that nothing is known
            earlier than something that arrived before it.

        Returns
        -------
        list of FinalBar
            Sorted by symbol and time; each bar at most once, known from now on.
        """
        now = self._advance(arrival)
        for message in messages:
            self._take(message, now)
        return self._release(now)

    def advance(self, now: datetime) -> list[FinalBar]:
        """Return what became final by `now` without a further message."""
        return self._release(self._advance(now))

    def adopt(self, rows: pl.DataFrame, arrival: datetime) -> list[FinalBar]:
        """Take bars of the historical source, such as a backfill, and return what is final by then.

        They count like messages: known from `arrival` on, and replaced by an update with more
        volume.

        Parameters
        ----------
        rows : DataFrame
            Table `raw_bars`; of several revisions of a bar the last one counts.
        arrival : datetime
            Aware moment of the answer.

        Raises
        ------
        DataError
            If the rows are adjusted or of another bar length.
        """
        now = self._advance(arrival)
        for symbol, event_time, prices in read_prices(rows, self._times.bar_length):
            version = _Version(prices, _HISTORICAL, 0)
            self._take_version(symbol, self._times.ending_at(event_time), version, now)
        return self._release(now)

    def next_release(self) -> datetime | None:
        """Return when the next waiting bar becomes final, or None."""
        return self._queue[0][0] if self._queue else None

    def missing(self, after: datetime, until: datetime) -> list[tuple[str, BarTime]]:
        """Return symbol and time of bars with `after < event_time <= until` of which nothing came.

        A bar without a trade does not exist, so what is missing is a reason to ask, no error.
        """
        return [
            (symbol, time)
            for time in self._times.ending_in(after, until)
            for symbol in sorted(self._symbols)
            if (bar := self._bars.get((symbol, time.event_time))) is None or not bar.is_complete
        ]

    def _advance(self, now: datetime) -> datetime:
        if now.tzinfo is None:
            msg = f"arrival was {now} without a time zone; expected an aware time such as UTC"
            raise UserError(msg)
        self._now = now if self._now is None else max(now, self._now)
        return self._now

    def _take(self, message: BarMessage, now: datetime) -> None:
        if message.kind not in _KINDS[self._times.bar_length]:
            self.counts["not_asked_for"] += 1
            return
        self.counts["updates" if message.kind == "u" else "bars"] += 1
        version = _Version(
            (message.open, message.high, message.low, message.close, message.volume),
            _UPDATE if message.kind == "u" else _FIRST,
            message.trades,
        )
        self._take_version(message.symbol, self._times.find(message.start), version, now)

    def _take_version(
        self, symbol: str, time: BarTime | None, version: _Version, now: datetime
    ) -> None:
        if symbol not in self._symbols:
            self.counts["not_asked_for"] += 1
        elif time is None:
            self.counts["outside_session"] += 1
        elif now < time.bar_open:
            self.counts["before_open"] += 1
        else:
            key = (symbol, time.event_time)
            bar = self._bars.setdefault(key, _Bar(time, version))
            self._choose(key, bar, version, now)

    def _choose(self, key: _Key, bar: _Bar, version: _Version, now: datetime) -> None:
        if version in bar.seen:
            self.counts["duplicates"] += 1
        elif bar.released is not None and version.authority == _FIRST and self._is_daily:
            # Trades after hours add to a day for hours; the next fetch brings them at once.
            self.counts["after_final"] += 1
        elif version.rank < bar.newest.rank:
            self.counts["superseded"] += 1
        else:
            bar.newest = version
        bar.seen.add(version)
        # A minute is sent when it is over. A day is sent all day long, and a historical request may
        # reach into a running bar: of these only what arrives after the end is the whole bar.
        if version == bar.newest and (self._is_sent_whole(version) or now >= bar.time.event_time):
            bar.is_complete = True
        if bar.is_complete and bar.newest.prices != bar.released:
            self._enqueue(key, bar.time.event_time + self._window)

    def _is_sent_whole(self, version: _Version) -> bool:
        return not self._is_daily and version.authority != _HISTORICAL

    def _enqueue(self, key: _Key, due: datetime) -> None:
        if key not in self._queued:
            self._queued.add(key)
            heapq.heappush(self._queue, (due, key))

    def _release(self, now: datetime) -> list[FinalBar]:
        rows: list[FinalBar] = []
        too_early: list[_Key] = []
        while self._queue and self._queue[0][0] <= now:
            _, key = heapq.heappop(self._queue)
            self._queued.discard(key)
            bar = self._bars[key]
            if bar.newest.prices == bar.released:
                continue
            # A correction of the very moment of what it corrects could not be told from it.
            if bar.released_at is not None and now <= bar.released_at:
                too_early.append(key)
            else:
                rows.append(self._release_bar(key[0], bar, now))
        for key in too_early:
            self._enqueue(key, now + _TICK)
        return sorted(rows)

    def _release_bar(self, symbol: str, bar: _Bar, now: datetime) -> FinalBar:
        bar.released, bar.released_at = bar.newest.prices, now
        bar.revision += 1
        self.counts["revisions" if bar.revision else "final"] += 1
        return FinalBar(
            symbol, bar.time.session, bar.time.event_time, now, now, bar.revision, *bar.released
        )
