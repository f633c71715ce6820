import socket
import time
from datetime import UTC, datetime, timedelta
from functools import cache

import polars as pl
import pytest

from trading_assets.bars.alpaca import transport as alpaca_transport
from trading_assets.errors import DataError
from trading_assets_tests.bars.alpaca.alpaca_source import (
    END,
    START,
    alpaca_bars,
    assert_no_secret,
    two_symbols,
)
from trading_assets_tests.bars.alpaca.market_data_server import Fault, MarketDataServer
from trading_assets_tests.bars.example_bars import NOW

PAGE_HTML = "<html><body>Service Unavailable</body></html>"


def rate_limited(*headers: tuple[str, str]) -> Fault:
    return Fault(429, '{"message": "too many requests."}', headers)


def bars_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


TRANSIENT = {
    "rate limit": rate_limited(),
    "internal error": Fault(500, PAGE_HTML),
    "bad gateway": Fault(502, PAGE_HTML),
    "unavailable": Fault(503, PAGE_HTML),
    "gateway timeout": Fault(504, PAGE_HTML),
    "dropped before the answer": Fault(drop="before"),
    "dropped in the middle": Fault(drop="midway"),
}


@pytest.mark.parametrize("position", [0, 1, 3])
@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_a_passing_fault_on_any_page_changes_no_bar(fault: Fault, position: int) -> None:
    waits: list[float] = []
    faults = [None] * position + [fault, fault]
    with MarketDataServer(two_symbols(), faults, largest_page=10) as server:
        rows = alpaca_bars(server.url, waits).fetch(START, END, NOW).rows
    assert rows.equals(_undisturbed())
    assert waits == [1.0, 2.0]
    # Five pages and one of actions, and each fault's request once more.
    assert len(server.requests) == 6 + 2


@cache
def _undisturbed() -> pl.DataFrame:
    with MarketDataServer(two_symbols()) as server:
        return alpaca_bars(server.url).fetch(START, END, NOW).rows


@pytest.mark.parametrize("fault", TRANSIENT.values(), ids=TRANSIENT.keys())
def test_a_lasting_fault_is_given_up_after_four_requests(fault: Fault) -> None:
    waits: list[float] = []
    with (
        MarketDataServer(two_symbols(), [fault] * 99) as server,
        pytest.raises(DataError, match=r"asked 4 times; check the network") as caught,
    ):
        alpaca_bars(server.url, waits).fetch(START, END, NOW)
    assert len(server.requests) == 4
    assert waits == [1.0, 2.0, 4.0]
    assert "bars of AAPL, IBM (feed iex): 127.0.0.1 gave" in str(caught.value)
    assert_no_secret(caught.value)


def _http_date(moment: datetime) -> str:
    return f"{moment:%a, %d %b %Y %H:%M:%S} GMT"


SOON = datetime.now(UTC) + timedelta(seconds=20)


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ([("Retry-After", "7")], 7, 7),
        ([("Retry-After", "0")], 0, 0),
        ([("X-RateLimit-Reset", f"{SOON.timestamp():.0f}")], 1, 22),
        ([("X-RateLimit-Reset", "1")], 1, 1),
        ([("Retry-After", _http_date(SOON))], 1, 21),
        ([("Retry-After", "soon")], 1, 1),
        ([("X-RateLimit-Reset", "-5")], 1, 1),
        ([("Retry-After", "nan"), ("X-RateLimit-Reset", "inf")], 1, 1),
    ],
)
def test_the_wait_is_the_one_that_the_server_asks_for(
    headers: list[tuple[str, str]], low: float, high: float
) -> None:
    waits: list[float] = []
    with MarketDataServer(two_symbols(), [rate_limited(*headers)]) as server:
        alpaca_bars(server.url, waits).fetch(START, END, NOW)
    assert len(waits) == 1
    assert low <= waits[0] <= high


@pytest.mark.parametrize("name", ["Retry-After", "X-RateLimit-Reset"])
def test_a_wait_beyond_the_bound_is_not_waited_for(name: str) -> None:
    far = "3600" if name == "Retry-After" else f"{(datetime.now(UTC).timestamp() + 3600):.0f}"
    waits: list[float] = []
    with (
        MarketDataServer(two_symbols(), [rate_limited((name, far))]) as server,
        pytest.raises(DataError, match=r"asks to wait 3\d{3} s, longer than the 65 s allowed"),
    ):
        alpaca_bars(server.url, waits).fetch(START, END, NOW)
    assert waits == []


def test_a_page_that_names_itself_as_the_next_one_is_no_endless_loop() -> None:
    again = Fault(200, '{"bars": {}, "next_page_token": "again"}')
    with (
        MarketDataServer(two_symbols(), [again] * 99) as server,
        pytest.raises(DataError, match="names the same next page twice"),
    ):
        alpaca_bars(server.url).fetch(START, END, NOW)
    assert len(server.requests) == 2


def test_a_silent_server_is_given_up_and_asked_again() -> None:
    waits: list[float] = []
    with (
        MarketDataServer(two_symbols(), [Fault(delay_s=5)] * 9) as server,
        pytest.raises(DataError, match=r"127\.0\.0\.1 gave ReadTimeout, asked 2 times"),
    ):
        alpaca_bars(server.url, waits, read_s=0.2, repeats=1).fetch(START, END, NOW)
    assert waits == [1.0]


def test_an_answer_that_drips_is_given_up_in_the_time_of_a_whole_answer() -> None:
    # Each byte arrives in time, so only the limit for the whole answer ends it.
    begun = time.monotonic()
    with (
        MarketDataServer(two_symbols(), [Fault(drip_s=0.02)]) as server,
        pytest.raises(DataError, match="gave ReadTimeout, asked once"),
    ):
        alpaca_bars(server.url, read_s=0.5, answer_s=0.4, repeats=0).fetch(START, END, NOW)
    assert time.monotonic() - begun < 5


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpaca_transport, "_MAX_ANSWER_BYTES", 1 << 20)
    endless = Fault(200, '{"bars": {' + " " * (2 << 20))
    with (
        MarketDataServer(faults=[endless]) as server,
        pytest.raises(DataError, match="more than 1 MiB"),
    ):
        alpaca_bars(server.url).fetch(START, END, NOW)


def test_an_unreachable_server_gives_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port: int = taken.getsockname()[1]
        with pytest.raises(DataError, match="gave ConnectionError, asked 4 times") as caught:
            alpaca_bars(bars_url(port)).fetch(START, END, NOW)
    assert_no_secret(caught.value)
