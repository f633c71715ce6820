from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.bars.calendars.coverage import (
    expected_bars,
    extra_bars,
    first_few,
    missing_bars,
    missing_sessions,
)
from trading_assets.bars.calendars.grid import bar_closes
from trading_assets.bars.calendars.listing_spans import silent_symbols
from trading_assets.errors import UserError
from trading_assets.market_data import MarketDataSpec
from trading_assets.schema import UTC_TIME

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
START = date(2012, 11, 19)


def spec(**changes: Any) -> MarketDataSpec:
    values: dict[str, Any] = {
        "source": {"kind": "sample"},
        "universe": ["A", "B"],
        "start": START,
        "end": date(2012, 12, 31),
        **changes,
    }
    return MarketDataSpec(**values)


def days_of(expected: pl.DataFrame, symbol: str) -> list[date]:
    return expected.filter(pl.col("symbol") == symbol)["session"].unique().sort().to_list()


def expect(
    first_sessions: Mapping[str, date], as_of: datetime = NOW, **changes: Any
) -> pl.DataFrame:
    return expected_bars(spec(**changes), first_sessions, as_of)


def test_every_session_since_a_symbols_first_bar_is_expected() -> None:
    sessions = get_calendar("XNYS").sessions(START, date(2012, 12, 31))
    expected = expect({"A": date(2000, 1, 3), "B": date(2012, 12, 3)})
    assert expected.schema == {
        "symbol": pl.String,
        "session": pl.Date,
        "event_time": UTC_TIME,
        "month": pl.String,
    }
    assert days_of(expected, "A") == sessions
    assert days_of(expected, "B") == [day for day in sessions if day >= date(2012, 12, 3)]
    half_day = expected.filter(pl.col("session") == date(2012, 11, 23))
    assert half_day["event_time"].to_list() == [datetime(2012, 11, 23, 18, tzinfo=UTC)]
    assert half_day["month"].to_list() == ["2012-11-01"]


def test_a_symbol_that_no_listing_knows_is_not_expected() -> None:
    assert expect({"A": START})["symbol"].unique().to_list() == ["A"]
    assert expect({}).is_empty()
    assert expect({}).schema == expect({"A": START}).schema


@pytest.mark.parametrize("length", ["1m", "5m", "1h"])
def test_intraday_bars_are_those_of_the_grid_at_the_length_fetched(length: str) -> None:
    changes = {"bar_length": "1d", "fetched_bar_length": length}
    expected = expect({"A": START, "B": START}, **changes)
    calendar = get_calendar("XNYS")
    grid = bar_closes(calendar, calendar.sessions(START, date(2012, 12, 31)), length)  # pyright: ignore[reportArgumentType]
    for symbol in ("A", "B"):
        bars = expected.filter(pl.col("symbol") == symbol)
        assert bars.select("session", "event_time").equals(grid.select("session", "event_time"))


def test_a_bar_is_expected_once_its_close_and_the_lag_have_passed() -> None:
    at = datetime(2012, 11, 21, 16, 45, tzinfo=UTC)
    hours = expect({"A": START}, at, bar_length="1h", end=None)
    assert hours["event_time"][-1] == at - timedelta(minutes=15)
    just_before = expect({"A": START}, at - timedelta(seconds=1), bar_length="1h", end=None)
    assert len(just_before) == len(hours) - 1
    assert days_of(expect({"A": START}, at, end=None), "A")[-1] == date(2012, 11, 20)


def test_nothing_is_expected_before_the_data_set_starts() -> None:
    assert expect({"A": START}, datetime(2012, 11, 1, tzinfo=UTC)).is_empty()


def test_only_the_months_asked_for_are_expected() -> None:
    first = {"A": START, "B": START}
    december = expected_bars(spec(), first, NOW, ["2012-12-01"])
    assert december.equals(expect(first).filter(pl.col("month") == "2012-12-01"))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(UserError, match="without a time zone"):
        expect({}, datetime(2012, 11, 1))  # noqa: DTZ001 # what is tested


def member(symbol: str, first: str | None = None, last: str | None = None) -> dict[str, Any]:
    return {"symbol": symbol, "first_session": first, "last_session": last}


def test_a_member_is_expected_in_each_of_its_stints_only() -> None:
    members = [
        member("A", "2012-11-21", "2012-11-23"),
        member("A", "2012-12-27", None),
        member("B", None, "2012-11-20"),
    ]
    expected = expect({"A": date(2000, 1, 3), "B": START}, universe=members)
    assert days_of(expected, "A") == [
        date(2012, 11, 21),
        date(2012, 11, 23),
        date(2012, 12, 27),
        date(2012, 12, 28),
        date(2012, 12, 31),
    ]
    assert days_of(expected, "B") == [date(2012, 11, 19), date(2012, 11, 20)]


def test_a_member_whose_first_day_is_declared_is_expected_although_no_bar_is_stored() -> None:
    members = [member("A", "2012-12-28"), member("B", None, "2012-12-31")]
    expected = expect({}, universe=members)
    assert days_of(expected, "A") == [date(2012, 12, 28), date(2012, 12, 31)]
    assert days_of(expected, "B") == []


MINUTES = spec(bar_length="1m", end=date(2012, 11, 30))
FIRST = {"A": START, "B": START}


def test_missing_minutes_are_found_by_their_close() -> None:
    expected = expected_bars(MINUTES, FIRST, NOW)
    lost = expected.sample(50, seed=3).sort("month", "symbol", "event_time")
    rows = expected.join(lost, on=["symbol", "event_time"], how="anti")
    assert missing_bars(rows, expected).equals(lost)
    assert missing_bars(rows.clear(), expected).height == len(expected)


def test_a_daily_bar_with_another_time_counts_as_received() -> None:
    expected = expect(FIRST)
    rows = expected.with_columns(pl.col("event_time").dt.offset_by("-1h"))
    assert missing_bars(rows, expected).is_empty()
    assert len(extra_bars(rows, spec())) == len(rows)


@pytest.mark.parametrize(
    ("session", "close"),
    [
        # Before the open, after a half day's close, between two bars, on a holiday.
        (date(2012, 11, 21), datetime(2012, 11, 21, 14, 30, tzinfo=UTC)),
        (date(2012, 11, 23), datetime(2012, 11, 23, 18, 1, tzinfo=UTC)),
        (date(2012, 11, 21), datetime(2012, 11, 21, 15, 0, 30, tzinfo=UTC)),
        (date(2012, 11, 22), datetime(2012, 11, 22, 15, tzinfo=UTC)),
        # A bar of the grid that claims another session.
        (date(2012, 11, 20), datetime(2012, 11, 21, 15, tzinfo=UTC)),
    ],
)
def test_a_bar_off_the_grid_is_extra(session: date, close: datetime) -> None:
    good = expected_bars(MINUTES, FIRST, NOW).drop("month")
    bad = pl.DataFrame({"symbol": ["A"], "session": [session], "event_time": [close]}).cast(
        {"event_time": UTC_TIME}
    )
    assert extra_bars(good, MINUTES).is_empty()
    assert extra_bars(pl.concat([good, bad]), MINUTES).equals(bad)


def test_no_rows_hold_no_extra_bar() -> None:
    assert extra_bars(expected_bars(MINUTES, {}, NOW), MINUTES).is_empty()


def test_a_month_that_lacks_minutes_names_the_first_of_them() -> None:
    expected = expected_bars(MINUTES, FIRST, NOW)
    is_gap = pl.col("event_time").dt.hour() == 15
    [sentence] = missing_sessions(expected.filter(~is_gap), MINUTES, NOW)
    assert sentence.startswith("2012-11 lacks 1080 of 6660 expected bars (16.2%")
    assert "A 2012-11-19 15:00 UTC, A 2012-11-19 15:01 UTC" in sentence
    assert sentence.endswith("15:04 UTC, ...")
    assert missing_sessions(expected, MINUTES, NOW) == []


def test_a_symbol_listed_after_all_stored_months_is_not_missing() -> None:
    stored = expected_bars(spec(end=date(2012, 11, 30)), {"A": START}, NOW)
    assert missing_sessions(stored, spec(end=date(2012, 11, 30)), NOW) == []
    assert expect({"A": START, "B": date(2013, 1, 2)})["symbol"].unique().to_list() == ["A"]


def test_a_month_without_any_row_between_two_others_is_named() -> None:
    data = spec(start=date(2012, 10, 1))
    rows = expected_bars(data, FIRST, NOW, ["2012-10-01", "2012-12-01"])
    assert missing_sessions(rows, data, NOW) == []
    first = {"A": date(2012, 10, 1), "B": date(2012, 10, 1)}
    rows = expected_bars(data, first, NOW, ["2012-10-01", "2012-12-01"])
    [sentence] = missing_sessions(rows, data, NOW)
    assert sentence.startswith("2012-11 lacks 42 of 42 expected bars (100.0%")


def test_a_symbol_without_any_bar_is_named() -> None:
    [sentence] = silent_symbols(spec(), {"A": START}, NOW)
    assert sentence.startswith("B has no bar in anything that is stored; expected at least one")
    assert silent_symbols(spec(), FIRST, NOW) == []


def test_a_member_whose_time_has_not_begun_is_not_silent() -> None:
    members = [member("A", "2012-12-03"), member("B", "2013-01-02")]
    assert silent_symbols(spec(universe=members), {"A": date(2012, 12, 3)}, NOW) == []
    early = datetime(2012, 12, 3, 12, tzinfo=UTC)
    assert len(silent_symbols(spec(universe=members), {}, early)) == 1


def test_a_member_that_left_before_the_data_set_starts_is_not_silent() -> None:
    members = [member("A", "2012-12-03"), member("B", "2012-01-03", "2012-11-16")]
    assert silent_symbols(spec(universe=members), {"A": date(2012, 12, 3)}, NOW) == []


def test_more_than_five_bars_are_cut_short() -> None:
    assert first_few(list("abcdef")) == "a, b, c, d, e, ..."
    assert first_few(list("abcde")) == "a, b, c, d, e"
