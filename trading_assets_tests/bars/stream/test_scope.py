"""What is streamed by a declaration, and how a source refills a gap."""

from datetime import date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from trading_assets.bars.sources.source import FetchedBars
from trading_assets.bars.stream.scope import StreamedBars, backfill_from
from trading_assets.errors import UserError
from trading_assets.source_specs import AlpacaSource
from trading_assets_tests.bars.example_bars import CALENDAR, make_spec
from trading_assets_tests.bars.stream.stream_server import Faults
from trading_assets_tests.bars.stream.stream_session import END, LAG, OPEN, SYMBOLS, make_session
from trading_assets_tests.bars.stream.stream_truth import at, history


def test_a_source_is_asked_for_the_sessions_of_a_gap() -> None:
    rows = history(make_session(Faults()).truth, END, LAG)
    asked: list[tuple[date, date, datetime]] = []

    class Source:
        def fetch(self, start: date, end: date, as_of: datetime) -> FetchedBars:
            asked.append((start, end, as_of))
            return FetchedBars(rows, rows.clear(), rows.clear())

    backfill = backfill_from(Source(), CALENDAR, lambda: END)
    found = backfill(at(15, 50), at(15, 52))
    assert asked == [(date(2024, 3, 4), date(2024, 3, 4), END)]
    assert found["event_time"].unique().to_list() == [at(15, 51), at(15, 52)]


def test_what_is_streamed_follows_the_declaration() -> None:
    spec = make_spec(
        source={"kind": "alpaca", "feed": "sip"},
        universe=("IBM", "AAPL"),
        bar_length="5m",
        fetched_bar_length="1m",
    )
    wanted = StreamedBars.of(spec, CALENDAR, OPEN, END)
    assert (wanted.symbols, wanted.feed, wanted.bar_length) == (SYMBOLS, "sip", "1m")
    assert wanted.channels == ("bars", "updatedBars")
    assert wanted.url == "wss://stream.data.alpaca.markets/v2"


def test_a_declared_address_is_streamed_from() -> None:
    source = {"kind": "alpaca", "stream_url": "ws://127.0.0.1:9/"}
    spec = make_spec(source=source, universe=("IBM",), bar_length="1m")
    assert StreamedBars.of(spec, CALENDAR, OPEN, END).url == "ws://127.0.0.1:9"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("https://example.org", "stream_url is no address; expected wss://"),
        ("stream.data.alpaca.markets", "no address"),
        ("wss://user:canary@example.org", "no user, password or query"),
        ("wss://example.org/?key=canary", "no user, password or query"),
        ("ws://example.org", "stream_url was ws to example.org; expected wss, as keys travel"),
        ("ws://localhost.example.org", "expected wss"),
    ],
)
def test_a_declared_address_to_which_keys_must_not_travel_is_refused(
    url: str, sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence) as caught:
        AlpacaSource(kind="alpaca", stream_url=url)
    assert "canary" not in caught.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "source was sample; expected alpaca"),
        ({"source": {"kind": "alpaca"}, "bar_length": "1h"}, "set fetched_bar_length to 1m"),
    ],
)
def test_a_declaration_that_cannot_be_streamed_is_refused(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        StreamedBars.of(make_spec(**changes), CALENDAR, OPEN, END)


def test_a_span_without_a_time_zone_is_refused() -> None:
    wanted = StreamedBars(SYMBOLS, "iex", "1m", CALENDAR, OPEN.replace(tzinfo=None), END)
    with pytest.raises(UserError, match=r"since was .* without a time zone"):
        wanted.times()
