"""Past sessions at a real broker: recorded as missed, whoever asks, and the broker is not asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pytest

from trading_assets.paper.account_folder import account_path
from trading_assets.paper.audit import audit_records, stated_genesis
from trading_assets.paper.record import SessionRecord
from trading_assets.pipeline.paper import read_session
from trading_assets_tests.paper.alpaca_double import KEYS, AlpacaDouble, serving
from trading_assets_tests.paper.fixtures import CALENDAR
from trading_assets_tests.pipeline.alpaca_world import (
    BEFORE,
    DAY,
    PAPER,
    alpaca_world,
    before_open,
    reach,
    trade,
)
from trading_assets_tests.pipeline.live_world import LiveWorld, failures_of

PAST = [
    day.isoformat() for day in CALENDAR.sessions(date(2022, 6, 1), date.fromisoformat(BEFORE))[-20:]
]


@dataclass
class Backfilled:
    """A world after a backfill of twenty past sessions, and its broker."""

    world: LiveWorld
    broker: AlpacaDouble

    def record(self, day: str) -> SessionRecord:
        return read_session(self.world.lake, PAPER, day)

    def log(self, day: str) -> bytes:
        return (account_path(self.world.root / "data", "tiny") / f"{day}.jsonl").read_bytes()


@pytest.fixture(scope="module")
def backfilled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backfilled]:
    root = tmp_path_factory.mktemp("backfilled")
    with (
        alpaca_world(root) as world,
        serving(before_open()) as broker,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, key in KEYS.items():
            patch.setenv(name, key)
        reach(patch, broker.url)
        for day in PAST:
            result = trade(world, day, {"dagster/backfill": "past"})
            assert failures_of(result) == []
            assert all(found.passed for found in result.get_asset_check_evaluations())
        yield Backfilled(world, broker)


def test_every_session_is_missed_with_its_reason_and_no_request(backfilled: Backfilled) -> None:
    assert backfilled.broker.seen == []
    assert sorted(backfilled.world.records("paper_session")) == PAST
    for day in PAST:
        record = backfilled.record(day)
        reason = (
            f"the session opened at {day} 13:30 UTC; at a real broker only the session that opens"
            " next is traded"
        )
        assert (record.status, record.summary["reason"]) == ("missed", reason)
        logged = audit_records(record.audit, stated_genesis(record.audit))
        assert [(entry["event"], entry["reason"]) for entry in logged] == [("MISSED", reason)]
        assert backfilled.log(day) == record.audit
        assert all(table.is_empty() for table in record.tables.values())


def test_doing_one_again_changes_nothing(backfilled: Backfilled) -> None:
    for day, tags in ((PAST[7], {"dagster/backfill": "past"}), (PAST[-1], {})):
        before = backfilled.world.records("paper_session")[day]
        log = backfilled.log(day)
        assert failures_of(trade(backfilled.world, day, tags)) == []
        after = backfilled.world.records("paper_session")[day]
        assert after.content_digest == before.content_digest
        assert backfilled.log(day) == log
    assert backfilled.broker.seen == []


def test_the_next_session_is_traded_as_if_there_had_been_no_backfill(
    backfilled: Backfilled,
) -> None:
    assert failures_of(trade(backfilled.world)) == []
    assert backfilled.record(DAY).status == "awaiting_fill"
    assert len(backfilled.broker.requests("POST")) == 1
