import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from trading_assets.bars import alpaca
from trading_assets.bars.alpaca import AlpacaBars
from trading_assets.bars.sources import build_source
from trading_assets.errors import DataError, MissingKeyError, UserError
from trading_assets.source_specs import AlpacaSource
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec

KEYS = {"ALPACA_API_KEY": "key-of-the-test", "ALPACA_SECRET_KEY": "secret-of-the-test"}
START, END = date(2023, 3, 1), date(2023, 3, 31)
Reply = tuple[int, str]
Answer = Callable[[str, dict[str, list[str]]], Reply]


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a client has given up waiting."""


class Server:
    """A loopback server that answers as told and notes what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = parse_qs(url.query)
                outer.requests.append((url.path, query, dict(self.headers)))
                status, body = answer(url.path, query)
                data = body.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.http = QuietServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def source(url: str, feed: str = "iex") -> AlpacaBars:
    spec = make_spec(
        source={"kind": "alpaca", "feed": feed},
        universe=("AAPL", "IBM"),
        start=START,
        end=None,
    )
    assert isinstance(spec.source, AlpacaSource)
    return AlpacaBars(spec, spec.source, CALENDAR, KEYS, url_override=url)


def bar(moment: str, close: float) -> dict[str, Any]:
    return {"t": moment, "o": 10.0, "h": 12.5, "l": 9.0, "c": close, "v": 500, "n": 3, "vw": 10.1}


def two_pages(path: str, query: dict[str, list[str]]) -> Reply:
    if path.endswith("/corporate-actions"):
        actions = {
            "forward_splits": [
                {"symbol": "AAPL", "ex_date": "2023-03-02", "new_rate": 4, "old_rate": 1}
            ],
            "reverse_splits": [
                {"symbol": "IBM", "ex_date": "2023-03-03", "new_rate": 1, "old_rate": 50}
            ],
            "cash_dividends": [
                {"symbol": "IBM", "ex_date": "2023-03-08", "rate": 1.65},
                {"symbol": "IBM", "ex_date": "2023-03-08", "rate": 0.35},
            ],
        }
        return 200, json.dumps({"corporate_actions": actions, "next_page_token": None})
    if "page_token" not in query:
        page = {"AAPL": [bar("2023-03-01T05:00:00Z", 11.0), bar("2023-03-13T04:00:00Z", 12.0)]}
        return 200, json.dumps({"bars": page, "next_page_token": "second"})
    page = {"IBM": [bar("2023-03-01T05:00:00Z", 10.5)]}
    return 200, json.dumps({"bars": page, "next_page_token": None})


def answer_with(status: int, body: str) -> Answer:
    def reply(path: str, query: dict[str, list[str]]) -> Reply:
        return status, body

    return reply


def test_bars_of_all_pages_are_read(serve: Callable[[Answer], Server]) -> None:
    fetched = source(serve(two_pages).url).fetch(START, END, NOW)
    assert fetched.rows.select("symbol", "session", "close", "volume").rows() == [
        ("AAPL", date(2023, 3, 1), 11.0, 500.0),
        ("AAPL", date(2023, 3, 13), 12.0, 500.0),
        ("IBM", date(2023, 3, 1), 10.5, 500.0),
    ]
    row = fetched.rows.row(1, named=True)
    assert row["event_time"] == datetime(2023, 3, 13, 20, 0, tzinfo=UTC)
    assert (row["feed"], row["adjustment"]) == ("iex", "raw")
    assert row["vendor_adjusted_close"] is None


def test_raw_prices_of_the_declared_feed_are_asked_for(
    serve: Callable[[Answer], Server],
) -> None:
    server = serve(two_pages)
    source(server.url, "sip").fetch(START, END, NOW)
    path, query, headers = server.requests[0]
    assert path == "/v2/stocks/bars"
    assert query["symbols"] == ["AAPL,IBM"]
    assert (query["adjustment"], query["feed"], query["timeframe"]) == (["raw"], ["sip"], ["1Day"])
    assert query["start"] == ["2023-03-01T05:00:00+00:00"]
    assert query["end"] == ["2023-04-01T03:59:59+00:00"]
    assert headers["APCA-API-KEY-ID"] == KEYS["ALPACA_API_KEY"]


def test_the_request_ends_before_the_publication_lag(serve: Callable[[Answer], Server]) -> None:
    server = serve(two_pages)
    as_of = datetime(2023, 3, 13, 20, 5, tzinfo=UTC)
    fetched = source(server.url).fetch(START, END, as_of)
    assert server.requests[0][1]["end"] == ["2023-03-13T19:50:00+00:00"]
    # The session's bar is not final before its close and the lag.
    assert fetched.rows["session"].max() == date(2023, 3, 1)


def test_splits_and_dividends_become_actions(serve: Callable[[Answer], Server]) -> None:
    actions = source(serve(two_pages).url).fetch(START, END, NOW).actions
    assert actions.select("symbol", "ex_date", "kind", "split_ratio", "cash_usd").rows() == [
        ("AAPL", date(2023, 3, 2), "split", 4.0, 0.0),
        ("IBM", date(2023, 3, 3), "split", 0.02, 0.0),
        ("IBM", date(2023, 3, 8), "dividend", 1.0, 2.0),
    ]
    assert actions["knowledge_time"][0] == datetime(2023, 3, 2, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize("missing", [("ALPACA_API_KEY",), ("ALPACA_SECRET_KEY",), tuple(KEYS)])
def test_a_missing_key_is_named_at_the_first_fetch(missing: tuple[str, ...]) -> None:
    spec = make_spec(source={"kind": "alpaca"}, universe=("IBM",), start=START, end=None)
    credentials = {name: value for name, value in KEYS.items() if name not in missing}
    bars = build_source(spec, CALENDAR, credentials)
    with pytest.raises(MissingKeyError, match=" and ".join(missing)) as caught:
        bars.fetch(START, END, NOW)
    assert "the alpaca source needs" in str(caught.value)
    assert not any(value in str(caught.value) for value in KEYS.values())


@pytest.mark.parametrize(
    ("status", "body", "error", "sentence"),
    [
        (403, '{"code": 40310000, "message": "forbidden."}', UserError, "refused.*status 403"),
        (401, "", UserError, "refused.*status 401"),
        (500, "<html><body>Internal Server Error</body></html>", DataError, "status 500"),
        (302, "", DataError, "Alpaca's answer"),
        (200, "<html>maintenance</html>", DataError, "is no JSON"),
        (200, '{"surprise": 1}', DataError, "no readable page"),
        (200, '{"bars": null, "next_page_token": null}', DataError, "no readable page"),
        (200, '{"bars": {"IBM": [{"t": "x"}]}, "next_page_token": null}', DataError, "no read"),
        (200, '{"bars": {"IBM": [{"t": "2023-03-01"}]}}', DataError, "no readable bar"),
    ],
)
def test_a_failing_server_gives_one_sentence_without_the_key(
    serve: Callable[[Answer], Server],
    status: int,
    body: str,
    error: type[UserError],
    sentence: str,
) -> None:
    with pytest.raises(error, match=sentence) as caught:
        source(serve(answer_with(status, body)).url).fetch(START, END, NOW)
    assert type(caught.value) is error
    assert not any(value in str(caught.value) for value in KEYS.values())
    assert "html" not in str(caught.value)


def test_an_unreachable_server_gives_one_sentence(serve: Callable[[Answer], Server]) -> None:
    server = serve(two_pages)
    url = server.url
    server.stop()
    with pytest.raises(DataError, match="could not be reached"):
        source(url).fetch(START, END, NOW)


def test_a_silent_server_is_given_up(
    serve: Callable[[Answer], Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alpaca, "_READ_TIMEOUT_S", 0.2)
    released = threading.Event()

    def silent(path: str, query: dict[str, list[str]]) -> Reply:
        released.wait(10)
        return 200, "{}"

    server = serve(silent)
    try:
        with pytest.raises(DataError, match=r"could not be reached \(ReadTimeout\)"):
            source(server.url).fetch(START, END, NOW)
    finally:
        released.set()


def test_a_range_in_the_future_asks_for_no_bars(serve: Callable[[Answer], Server]) -> None:
    server = serve(two_pages)
    as_of = datetime(2023, 2, 20, tzinfo=UTC)
    assert source(server.url).fetch(START, END, as_of).rows.is_empty()
    assert all(path != "/v2/stocks/bars" for path, _, _ in server.requests)
