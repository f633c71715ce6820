"""Alpaca's order stream on loopback, whose connections follow scripts."""

import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from trading_assets_tests.paper.alpaca_double import KEYS, AlpacaDouble

Script = Callable[[ServerConnection], None]


@dataclass
class StreamDouble:
    """The scripts of the next connections; when none is left, a connection stays open."""

    scripts: list[Script] = field(default_factory=list)
    sign_ins: list[dict[str, Any]] = field(default_factory=list)
    accepts_keys: bool = True
    port: int = 0
    connections: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def handle(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.path == "/stream"
        self.connections += 1
        try:
            if not self.sign_in(socket):
                return
            script = self.scripts.pop(0) if self.scripts else stay
            script(socket)
        except ConnectionClosed:
            return

    def sign_in(self, socket: ServerConnection) -> bool:
        told = json.loads(socket.recv(timeout=2.0))
        self.sign_ins.append(told)
        is_known = self.accepts_keys and told == {
            "action": "authenticate",
            "data": {"key_id": KEYS["ALPACA_API_KEY"], "secret_key": KEYS["ALPACA_SECRET_KEY"]},
        }
        status = "authorized" if is_known else "unauthorized"
        # Alpaca sends binary frames.
        send(socket, "authorization", {"action": "authenticate", "status": status})
        if not is_known:
            return False
        wanted = json.loads(socket.recv(timeout=2.0))
        assert wanted == {"action": "listen", "data": {"streams": ["trade_updates"]}}
        send(socket, "listening", {"streams": ["trade_updates"]})
        return True


def send(socket: ServerConnection, stream: str, data: object) -> None:
    socket.send(json.dumps({"stream": stream, "data": data}).encode())


def message(event: str, **changes: Any) -> dict[str, Any]:
    """Return the data of an update of the order `id-0`."""
    order = changes.pop("order", None) or AlpacaDouble().add_order()
    return {"event": event, "order": order, "timestamp": "2024-05-06T13:30:00.1Z"} | changes


def telling(*told: dict[str, Any], then: Script | None = None) -> Script:
    """Return a script that sends updates and goes on with another script."""

    def script(socket: ServerConnection) -> None:
        for data in told:
            send(socket, "trade_updates", data)
        (then or stay)(socket)

    return script


def stay(socket: ServerConnection) -> None:
    for _ in socket:
        pass


def drop(socket: ServerConnection) -> None:
    socket.socket.close()


def leave(socket: ServerConnection) -> None:
    socket.close()


@contextmanager
def streaming(double: StreamDouble) -> Generator[StreamDouble]:
    """Serve the stream on loopback."""
    server: Server = serve(double.handle, "127.0.0.1", double.port, close_timeout=0.2)
    double.port = server.socket.getsockname()[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield double
    finally:
        double.is_over.set()
        server.shutdown()
        thread.join()


def wait_until(is_true: Callable[[], bool], limit_s: float = 5.0) -> None:
    ends = time.monotonic() + limit_s
    while not is_true():
        assert time.monotonic() < ends, "it did not come true in time"
        time.sleep(0.005)
