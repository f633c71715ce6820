"""A server on loopback that speaks Alpaca's market-data API from a store, with faults by script."""

import base64
import json
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEYS = {"ALPACA_API_KEY": "PKCANARY0KEY", "ALPACA_SECRET_KEY": "canary1secret2of3the4test"}
Json = dict[str, Any]

# Which field says when Alpaca found the action, and whose it is.
_ACTION_SYMBOLS = (
    "symbol", "old_symbol", "new_symbol", "source_symbol", "acquiree_symbol", "acquirer_symbol",
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What the server does to one request instead of, or to, its honest answer.

    A `status` of 0 keeps the honest answer; `drop` closes the connection before it or in the middle
    of it; `cut` sends that many bytes as if they were all.
    """

    status: int = 0
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0
    drop: str = ""
    cut: int = 0
    drip_s: float = 0.0


@dataclass
class Store:
    """Bars by timeframe and symbol, as Alpaca writes them, and actions by kind."""

    bars: dict[str, dict[str, list[Json]]] = field(default_factory=dict)
    actions: dict[str, list[Json]] = field(default_factory=dict)
    unknown_symbols: frozenset[str] = frozenset()


def make_bar(start: datetime, close: float, volume: int = 500) -> Json:
    return {
        "t": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "o": round(close - 0.25, 4),
        "h": round(close + 0.5, 4),
        "l": round(close - 0.5, 4),
        "c": close,
        "v": volume,
        "n": 7,
        "vw": close,
    }


class MarketDataServer:
    """Answers on a free port of loopback until stopped.

    Parameters
    ----------
    store : Store
        What it serves.
    faults : sequence of Fault or None
        For the first requests in turn; None is an honest answer.
    now : datetime, optional
        Its clock, for the rule of 15 minutes; no sip request is recent when absent.
    largest_page : int
        A page holds at most this many points, whatever limit is asked for.
    has_short_pages : bool
        Pages end anywhere before the limit, although more follows.
    """

    def __init__(
        self,
        store: Store | None = None,
        faults: Sequence[Fault | None] = (),
        now: datetime | None = None,
        largest_page: int = 10_000,
        has_short_pages: bool = False,
    ) -> None:
        self.store = store or Store()
        self.faults = list(faults)
        self.now = now
        self.largest_page = largest_page
        self.has_short_pages = has_short_pages
        self.requests: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.answers: list[tuple[str, int, str]] = []
        self._lock = threading.Lock()
        self._http = _QuietServer(("127.0.0.1", 0), _handler_of(self))
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> "MarketDataServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def paths(self, path: str) -> list[dict[str, str]]:
        """Return the queries of the requests for `path`, in order."""
        return [query for asked, query, _ in self.requests if asked == path]

    def stop(self) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> None:
        self._released.wait(seconds)

    def take(self, path: str, query: dict[str, str], headers: dict[str, str]) -> Fault | None:
        with self._lock:
            self.requests.append((path, query, headers))
            return self.faults.pop(0) if self.faults else None

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Json]:
        if headers.get("APCA-API-KEY-ID") != KEYS["ALPACA_API_KEY"]:
            return 401, {"message": "unauthorized."}
        if headers.get("APCA-API-SECRET-KEY") != KEYS["ALPACA_SECRET_KEY"]:
            return 403, {"message": "forbidden."}
        if path == "/v2/stocks/bars":
            return self._bars(query)
        if path == "/v1/corporate-actions":
            return self._actions(query)
        return 404, {"message": "endpoint not found."}

    def _bars(self, query: dict[str, str]) -> tuple[int, Json]:
        symbols = query["symbols"].split(",")
        first, last = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
        invalid = sorted(self.store.unknown_symbols & set(symbols))
        if invalid:
            return 400, {"message": f"invalid symbol: {invalid[0]}"}
        if last < first:
            return 422, {"message": "end should not be before start"}
        if query["feed"] == "sip" and self.now and last > self.now - timedelta(minutes=15):
            message = "subscription does not permit querying recent SIP data"
            return 403, {"code": 42210000, "message": message}
        stored = self.store.bars.get(query["timeframe"], {})
        points = [
            (symbol, bar)
            for symbol in sorted(symbols)
            for bar in sorted(stored.get(symbol, []), key=lambda bar: bar["t"])
            if first <= datetime.fromisoformat(bar["t"]) <= last
        ]
        page, token = self._page(points, query, 1000, 10_000)
        bars: dict[str, list[Json]] = {}
        for symbol, bar in page:
            bars.setdefault(symbol, []).append(bar)
        return 200, {"bars": bars, "next_page_token": token}

    def _actions(self, query: dict[str, str]) -> tuple[int, Json]:
        symbols = set(query["symbols"].split(","))
        first, last = (date.fromisoformat(query[name]) for name in ("start", "end"))
        kinds = query["types"].split(",") if "types" in query else None
        points = sorted(
            (
                (kind, action)
                for kind, actions in self.store.actions.items()
                for action in actions
                if kinds is None or kind.removesuffix("s") in kinds
                if first <= date.fromisoformat(action["process_date"]) <= last
                if symbols & {action.get(name) for name in _ACTION_SYMBOLS}
            ),
            key=lambda point: point[1]["process_date"],
        )
        page, token = self._page(points, query, 100, 1000)
        groups: dict[str, list[Json]] = {}
        for kind, action in page:
            groups.setdefault(kind, []).append(action)
        return 200, {"corporate_actions": groups, "next_page_token": token}

    def _page(
        self, points: list[tuple[str, Json]], query: dict[str, str], usual: int, most: int
    ) -> tuple[list[tuple[str, Json]], str | None]:
        """Return the page that `page_token` names; it may be shorter than the limit."""
        limit = min(int(query.get("limit", usual)), most, self.largest_page)
        first = int(base64.b64decode(query["page_token"])) if "page_token" in query else 0
        if self.has_short_pages:
            limit = random.Random(first).randint(1, limit)
        more = first + limit < len(points)
        token = base64.b64encode(str(first + limit).encode()).decode() if more else None
        return points[first : first + limit], token


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client has given up waiting."""


def _handler_of(server: MarketDataServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            headers = dict(self.headers)
            fault = server.take(url.path, query, headers) or Fault()
            if fault.drop == "before":
                self.close_connection = True
                return
            if fault.status:
                status, body = fault.status, fault.body
            else:
                status, answer = server.answer(url.path, query, headers)
                body = json.dumps(answer)
                server.answers.append((url.path, status, body))
            server.wait(fault.delay_s)
            self._send(status, body.encode(), fault)

        def _send(self, status: int, body: bytes, fault: Fault) -> None:
            sent = body[: fault.cut] if fault.cut else body
            self.send_response(status)
            for name, value in (*_RATE_LIMIT, *fault.headers):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            if fault.drop == "midway":
                self.wfile.write(sent[: len(sent) // 2])
                self.close_connection = True
            elif fault.drip_s:
                for n in range(len(sent)):
                    self.wfile.write(sent[n : n + 1])
                    self.wfile.flush()
                    server.wait(fault.drip_s)
            else:
                self.wfile.write(sent)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


_RATE_LIMIT = (("X-RateLimit-Limit", "200"), ("X-RateLimit-Remaining", "199"))
