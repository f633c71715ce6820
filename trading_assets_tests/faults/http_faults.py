"""A layer between the simulated broker's HTTP face and its clients in which seeded faults happen.

Requests: an error status, an HTML page, a broken body, silence or a reset, each before or after the
broker has applied them, and requests that arrive twice. Stream: messages muted, repeated, swapped
(a fill before its acknowledgement), or a dropped connection.
"""

import asyncio
import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trading_assets.paper.simulated_broker import interventions
from trading_assets.paper.simulated_broker.broker import SimulatedBroker

RequestKind = Literal["status", "html", "truncated", "hang", "reset", "twice"]
StreamKind = Literal["mute", "duplicate", "swap", "drop"]
STATUSES = (429, 500, 501, 502, 503, 504)


@dataclass(frozen=True)
class RequestFault:
    """What happens to one request; `is_applied` says whether the broker has seen it before."""

    kind: RequestKind
    is_applied: bool = False
    status: int = 503

    @property
    def name(self) -> str:
        kind = str(self.status) if self.kind == "status" else self.kind
        return f"{kind} {'after' if self.is_applied else 'before'}"


REQUEST_FAULTS = (
    *(RequestFault("status", applied, s) for s in STATUSES for applied in (False, True)),
    *(
        RequestFault(kind, applied)
        for kind in ("html", "truncated", "hang", "reset")
        for applied in (False, True)
    ),
    RequestFault("twice", True),
)


@dataclass
class FaultScript:
    """Draws faults from a seed; explicit ones in `requests` and `stream` come first.

    Shares are the probabilities that a request, or a message, meets a fault.
    """

    seed: int = 0
    write_share: float = 0.0
    read_share: float = 0.0
    stream_share: float = 0.0
    hang_seconds: float = 1.0
    requests: list[RequestFault] = field(default_factory=list)
    stream: list[StreamKind] = field(default_factory=list)
    tally: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def of_request(self, method: str) -> RequestFault | None:
        share = self.read_share if method == "GET" else self.write_share
        fault = None
        if self.requests and method != "GET":
            fault = self.requests.pop(0)
        elif share and self.rng.random() < share:
            fault = REQUEST_FAULTS[int(self.rng.integers(len(REQUEST_FAULTS)))]
        if fault is not None:
            self.tally[fault.name] += 1
        return fault

    def of_message(self) -> StreamKind | None:
        kinds: tuple[StreamKind, ...] = ("mute", "duplicate", "swap", "drop")
        fault: StreamKind | None = None
        if self.stream:
            fault = self.stream.pop(0)
        elif self.stream_share and self.rng.random() < self.stream_share:
            fault = kinds[int(self.rng.integers(len(kinds)))]
        if fault is not None:
            self.tally[f"stream {fault}"] += 1
        return fault


class FaultyFace:
    """An ASGI application in front of another, with the faults of a script."""

    def __init__(self, app: ASGIApp, script: FaultScript) -> None:
        self.app = app
        self.script = script
        self.server: uvicorn.Server | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._stream(scope, receive, send)
            return
        is_api = scope["type"] == "http" and scope["path"].startswith("/v2/")
        fault = self.script.of_request(scope["method"]) if is_api else None
        if fault is None:
            await self.app(scope, receive, send)
            return
        body = await _read_body(receive)
        applied: list[Message] = []
        for _ in range(2 if fault.kind == "twice" else int(fault.is_applied)):
            applied = await self._apply(scope, body)
        await self._answer(fault, scope, applied, send)

    async def _apply(self, scope: Scope, body: bytes) -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(dict(scope), receive, send)
        return sent

    async def _answer(
        self, fault: RequestFault, scope: Scope, applied: list[Message], send: Send
    ) -> None:
        if fault.kind == "twice":
            for message in applied:
                await send(message)
        elif fault.kind == "status":
            content = json.dumps({"code": fault.status * 100_000, "message": "scripted"})
            await _respond(send, fault.status, content.encode(), "application/json")
        elif fault.kind == "html":
            page = b"<html><body><h1>Bad gateway</h1></body></html>"
            await _respond(send, 200, page, "text/html")
        elif fault.kind == "truncated":
            await _respond(send, 200, b'{"id": "3f', "application/json", missing=100)
            self._cut(scope, is_reset=False)
        else:
            if fault.kind == "hang":
                await asyncio.sleep(self.script.hang_seconds)
            self._cut(scope, is_reset=True)

    def _cut(self, scope: Scope, *, is_reset: bool) -> None:
        """Close the connection that a request came by, without a word."""
        assert self.server is not None
        for connection in list(self.server.server_state.connections):
            transport: Any = connection.transport  # type: ignore[union-attr]
            if transport.get_extra_info("peername") != tuple(scope["client"]):
                continue
            if is_reset:
                linger = struct.pack("ii", 1, 0)
                made = transport.get_extra_info("socket")
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                transport.abort()
            else:
                transport.close()

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def send_with_faults(message: Message) -> None:
            is_update = b"trade_updates" in (message.get("bytes") or b"") and b'"event"' in (
                message.get("bytes") or b""
            )
            fault = self.script.of_message() if is_update else None
            if fault == "drop":
                self._cut(scope, is_reset=True)
                raise ConnectionResetError
            if fault == "swap" and not held:
                held.append(message)
                return
            for copy in () if fault == "mute" else (message,) * (2 if fault == "duplicate" else 1):
                await send(copy)
            while held and is_update:
                await send(held.pop())

        try:
            await self.app(scope, receive, send_with_faults)
        except ConnectionResetError:
            return


@contextmanager
def serving_with_faults(app: ASGIApp, script: FaultScript) -> Generator[str]:
    """Serve an application with faults in a thread; give its address."""
    faulty = FaultyFace(app, script)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        faulty,
        log_config=None,
        log_level="critical",
        lifespan="off",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    faulty.server = uvicorn.Server(config)
    thread = threading.Thread(target=faulty.server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        faulty.server.should_exit = True
        thread.join()
        listener.close()


def disturb_executions(broker: SimulatedBroker, rng: np.random.Generator, share: float) -> int:
    """Bust a share of the executions that stand; return how many."""
    standing = [e for e in broker.book.executions() if e.undone_in is None]
    chosen = [e for e in standing if rng.random() < share]
    for execution in chosen:
        interventions.bust(broker, execution.fill.execution_id)
    return len(chosen)


async def _read_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


async def _respond(
    send: Send, status: int, content: bytes, media_type: str, missing: int = 0
) -> None:
    headers = {
        "content-type": media_type,
        "content-length": str(len(content) + missing),
        "x-ratelimit-limit": "200",
        "x-ratelimit-remaining": "0" if status == 429 else "100",
        "x-ratelimit-reset": str(int(time.time())),
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": content, "more_body": missing > 0})
