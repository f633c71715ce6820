import json
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from trading_assets.bars.alpaca import source as alpaca
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.sources.build import build_source
from trading_assets.errors import DataError, MissingKeyError, UserError
from trading_assets.source_specs import AlpacaSource
from trading_assets_tests.bars.alpaca.alpaca_source import (
    END,
    START,
    alpaca_bars,
    midnight,
    two_symbols,
)
from trading_assets_tests.bars.alpaca.market_data_server import (
    KEYS,
    Fault,
    Json,
    MarketDataServer,
    Store,
    make_bar,
)
from trading_assets_tests.bars.example_bars import CALENDAR, NOW, make_spec

BARS = "/v2/stocks/bars"


def answered(rows: pl.DataFrame) -> dict[str, list[tuple[date, float, float, float, float, float]]]:
    columns = rows.select("symbol", "session", "open", "high", "low", "close", "volume")
    return {
        key: [row[1:] for row in columns.filter(symbol=key).rows()]
        for key in rows["symbol"].unique()
    }


def stored(store: Store) -> dict[str, list[tuple[date, float, float, float, float, float]]]:
    return {
        symbol: [
            (
                datetime.fromisoformat(bar["t"]).astimezone(CALENDAR.time_zone).date(),
                *(bar[name] for name in ("o", "h", "l", "c", "v")),
            )
            for bar in bars
        ]
        for symbol, bars in store.bars["1Day"].items()
    }


@pytest.mark.parametrize("has_short_pages", [False, True])
def test_bars_of_all_pages_equal_the_servers_store(has_short_pages: bool) -> None:
    # Pages of 10 over 46 bars: the first two hold only the first symbol.
    with MarketDataServer(
        two_symbols(), largest_page=10, has_short_pages=has_short_pages
    ) as server:
        rows = alpaca_bars(server.url).fetch(START, END, NOW).rows
    assert len(server.paths(BARS)) >= 5
    assert answered(rows) == stored(server.store)


def test_daily_bars_are_dated_by_new_york_and_end_with_their_session() -> None:
    with MarketDataServer(two_symbols()) as server:
        rows = alpaca_bars(server.url).fetch(START, END, NOW).rows
    winter = rows.filter(symbol="IBM", session=date(2023, 3, 10)).row(0, named=True)
    summer = rows.filter(symbol="IBM", session=date(2023, 3, 13)).row(0, named=True)
    assert winter["event_time"] == datetime(2023, 3, 10, 21, tzinfo=UTC)
    assert summer["event_time"] == datetime(2023, 3, 13, 20, tzinfo=UTC)
    assert summer["knowledge_time"] == datetime(2023, 3, 13, 20, 15, tzinfo=UTC)
    assert (summer["feed"], summer["adjustment"], summer["bar_length"]) == ("iex", "raw", "1d")
    assert summer["vendor_adjusted_close"] is None
    assert (summer["ingest_time"], summer["revision"]) == (NOW, 0)


def test_raw_prices_of_the_declared_feed_and_of_the_days_own_tickers_are_asked_for() -> None:
    with MarketDataServer(two_symbols()) as server:
        rows = alpaca_bars(server.url, feed="sip").fetch(START, END, NOW).rows
    assert server.paths(BARS) == [
        {
            "symbols": "AAPL,IBM",
            "timeframe": "1Day",
            "start": "2023-03-01T05:00:00+00:00",
            "end": "2023-04-01T03:59:59+00:00",
            "adjustment": "raw",
            "feed": "sip",
            "asof": "-",
            "limit": "10000",
        }
    ]
    assert rows["feed"].unique().to_list() == ["sip"]


def test_a_fallback_stamps_its_own_feed() -> None:
    spec = make_spec(universe=("AAPL",), start=START, end=None)
    with MarketDataServer(two_symbols()) as server:
        source = AlpacaSource(kind="alpaca", feed="sip", url=server.url)
        fetched = alpaca.AlpacaBars(spec, source, CALENDAR, KEYS).fetch(START, END, NOW)
    assert fetched.rows["feed"].unique().to_list() == ["sip"]


def test_the_request_ends_before_the_publication_lag_and_no_open_bar_is_taken() -> None:
    as_of = datetime(2023, 3, 13, 20, 5, tzinfo=UTC)
    with MarketDataServer(two_symbols(), now=as_of) as server:
        rows = alpaca_bars(server.url, feed="sip").fetch(START, END, as_of).rows
    assert server.paths(BARS)[0]["end"] == "2023-03-13T19:50:00+00:00"
    assert rows["session"].max() == date(2023, 3, 10)


def test_a_range_in_the_future_asks_for_no_bars() -> None:
    with MarketDataServer(two_symbols()) as server:
        fetched = alpaca_bars(server.url).fetch(START, END, datetime(2023, 2, 20, tzinfo=UTC))
    assert fetched.rows.is_empty()
    assert server.paths(BARS) == []


def test_a_long_range_is_asked_for_in_pieces_that_join_without_gap_or_overlap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alpaca, "_BARS_A_REQUEST", 14)
    monkeypatch.setattr(alpaca, "_SYMBOLS_A_REQUEST", 1)
    with MarketDataServer(two_symbols()) as server:
        rows = alpaca_bars(server.url).fetch(START, END, NOW).rows
    asked = [(query["symbols"], query["start"][:10]) for query in server.paths(BARS)]
    days = ["2023-03-01", "2023-03-15", "2023-03-29"]
    assert asked == [(symbol, day) for symbol in ("AAPL", "IBM") for day in days]
    assert answered(rows) == stored(server.store)


def test_bars_outside_the_range_and_bars_sent_twice_are_stored_once_or_not() -> None:
    store = two_symbols()
    page = {
        "IBM": [make_bar(midnight(day), 9.0) for day in (date(2023, 2, 28), START, START)],
    }
    fault = Fault(200, _page(page))
    with MarketDataServer(store, [fault]) as server:
        rows = alpaca_bars(server.url).fetch(START, END, NOW).rows
    assert rows["session"].to_list() == [START]


@pytest.mark.parametrize(
    ("bar", "sentence"),
    [
        ({"t": "2023-03-01"}, "a time of IBM without a zone"),
        ({"t": "2023-03-01T05:00:00"}, "a time of IBM without a zone"),
        ({"t": "noon"}, "ValueError in a bar of IBM"),
        ({"t": 5}, "TypeError in a bar of IBM"),
        ({"t": "2023-03-01T00:00:00Z"}, "not at midnight in New York"),
        ({"o": "10.5"}, "o of IBM is no number"),
        ({"c": None}, "c of IBM is no number"),
        ({"v": True}, "v of IBM is no number"),
        ({"h": float("nan")}, "h of IBM is not finite"),
        ({"l": float("inf")}, "l of IBM is not finite"),
        ({"l": [1]}, "l of IBM is no number"),
        ({"drop": "c"}, "KeyError in a bar of IBM"),
    ],
)
def test_a_bar_that_is_none_is_a_data_error(bar: Json, sentence: str) -> None:
    whole = make_bar(midnight(START), 10.0) | bar
    if "drop" in bar:
        del whole[bar["drop"]]
    with (
        MarketDataServer(faults=[Fault(200, _page({"IBM": [whole]}))]) as server,
        pytest.raises(DataError, match=sentence),
    ):
        alpaca_bars(server.url).fetch(START, START, NOW)


def test_bars_of_a_symbol_that_was_not_asked_for_are_refused() -> None:
    page = _page({"../etc": [make_bar(midnight(START), 10.0)]})
    with (
        MarketDataServer(faults=[Fault(200, page)]) as server,
        pytest.raises(DataError, match="1 symbols that were not asked for") as caught,
    ):
        alpaca_bars(server.url).fetch(START, START, NOW)
    assert "../etc" not in str(caught.value)


@pytest.mark.parametrize("missing", [("ALPACA_API_KEY",), ("ALPACA_SECRET_KEY",), tuple(KEYS)])
def test_a_missing_key_is_named_at_the_first_fetch(missing: tuple[str, ...]) -> None:
    spec = make_spec(source={"kind": "alpaca"}, universe=("IBM",), start=START, end=None)
    credentials = {name: value for name, value in KEYS.items() if name not in missing}
    bars = build_source(spec, CALENDAR, credentials)
    with pytest.raises(MissingKeyError, match=" and ".join(missing)):
        bars.fetch(START, END, NOW)


@pytest.mark.parametrize("key", ["secret\n", "two words", "se\u0301cret", "a\r\nX-Header: b"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    source = alpaca_bars("http://127.0.0.1:9", credentials=KEYS | {"ALPACA_SECRET_KEY": key})
    with pytest.raises(UserError, match="ALPACA_SECRET_KEY holds") as caught:
        source.fetch(START, END, NOW)
    assert key not in str(caught.value)


def test_another_calendar_than_new_yorks_is_refused() -> None:
    spec = make_spec(
        source={"kind": "alpaca"}, universe=("BTC/USD",), start=START, end=None, calendar="24/7"
    )
    with pytest.raises(UserError, match="calendar was 24/7; the alpaca source serves US stocks"):
        build_source(spec, get_calendar("24/7"), KEYS).fetch(START, END, NOW)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://example.org", "no address"),
        ("data.alpaca.markets", "no address"),
        ("https://user:canary@example.org", "no user, password or query"),
        ("https://example.org/?key=canary", "no user, password or query"),
        ("http://example.org", "expected https, as keys travel to that address"),
        ("http://127.0.0.1.example.org", "expected https"),
    ],
)
def test_an_address_to_which_keys_must_not_travel_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence) as caught:
        AlpacaSource(kind="alpaca", url=url)
    assert "canary" not in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize("url", ["https://proxy.example.org/alpaca/", "http://localhost:8080"])
def test_an_address_without_its_last_slash_is_kept(url: str) -> None:
    assert AlpacaSource(kind="alpaca", url=url).url == url.rstrip("/")


def _page(bars: dict[str, list[Any]]) -> str:
    return json.dumps({"bars": bars, "next_page_token": None})
