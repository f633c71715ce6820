"""What is streamed, from when to when, and what came of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import polars as pl

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.bars.sources.source import BarSource
from trading_assets.bars.stream.gaps import Gap
from trading_assets.bars.stream.settings import ALPACA_STREAM_URL
from trading_assets.bars.stream.times import BarTimes, StreamedLength
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.source_specs import AlpacaSource

Backfill = Callable[[datetime, datetime], pl.DataFrame]

_CHANNELS = {"1m": ("bars", "updatedBars"), "1d": ("dailyBars",)}


@dataclass(frozen=True, slots=True)
class StreamedBars:
    """Which bars to stream, and from when to when.

    Attributes
    ----------
    symbols : tuple of str
        Universe.
    feed : str
        `iex` or `sip`; value of column `feed`.
    bar_length : {"1m", "1d"}
        Length of a bar; Alpaca streams no other.
    calendar : ExchangeCalendar
        Gives the sessions; bars outside their hours are dropped.
    since, until : datetime
        Aware. Bars that end by `since` are known already; the stream ends at `until`. A bar is
        delivered if its correction window is over by then.
    url : str
        Address without the feed.
    """

    symbols: tuple[str, ...]
    feed: str
    bar_length: StreamedLength
    calendar: ExchangeCalendar
    since: datetime
    until: datetime
    url: str = ALPACA_STREAM_URL

    @classmethod
    def of(
        cls, spec: MarketDataSpec, calendar: ExchangeCalendar, since: datetime, until: datetime
    ) -> "StreamedBars":
        """Return what `spec` declares, streamed from `since` to `until`.

        Raises
        ------
        UserError
            If the source is not `alpaca`, or its bars have a length that is not streamed.
        """
        if not isinstance(spec.source, AlpacaSource):
            msg = f"source was {spec.source.kind}; expected alpaca, the only one that streams bars"
            raise UserError(msg)
        if spec.raw_bar_length not in _CHANNELS:
            msg = (
                f"fetched bars were {spec.raw_bar_length} long; expected 1m or 1d for a stream, so"
                " set fetched_bar_length to 1m"
            )
            raise UserError(msg)
        length = cast("StreamedLength", spec.raw_bar_length)
        url = spec.source.stream_url or ALPACA_STREAM_URL
        return cls(spec.universe, spec.source.feed, length, calendar, since, until, url)

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that carry these bars."""
        return _CHANNELS[self.bar_length]

    def times(self) -> BarTimes:
        """Return the bars that the calendar promises on the days from `since` to `until`.

        Raises
        ------
        UserError
            If one of the two has no time zone.
        """
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment.tzinfo is None:
                msg = f"{name} was {moment} without a time zone; expected an aware time such as UTC"
                raise UserError(msg)
        zone = self.calendar.time_zone
        first, last = self.since.astimezone(zone).date(), self.until.astimezone(zone).date()
        return BarTimes(self.calendar, self.calendar.sessions(first, last), self.bar_length)


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What a stream did.

    Attributes
    ----------
    counts : mapping of str to int
        `BarAssembler.counts`, and `malformed` messages.
    reconnects, mutes : int
        Connections lost, and how many of them had fallen silent.
    open_gaps : tuple of Gap
        Gaps the historical source was not asked about or did not answer; fetch them later.
    missing : int
        Bars the calendar expects of which nothing came; a bar without a trade does not exist.
    waiting : int
        Bars whose correction window was not over; they were not delivered.
    """

    counts: Mapping[str, int]
    reconnects: int
    mutes: int
    open_gaps: tuple[Gap, ...]
    missing: int
    waiting: int


def backfill_from(
    source: BarSource, calendar: ExchangeCalendar, clock: Callable[[], datetime]
) -> Backfill:
    """Return a backfill that asks `source` for the sessions of a gap, as of its `clock`."""

    def fetch(after: datetime, until: datetime) -> pl.DataFrame:
        first, last = (moment.astimezone(calendar.time_zone).date() for moment in (after, until))
        rows = source.fetch(first, last, clock()).rows
        return rows.filter((pl.col("event_time") > after) & (pl.col("event_time") <= until))

    return fetch
