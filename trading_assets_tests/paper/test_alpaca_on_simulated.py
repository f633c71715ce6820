"""The gateway to Alpaca against the simulated broker's face on loopback, faults included."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import TypeVar

import pytest
import requests

from trading_assets.paper.alpaca_account import choose_account
from trading_assets.paper.alpaca_gateway import AlpacaGateway
from trading_assets.paper.alpaca_hours import DecisionWindow
from trading_assets.paper.alpaca_session import AlpacaSession
from trading_assets.paper.alpaca_stream import AlpacaStream, StreamPatience
from trading_assets.paper.alpaca_transport import Carried, Carrier
from trading_assets.paper.clock import SystemClock
from trading_assets.paper.gateways import BrokerError, BrokerOrder, require_same_order
from trading_assets.paper.ledger import Ledger, reconcile
from trading_assets.paper.orders import Bracket, Order, round_to_tick
from trading_assets.paper.simulated_broker.alpaca_app import SetClock, build_app
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.http_guard import Keys
from trading_assets.paper.simulated_broker.server import serving
from trading_assets.simulation.market import Market
from trading_assets_tests.paper.alpaca_double import KEYS, ToldClock
from trading_assets_tests.paper.alpaca_stream_double import wait_until
from trading_assets_tests.paper.brokers import with_extremes
from trading_assets_tests.paper.fixtures import CALENDAR, make_market, make_strategy, session_at

T = TypeVar("T")
ROW = 30
MARKET = with_extremes(make_market(40))


@dataclass
class Served:
    """A simulated broker behind HTTP, and its clock."""

    url: str
    clock: SetClock
    broker: SimulatedBroker
    market: Market = field(default=MARKET)

    @property
    def session(self) -> date:
        return session_at(self.market, ROW)

    def move_past_close(self, row: int = ROW) -> None:
        close = CALENDAR.close_time(session_at(self.market, row))
        self.clock.move(close + timedelta(minutes=10))

    def gateway(self, carrier: Carrier | None = None) -> AlpacaGateway:
        account = choose_account(KEYS, self.url)
        session = AlpacaSession(account, clock=ToldClock(), rng=Random(1), carrier=carrier)
        return AlpacaGateway(session, CALENDAR, DecisionWindow(timedelta(minutes=15)))


@contextmanager
def served(behaviour: Behaviour | None = None, limit: int = 100_000) -> Generator[Served]:
    opens = CALENDAR.open_time(session_at(MARKET, ROW))
    clock = SetClock(opens - timedelta(minutes=14))
    broker = SimulatedBroker(Book(), make_strategy(), MARKET, CALENDAR, behaviour, clock)
    keys = Keys(KEYS["ALPACA_API_KEY"], KEYS["ALPACA_SECRET_KEY"])
    with serving(build_app(broker, keys, limit)) as url:
        yield Served(url, clock, broker)


@pytest.fixture
def simulated() -> Generator[Served]:
    with served() as running:
        yield running


def market_order(session: date, number: int, quantity: str = "10", symbol: str = "AAA") -> Order:
    shares = Decimal(quantity)
    force = "opg" if shares == shares.to_integral_value() else "day"
    name = f"tested-{session}-{symbol}-{number}"
    return Order(name, session, symbol, "buy", shares, time_in_force=force)


def test_a_session_is_sent_filled_and_read_back_to_the_last_decimal(simulated: Served) -> None:
    gateway, session = simulated.gateway(), simulated.session
    assert gateway.refusal(session) == ""
    assert gateway.blocked() == ""
    ledger = Ledger.opened(gateway.account())
    sent = [
        market_order(session, 0, "100"),
        market_order(session, 1, "0.000000001"),
        market_order(session, 2, "12.345678901", "BBB"),
    ]
    answers = [gateway.send(order) for order in sent]
    assert [answer.outcome for answer in answers] == ["taken"] * 3
    assert [answer.evidence.http_status for answer in answers] == ["200"] * 3
    for order, answer in zip(sent, answers, strict=True):
        assert answer.order is not None
        require_same_order(order, answer.order)
        assert gateway.look_up(order.client_order_id) == answer.order
        assert gateway.send(order).outcome == "unclear"
    assert not gateway.has_closed(session)
    simulated.move_past_close()
    assert gateway.has_closed(session)
    told = gateway.activities(None, session)
    assert {fill.client_order_id for fill in told.fills} == {o.client_order_id for o in sent}
    for event in told.events:
        ledger.book_event(event)
    for fill in told.fills:
        ledger.book_fill(fill)
    assert reconcile(ledger.state(None), gateway.account()) == []
    assert {order.status for order in gateway.orders(None)} == {"filled"}
    assert gateway.orders(None, is_open=True) == ()


def test_fills_have_the_ids_under_which_the_brokers_book_knows_them(simulated: Served) -> None:
    gateway = simulated.gateway()
    order = market_order(simulated.session, 0)
    gateway.send(order)
    simulated.move_past_close()
    [fill] = gateway.activities(None, simulated.session).fills
    [execution] = simulated.broker.book.executions()
    own = execution.fill
    assert (fill.quantity, fill.price_usd, fill.side) == (own.quantity, own.price_usd, own.side)
    assert fill.client_order_id == own.client_order_id
    again = simulated.gateway().activities(None, simulated.session).fills
    assert again == (fill,)


def test_sessions_follow_each_other_without_a_gap_or_an_overlap(simulated: Served) -> None:
    gateway = simulated.gateway()
    ledger = Ledger.opened(gateway.account())
    since = None
    for row in range(ROW, ROW + 5):
        session = session_at(MARKET, row)
        simulated.clock.move(CALENDAR.open_time(session) - timedelta(minutes=14))
        for number, symbol in enumerate(MARKET.symbols):
            gateway.send(market_order(session, number, f"{row}.5", symbol))
        simulated.move_past_close(row)
        told = gateway.activities(since, session)
        assert all(ledger.book_event(event) for event in told.events)
        assert all(ledger.book_fill(fill) for fill in told.fills)
        assert len(told.fills) == len(MARKET.symbols)
        assert reconcile(ledger.state(None), gateway.account()) == []
        since = session


def test_brackets_stops_and_limits_rest_and_are_cancelled(simulated: Served) -> None:
    gateway, session = simulated.gateway(), simulated.session
    price = Decimal(repr(float(MARKET.close[ROW - 1, 0])))
    low, high = round_to_tick(price / 2), round_to_tick(price * 2)
    bracket = Order(
        "entry", session, "AAA", "buy", Decimal(5), "limit", "gtc", high, None, Bracket(high, low)
    )
    resting = Order("resting", session, "AAA", "buy", Decimal(5), "limit", "gtc", low)
    stop = Order("stop", session, "AAA", "buy", Decimal(5), "stop", "gtc", None, high)
    for order in (bracket, resting, stop):
        answer = gateway.send(order)
        assert (answer.outcome, answer.reason) == ("taken", "")
        assert answer.order is not None
        assert answer.order.limit_price_usd == order.limit_price_usd
        assert answer.order.stop_price_usd == order.stop_price_usd
    simulated.move_past_close()
    still_open = {order.client_order_id for order in gateway.orders(None, is_open=True)}
    assert {"resting", "stop"} < still_open
    assert len(still_open) == 4
    assert gateway.cancel("resting").outcome == "taken"
    assert gateway.cancel("resting").outcome == "refused"
    assert gateway.cancel("entry").outcome == "refused"
    assert gateway.cancel("nothing").outcome == "refused"
    assert gateway.cancel_all().outcome in ("taken", "unclear")
    assert gateway.orders(None, is_open=True) == ()


def test_a_suspended_account_takes_no_order_until_it_is_resumed(simulated: Served) -> None:
    gateway = simulated.gateway()
    order = market_order(simulated.session, 0)
    assert gateway.suspend().outcome == "taken"
    assert "trade_suspended_by_user" in gateway.blocked()
    assert gateway.send(order).outcome == "refused"
    assert gateway.resume().outcome == "taken"
    assert gateway.send(order).outcome == "taken"


def test_fifty_open_orders_are_cancelled_by_one_request(simulated: Served) -> None:
    gateway = simulated.gateway()
    for number in range(50):
        assert gateway.send(market_order(simulated.session, number)).outcome == "taken"
    assert len(gateway.orders(None, is_open=True)) == 50
    assert gateway.cancel_all().outcome == "taken"
    assert {order.status for order in gateway.orders(None)} == {"canceled"}


@pytest.mark.slow
@pytest.mark.parametrize("count", [500, 501])
def test_a_list_of_more_than_one_page_is_whole(simulated: Served, count: int) -> None:
    for number in range(count):
        simulated.broker.take(market_order(simulated.session, number))
    found = simulated.gateway().orders(None)
    assert len({order.client_order_id for order in found}) == len(found) == count


def test_what_the_broker_refuses_is_refused(simulated: Served) -> None:
    gateway, session = simulated.gateway(), simulated.session
    unknown = gateway.send(market_order(session, 0, symbol="ZZZ"))
    assert (unknown.outcome, unknown.evidence.http_status) == ("refused", "422")
    account = choose_account({**KEYS, "ALPACA_SECRET_KEY": "wrong"}, simulated.url)
    wrong = AlpacaSession(account, clock=ToldClock(), rng=Random(1))
    stranger = AlpacaGateway(wrong, CALENDAR, DecisionWindow(timedelta(minutes=15)))
    assert stranger.send(market_order(session, 1)).outcome == "refused"
    with pytest.raises(BrokerError, match="forbidden"):
        stranger.account()
    assert simulated.broker.book.orders() == []


def test_the_message_limit_is_waited_for_and_never_makes_two_orders() -> None:
    with served(limit=3) as simulated:
        gateway, session = simulated.gateway(), simulated.session
        for number in range(3):
            assert gateway.send(market_order(session, number)).outcome == "taken"
        assert gateway.send(market_order(session, 3)).outcome == "unclear"
        with pytest.raises(BrokerError, match="rate limit exceeded"):
            gateway.account()
        assert len(simulated.broker.book.orders()) == 3


def test_the_stream_tells_of_orders_and_fills(simulated: Served) -> None:
    patience = StreamPatience(first_wait_s=0.01, answer_within_s=2.0)
    account = choose_account(KEYS, simulated.url)
    stream = AlpacaStream(account, clock=SystemClock(), rng=Random(1), patience=patience)
    stream.start()
    told: list[tuple[str, str]] = []

    def hear() -> list[str]:
        told.extend((update.event, update.order.client_order_id) for update in stream.take())
        return [event for event, _ in told]

    try:
        wait_until(lambda: stream.is_listening)
        gateway = simulated.gateway()
        order = market_order(simulated.session, 0)
        gateway.send(order)
        simulated.move_past_close()
        wait_until(lambda: "fill" in hear())
    finally:
        stream.close()
    assert told[0] == ("read_again", "")
    assert told[-1] == ("fill", order.client_order_id)


class Unreliable:
    """Carries requests to a server and loses, delays or spoils answers, drawn from a seed."""

    def __init__(self, seed: int, share: float) -> None:
        self.rng = Random(seed)
        self.share = share
        self.faults = 0
        self._http = requests.Session()

    def carry(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: tuple[float, float],
    ) -> Carried:
        is_fault = self.rng.random() < self.share
        is_applied = self.rng.random() < 0.5
        kind = self.rng.choice(["hang", "reset", "cut", "html", 429, 500, 502, 503, 504])
        self.faults += is_fault
        carried = Carried(0, {}, b"")
        if is_applied or not is_fault:
            answer = self._http.request(
                method, url, headers=dict(headers), data=body, timeout=timeout_s
            )
            carried = Carried(answer.status_code, answer.headers, answer.content)
        if not is_fault:
            return carried
        if isinstance(kind, int):
            return Carried(kind, {}, b'{"message": "broken"}')
        if kind == "cut":
            return Carried(200, {}, carried.body[: len(carried.body) // 2])
        if kind == "html":
            return Carried(200, {}, b"<html>busy</html>")
        raise requests.ReadTimeout if kind == "hang" else ConnectionResetError


def sent_until_known(gateway: AlpacaGateway, order: Order) -> BrokerOrder:
    """Send as a session does: look up what is unclear, and send the same id only if it is gone."""
    for _ in range(60):
        try:
            answer = gateway.send(order)
            assert answer.outcome != "refused"
            known = answer.order or gateway.look_up(order.client_order_id)
        except BrokerError:
            continue
        if known is not None:
            return require_same_order(order, known)
    pytest.fail("the order's fate did not become known")


SEEDS = [
    *range(8),
    *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 200)),
]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_lost_each_order_is_there_once_and_the_books_agree(seed: int) -> None:
    rng = Random(seed)
    line = Unreliable(seed, share=0.4)
    with served(Behaviour(seed=seed, max_pieces=3, partial_share=0.2)) as simulated:
        gateway, session = simulated.gateway(line.carry), simulated.session
        ledger = Ledger.opened(patiently(gateway.account))
        intended = [
            market_order(session, number, str(rng.randint(1, 300)), rng.choice(MARKET.symbols))
            for number in range(20)
        ]
        for order in intended:
            sent_until_known(gateway, order)
        booked = simulated.broker.book.orders()
        assert [order.client_order_id for order in booked] == [
            order.client_order_id for order in intended
        ]
        simulated.move_past_close()
        told = patiently(lambda: gateway.activities(None, session))
        assert all(ledger.book_event(event) for event in told.events)
        assert all(ledger.book_fill(fill) for fill in told.fills)
        assert reconcile(ledger.state(None), patiently(gateway.account)) == []
        assert len(told.fills) == len(simulated.broker.book.executions())
    assert line.faults > 5


def patiently(read: Callable[[], T]) -> T:
    for _ in range(20):
        try:
            return read()
        except BrokerError:
            continue
    pytest.fail("nothing could be read")
