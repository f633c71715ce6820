"""Live bars over a real websocket on loopback, from a server that misbehaves by a seed."""

import asyncio
import json
from datetime import datetime, timedelta
from random import Random

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from trading_assets.bars.ingest import as_known_at, merge_revisions
from trading_assets.bars.stream.messages import BarMessage, Frame
from trading_assets.bars.stream.scope import StreamReport
from trading_assets.errors import DataError, UserError
from trading_assets_tests.bars.stream.stream_server import KEY, SECRET, Faults
from trading_assets_tests.bars.stream.stream_session import (
    CLOSE,
    END,
    OPEN,
    PRICES,
    SETTINGS,
    SYMBOLS,
    Session,
    assert_each_revision_is_once,
    assert_equals_the_truth,
    assert_nothing_is_known_early,
    make_session,
)
from trading_assets_tests.bars.stream.stream_truth import TrueBar, at

SEEDS = range(8)


def test_a_quiet_session_is_streamed_bar_by_bar() -> None:
    session = make_session(Faults())
    report = session.run(SETTINGS.model_copy(update={"mute_after_seconds": 3600}))
    assert_equals_the_truth(session)
    assert_nothing_is_known_early(session)
    assert_each_revision_is_once(session)
    assert report.missing == 0
    assert report.waiting == 0
    assert (report.reconnects, report.open_gaps) == (0, ())
    assert session.server.received == [
        {"action": "auth", "key": KEY, "secret": SECRET},
        {"action": "subscribe", "bars": list(SYMBOLS), "updatedBars": list(SYMBOLS)},
    ]


def misbehave(seed: int) -> Faults:
    rng = Random(seed)
    return Faults(
        doubled=0.4,
        delayed=0.3,
        lost_bars=0.1,
        junk=0.6,
        drops=[(rng.uniform(60, 200), rng.uniform(5, 150))],
        mutes=[(rng.uniform(380, 450), rng.uniform(200, 250))],
        refusals=["close", '[{"T":"error","code":406,"msg":"connection limit exceeded"}]'],
    )


@pytest.fixture(scope="module")
def bad_sessions() -> list[tuple[Session, StreamReport]]:
    async def all_at_once() -> list[tuple[Session, StreamReport]]:
        sessions = [make_session(misbehave(seed), seed) for seed in SEEDS]
        reports = await asyncio.gather(*(session.streamed() for session in sessions))
        return list(zip(sessions, reports, strict=True))

    return asyncio.run(all_at_once())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_server_that_drops_mutes_doubles_reorders_and_revises_changes_nothing(
    bad_sessions: list[tuple[Session, StreamReport]], seed: int
) -> None:
    session, report = bad_sessions[seed]
    assert_equals_the_truth(session)
    assert_nothing_is_known_early(session)
    assert_each_revision_is_once(session)
    assert report.missing == 0
    assert report.open_gaps == ()
    assert report.reconnects >= 3
    assert report.mutes >= 1


def test_doubled_bars_and_junk_reached_the_sessions_that_stayed_right(
    bad_sessions: list[tuple[Session, StreamReport]],
) -> None:
    # Of all sessions: which frames meet a connection depends on the machine, not on the seed alone.
    assert sum(report.counts["duplicates"] for _, report in bad_sessions) > 0
    assert sum(report.counts["malformed"] for _, report in bad_sessions) > 0


def test_a_correction_that_never_came_is_a_revision_of_the_next_fetch() -> None:
    session = make_session(Faults())
    complete = session.truth
    session.server.truth = [TrueBar(bar.symbol, bar.start, bar.versions[:1]) for bar in complete]
    session.run()
    later = session.later_fetch()
    merged = merge_revisions(session.table(), later)
    corrected = sum(len(bar.versions) > 1 for bar in complete)
    assert merged.filter(pl.col("revision") == 1)["knowledge_time"].unique().to_list() == [
        later["ingest_time"][0]
    ]
    assert merged["revision"].sum() == corrected > 0
    final = as_known_at(merged, END + timedelta(days=1)).select(PRICES)
    assert_frame_equal(final, later.select(PRICES))


def test_a_bar_that_is_lost_while_connected_is_asked_for_during_the_session() -> None:
    session = make_session(Faults())
    lost = session.truth[1]
    session.server.truth = [bar for bar in session.truth if bar is not lost]
    session.run()
    assert_equals_the_truth(session)
    first = session.table().filter(symbol=lost.symbol, event_time=lost.end)
    assert lost.end < first["knowledge_time"][0] < CLOSE


def test_bars_before_the_start_of_the_program_are_asked_for() -> None:
    session = make_session(Faults())
    session.time.now = at(15, 55)
    report = session.run()
    assert_equals_the_truth(session)
    assert session.asked[0][0] < at(15, 49)
    early = session.table().filter(pl.col("event_time") <= at(15, 55))
    # What was fetched while streaming was not known before it was fetched.
    assert (early["knowledge_time"] >= at(15, 55)).all()
    assert report.missing == 0


def test_a_bar_that_comes_before_the_confirmation_does_not_shorten_the_outage() -> None:
    session = make_session(Faults())
    session.server.url = "ws://127.0.0.1:1"
    stream = session.stream()
    early = Frame(bars=[BarMessage("b", "IBM", at(15, 58), 1, 1, 1, 1, 1, 1)])
    stream._note_frame(early, at(15, 59))
    stream._note_subscribed(at(15, 59, 1))
    (gap,) = stream.report().open_gaps
    assert gap.after <= OPEN


def test_a_gap_is_asked_for_again_until_the_source_answers() -> None:
    session = make_session(Faults(drops=[(120, 100)]))
    answer = session.backfill
    failures = iter([DataError("status 503; try again later")] * 2)

    def unsteady(after: datetime, until: datetime) -> pl.DataFrame:
        for failure in failures:
            raise failure
        return answer(after, until)

    session.backfill = unsteady
    report = session.run()
    assert_equals_the_truth(session)
    assert report.open_gaps == ()


def test_a_gap_stays_open_while_the_source_gives_bars_of_another_feed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = make_session(Faults(drops=[(120, 100)]))
    answer = session.backfill
    session.backfill = lambda after, until: answer(after, until).with_columns(feed=pl.lit("sip"))
    report = session.run(SETTINGS.model_copy(update={"most_backfill_attempts": 2}))
    assert report.missing > 0
    assert report.open_gaps[0].after < at(15, 50) < report.open_gaps[0].until
    assert session.table()["feed"].unique().to_list() == ["iex"]
    assert any("feed sip; expected iex" in message for message in caplog.messages)


def test_an_error_of_the_source_that_no_repeat_cures_ends_the_stream() -> None:
    session = make_session(Faults(drops=[(60, 60)]))

    def refuse(after: datetime, until: datetime) -> pl.DataFrame:
        raise UserError("Alpaca refused the feed")

    session.backfill = refuse
    with pytest.raises(UserError, match="refused the feed"):
        session.run()


def test_a_table_that_could_not_be_stored_is_delivered_again() -> None:
    session = make_session(Faults())
    store = session.deliver
    refused: list[pl.DataFrame] = []

    def full_disk(rows: pl.DataFrame) -> None:
        if not refused:
            refused.append(rows)
            raise OSError("no space left")
        store(rows)

    async def twice() -> StreamReport:
        async with session.server.running():
            stream = session.stream()
            with pytest.raises(OSError, match="no space"):
                await stream.run(full_disk)
            return await stream.run(full_disk)

    asyncio.run(twice())
    assert_frame_equal(session.delivered[0], refused[0])
    assert_equals_the_truth(session)


def test_halts_are_known_while_they_last() -> None:
    session = make_session(Faults())
    session.time.now, session.time.speed = at(16, 8, 58), 2.0
    status = {"T": "s", "S": "IBM", "sm": "Trading Halt", "z": "A"}
    halt = json.dumps([{**status, "sc": "H", "t": "2024-03-04T20:50:00Z"}])
    resumption = json.dumps([{**status, "sc": "T", "t": "2024-03-04T20:55:00Z"}])

    async def observed() -> list[frozenset[str]]:
        async with session.server.running():
            stream = session.stream(SETTINGS.model_copy(update={"has_halts": True}))
            run = asyncio.ensure_future(stream.run(session.deliver))
            seen: list[frozenset[str]] = []
            # The halt is told once more after trading went on, as a late message.
            for text in (halt, resumption, halt):
                while not session.server.subscribed:
                    await asyncio.sleep(0.01)
                await session.server.subscribed[0].send(text)
                await asyncio.sleep(0.1)
                seen.append(stream.halted)
            await run
            return seen

    assert asyncio.run(observed()) == [frozenset({"IBM"}), frozenset(), frozenset()]
    assert session.server.received[1]["statuses"] == list(SYMBOLS)
