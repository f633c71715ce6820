"""How often the stream tries again, and where it may send keys."""

import asyncio
from random import Random

import pytest

from trading_assets.bars.stream.connection import StreamConnection
from trading_assets.bars.stream.settings import (
    StreamKeys,
    StreamSettings,
    Subscription,
    Timing,
    require_encryption,
)
from trading_assets.errors import DataError, UserError
from trading_assets_tests.bars.stream.stream_server import KEY, SECRET
from trading_assets_tests.bars.stream.stream_truth import at


def test_waits_double_up_to_a_limit_and_differ_between_clients() -> None:
    settings = StreamSettings(first_wait_seconds=1, longest_wait_seconds=30, most_failures=9)

    def waits(seed: int) -> list[float]:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            if seconds == settings.answer_within_seconds:
                await asyncio.sleep(60)
            slept.append(seconds)

        async def listen() -> None:
            free = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
            port = free.sockets[0].getsockname()[1]
            free.close()
            await free.wait_closed()
            await StreamConnection(
                Subscription(f"ws://127.0.0.1:{port}", StreamKeys(KEY, SECRET), {}),
                settings,
                Timing(lambda: at(10, 0), sleep, Random(seed)),
                is_trading=lambda now: True,
                on_frame=lambda frame, arrival: None,
                on_subscribed=lambda moment: None,
            ).run()

        with pytest.raises(DataError, match=r"9 attempts in a row to stream from 127\.0\.0\.1"):
            asyncio.run(listen())
        return slept

    first, second = waits(1), waits(2)
    for waited in (first, second):
        assert len(waited) == 8
        for n, seconds in enumerate(waited):
            assert min(30, 2**n) / 2 <= seconds <= min(30, 2**n)
    assert first != second
    assert waits(1) == first


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ws://stream.example.com/v2/iex", "keys unencrypted to stream.example.com"),
        ("https://stream.example.com", "no websocket address"),
        ("stream", "no websocket address"),
    ],
)
def test_keys_travel_encrypted(url: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        require_encryption(url)


def test_a_server_on_this_machine_needs_no_encryption() -> None:
    require_encryption("ws://127.0.0.1:9")
    require_encryption("wss://stream.data.alpaca.markets/v2/iex")
