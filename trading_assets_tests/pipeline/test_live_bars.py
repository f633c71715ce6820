"""A streamed session in the lake: a websocket that misbehaves, and history by HTTP beside it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading_assets.bars.ingest import as_known_at, merge_revisions
from trading_assets.bars.stream.scope import StreamReport
from trading_assets.bars.stream.storing import add_streamed
from trading_assets.cli import main
from trading_assets.errors import ConflictError, DataError, UserError
from trading_assets.graph import market_data_graph
from trading_assets.lake.store import Lake, Provenance
from trading_assets.market_data import MarketDataSpec
from trading_assets.pipeline.declared import Declared
from trading_assets.pipeline.live_bars import LiveBars, stream_bars, streamed_span
from trading_assets_tests.bars.alpaca.market_data_server import KEYS, MarketDataServer, Store
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.bars.stream import stream_server
from trading_assets_tests.bars.stream.stream_server import Faults, MarketTime, StreamServer
from trading_assets_tests.bars.stream.stream_session import (
    CLOSE,
    END,
    OPEN,
    PRICES,
    SETTINGS,
    SPEED,
    SYMBOLS,
)
from trading_assets_tests.bars.stream.stream_truth import TrueBar, at, history, make_truth

# What had passed of the session when the stream began.
EARLIER = timedelta(minutes=18)
MONTH, NODE = "2024-03-01", "live/raw_bars"
BAD = Faults(
    doubled=0.4, delayed=0.3, lost_bars=0.1, junk=0.5, drops=[(100, 60)], mutes=[(400, 200)]
)


@dataclass
class World:
    """One session of a market with the lake that is to have it."""

    truth: list[TrueBar]
    server: StreamServer
    http: MarketDataServer
    lake: Lake
    instance: dg.DagsterInstance
    time: MarketTime

    def live(self, every: timedelta = timedelta(minutes=3)) -> LiveBars:
        spec = MarketDataSpec.model_validate(
            {
                "source": {
                    "kind": "alpaca",
                    "feed": "iex",
                    "url": self.http.url,
                    "stream_url": self.server.url or None,
                },
                "universe": SYMBOLS,
                "bar_length": "1m",
                "start": date(2024, 3, 1),
                "publication_lag_minutes": 1,
            }
        )
        declared = Declared("live", (market_data_graph("live", spec),), spec)
        return LiveBars(declared, self.lake, self.instance, self.time.clock, "stream-1", every)

    def run(self, until: datetime = END, every: timedelta = timedelta(minutes=3)) -> StreamReport:
        async def streamed() -> StreamReport:
            async with self.server.running():
                return await stream_bars(
                    self.live(every), KEYS, self.time.timing(), SETTINGS, until
                )

        return asyncio.run(streamed())

    def rows(self) -> pl.DataFrame:
        return self.lake.read(NODE, [MONTH])

    def later_fetch(self) -> pl.DataFrame:
        return history(self.truth, END + timedelta(hours=1), timedelta(minutes=1))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(stream_server, "KEY", KEYS["ALPACA_API_KEY"])
    monkeypatch.setattr(stream_server, "SECRET", KEYS["ALPACA_SECRET_KEY"])
    first = OPEN - EARLIER
    truth = make_truth(Random(3), SYMBOLS, first, (CLOSE - first) // timedelta(minutes=1))
    time = MarketTime(OPEN, SPEED)
    bars: dict[str, list[dict[str, object]]] = {symbol: [] for symbol in SYMBOLS}
    for bar in truth:
        message = bar.message(bar.versions[-1])
        bars[bar.symbol].append({key: message[key] for key in "tohlcvn"} | {"vw": message["c"]})
    lake = Lake(tmp_path, time.clock)
    with MarketDataServer(Store({"1Min": bars})) as http, dg.instance_for_test() as instance:
        streamed = [bar for bar in truth if bar.start >= OPEN]
        server = StreamServer(streamed, time, Faults(), Random(1))
        yield World(truth, server, http, lake, instance, time)
    lake.close()


def test_a_session_is_stored_as_history_has_it_from_its_first_bar_on(world: World) -> None:
    report = world.run()
    final = as_known_at(world.rows(), END + timedelta(days=1)).select(PRICES)
    assert_frame_equal(final, world.later_fetch().select(PRICES))
    assert report.open_gaps == ()
    assert len(final) == 60


def test_a_server_that_misbehaves_changes_nothing(world: World) -> None:
    world.server.faults = BAD
    world.run()
    rows = world.rows()
    assert_frame_equal(
        as_known_at(rows, END + timedelta(days=1)).select(PRICES),
        world.later_fetch().select(PRICES),
    )
    assert (rows["knowledge_time"] <= rows["ingest_time"]).all()


def test_a_fetch_afterwards_adds_nothing(world: World) -> None:
    world.run()
    assert_frame_equal(merge_revisions(world.rows(), world.later_fetch()), world.rows())


def test_bars_are_stored_while_the_session_lasts(world: World) -> None:
    world.run(every=timedelta(minutes=3))
    commits = world.lake.history(NODE, MONTH)
    assert len(commits) > 3
    sizes = [record.rows for record in commits]
    assert sizes == sorted(sizes)


def test_the_ui_is_told_of_the_month_and_the_month_stays_due(world: World) -> None:
    world.run()
    event = world.instance.get_latest_materialization_event(dg.AssetKey(NODE.split("/")))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.partition == MONTH
    record = world.lake.record(NODE, MONTH)
    assert record is not None
    assert record.run_id == "stream-1"
    assert record.known_until is not None
    assert record.known_until < at(16, 0).date()


def test_a_fetch_that_is_stored_meanwhile_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, others = world.lake.commit, 0

    def interfere(writes, provenance: Provenance):
        nonlocal others
        if others < 2:
            others += 1
            known = world.lake.record(NODE, MONTH)
            rows = world.later_fetch().filter(symbol="IBM").head(others * 5)
            stamped = rows.with_columns(ingest_time=pl.lit(world.time.clock()))
            stored = add_streamed(None, [stamped]).rows
            if known is not None:
                stored = merge_revisions(world.lake.read_table(known), stamped)
            write = writes[0]
            changed = type(write)(
                write.asset,
                write.stage,
                write.partition,
                {**write.tables, "rows": stored},
                schemas=write.schemas,
                known_until=date(2024, 3, 1),
            )
            commit([changed], provenance)
        return commit(writes, provenance)

    monkeypatch.setattr(world.lake, "commit", interfere)
    world.run()
    assert others == 2
    final = as_known_at(world.rows(), END + timedelta(days=1)).select(PRICES)
    assert_frame_equal(final, world.later_fetch().select(PRICES))
    record = world.lake.record(NODE, MONTH)
    assert record is not None
    assert record.known_until == date(2024, 3, 1)


def test_a_month_that_others_keep_writing_is_refused_and_the_bars_stay_held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(writes, provenance: Provenance):
        msg = "written by another process meanwhile"
        raise ConflictError(msg)

    live = world.live()
    rows = world.later_fetch().head(3)
    live.take(rows)
    with monkeypatch.context() as patch:
        patch.setattr(world.lake, "commit", refuse)
        with pytest.raises(ConflictError, match="another process"):
            live.store()
    live.store()
    assert len(world.rows()) == 3


def test_what_is_held_is_stored_when_the_stream_is_broken_off(world: World) -> None:
    async def broken_off() -> None:
        async with world.server.running():
            stream = stream_bars(
                world.live(timedelta(hours=9)), KEYS, world.time.timing(), SETTINGS, END
            )
            await asyncio.wait_for(stream, 0.6)

    with pytest.raises(TimeoutError):
        asyncio.run(broken_off())
    assert len(world.rows()) > 0


def test_a_stream_that_goes_on_completes_the_session(world: World) -> None:
    world.run(until=at(15, 53))
    begun = len(world.rows())
    world.run()
    final = as_known_at(world.rows(), END + timedelta(days=1)).select(PRICES)
    assert 0 < begun < len(world.rows())
    assert_frame_equal(final, world.later_fetch().select(PRICES))


def test_refused_keys_are_told_and_nothing_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_server, "SECRET", "another")
    with pytest.raises(UserError, match="ALPACA_SECRET_KEY"):
        world.run()
    assert world.lake.records(NODE) == {}


def test_a_later_fetch_has_the_last_word_on_a_bar() -> None:
    truth = make_truth(Random(3), SYMBOLS, OPEN, 3)
    early, late = (history(truth, at(16, 30 + n), timedelta(minutes=1)) for n in (0, 1))
    fetched = add_streamed(None, [late.with_columns(close=pl.col("close") + 1)])
    assert add_streamed(fetched, [early]).rows.equals(fetched.rows)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (at(10, 0), date(2024, 3, 4)),
        (at(8, 0), date(2024, 3, 4)),
        (at(16, 30), date(2024, 3, 5)),
        (at(16, 30) + timedelta(days=4), date(2024, 3, 11)),
    ],
)
def test_the_session_under_way_or_the_next_is_streamed(
    world: World, now: datetime, day: date
) -> None:
    since, until = streamed_span(world.live().declared.market, CALENDAR, now)
    assert since == CALENDAR.open_time(day)
    assert until == CALENDAR.close_time(day) + timedelta(minutes=6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["stream", "nothing"], "expected one of us_daily"),
        (["stream", "us_daily"], "expected none for live bars"),
        (["stream", "us_daily_alpaca", "--minutes", "-1"], "expected a number above 0"),
        (["stream", "us_daily_alpaca"], "ALPACA_API_KEY"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA", str(tmp_path))
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


def test_a_lost_file_of_the_month_does_not_stop_the_stream(world: World) -> None:
    world.run(until=at(15, 53))
    record = world.lake.record(NODE, MONTH)
    assert record is not None
    (world.lake.root / record.file("rows.parquet").path).unlink()
    with pytest.raises(DataError, match="missing"):
        world.rows()
    world.run()
    final = as_known_at(world.rows(), END + timedelta(days=1)).select(PRICES)
    assert_frame_equal(final, world.later_fetch().select(PRICES))
