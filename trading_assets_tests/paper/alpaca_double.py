"""A small Alpaca with scripted faults, in this process or on loopback, and a clock that is told."""

import json
import socket
import struct
import threading
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import requests

from trading_assets.paper.alpaca_account import choose_account
from trading_assets.paper.alpaca_gateway import AlpacaGateway
from trading_assets.paper.alpaca_hours import DecisionWindow
from trading_assets.paper.alpaca_session import AlpacaSession
from trading_assets.paper.alpaca_transport import PATIENCE, Carried
from trading_assets_tests.paper.fixtures import CALENDAR

KEYS = {"ALPACA_API_KEY": "canary-key-1", "ALPACA_SECRET_KEY": "canary-secret-2"}
IN_WINDOW = {
    "timestamp": "2024-05-06T09:16:00.123456789-04:00",
    "is_open": False,
    "next_open": "2024-05-06T09:30:00-04:00",
    "next_close": "2024-05-06T16:00:00-04:00",
}
HEALTHY = {
    "cash": "100000",
    "status": "ACTIVE",
    "account_blocked": False,
    "trading_blocked": False,
    "trade_suspended_by_user": False,
}
NOON = datetime(2024, 5, 6, 16, tzinfo=UTC)


class ToldClock:
    """Stands still but for waits."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._passed = 0.0
        self.waits: list[float] = []

    def now(self) -> datetime:
        return self._now + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self._passed += seconds


@dataclass
class Fault:
    """What happens instead of an answer: a status, `hang`, `reset`, `close` or `truncate`."""

    kind: int | str
    body: str = "{}"
    is_applied: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class AlpacaDouble:
    """State of the broker; the faults of a method are consumed by its requests, one each."""

    clock: dict[str, Any] = field(default_factory=lambda: dict(IN_WINDOW))
    account: dict[str, Any] = field(default_factory=lambda: dict(HEALTHY))
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    positions: list[dict[str, Any]] = field(default_factory=list)
    activities: list[dict[str, Any]] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    goes_on_from_the_moment: bool = False
    url: str = ""

    def requests(self, method: str) -> list[str]:
        return [path for told, path, _, _ in self.seen if told == method]

    def bodies(self, method: str = "POST") -> list[Any]:
        return [body for told, _, _, body in self.seen if told == method]

    def add_order(self, **changes: Any) -> dict[str, Any]:
        number = len(self.orders)
        entry = {
            "id": str(uuid.UUID(int=number + 1)),
            "client_order_id": f"id-{number}",
            "symbol": "AAPL",
            "side": "buy",
            "qty": "10",
            "filled_qty": "0",
            "status": "accepted",
            "type": "market",
            "time_in_force": "opg",
            "limit_price": None,
            "stop_price": None,
            "legs": None,
            "submitted_at": (NOON + timedelta(milliseconds=number)).isoformat(),
        } | changes
        self.orders[entry["client_order_id"]] = entry
        return entry

    def take(
        self, method: str, address: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[Fault | None, int, Any]:
        """Answer a request; the fault, if any, says what the answer becomes."""
        parts = urlsplit(address)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        content = json.loads(body) if body else None
        self.seen.append((method, f"{parts.path}?{parts.query}", dict(headers), content))
        waiting = self.faults.get(method, [])
        fault = waiting.pop(0) if waiting else None
        if fault is not None and not fault.is_applied:
            return fault, 0, None
        status, answer = self._apply(method, unquote(parts.path), query, content)
        return fault, status, answer

    def carry(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: tuple[float, float],
    ) -> Carried:
        assert timeout_s == (3.05, 10.0)
        fault, status, answer = self.take(method, url, headers, body)
        if fault is None:
            data = b"" if status == 204 else json.dumps(answer).encode()
            return Carried(status, self.headers, data)
        if isinstance(fault.kind, int):
            return Carried(fault.kind, {**self.headers, **fault.headers}, fault.body.encode())
        if fault.kind == "truncate":
            return Carried(200, {}, json.dumps(answer or {"id": "x"}).encode()[:-3])
        raise {"hang": requests.ReadTimeout, "reset": ConnectionResetError}.get(
            fault.kind, requests.ConnectionError
        )(f"sent with {dict(headers)}")

    def _apply(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if path.startswith("/v2/orders"):
            return self._orders(method, path, query, body)
        if path == "/v2/account/configurations":
            self.account["trade_suspended_by_user"] = body["suspend_trade"]
            return 200, body
        if path == "/v2/account/activities":
            size, token = int(query["page_size"]), query.get("page_token", "")
            ids = [activity["id"] for activity in self.activities]
            begin = ids.index(token) + 1 if token else 0
            return 200, self.activities[begin : begin + size]
        found = {
            "/v2/clock": self.clock,
            "/v2/account": self.account,
            "/v2/positions": self.positions,
        }.get(path)
        return (404, {"message": "endpoint not found."}) if found is None else (200, found)

    def _orders(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if method == "POST":
            if body["client_order_id"] in self.orders:
                return 422, {"code": 40010001, "message": "client_order_id must be unique"}
            return 200, self.add_order(**body)
        if path == "/v2/orders:by_client_order_id":
            return _or_404(self.orders.get(query["client_order_id"]))
        if path == "/v2/orders":
            return (200, self._listed(query)) if method == "GET" else (207, self._cancel_all())
        found = [order for order in self.orders.values() if order["id"] == path.rpartition("/")[2]]
        if method == "GET" or not found:
            return _or_404(found[0] if found else None)
        if found[0]["status"] not in ("accepted", "new"):
            return 422, {"code": 42210000, "message": "order is not cancelable"}
        found[0]["status"] = "canceled"
        return 204, None

    def _listed(self, query: dict[str, str]) -> list[dict[str, Any]]:
        assert not ("after" in query and "after_order_id" in query)
        assert (query["direction"], query["nested"]) == ("asc", "true")
        listed = list(self.orders.values())
        if "after" in query:
            after = datetime.fromisoformat(query["after"])
            listed = [o for o in listed if datetime.fromisoformat(o["submitted_at"]) > after]
        if "after_order_id" in query:
            at = [order["id"] for order in listed].index(query["after_order_id"])
            moment = listed[at]["submitted_at"]
            if self.goes_on_from_the_moment:
                listed = [order for order in listed if order["submitted_at"] > moment]
            else:
                listed = listed[at + 1 :]
        if query["status"] == "open":
            listed = [order for order in listed if order["status"] != "filled" or order["legs"]]
        return listed[: int(query["limit"])]

    def _cancel_all(self) -> list[dict[str, Any]]:
        still_open = [order for order in self.orders.values() if order["status"] == "accepted"]
        for order in still_open:
            order["status"] = "canceled"
        return [{"id": order["id"], "status": 200} for order in still_open]


def _or_404(entry: dict[str, Any] | None) -> tuple[int, Any]:
    if entry is None:
        return 404, {"code": 40410000, "message": "order not found"}
    return 200, entry


def make_gateway(double: AlpacaDouble, **changes: Any) -> tuple[AlpacaGateway, ToldClock]:
    """Return a gateway that reaches the double in this process, and its clock."""
    clock = changes.pop("clock", None) or ToldClock()
    window = DecisionWindow(timedelta(minutes=15), changes.pop("is_intraday", False))
    stream = changes.pop("stream", None)
    options = {"carrier": double.carry, "rng": Random(1), **changes}
    session = AlpacaSession(choose_account(KEYS), clock=clock, **options)
    return AlpacaGateway(session, CALENDAR, window, stream), clock


class _Handler(BaseHTTPRequestHandler):
    double: AlpacaDouble
    hang_s: float

    def log_message(self, format: str, *args: object) -> None:
        del format, args

    def answer(self, status: int, data: bytes, headers: Mapping[str, str], cut: int = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data) + cut))
        self.end_headers()
        self.wfile.write(data)
        if cut:
            self.close_connection = True

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        taken = self.double.take(self.command, self.path, dict(self.headers), body)
        fault, status, content = taken
        data = b"" if status == 204 else json.dumps(content).encode()
        if fault is None:
            self.answer(status, data, self.double.headers)
        elif isinstance(fault.kind, int):
            self.answer(fault.kind, fault.body.encode(), {**self.double.headers, **fault.headers})
        elif fault.kind == "truncate":
            self.answer(200, data[:-3], {}, cut=3)
        else:
            if fault.kind == "hang":
                time.sleep(self.hang_s)
            if fault.kind == "reset":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any


@contextmanager
def serving(double: AlpacaDouble, hang_s: float = 0.6) -> Generator[AlpacaDouble]:
    """Serve the double on loopback."""
    handler = type("Handler", (_Handler,), {"double": double, "hang_s": hang_s})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def connected(double: AlpacaDouble, read_s: float = 0.3) -> Generator[AlpacaGateway]:
    """Yield a gateway that reaches the served double by HTTP."""
    session = AlpacaSession(
        choose_account(KEYS, double.url),
        clock=ToldClock(),
        rng=Random(1),
        patience=replace(PATIENCE, read_s=read_s),
    )
    gateway = AlpacaGateway(session, CALENDAR, DecisionWindow(timedelta(minutes=15)))
    try:
        yield gateway
    finally:
        gateway.close()
