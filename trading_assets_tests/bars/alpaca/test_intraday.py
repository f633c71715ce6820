from datetime import UTC, date, datetime, timedelta

import pytest

from trading_assets.bars.calendars.grid import bar_closes
from trading_assets.bars.resampling import resample_bars
from trading_assets.source_specs import BarLength
from trading_assets_tests.bars.alpaca.alpaca_source import alpaca_bars, intraday_bars, midnight
from trading_assets_tests.bars.alpaca.market_data_server import MarketDataServer, Store, make_bar
from trading_assets_tests.bars.example_bars import CALENDAR, NOW

HALF_DAY = date(2022, 11, 25)
NO_SESSION = date(2022, 11, 24)


@pytest.mark.parametrize(("length", "minutes", "timeframe"), [("5m", 5, "5Min"), ("1m", 1, "1Min")])
def test_intraday_bars_end_after_their_length_and_only_the_sessions_own_are_kept(
    length: BarLength, minutes: int, timeframe: str
) -> None:
    # The half day closes at 13:00 in New York; Alpaca goes on until 17:00.
    bars = intraday_bars(HALF_DAY, *_hours(HALF_DAY, 4, 17), minutes)
    store = Store({timeframe: {"IBM": bars}})
    with MarketDataServer(store) as server:
        source = alpaca_bars(server.url, universe=("IBM",), bar_length=length)
        rows = source.fetch(HALF_DAY, HALF_DAY, NOW).rows
    grid = bar_closes(CALENDAR, [HALF_DAY], length)
    assert rows["event_time"].to_list() == grid["event_time"].to_list()
    assert rows["event_time"].max() == datetime(2022, 11, 25, 18, tzinfo=UTC)
    assert rows["bar_length"].unique().to_list() == [length]
    by_start = {bar["t"]: bar["c"] for bar in bars}
    starts = [
        f"{end - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}" for end in rows["event_time"]
    ]
    assert rows["close"].to_list() == [by_start[start] for start in starts]


def test_hours_are_built_from_the_open_on_and_not_before_they_are_over() -> None:
    day = date(2022, 11, 23)
    bars = intraday_bars(day, *_hours(day, 4, 20), 5)
    store = Store({"5Min": {"IBM": bars}, "1Hour": {"IBM": []}})
    as_of = CALENDAR.open_time(day) + timedelta(hours=2, minutes=40)
    with MarketDataServer(store) as server:
        hours = alpaca_bars(server.url, universe=("IBM",), bar_length="1h")
        parts = alpaca_bars(server.url, universe=("IBM",), bar_length="5m")
        rows = hours.fetch(day, day, NOW).rows
        partial = hours.fetch(day, day, as_of).rows
        expected = resample_bars(parts.fetch(day, day, NOW).rows, CALENDAR, "1h")
    assert rows.equals(expected)
    assert [f"{end:%H:%M}" for end in rows["event_time"]] == [
        "15:30", "16:30", "17:30", "18:30", "19:30", "20:30", "21:00",
    ]  # fmt: skip
    # 2:40 after the open two hours and their lag are over; the third has parts, but no end.
    assert partial.drop("ingest_time").equals(rows.head(2).drop("ingest_time"))
    first_hour = [bar for bar in bars if "14:30" <= bar["t"][11:16] < "15:30"]
    assert rows["volume"][0] == sum(bar["v"] for bar in first_hour)


def test_no_intraday_bar_ends_after_the_sessions_close() -> None:
    # Off the grid, so that validation refuses it; but it must not claim to be known later.
    start = datetime(2022, 11, 25, 17, 58, tzinfo=UTC)
    with MarketDataServer(Store({"5Min": {"IBM": [make_bar(start, 50.0)]}})) as server:
        source = alpaca_bars(server.url, universe=("IBM",), bar_length="5m")
        rows = source.fetch(HALF_DAY, HALF_DAY, NOW).rows
    assert rows["event_time"].to_list() == [CALENDAR.close_time(HALF_DAY)]


def test_an_intraday_bar_of_a_day_without_a_session_stays_for_validation() -> None:
    start = datetime(2022, 11, 24, 15, tzinfo=UTC)
    with MarketDataServer(Store({"5Min": {"IBM": [make_bar(start, 50.0)]}})) as server:
        source = alpaca_bars(server.url, universe=("IBM",), bar_length="5m")
        rows = source.fetch(NO_SESSION, NO_SESSION, NOW).rows
    assert rows["session"].to_list() == [NO_SESSION]
    assert rows["event_time"].to_list() == [start + timedelta(minutes=5)]


def _hours(day: date, first: int, last: int) -> tuple[datetime, datetime]:
    start = midnight(day)
    return start + timedelta(hours=first), start + timedelta(hours=last)
