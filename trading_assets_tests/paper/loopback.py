"""A small broker behind HTTP with scripted faults, for tests of the Alpaca gateway."""

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Broker:
    """State of the server; `faults` are consumed by POSTs, one each, then none is left.

    A fault is (status, body, is_applied): `None` as status closes the connection, `hang` waits
    longer than the client does.
    """

    clock: dict[str, Any]
    faults: list[tuple[int | str | None, str, bool]] = field(default_factory=list)
    get_faults: list[int] = field(default_factory=list)
    get_body: str = "<html>no</html>"
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    activities: list[dict[str, Any]] = field(default_factory=list)
    positions: list[dict[str, Any]] = field(default_factory=list)
    account: dict[str, Any] = field(default_factory=lambda: {"cash": "100000"})
    posts: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    redirect_to: str = "http://127.0.0.1:9"

    def apply(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        key = body["client_order_id"]
        if key in self.orders:
            return 422, {"code": 40010001, "message": "client_order_id must be unique"}
        self.orders[key] = {
            **body,
            "id": f"broker-{len(self.orders)}",
            "status": "accepted",
            "filled_qty": "0",
        }
        return 200, self.orders[key]

    def fill(self, price: str) -> None:
        for number, order in enumerate(self.orders.values()):
            order.update(status="filled", filled_qty=order["qty"])
            self.activities.append(
                {
                    "activity_type": "FILL",
                    "id": f"20240506093000000::{number}",
                    "order_id": order["id"],
                    "qty": order["qty"],
                    "price": price,
                    "side": order["side"],
                    "symbol": order["symbol"],
                    "transaction_time": "2024-05-06T13:30:00.123456789Z",
                }
            )

    def found(self, address: str) -> object:
        """What a GET finds; None becomes 404."""
        parts = urlsplit(address)
        query = parse_qs(parts.query)
        if parts.path == "/v2/orders:by_client_order_id":
            return self.orders.get(query["client_order_id"][0])
        if parts.path == "/v2/account/activities":
            size, token = int(query["page_size"][0]), query.get("page_token", [""])[0]
            ids = [activity["id"] for activity in self.activities]
            begin = ids.index(token) + 1 if token else 0
            return self.activities[begin : begin + size]
        return {
            "/v2/clock": self.clock,
            "/v2/account": self.account,
            "/v2/positions": self.positions,
        }.get(parts.path)


class _Handler(BaseHTTPRequestHandler):
    broker: Broker

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def answer(self, status: int, content: str) -> None:
        data = content.encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", f"{self.broker.redirect_to}{self.path}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.broker.paths.append(self.path)
        self.broker.headers.append(dict(self.headers))
        if self.broker.get_faults:
            self.answer(self.broker.get_faults.pop(0), self.broker.get_body)
            return
        found = self.broker.found(self.path)
        if found is None:
            self.answer(404, json.dumps({"code": 40410000, "message": "order not found"}))
        else:
            self.answer(200, json.dumps(found))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.broker.posts.append(body)
        if not self.broker.faults:
            status, answer = self.broker.apply(body)
            self.answer(status, json.dumps(answer))
            return
        fault, content, is_applied = self.broker.faults.pop(0)
        if is_applied:
            self.broker.apply(body)
        if isinstance(fault, int):
            self.answer(fault, content)
            return
        if fault == "hang":
            time.sleep(0.6)
        self.close_connection = True


@contextmanager
def serving(broker: Broker) -> Generator[Broker]:
    handler = type("Handler", (_Handler,), {"broker": broker})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    broker.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield broker
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
