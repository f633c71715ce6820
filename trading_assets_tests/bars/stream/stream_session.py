"""A streamed session against a misbehaving server, and what must hold of its table."""

import asyncio
from datetime import datetime, timedelta
from random import Random

import polars as pl
from polars.testing import assert_frame_equal

from trading_assets.bars.ingest import as_known_at, merge_revisions
from trading_assets.bars.stream.live_bars import AlpacaBarStream
from trading_assets.bars.stream.scope import StreamedBars, StreamReport
from trading_assets.bars.stream.settings import StreamKeys, StreamSettings
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.bars.stream.stream_server import (
    KEY,
    SECRET,
    Faults,
    MarketTime,
    StreamServer,
)
from trading_assets_tests.bars.stream.stream_truth import TrueBar, at, history, make_truth

SYMBOLS = ("AAPL", "IBM")
OPEN, CLOSE, END = at(15, 48), at(16, 0), at(16, 9)
SPEED = 900.0
LAG = timedelta(seconds=30)
PRICES = ["symbol", "event_time", "open", "high", "low", "close", "volume"]
# The market runs faster than the network: what would be seconds for it are minutes here.
SETTINGS = StreamSettings(
    answer_within_seconds=3000,
    mute_after_seconds=100,
    first_wait_seconds=2,
    longest_wait_seconds=20,
    most_failures=50,
    audit_every_seconds=120,
)


class Session:
    """One streamed session and what came of it."""

    def __init__(self, truth: list[TrueBar], faults: Faults, seed: int = 1) -> None:
        self.truth = truth
        self.time = MarketTime(OPEN, SPEED)
        self.server = StreamServer(truth, self.time, faults, Random(seed))
        self.delivered: list[pl.DataFrame] = []
        self.stored: pl.DataFrame | None = None
        self.asked: list[tuple[datetime, datetime]] = []
        self.keys = StreamKeys(KEY, SECRET)

    def run(self, settings: StreamSettings = SETTINGS) -> StreamReport:
        return asyncio.run(self.streamed(settings))

    async def streamed(self, settings: StreamSettings = SETTINGS) -> StreamReport:
        async with self.server.running():
            return await self.stream(settings).run(self.deliver)

    def stream(self, settings: StreamSettings = SETTINGS) -> AlpacaBarStream:
        wanted = StreamedBars(SYMBOLS, "iex", "1m", CALENDAR, OPEN, END, self.server.url)
        return AlpacaBarStream(wanted, self.keys, self.backfill, self.time.timing(), settings)

    def deliver(self, rows: pl.DataFrame) -> None:
        now = self.time.clock()
        assert (rows["knowledge_time"] <= now).all()
        self.delivered.append(rows)
        self.stored = merge_revisions(self.stored, rows)

    def backfill(self, after: datetime, until: datetime) -> pl.DataFrame:
        self.asked.append((after, until))
        rows = history(self.truth, self.time.clock(), LAG)
        return rows.filter((pl.col("event_time") > after) & (pl.col("event_time") <= until))

    def table(self) -> pl.DataFrame:
        assert self.stored is not None
        return self.stored

    def later_fetch(self) -> pl.DataFrame:
        return history(self.truth, END + timedelta(hours=1), LAG)


def make_session(faults: Faults, seed: int = 1) -> Session:
    minutes = (CLOSE - OPEN) // timedelta(minutes=1)
    return Session(make_truth(Random(seed), SYMBOLS, OPEN, minutes), faults, seed)


def assert_equals_the_truth(session: Session) -> None:
    """Every bar once, as the vendor's history has it, and a later fetch adds nothing."""
    final = as_known_at(session.table(), END + timedelta(days=1)).select(PRICES)
    truth = session.later_fetch()
    assert_frame_equal(final, truth.select(PRICES))
    assert_frame_equal(merge_revisions(session.table(), truth), session.table())


def assert_nothing_is_known_early(session: Session) -> None:
    window = pl.duration(seconds=SETTINGS.correction_window_seconds)
    rows = session.table()
    assert (rows["knowledge_time"] <= rows["ingest_time"]).all()
    assert rows.select((pl.col("knowledge_time") >= pl.col("event_time") + window).all()).item()
    came = {
        (bar.symbol, bar.end, version.prices): bar.known(version)
        for bar in session.truth
        for version in bar.versions
    }
    for row in rows.iter_rows(named=True):
        prices = tuple(row[name] for name in PRICES[2:])
        assert row["knowledge_time"] >= came[row["symbol"], row["event_time"], prices]


def assert_each_revision_is_once(session: Session) -> None:
    rows = session.table().sort("symbol", "event_time", "revision")
    bar = ["symbol", "event_time"]
    assert rows.select((pl.int_range(pl.len()).over(bar) == pl.col("revision")).all()).item()
    changed = pl.any_horizontal(
        pl.col(name) != pl.col(name).shift(1).over(bar) for name in PRICES[2:]
    )
    assert rows.select(changed.fill_null(value=True).all()).item()
