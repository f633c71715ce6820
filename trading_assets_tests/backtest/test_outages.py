"""Halts and stale feeds stop what they say, when they say."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.outages import halt_symbol, pause_starts, stall_rows
from trading_assets_tests.backtest.panels import assert_alike, make_panel

DAYS = [date(2020, 1, 1) + timedelta(days=place) for place in range(252)]


def table_of(symbols: tuple[str, ...] = ("A", "B")) -> pl.DataFrame:
    rows = [(s, day, float(place)) for s in symbols for place, day in enumerate(DAYS)]
    return pl.DataFrame(
        rows, schema={"symbol": pl.String, "session": pl.Date, "x": pl.Float64}, orient="row"
    )


@pytest.mark.parametrize(
    ("bars", "per_year", "starts"),
    [(252, 2, [84, 168]), (252, 4, [50, 100, 151, 201]), (63, 4, [31]), (64, 2, [32]), (9, 2, [4])],
)
def test_pauses_are_evenly_spaced_and_one_at_least(bars, per_year, starts):
    assert pause_starts(bars, per_year) == starts


def test_a_halted_symbol_has_no_bars_for_five_sessions_twice_a_year_and_reopens_where_it_would_be():
    panel = make_panel(bars=272)
    found = halt_symbol(panel, 1)
    halted = [*range(104, 109), *range(188, 193)]
    for name in ("open", "high", "low", "close", "volume"):
        own = getattr(found, name)
        assert np.isnan(own[halted, 1]).all()
        kept = np.delete(own, halted, axis=0)
        np.testing.assert_array_equal(kept, np.delete(getattr(panel, name), halted, axis=0))
        np.testing.assert_array_equal(own[:, 0], getattr(panel, name)[:, 0])
    assert_alike(found, panel, slice(20))


def test_a_stale_feed_repeats_the_row_before_for_five_sessions_four_times_a_year():
    found = stall_rows(table_of(), DAYS)
    expected = np.arange(252.0)
    for start in (50, 100, 151, 201):
        expected[start : start + 5] = start - 1
    for symbol in ("A", "B"):
        own = found.filter(pl.col("symbol") == symbol)
        assert own["session"].to_list() == DAYS
        np.testing.assert_array_equal(own["x"].to_numpy(), expected)


def test_keys_of_stale_rows_are_those_of_their_own_session():
    table = table_of().with_columns(
        event_time=pl.col("session").cast(pl.Datetime("us", "UTC")),
        knowledge_time=pl.col("session").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=1),
    )
    found = stall_rows(table, DAYS)
    assert found.columns == table.columns
    keys = ["symbol", "session", "event_time", "knowledge_time"]
    assert found.select(keys).equals(table.select(keys))


def test_what_had_no_row_before_a_stall_has_none_in_it():
    gone = (pl.col("symbol") == "B") & (pl.col("session") == DAYS[49])
    found = stall_rows(table_of().filter(~gone), DAYS)
    missing = set(DAYS) - set(found.filter(pl.col("symbol") == "B")["session"].to_list())
    assert missing == set(DAYS[49:55])
    assert found.filter(pl.col("symbol") == "A")["session"].to_list() == DAYS
