"""A loopback websocket server that streams a known market badly.

The server speaks the part of Alpaca's protocol that the client relies on: greeting, sign-in within
a limit, one subscription, arrays of messages of kinds b, u, d, s and error.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from trading_assets.bars.stream.settings import Timing
from trading_assets_tests.bars.stream.stream_truth import TrueBar

KEY, SECRET = "canary-key-7316", "canary-secret-9482"


class MarketTime:
    """Time of the market, `speed` times faster than the test, which stands still when that does.

    A test process that was not scheduled for a while must not find that minutes have passed.
    """

    _LONGEST_STEP_S = 0.005

    def __init__(self, start: datetime, speed: float) -> None:
        self.now = start
        self.speed = speed
        self._looked = time.monotonic()

    def clock(self) -> datetime:
        looked = time.monotonic()
        step_s = min(looked - self._looked, self._LONGEST_STEP_S)
        self._looked = looked
        self.now += timedelta(seconds=step_s * self.speed)
        return self.now

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.clock() + timedelta(seconds=seconds))

    async def sleep_until(self, moment: datetime) -> None:
        while (left_s := (moment - self.clock()).total_seconds()) > 0:
            await asyncio.sleep(min(left_s / self.speed, self._LONGEST_STEP_S))

    def timing(self, seed: int = 1) -> Timing:
        return Timing(self.clock, self.sleep, Random(seed))


@dataclass
class Faults:
    """What goes wrong; shares are probabilities of each message."""

    doubled: float = 0.0
    delayed: float = 0.0
    lost_bars: float = 0.0
    junk: float = 0.0
    # Seconds after the first bar, and how long the fault lasts.
    drops: Sequence[tuple[float, float]] = ()
    mutes: Sequence[tuple[float, float]] = ()
    # What the first connections get instead of a sign-in.
    refusals: Sequence[str] = ()


_JUNK = [
    "not json",
    "{}",
    '[{"T":"b","S":"IBM"}]',
    '[{"T":"b","S":"IBM","o":NaN,"h":1,"l":1,"c":1,"v":1,"t":"2024-03-04T20:40:00Z"}]',
    '[17,null,{"T":["b"]},{"T":"?"}]',
    '[{"T":"u","S":"IBM","o":1,"h":1,"l":1,"c":1,"v":1,"t":"2024-03-04T20:40:00"}]',
    '[{"T":"b","S":"ZZZ","o":1,"h":1,"l":1,"c":1,"v":1,"t":"2024-03-04T20:40:00Z"}]',
    '[{"T":"b","S":"IBM","o":1,"h":1,"l":1,"c":1,"v":1,"t":"2024-03-04T12:00:00Z"}]',
]


@dataclass
class StreamServer:
    """Streams `truth` with `faults` to whoever is subscribed at that moment."""

    truth: Sequence[TrueBar]
    time: MarketTime
    faults: Faults = field(default_factory=Faults)
    rng: Random = field(default_factory=lambda: Random(0))
    # Answers a message of the client instead of the server; None lets the server answer.
    reply: Callable[[dict[str, Any]], str | None] = lambda message: None
    received: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        self._subscribed: set[ServerConnection] = set()
        self._refusals = list(self.faults.refusals)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["StreamServer"]:
        async with serve(self._talk, "127.0.0.1", 0, close_timeout=0.1) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            tasks = [asyncio.ensure_future(self._stream()), asyncio.ensure_future(self._drop())]
            try:
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    @property
    def subscribed(self) -> list[ServerConnection]:
        return list(self._subscribed)

    async def _talk(self, socket: ServerConnection) -> None:
        self.connections += 1
        if self._refusals:
            refusal = self._refusals.pop(0)
            if refusal == "silence":
                await socket.wait_closed()
            elif refusal != "close":
                await socket.send(refusal)
            return
        try:
            await socket.send('[{"T":"success","msg":"connected"}]')
            async for text in socket:
                message = json.loads(text)
                self.received.append(message)
                await socket.send(self.reply(message) or self._answer(socket, message))
        except ConnectionClosed:
            pass
        finally:
            self._subscribed.discard(socket)

    def _answer(self, socket: ServerConnection, message: dict[str, Any]) -> str:
        if message["action"] == "auth":
            if (message["key"], message["secret"]) == (KEY, SECRET):
                return '[{"T":"success","msg":"authenticated"}]'
            return '[{"T":"error","code":402,"msg":"auth failed"}]'
        self._subscribed.add(socket)
        channels = {name: value for name, value in message.items() if name != "action"}
        return json.dumps([{"T": "subscription", "trades": [], **channels}])

    async def _stream(self) -> None:
        for moment, frame in self._plan():
            await self.time.sleep_until(moment)
            if not any(begin <= moment < end for begin, end in self._spans(self.faults.mutes)):
                for socket in self.subscribed:
                    await self._send(socket, frame)

    async def _drop(self) -> None:
        for begin, end in self._spans(self.faults.drops):
            await self.time.sleep_until(begin)
            while self.time.clock() < end:
                for socket in self.subscribed:
                    self._subscribed.discard(socket)
                    socket.transport.abort()
                await self.time.sleep(1)

    def _spans(self, faults: Sequence[tuple[float, float]]) -> list[tuple[datetime, datetime]]:
        first = min(bar.start for bar in self.truth)
        return [
            (first + timedelta(seconds=begin), first + timedelta(seconds=begin + lasts))
            for begin, lasts in faults
        ]

    def _plan(self) -> list[tuple[datetime, str]]:
        """Return frames in the order of their sending."""
        plan: list[tuple[datetime, str]] = []
        for bar in self.truth:
            for version in bar.versions:
                moment, text = bar.known(version), json.dumps([bar.message(version)])
                if version.kind == "b" and self.rng.random() < self.faults.lost_bars:
                    continue
                if self.rng.random() < self.faults.delayed:
                    # Up to two minutes: overtakes corrections and the correction window.
                    moment += timedelta(seconds=self.rng.uniform(0, 120))
                plan.append((moment, text))
                if self.rng.random() < self.faults.doubled:
                    plan.append((moment + timedelta(seconds=self.rng.uniform(0, 150)), text))
                if self.rng.random() < self.faults.junk:
                    plan.append((moment, self.rng.choice(_JUNK)))
        return sorted(plan)

    async def _send(self, socket: ServerConnection, text: str) -> None:
        try:
            await socket.send(text)
        except ConnectionClosed:
            self._subscribed.discard(socket)
