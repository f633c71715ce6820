import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from websockets.asyncio.client import connect

from trading_assets.paper.simulated_broker import interventions
from trading_assets.paper.simulated_broker.alpaca_app import SetClock, build_app
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.booked import uuid_of
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.gateway import SimulatedGateway
from trading_assets.paper.simulated_broker.http_guard import Guard, Keys
from trading_assets.paper.simulated_broker.server import serving
from trading_assets_tests.paper.brokers import market_order, open_gateway
from trading_assets_tests.paper.fixtures import CALENDAR, make_market, make_strategy, session_at
from trading_assets_tests.paper.http_broker import KEY, SECRET, Client, make_spec, served

MARKET = make_market(30)
FIRST, NEXT = session_at(MARKET, 6), session_at(MARKET, 7)


def before_open(session: date) -> datetime:
    return CALENDAR.open_time(session) - timedelta(minutes=15)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with served(make_spec(tmp_path, before_open(FIRST), MARKET)) as client:
        yield client


def test_days_traded_over_http_end_as_those_traded_in_process(client: Client) -> None:
    gateway = open_gateway(MARKET)
    for row in range(6, 16):
        session = session_at(MARKET, row)
        client.move_clock(before_open(session))
        gateway.refusal(session)
        for symbol, shares in (("AAA", "100"), ("BBB", "30.5"), ("CCC", "-7")):
            order = market_order(session, symbol, Decimal(shares))
            answer = client.order(
                order.client_order_id,
                symbol=symbol,
                qty=str(order.quantity),
                side=order.side,
                time_in_force=order.time_in_force,
            )
            taken = gateway.send(order)
            assert (answer.status_code == 200) == (taken.outcome == "taken"), answer.text
        client.move_clock(CALENDAR.close_time(session))
        assert gateway.has_closed(session)
    account = gateway.account()
    assert Decimal(client.get("/v2/account")["cash"]) == account.cash_usd
    positions = {p["symbol"]: Decimal(p["qty"]) for p in client.get("/v2/positions")}
    assert positions == dict(account.quantity)
    cash = Decimal(1_000_000)
    for entry in pages(client, 7):
        if entry["activity_type"] == "FILL":
            amount = Decimal(entry["qty"]) * Decimal(entry["price"])
            cash += -amount if entry["side"] == "buy" else amount
        else:
            cash += Decimal(entry["net_amount"])
    assert cash == account.cash_usd


def pages(client: Client, size: int, **query: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token = {}
    while True:
        page = client.get(
            "/v2/account/activities", page_size=size, direction="asc", **query, **token
        )
        found += page
        if len(page) < size:
            return found
        token = {"page_token": page[-1]["id"]}


def test_activities_lie_in_the_window_that_was_asked_for(client: Client) -> None:
    client.order("a")
    client.move_clock(before_open(NEXT))
    client.order("b")
    client.move_clock(CALENDAR.close_time(NEXT))
    everything = pages(client, 1)
    assert len({entry["id"] for entry in everything}) == len(everything) == 4
    assert everything == pages(client, 100)
    window = {
        "after": CALENDAR.close_time(FIRST).isoformat(),
        "until": CALENDAR.close_time(NEXT).isoformat(),
    }
    fills = client.get("/v2/account/activities/FILL", **window)
    assert [entry["order_id"] for entry in fills] == [uuid_of("b")]
    assert fills[0]["id"].split("::")[1] == uuid_of("sim-b-1")
    newest = client.get("/v2/account/activities", activity_types="FILL", page_size=1)
    assert newest == fills


@pytest.mark.parametrize(
    ("terms", "status", "code"),
    [
        ({"qty": 10}, 422, 42210000),
        ({"qty": "0"}, 422, 42210000),
        ({"qty": "NaN"}, 422, 42210000),
        ({"qty": "1.5"}, 422, 42210000),
        ({"qty": None}, 422, 42210000),
        ({"symbol": "../x"}, 422, 42210000),
        ({"symbol": "ZZZ"}, 422, 42210000),
        ({"side": "hold"}, 422, 42210000),
        ({"type": "limit"}, 422, 42210000),
        ({"type": "limit", "limit_price": "90.005"}, 422, 42210000),
        ({"time_in_force": "fok"}, 422, 42210000),
        ({"notional": "100"}, 422, 42210000),
        ({"client_order_id": "x" * 129}, 422, 42210000),
        ({"side": "sell"}, 403, 40310000),
        ({"client_order_id": "first"}, 422, 40010001),
    ],
)
def test_a_bad_order_is_refused_with_a_code(
    client: Client, terms: dict[str, object], status: int, code: int
) -> None:
    client.order("first")
    answer = client.order("bad", **terms)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(client.get("/v2/orders", status="all")) == 1


def test_a_body_that_is_no_json_object_is_refused(client: Client) -> None:
    for data in ("", "[]", "{", "9" * 70_000):
        assert client.call("POST", "/v2/orders", data=data).status_code == 400


def test_an_order_is_found_by_both_ids_and_cancelled_once(client: Client) -> None:
    taken = client.order("mine", time_in_force="day").json()
    assert client.get("/v2/orders:by_client_order_id", client_order_id="mine") == taken
    assert client.get(f"/v2/orders/{taken['id']}") == taken
    assert client.call("DELETE", f"/v2/orders/{taken['id']}").status_code == 204
    assert client.call("DELETE", f"/v2/orders/{taken['id']}").status_code == 422
    assert client.get(f"/v2/orders/{taken['id']}")["status"] == "canceled"
    unknown = client.call("GET", "/v2/orders:by_client_order_id", params={"client_order_id": "x"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, 40410000)
    assert client.order("mine").json()["code"] == 40010001


def test_all_orders_are_cancelled_at_once(client: Client) -> None:
    for number in range(4):
        client.order(f"o-{number}")
    answer = client.call("DELETE", "/v2/orders")
    assert answer.status_code == 207
    assert [entry["status"] for entry in answer.json()] == [200] * 4
    assert client.get("/v2/orders") == []
    assert len(client.get("/v2/orders", status="closed")) == 4


def test_orders_are_listed_in_pages_by_id(client: Client) -> None:
    for number in range(7):
        client.order(f"o-{number}")
    listed = {"status": "all", "limit": 3}
    newest = client.get("/v2/orders", **listed)
    assert [order["client_order_id"] for order in newest] == ["o-6", "o-5", "o-4"]
    older = client.get("/v2/orders", **listed, before_order_id=newest[-1]["id"])
    assert [order["client_order_id"] for order in older] == ["o-3", "o-2", "o-1"]
    upward = client.get("/v2/orders", **listed, direction="asc", after_order_id=older[0]["id"])
    assert [order["client_order_id"] for order in upward] == ["o-4", "o-5", "o-6"]


def test_a_bracket_shows_its_exits_as_legs(client: Client) -> None:
    order = client.order(
        "b",
        time_in_force="gtc",
        order_class="bracket",
        take_profit={"limit_price": "150"},
        stop_loss={"stop_price": "50"},
    ).json()
    assert [(leg["type"], leg["status"]) for leg in order["legs"]] == [
        ("stop", "held"),
        ("limit", "held"),
    ]


def test_trading_is_suspended_at_the_broker_and_resumed(client: Client) -> None:
    path = "/v2/account/configurations"
    assert client.call("PATCH", path, json={"suspend_trade": True}).json()["suspend_trade"] is True
    assert client.order("no").status_code == 403
    assert client.get("/v2/account")["trade_suspended_by_user"] is True
    client.call("PATCH", path, json={"suspend_trade": False})
    assert client.order("yes").status_code == 200
    assert client.call("PATCH", path, json={"suspend_trade": "no"}).status_code == 422


def test_the_clock_tells_the_next_open_and_auctions_have_their_hours(client: Client) -> None:
    clock = client.get("/v2/clock")
    assert (clock["is_open"], clock["next_open"]) == (False, "2020-01-10T09:30:00-05:00")
    client.move_clock(CALENDAR.open_time(FIRST) - timedelta(minutes=1))
    assert client.order("late").status_code == 422
    assert client.order("day", time_in_force="day").status_code == 200
    client.move_clock(CALENDAR.open_time(FIRST) + timedelta(hours=1))
    assert client.get("/v2/clock")["is_open"] is True
    assert client.get("/v2/clock")["next_close"] == "2020-01-10T16:00:00-05:00"
    assert client.get("/v2/account/activities") == []
    client.move_clock(CALENDAR.open_time(FIRST) + timedelta(hours=10))
    evening = client.order("evening")
    assert evening.status_code == 200
    assert evening.json()["expires_at"].startswith("2020-01-13")
    days = client.get("/v2/calendar", start="2020-01-16", end="2020-01-21")
    assert [day["date"] for day in days] == ["2020-01-16", "2020-01-17", "2020-01-21"]
    assert days[1]["settlement_date"] == "2020-01-21"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"APCA-API-KEY-ID": "", "APCA-API-SECRET-KEY": ""}, 401),
        ({"APCA-API-SECRET-KEY": "wrong"}, 403),
        ({"APCA-API-KEY-ID": "wrong"}, 403),
        ({"Host": "evil.example"}, 400),
    ],
)
def test_a_stranger_is_not_let_in(client: Client, headers: dict[str, str], status: int) -> None:
    answer = client.call("GET", "/v2/account", headers=headers)
    assert answer.status_code == status
    assert SECRET not in answer.text


def test_more_messages_than_allowed_are_answered_with_429_until_the_window_ends() -> None:
    now = [1_000_000.0]
    broker = SimulatedBroker(
        Book(), make_strategy(), MARKET, CALENDAR, clock=SetClock(before_open(FIRST))
    )
    app = Guard(build_app(broker, Keys(KEY, SECRET)), Keys(KEY, SECRET), 5, lambda: now[0])
    with serving(app) as url:
        client = Client(url)
        for left in (4, 3, 2, 1, 0):
            answer = client.call("GET", "/v2/clock")
            assert answer.status_code == 200
            assert answer.headers["x-ratelimit-remaining"] == str(left)
        assert client.order("late").status_code == 429
        assert answer.headers["x-ratelimit-reset"] == "1000060"
        now[0] += 60
        assert client.call("GET", "/v2/orders:by_client_order_id?client_order_id=late").status_code
        assert client.order("late").status_code == 200
        client.session.close()


async def told(url: str, count: int, act: Any, auth: dict[str, Any] | None = None) -> list[Any]:
    async with connect(url.replace("http", "ws") + "/stream", proxy=None) as stream:
        keys = {"key_id": KEY, "secret_key": SECRET}
        await stream.send(json.dumps(auth or {"action": "authenticate", "data": keys}))
        first = json.loads(await stream.recv())
        assert first["data"]["status"] == "authorized"
        await stream.send(json.dumps({"action": "listen", "data": {"streams": ["trade_updates"]}}))
        assert json.loads(await stream.recv())["stream"] == "listening"
        await asyncio.get_running_loop().run_in_executor(None, act)
        return [json.loads(await asyncio.wait_for(stream.recv(), 20))["data"] for _ in range(count)]


def test_the_stream_tells_of_orders_and_their_executions(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, before_open(FIRST), MARKET, seed=1, max_pieces=6)
    with served(spec) as client:

        def act() -> None:
            client.order("a", qty="1000")
            gone = client.order("gone").json()
            client.call("DELETE", f"/v2/orders/{gone['id']}")
            client.move_clock(CALENDAR.close_time(FIRST))

        plain = {"action": "auth", "key": KEY, "secret": SECRET}
        messages = asyncio.run(told(client.url, 6, act, plain))
        fills = client.get("/v2/account/activities/FILL", direction="asc")
    events = [message["event"] for message in messages]
    assert events[:3] == ["new", "new", "canceled"]
    assert events[3] == "partial_fill"
    parts = [m for m in messages if "execution_id" in m]
    ids = {fill["id"].split("::")[1]: fill for fill in fills}
    for part in parts:
        fill = ids[part["execution_id"]]
        assert (part["price"], part["qty"]) == (fill["price"], fill["qty"])
        assert part["order"]["filled_qty"] == part["position_qty"] == fill["cum_qty"]


def test_the_stream_tells_of_busts_and_delayed_acknowledgements() -> None:
    clock = SetClock(before_open(FIRST))
    behaviour = Behaviour(ack_seconds=30)
    broker = SimulatedBroker(Book(), make_strategy(), MARKET, CALENDAR, behaviour, clock)
    with serving(build_app(broker, Keys(KEY, SECRET), is_controlled=True)) as url:
        client = Client(url)

        def act() -> None:
            assert client.order("a").json()["status"] == "pending_new"
            client.move_clock(clock.now + timedelta(minutes=1))
            client.move_clock(CALENDAR.close_time(FIRST))
            interventions.bust(broker, "sim-a-1")

        messages = asyncio.run(told(url, 4, act))
        client.session.close()
    assert [m["event"] for m in messages] == ["pending_new", "new", "fill", "trade_bust"]
    assert messages[3]["execution_id"] == messages[2]["execution_id"] == uuid_of("sim-a-1")
    assert messages[3]["position_qty"] == "0"


def test_a_stream_with_wrong_keys_is_closed(client: Client) -> None:
    with pytest.raises(AssertionError):
        asyncio.run(told(client.url, 0, None, {"action": "auth", "key": KEY, "secret": "wrong"}))


def start(spec_file: Path) -> tuple[subprocess.Popen[str], Client]:
    process = subprocess.Popen(
        [sys.executable, "-m", "trading_assets.paper.simulated_broker.server", str(spec_file)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, Client(json.loads(process.stdout.readline())["url"])


def end(process: subprocess.Popen[str], client: Client) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    client.session.close()
    assert process.stdout is not None
    process.stdout.close()


def test_an_acknowledged_order_survives_the_death_of_the_broker(tmp_path: Path) -> None:
    spec_file = tmp_path / "spec.json"
    spec_file.write_text(make_spec(tmp_path, before_open(FIRST), MARKET).model_dump_json())
    process, client = start(spec_file)
    taken = client.order("a").json()
    end(process, client)
    process, client = start(spec_file)
    try:
        assert client.get("/v2/orders:by_client_order_id", client_order_id="a") == taken
        assert client.order("a").json()["code"] == 40010001
        client.move_clock(CALENDAR.close_time(FIRST))
    finally:
        end(process, client)
    process, client = start(spec_file)
    try:
        client.move_clock(CALENDAR.close_time(NEXT))
        assert [p["qty"] for p in client.get("/v2/positions")] == ["10"]
        assert len(client.get("/v2/account/activities/FILL")) == 1
    finally:
        end(process, client)


def test_no_acknowledged_order_is_lost_when_the_broker_dies_while_it_takes_them(
    tmp_path: Path,
) -> None:
    spec_file = tmp_path / "spec.json"
    spec_file.write_text(make_spec(tmp_path, before_open(FIRST), MARKET).model_dump_json())
    process, client = start(spec_file)
    threading.Timer(0.4, process.kill).start()
    acknowledged: list[str] = []
    try:
        for number in range(100_000):
            assert client.order(f"o-{number}").status_code == 200
            acknowledged.append(f"o-{number}")
    except requests.ConnectionError:
        end(process, client)
    book = Book(tmp_path / "book.sqlite")
    found = [order.client_order_id for order in book.orders()]
    assert len(acknowledged) > 3
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) <= len(acknowledged) + 1
    assert len(book.updates_after(0)) == len(found)
    book.close()


def test_two_connections_carry_a_session_once(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    gateways = [open_gateway(MARKET, book=Book(path)) for _ in range(2)]
    barrier = threading.Barrier(2)

    def close(gateway: SimulatedGateway) -> bool:
        barrier.wait()
        return gateway.has_closed(session)

    for row in range(6, 26):
        session = session_at(MARKET, row)
        order = market_order(session, "AAA", Decimal(10))
        assert gateways[0].send(order).outcome == "taken"
        assert gateways[1].send(order).outcome == "refused"
        with ThreadPoolExecutor(2) as threads:
            assert all(threads.map(close, gateways))
    told = gateways[0].activities(session_at(MARKET, 5), session)
    assert len(told.fills) == 20
    assert gateways[1].account() == gateways[0].account()
    for gateway in gateways:
        gateway.close()


def test_only_this_machine_can_reach_the_broker(client: Client) -> None:
    port = int(client.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port)) as made:
        assert made.getpeername()[0] == "127.0.0.1"
    # Another address of this machine, which a server on all addresses would answer, too.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=2)
