"""Whole sessions through the Alpaca gateway, against the simulated broker's face on loopback."""

from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from trading_assets.errors import MissingKeyError, UserError
from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.audit import audit_records, stated_genesis
from trading_assets.paper.brokers import BrokerSetup, build_gateway
from trading_assets.paper.inputs import SessionInputs, decision_time
from trading_assets.paper.orders import Order
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session import run_session
from trading_assets.paper.simulated_broker.alpaca_app import SetClock, build_app
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.http_guard import Keys
from trading_assets.paper.simulated_broker.server import serving
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.paper.alpaca_double import KEYS
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    NAME,
    cut,
    hold,
    make_market,
    make_strategy,
    session_at,
)

ROW = 20
MARKET = make_market()
ON_ALPACA = make_strategy(paper={"gateway": "alpaca"})


@dataclass
class ClockOfBroker:
    """Our clock shows what the broker's shows; waits take no time."""

    clock: SetClock

    def now(self) -> datetime:
        return self.clock.now

    def monotonic(self) -> float:
        return self.clock.now.timestamp()

    def sleep(self, seconds: float) -> None:
        pass


@dataclass
class Account:
    """An account at a broker that is reached over HTTP only."""

    url: str
    clock: SetClock
    broker: SimulatedBroker
    folder: Path
    requests: list[str] = field(default_factory=list)

    def at(self, row: int, before_open: timedelta) -> None:
        self.clock.move(CALENDAR.open_time(session_at(MARKET, row)) - before_open)

    def run(
        self,
        row: int,
        known: Market,
        previous: SessionRecord | None = None,
        stored: SessionRecord | None = None,
        strategy: Strategy = ON_ALPACA,
    ) -> SessionRecord:
        session, clock = session_at(MARKET, row), ClockOfBroker(self.clock)
        folder = AccountFolder.on_disk(self.folder, clock)
        setup = BrokerSetup(strategy, CALENDAR, folder, KEYS, clock, alpaca_url=self.url)
        with closing(build_gateway(setup, known)) as gateway:
            return run_session(
                SessionInputs(
                    name=NAME,
                    strategy=strategy,
                    session=session,
                    calendar=CALENDAR,
                    market=known,
                    decision_time=decision_time(CALENDAR, session, 15, clock.now()),
                    decide=hold(0.3, 0.3, 0.2),
                    gateway=gateway,
                    previous=previous,
                    stored=stored,
                    folder=folder,
                    clock=clock,
                )
            )


@contextmanager
def opened(folder: Path) -> Generator[Account]:
    clock = SetClock(CALENDAR.open_time(session_at(MARKET, ROW)) - timedelta(minutes=14))
    broker = SimulatedBroker(Book(), make_strategy(), MARKET, CALENDAR, None, clock)
    app = build_app(broker, Keys(KEYS["ALPACA_API_KEY"], KEYS["ALPACA_SECRET_KEY"]), 100_000)
    requests: list[str] = []

    async def counted(scope, receive, send):
        if scope["type"] == "http":
            requests.append(f"{scope['method']} {scope['path']}")
        await app(scope, receive, send)

    with serving(counted) as url:
        yield Account(url, clock, broker, folder, requests)


@pytest.fixture
def account(tmp_path: Path) -> Generator[Account]:
    with opened(tmp_path) as found:
        yield found


def events(record: SessionRecord) -> list[str]:
    return [r["event"] for r in audit_records(record.audit, stated_genesis(record.audit))]


def through_files(record: SessionRecord) -> SessionRecord:
    return SessionRecord.from_files(record.tables, record.to_files())


def test_sessions_are_decided_before_the_open_and_settled_from_the_brokers_fills(
    account: Account,
) -> None:
    previous = None
    for row in (ROW, ROW + 1):
        account.at(row, timedelta(minutes=14))
        record = account.run(row, cut(MARKET, row - 1), previous)
        assert record.status == "awaiting_fill", record.summary
        account.clock.move(CALENDAR.close_time(record.session) + timedelta(minutes=11))
        stored = through_files(record)
        settled = account.run(row, cut(MARKET, row), previous, stored)
        assert (settled.status, settled.differences) == ("settled", [])
        previous = through_files(settled)
    booked = account.broker.book.account()
    assert previous is not None
    assert previous.closing is not None
    assert (previous.closing.cash_usd, previous.closing.quantity) == (
        booked.cash_usd,
        booked.quantity,
    )
    assert len(account.broker.book.orders()) == 6


def test_past_sessions_are_missed_without_a_single_request(account: Account) -> None:
    account.clock.move(CALENDAR.open_time(session_at(MARKET, 35)))
    previous = None
    for row in range(8, 28):
        record = account.run(row, cut(MARKET, row), previous)
        assert record.status == "missed"
        previous = through_files(record)
    assert account.requests == []
    account.at(36, timedelta(minutes=14))
    later = account.run(36, cut(MARKET, 35), previous)
    assert later.status == "awaiting_fill"
    assert later.opening.cash_usd == Decimal(1_000_000)


def test_a_session_whose_window_is_over_by_the_brokers_clock_is_missed(account: Account) -> None:
    account.at(ROW, timedelta(minutes=1))
    record = account.run(ROW, cut(MARKET, ROW - 1))
    assert record.status == "missed"
    assert "the decision window closed" in str(record.summary["reason"])
    assert not [request for request in account.requests if request.startswith("POST")]


def test_a_run_that_died_after_sending_finds_its_orders_and_sends_nothing_again(
    account: Account,
) -> None:
    first = account.run(ROW, cut(MARKET, ROW - 1))
    sent = [request for request in account.requests if request.startswith("POST")]
    # The record was never stored; the log and the broker know.
    again = account.run(ROW, cut(MARKET, ROW - 1))
    assert [r for r in account.requests if r.startswith("POST")] == sent
    assert again.tables["orders"].equals(first.tables["orders"])
    account.clock.move(CALENDAR.close_time(first.session) + timedelta(minutes=11))
    settled = account.run(ROW, cut(MARKET, ROW))
    assert settled.status == "settled"
    assert settled.tables["orders"]["status"].unique().to_list() == ["filled"]


def test_an_order_from_elsewhere_halts_and_the_halt_stays(account: Account) -> None:
    first = account.run(ROW, cut(MARKET, ROW - 1))
    account.clock.move(CALENDAR.close_time(first.session) + timedelta(minutes=11))
    settled = through_files(account.run(ROW, cut(MARKET, ROW), None, through_files(first)))
    account.at(ROW + 1, timedelta(minutes=14))
    session = session_at(MARKET, ROW + 1)
    account.broker.take(Order("by-hand", session, "AAA", "buy", Decimal(7)))
    record = account.run(ROW + 1, cut(MARKET, ROW), settled)
    assert record.status == "halted"
    assert "order by-hand (buy 7" in record.differences[0]
    assert "INTENT" not in events(record)
    folder = AccountFolder.on_disk(account.folder, ClockOfBroker(account.clock))
    assert folder.switch.is_halted
    account.clock.move(CALENDAR.close_time(session) + timedelta(minutes=11))
    account.at(ROW + 2, timedelta(minutes=14))
    later = account.run(ROW + 2, cut(MARKET, ROW + 1), through_files(record))
    assert later.status == "halted"
    assert "a named person re-arms it" in str(later.summary["reason"])


def test_a_blocked_account_sends_nothing(account: Account) -> None:
    account.broker.book.block("margin call")
    record = account.run(ROW, cut(MARKET, ROW - 1))
    assert record.status == "halted"
    assert "account_blocked" in record.differences[0]
    assert not [request for request in account.requests if request.startswith("POST")]


@pytest.mark.parametrize("name", ["ALPACA_API_KEY", "ALPACA_SECRET_KEY"])
def test_a_missing_key_is_named(name: str, tmp_path: Path) -> None:
    clock = ClockOfBroker(SetClock(datetime(2020, 1, 2).astimezone()))
    folder = AccountFolder.on_disk(tmp_path, clock)
    keys = {key: value for key, value in KEYS.items() if key != name}
    with pytest.raises(MissingKeyError, match=name):
        build_gateway(BrokerSetup(ON_ALPACA, CALENDAR, folder, keys, clock), MARKET)


def test_a_live_account_needs_the_second_switch(tmp_path: Path) -> None:
    clock = ClockOfBroker(SetClock(datetime(2020, 1, 2).astimezone()))
    folder = AccountFolder.on_disk(tmp_path, clock)
    live = make_strategy(paper={"gateway": "alpaca", "alpaca_account": "live"})
    setup = BrokerSetup(live, CALENDAR, folder, KEYS, clock)
    with pytest.raises(UserError, match="permitted by the environment as well"):
        build_gateway(setup, MARKET)
    permitted = BrokerSetup(live, CALENDAR, folder, KEYS, clock, permits_live=True)
    assert build_gateway(permitted, MARKET).receiver == "alpaca-live"
