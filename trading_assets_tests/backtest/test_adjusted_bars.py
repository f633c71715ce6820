"""Bars without corporate actions: what they keep of the bars that traded."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.adjusted_bars import adjust_bars, bars_table, without_effect
from trading_assets.errors import DataError
from trading_assets.features.compute import compute_features
from trading_assets.simulation.market import build_market, total_returns_of
from trading_assets_tests.backtest.stressed_fold import (
    ACTIONS,
    EX_DAY,
    FOLD,
    MISSING_DAYS,
    SPLIT_DAY,
    SYMBOLS,
    adjusted,
    redecided_fold,
    stored_bars,
)


def test_returns_are_the_total_returns_of_what_traded():
    bars = adjusted()
    market = build_market(stored_bars(), ACTIONS, SYMBOLS, bars.sessions.tolist())
    traded = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    ones = np.ones_like(bars.close)
    own = total_returns_of(bars.close, ones, 0.0 * ones)
    # A dividend is earned on the price before it here and reinvested there: the ratio is the same.
    np.testing.assert_allclose(own, traded, rtol=0, atol=1e-12)
    rows = [bars.sessions.tolist().index(day) for day in (SPLIT_DAY, EX_DAY)]
    assert np.isfinite(traded[rows]).all()


def test_the_last_close_before_the_window_is_the_one_that_traded():
    bars = adjusted()
    before = bars.sessions[bars.first_row - 1].astype(date)
    closes = stored_bars().filter(pl.col("session") == before).sort("symbol")["close"]
    np.testing.assert_allclose(bars.close[bars.first_row - 1], closes, rtol=1e-14)


def test_dollar_volume_is_as_it_was_traded():
    bars = adjusted()
    stored = stored_bars().filter(pl.col("symbol") == "AAA").sort("session")
    dollars = (stored["close"] * stored["volume"]).to_numpy()[: len(bars.sessions)]
    np.testing.assert_allclose((bars.close * bars.volume)[:, 0], dollars, rtol=1e-14)


def test_a_table_of_them_has_the_stored_rows_and_their_times():
    table = bars_table(adjusted(), stored_bars())
    keys = ["symbol", "session", "event_time", "knowledge_time", "revision", "feed"]
    stored = stored_bars().filter(pl.col("session") <= FOLD.test_end)
    assert table.select(keys).equals(stored.select(keys))
    assert table.schema == stored.schema
    missing = table.filter((pl.col("symbol") == "CCC") & pl.col("session").is_in(MISSING_DAYS))
    assert missing.is_empty()


def test_features_of_them_are_those_of_the_stored_bars():
    given = redecided_fold()
    days = adjusted().window_sessions
    table = bars_table(adjusted(), stored_bars())
    found = compute_features(
        table, without_effect(ACTIONS), given.series, given.strategy.features, days
    )
    stored = given.tables.features.filter(pl.col("session").is_in(days))
    names = [name for name in stored.columns if stored[name].dtype == pl.Float32]
    np.testing.assert_allclose(
        found.select(names).to_numpy(), stored.select(names).to_numpy(), rtol=1e-4, atol=1e-6
    )


def test_actions_without_effect_keep_their_days():
    found = without_effect(ACTIONS)
    assert found.drop("split_ratio", "cash_usd").equals(ACTIONS.drop("split_ratio", "cash_usd"))
    assert found["split_ratio"].to_list() == [1.0] * 4
    assert found["cash_usd"].to_list() == [0.0] * 4


@pytest.mark.parametrize(
    ("first", "last"),
    [(date(2003, 1, 1), date(2004, 2, 1)), (date(2010, 1, 1), date(2010, 12, 31))],
)
def test_a_window_without_bars_before_or_within_is_refused(first: date, last: date):
    with pytest.raises(DataError, match="expected at least one of each: read the bars of both"):
        adjust_bars(stored_bars(), ACTIONS, first, last)
