import logging
import socket as sockets
import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from websockets.sync.server import ServerConnection

from trading_assets.paper.alpaca_account import choose_account
from trading_assets.paper.alpaca_stream import AlpacaStream, StreamPatience
from trading_assets.paper.alpaca_updates import READ_AGAIN, UpdateQueue, update_of
from trading_assets.paper.clock import SystemClock
from trading_assets.paper.fills import Fill, FillChange
from trading_assets.paper.gateways import BrokerError, Update
from trading_assets.paper.orders import Order
from trading_assets_tests.paper.alpaca_double import KEYS, AlpacaDouble, make_gateway
from trading_assets_tests.paper.alpaca_stream_double import (
    StreamDouble,
    drop,
    leave,
    message,
    send,
    stay,
    streaming,
    telling,
    wait_until,
)

QUICK = StreamPatience(
    answer_within_s=0.3,
    ping_every_s=0.05,
    pong_within_s=0.1,
    first_wait_s=0.01,
    longest_wait_s=0.05,
)
ORDER = Order("a", date(2024, 5, 6), "AAPL", "buy", Decimal(1))


class Listener:
    """A stream and what it told so far."""

    def __init__(self, url: str) -> None:
        account = choose_account(KEYS, url)
        self.stream = AlpacaStream(account, clock=SystemClock(), rng=Random(1), patience=QUICK)
        self.told: list[Update] = []

    def events(self) -> list[str]:
        self.told += self.stream.take()
        return [update.event for update in self.told]


@contextmanager
def listening(url: str) -> Generator[Listener]:
    listener = Listener(url)
    listener.stream.start()
    try:
        yield listener
    finally:
        listener.stream.close()
    assert "alpaca-stream" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def double() -> Generator[StreamDouble]:
    with streaming(StreamDouble()) as running:
        yield running


def test_the_first_update_says_to_read_everything_and_others_follow_as_they_came(
    double: StreamDouble,
) -> None:
    double.scripts = [telling(message("fill"), message("new"), message("fill"), message("fill"))]
    with listening(double.url) as listener:
        wait_until(lambda: len(listener.events()) == 5)
    assert listener.events() == ["read_again", "fill", "new", "fill", "fill"]
    assert listener.told[0] is READ_AGAIN


@pytest.mark.parametrize("end", [drop, leave])
def test_after_a_lost_connection_everything_is_to_be_read_again(
    double: StreamDouble, end: Any
) -> None:
    double.scripts = [telling(message("new"), then=end), telling(message("fill"))]
    with listening(double.url) as listener:
        wait_until(lambda: "fill" in listener.events())
    assert listener.events() == ["read_again", "new", "read_again", "fill"]
    assert double.connections == 2


def test_a_connection_that_fell_silent_is_replaced(double: StreamDouble) -> None:
    def mute(socket: ServerConnection) -> None:
        # Bytes pass nowhere any more, although the connection stays open.
        socket.protocol.receive_data = lambda data: None
        double.is_over.wait(20.0)

    double.scripts = [mute, telling(message("fill"))]
    with listening(double.url) as listener:
        wait_until(lambda: "fill" in listener.events())
        double.is_over.set()
    assert listener.events() == ["read_again", "read_again", "fill"]


def test_a_server_that_is_away_is_asked_until_it_is_back() -> None:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with listening(f"http://127.0.0.1:{port}") as listener:
        threading.Event().wait(0.1)
        assert not listener.stream.is_listening
        with streaming(StreamDouble(port=port)):
            wait_until(lambda: listener.stream.is_listening)


def test_a_sign_in_without_an_answer_is_given_up(double: StreamDouble) -> None:
    def wait(socket: ServerConnection) -> bool:
        double.is_over.wait(20.0)
        return False

    double.sign_in = wait  # type: ignore[method-assign]
    with listening(double.url) as listener:
        wait_until(lambda: double.connections >= 2)
        double.is_over.set()
        assert listener.events() == []


def test_refused_keys_are_not_tried_again(
    double: StreamDouble, caplog: pytest.LogCaptureFixture
) -> None:
    double.accepts_keys = False
    with listening(double.url) as listener:
        wait_until(lambda: "refused the keys" in caplog.text)
        threading.Event().wait(0.1)
        assert listener.events() == []
    assert double.connections == 1


def test_a_message_that_cannot_be_read_means_to_read_everything(double: StreamDouble) -> None:
    def garbage(socket: ServerConnection) -> None:
        socket.send("{")
        send(socket, "trade_updates", {"event": "fill"})
        send(socket, "trade_updates", message("new", order={"id": "x"}))
        send(socket, "something_else", {})
        telling(message("canceled"))(socket)

    double.scripts = [garbage]
    with listening(double.url) as listener:
        wait_until(lambda: "canceled" in listener.events())
    assert listener.events() == ["read_again"] * 4 + ["canceled"]


def test_a_redirect_is_not_followed_with_the_keys(double: StreamDouble) -> None:
    from websockets.http11 import Response
    from websockets.sync.server import serve

    asked: list[str] = []

    def redirect(socket: ServerConnection, request: Any) -> Response:
        asked.append(request.path)
        answer = socket.respond(302, "")
        answer.headers["Location"] = double.url.replace("http", "ws") + "/stream"
        return answer

    with serve(lambda socket: None, "127.0.0.1", 0, process_request=redirect) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with listening(f"http://127.0.0.1:{server.socket.getsockname()[1]}"):
            wait_until(lambda: len(asked) >= 2)
        server.shutdown()
        thread.join()
    assert double.connections == 0


def test_keys_appear_in_no_log(double: StreamDouble, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    double.scripts = [telling(message("new"), then=drop)]
    with listening(double.url) as listener:
        wait_until(lambda: listener.events().count("read_again") == 2)
    # What the server of the test logs is not ours.
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("trading")]
    assert any("order stream lost" in line for line in ours)
    assert "canary" not in "".join(ours)
    assert double.sign_ins[0]["data"]["key_id"] == KEYS["ALPACA_API_KEY"]


def test_orders_go_and_are_cancelled_while_the_stream_is_away() -> None:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with listening(f"http://127.0.0.1:{port}") as listener:
        broker = AlpacaDouble()
        gateway, clock = make_gateway(broker, stream=listener.stream)
        assert gateway.send(ORDER).outcome == "taken"
        assert gateway.cancel(ORDER.client_order_id).outcome == "taken"
        assert gateway.cancel_all().outcome == "taken"
        assert gateway.updates() == ()
        assert clock.waits == []
        gateway.close()


def test_a_gateway_hands_out_what_the_stream_told(double: StreamDouble) -> None:
    double.scripts = [telling(message("fill"), then=stay)]
    with listening(double.url) as listener:
        gateway, _ = make_gateway(AlpacaDouble(), stream=listener.stream)
        told: list[Update] = []
        wait_until(lambda: bool(told.extend(gateway.updates())) or len(told) == 2)
    assert [update.event for update in told] == ["read_again", "fill"]


def frame(event: str, **changes: Any) -> dict[str, Any]:
    return {"stream": "trade_updates", "data": message(event, **changes)}


def test_an_undone_execution_is_named() -> None:
    named = {"execution_id": "new", "previous_execution_id": "old"}
    bust = update_of(frame("trade_bust", **named))
    assert bust is not None
    assert bust.change == FillChange("bust", "old")
    bare = update_of(frame("trade_bust", execution_id="old"))
    assert bare is not None
    assert bare.change == FillChange("bust", "old")
    correction = update_of(frame("trade_correct", qty="0.000000001", price="0.0001", **named))
    assert correction is not None
    replacement = Fill(
        "new",
        "id-0",
        "AAPL",
        "buy",
        Decimal("1e-9"),
        Decimal("0.0001"),
        Decimal(0),
        datetime(2024, 5, 6, 13, 30, 0, 100_000, tzinfo=UTC),
    )
    assert correction.change == FillChange("correction", "old", replacement)


@pytest.mark.parametrize(
    "told",
    [
        frame("trade_bust"),
        frame("trade_correct", execution_id="new", qty="1", price="1"),
        frame("trade_correct", execution_id="new", previous_execution_id="old"),
        frame("fill", order=[1]),
        {"stream": "trade_updates", "data": None},
    ],
)
def test_an_update_that_lacks_a_field_is_an_error(told: dict[str, Any]) -> None:
    with pytest.raises(BrokerError, match="Alpaca's"):
        update_of(told)


def test_events_and_statuses_that_are_new_pass() -> None:
    order = AlpacaDouble().add_order(status="pondered")
    update = update_of(frame("order_cancel_rejected", order=order))
    assert update is not None
    assert (update.event, update.order.status, update.change) == (
        "order_cancel_rejected",
        "pondered",
        None,
    )


def test_a_full_queue_becomes_one_hint_and_keeps_undone_executions() -> None:
    queue = UpdateQueue(3)
    fill, bust = update_of(frame("fill")), update_of(frame("trade_bust", execution_id="old"))
    assert fill is not None
    assert bust is not None
    for update in (fill, bust, fill):
        queue.put(update)
    assert queue.take() == (fill, bust, fill)
    for update in (fill, bust, fill, fill):
        queue.put(update)
    queue.put(fill)
    assert queue.take() == (READ_AGAIN, bust, fill)
    assert queue.take() == ()
