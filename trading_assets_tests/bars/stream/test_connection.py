"""Sign-in, refusals, silence and repeats of the connection, and what it may say of keys."""

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from random import Random

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from trading_assets.bars.stream.connection import StreamConnection
from trading_assets.bars.stream.messages import Frame
from trading_assets.bars.stream.settings import (
    StreamKeys,
    StreamSettings,
    Subscription,
    Timing,
)
from trading_assets.errors import DataError, UserError
from trading_assets_tests.bars.stream.stream_server import (
    KEY,
    SECRET,
    Faults,
    MarketTime,
    StreamServer,
)
from trading_assets_tests.bars.stream.stream_truth import at, make_truth

SETTINGS = StreamSettings(
    answer_within_seconds=200, mute_after_seconds=200, first_wait_seconds=1, most_failures=3
)


class Listener:
    """A connection to `server` and what it heard."""

    def __init__(
        self, server: StreamServer, keys: StreamKeys | None = None, url: str | None = None
    ) -> None:
        self.frames: list[Frame] = []
        self.subscribed: list[datetime] = []
        self.slept: list[float] = []
        self.server = server
        channels = {"bars": ["IBM"], "updatedBars": ["IBM"]}
        self.connection = StreamConnection(
            Subscription(url or server.url, keys or StreamKeys(KEY, SECRET), channels),
            SETTINGS,
            Timing(server.time.clock, self.sleep, Random(5)),
            is_trading=lambda now: True,
            on_frame=lambda frame, arrival: self.frames.append(frame),
            on_subscribed=self.subscribed.append,
        )

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.server.time.sleep(seconds)

    async def until(self, condition: Callable[[], bool]) -> None:
        run = asyncio.ensure_future(self.connection.run())
        while not condition() and not run.done():
            await asyncio.sleep(0.002)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


def make_server(faults: Faults | None = None) -> StreamServer:
    truth = make_truth(Random(1), ["IBM"], at(10, 0), 1)
    return StreamServer(truth, MarketTime(at(9, 58), 600), faults or Faults())


def run_until_it_ends(server: StreamServer, keys: StreamKeys | None = None) -> Listener:
    async def listen() -> Listener:
        async with server.running():
            listener = Listener(server, keys)
            await listener.connection.run()
            return listener

    return asyncio.run(listen())


def error_message(code: int) -> str:
    # A proxy or a server in trouble may well repeat what it was sent.
    return json.dumps([{"T": "error", "code": code, "msg": f"refused {KEY} {SECRET}"}])


@pytest.mark.parametrize(
    ("code", "error", "sentence"),
    [
        (401, DataError, "3 attempts in a row .*order of the sign-in"),
        (402, UserError, "refuses the keys .*ALPACA_API_KEY and ALPACA_SECRET_KEY"),
        (404, DataError, "took longer than it allows, 10 seconds"),
        (405, UserError, "shorten the universe"),
        (406, DataError, "only connection .*end the other program that streams"),
        (407, DataError, "read too slowly .*stream fewer symbols"),
        (409, UserError, "declare feed iex"),
        (410, UserError, "another feed or bar length"),
        (500, DataError, "it failed itself"),
        (999, DataError, "error code 999"),
    ],
)
def test_each_error_code_is_a_clear_sentence_without_the_keys(
    code: int, error: type[UserError], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = make_server()
    server.reply = lambda message: error_message(code)
    with pytest.raises(error, match=sentence) as caught:
        run_until_it_ends(server)
    assert type(caught.value) is error
    assert server.connections == (3 if error is DataError else 1)
    assert_no_key_in(str(caught.value) + repr(caught.value) + client_log(caplog))


def client_log(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that was logged, except by the server of the test, which logs what it receives."""
    mine = [record for record in caplog.records if record.name != "websockets.server"]
    return "\n".join(f"{record.getMessage()} {record.__dict__}" for record in mine)


def assert_no_key_in(text: str) -> None:
    assert KEY not in text
    assert SECRET not in text


def test_wrong_keys_are_refused_at_once_and_not_repeated() -> None:
    server = make_server()
    with pytest.raises(UserError, match="code 402"):
        run_until_it_ends(server, StreamKeys(KEY, "wrong"))
    assert server.connections == 1


def test_keys_appear_in_no_log_of_a_session_at_the_most_talkative_level(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def listen() -> Listener:
        async with make_server(Faults(refusals=["close"])).running() as server:
            listener = Listener(server)
            await listener.until(lambda: len(listener.frames) > 4)
            return listener

    listener = asyncio.run(listen())
    assert listener.server.received[0]["key"] == KEY
    assert "stream lost" in client_log(caplog)
    assert_no_key_in(client_log(caplog))
    assert_no_key_in(repr(listener.connection) + repr(StreamKeys(KEY, SECRET)))


def test_a_server_that_says_nothing_is_given_up() -> None:
    server = make_server(Faults(refusals=["silence"] * 3))
    with pytest.raises(DataError, match="did not complete the sign-in within 200 s"):
        run_until_it_ends(server)


def test_a_symbol_that_is_not_confirmed_is_named() -> None:
    server = make_server()
    confirmation = json.dumps([{"T": "subscription", "bars": ["IBM"], "updatedBars": []}])
    server.reply = lambda message: confirmation if message["action"] == "subscribe" else None
    with pytest.raises(UserError, match="did not subscribe IBM to updatedBars"):
        run_until_it_ends(server)


def test_bars_that_come_before_the_confirmation_are_heard() -> None:
    server = make_server()
    early = server.truth[0].message(server.truth[0].versions[0])

    def reply(message: dict[str, object]) -> str | None:
        if message["action"] == "auth":
            return json.dumps([early, {"T": "success", "msg": "authenticated"}])
        return None

    server.reply = reply

    async def listen() -> Listener:
        async with server.running():
            listener = Listener(server)
            await listener.until(lambda: bool(listener.subscribed))
            return listener

    assert [bar.symbol for frame in asyncio.run(listen()).frames for bar in frame.bars] == ["IBM"]


def test_a_mute_connection_is_replaced_and_never_ends_the_stream() -> None:
    async def listen() -> Listener:
        async with make_server(Faults(mutes=[(0, 10_000)])).running() as server:
            listener = Listener(server)
            await listener.until(lambda: listener.connection.mutes >= 4)
            return listener

    listener = asyncio.run(listen())
    assert listener.connection.mutes == listener.connection.reconnects == 4
    assert len(listener.subscribed) == 4


def test_a_redirect_is_refused_since_keys_are_for_one_server() -> None:
    server = make_server()

    def redirect(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(HTTPStatus.FOUND, "")
        response.headers["Location"] = server.url
        return response

    async def listen() -> None:
        other = serve(server._talk, "127.0.0.1", 0, process_request=redirect)
        async with server.running(), other as listening:
            port = listening.sockets[0].getsockname()[1]
            await Listener(server, url=f"ws://127.0.0.1:{port}").connection.run()

    with pytest.raises(UserError, match=r"redirects the stream to another address \(status 302\)"):
        asyncio.run(listen())
    assert server.connections == 0
