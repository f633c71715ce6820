"""Figures of paper trading: durable orders, the way back after a crash, and the kill switch."""

import shutil
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from trading_assets.paper.account_folder import AccountFolder
from trading_assets.paper.brokers import BrokerSetup, build_gateway
from trading_assets.paper.clock import SystemClock
from trading_assets.paper.gateways import Answer, BrokerOrder, Gateway
from trading_assets.paper.inputs import SessionInputs, decision_time
from trading_assets.paper.journal import Journal
from trading_assets.paper.kill import kill_account
from trading_assets.paper.order_desk import OrderDesk
from trading_assets.paper.order_records import order_fields, state_fields
from trading_assets.paper.orders import Order
from trading_assets.paper.session import run_session
from trading_assets.paper.simulated_broker.alpaca_app import SetClock, build_app
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.gateway import open_simulated
from trading_assets.paper.simulated_broker.http_guard import Keys
from trading_assets.paper.simulated_broker.server import serving
from trading_assets.simulation.market import Market
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.paper.alpaca_double import KEYS
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    NAME,
    cut,
    decide_with,
    make_market,
    make_strategy,
    session_at,
)

ROW = 20
ORDERS = 300
OPEN_ORDERS = 500
RESTARTS = 40
KILLED_ORDERS = 50
KILLS = 20


def measure_durable_orders(count: int = ORDERS) -> None:
    """Make an intent durable, send it, and make the broker's answer durable, one after another."""
    market, strategy = make_market(), make_strategy()
    session = session_at(market, ROW)
    orders = [
        Order(f"{NAME}-{session}-{number}", session, "AAA", "buy", Decimal(1))
        for number in range(count)
    ]
    clock = SystemClock()
    with TemporaryDirectory() as folder:
        account = AccountFolder.on_disk(Path(folder), clock)
        with (
            closing(open_simulated(account.book_path, strategy, market, CALENDAR)) as gateway,
            account.open_log(session, b"") as log,
        ):
            journal = Journal(log)
            opening = state_fields(gateway.account())
            journal.tell(
                "START", strategy=NAME, session=session.isoformat(), receiver="simulated", **opening
            )
            desk = OrderDesk(journal, gateway, clock, lambda: gateway.refusal(session))
            began = time.perf_counter()
            for order in orders:
                journal.tell("INTENT", **order_fields(order), receiver="simulated")
                desk.send_all([order], is_first_try=True)
            seconds = time.perf_counter() - began
            taken = sum(s.status == "accepted" for s in journal.account.orders.values())
    _require(taken == count, f"{taken} of {count} orders were taken")
    keep(Figure("paper.durable_orders_per_s", count / seconds, "orders/s", limit=25))


def measure_restart(count: int = OPEN_ORDERS, restarts: int = RESTARTS) -> None:
    """Start a session anew whose process died once all its orders were open at the broker."""
    market = make_wide_market(count)
    seconds: list[float] = []
    with TemporaryDirectory() as folder:
        died = Path(folder) / "died"
        with suppress(_Stopped):
            _run(died, market, stops_after=count)
        for number in range(restarts):
            path = Path(folder) / str(number)
            shutil.copytree(died, path)
            began = time.perf_counter()
            orders = _run(path, market)
            seconds.append(time.perf_counter() - began)
            _require(orders == ["accepted"] * count, f"orders were {set(orders)} {len(orders)}")
            shutil.rmtree(path)
    keep(Figure("paper.restart_p95_s", float(np.quantile(seconds, 0.95)), "s", limit=10))


def measure_kill_switch(count: int = KILLED_ORDERS, kills: int = KILLS) -> None:
    """Kill an account with open orders over HTTP, until the broker says that none is open."""
    longest = 0.0
    for _ in range(kills):
        with _open_orders(count) as (gateway, folder, broker):
            watched = _Watched(gateway)
            result = kill_account(watched, folder.switch, SystemClock(), "bench", "measured")  # type: ignore[arg-type]
            _require(result.is_verified, f"orders were left open: {result.problems}")
            _require(len(broker.book.orders(is_open=True)) == 0, "the book has open orders")
            _require(broker.book.is_suspended(), "the broker still takes orders")
            longest = max(longest, watched.verified_at - watched.began)
    keep(Figure("paper.kill_switch_s", longest, "s", limit=1))


def make_wide_market(n_symbols: int) -> Market:
    """Return a market of so many symbols that trade every session."""
    rng = np.random.default_rng(0)
    shape = (ROW + 2, n_symbols)
    close = np.round(100.0 * np.exp(np.cumsum(0.01 * rng.standard_normal(shape), axis=0)), 2)
    ones = np.ones(shape)
    return Market(
        sessions=make_market(ROW + 2).sessions,
        symbols=tuple(f"S{number:03d}" for number in range(n_symbols)),
        open=close.copy(),
        close=close,
        volume=1e6 * ones,
        tradable=ones.astype(bool),
        split_ratio=ones,
        cash_per_share=0 * ones,
        volatility=0.02 * ones,
        adv_usd=1e8 * ones,
    )


class _Stopped(BaseException):
    pass


class _Watched:
    """A gateway of which the moments of cancels, and of the last look at open orders, are kept."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.began = time.perf_counter()
        self.verified_at = 0.0

    def orders(self, since: datetime | None, *, is_open: bool = False) -> tuple[BrokerOrder, ...]:
        found = self._gateway.orders(since, is_open=is_open)
        self.verified_at = time.perf_counter()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._gateway, name)


def _run(path: Path, market: Market, stops_after: int = 0) -> list[str]:
    """Run a session's first half and return its orders' statuses."""
    session, clock = session_at(market, ROW), SystemClock()
    folder = AccountFolder.on_disk(path, clock)
    known = cut(market, ROW - 1)
    weights = np.full(len(market.symbols), 0.4 / len(market.symbols))
    strategy = make_strategy()
    with closing(open_simulated(folder.book_path, strategy, known, CALENDAR)) as gateway:
        record = run_session(
            SessionInputs(
                name=NAME,
                strategy=strategy,
                session=session,
                calendar=CALENDAR,
                market=known,
                decision_time=decision_time(CALENDAR, session, 15, datetime.now(UTC)),
                decide=decide_with(lambda _: weights, market.symbols),
                gateway=_stopping(gateway, stops_after),
                previous=None,
                stored=None,
                folder=folder,
                clock=clock,
            )
        )
    return record.tables["orders"]["status"].to_list()


def _stopping(gateway: Gateway, stops_after: int) -> Gateway:
    """Let a process end once so many orders have arrived; 0 for never."""
    arrived = 0
    send = gateway.send

    def counted(order: Order) -> Answer:
        nonlocal arrived
        answer = send(order)
        arrived += 1
        if arrived == stops_after:
            raise _Stopped
        return answer

    gateway.send = counted  # type: ignore[method-assign]
    return gateway


@contextmanager
def _open_orders(count: int) -> Generator[tuple[Gateway, AccountFolder, SimulatedBroker]]:
    market = make_market()
    session = session_at(market, ROW)
    now = CALENDAR.open_time(session) - timedelta(minutes=14)
    broker = SimulatedBroker(Book(), make_strategy(), market, CALENDAR, None, SetClock(now))
    for number in range(count):
        resting = Order(
            f"{NAME}-{number}",
            session,
            "AAA",
            "buy",
            Decimal(1),
            "limit",
            "gtc",
            Decimal("1.00"),
        )
        broker.take(resting)
    keys = Keys(KEYS["ALPACA_API_KEY"], KEYS["ALPACA_SECRET_KEY"])
    strategy = make_strategy(paper={"gateway": "alpaca"})
    with TemporaryDirectory() as path, serving(build_app(broker, keys)) as url:
        clock = SystemClock()
        folder = AccountFolder.on_disk(Path(path), clock)
        setup = BrokerSetup(strategy, CALENDAR, folder, KEYS, clock, alpaca_url=url)
        with closing(build_gateway(setup, market)) as gateway:
            yield gateway, folder, broker


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise RuntimeError(otherwise)


STAGES = {
    "durable_orders": measure_durable_orders,
    "restart": measure_restart,
    "kill_switch": measure_kill_switch,
}
