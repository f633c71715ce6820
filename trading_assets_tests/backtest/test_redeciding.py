"""Portfolios decide anew on shocked windows, by what was known at each close and no more."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.bar_moves import apply_moves, moves_of
from trading_assets.backtest.outages import halt_symbol, pause_starts
from trading_assets.backtest.redeciding import Shock, redecide, shocked_tables
from trading_assets.backtest.resampled_paths import reorder, reorder_series
from trading_assets.backtest.shocks import open_with_gap
from trading_assets.backtest.window import TradedWindow
from trading_assets.errors import DataError
from trading_assets.policy.ensemble import Ensemble
from trading_assets.simulation.compiled.layout import EQUITY, QUANTITY
from trading_assets_tests.backtest.stressed_fold import (
    SYMBOLS,
    adjusted,
    recorded,
    redecided_fold,
    stored_bars,
)
from trading_assets_tests.policy.tasks import make_policy

NAMES = ("buy_and_hold", "equal_weight", "ppo/ensemble")
ENSEMBLE = NAMES.index("ppo/ensemble")


@cache
def as_it_was() -> TradedWindow:
    return redecide(redecided_fold(), Shock("as_it_was", 0, adjusted()))


def shocked_after(row: int) -> Shock:
    """The same window up to a row of it, and other prices and series after it."""
    bars = adjusted()
    order = np.arange(bars.window_bars)
    order[row + 1 :] = order[row + 1 :][::-1]
    series = reorder_series(redecided_fold().series, stored_bars(), bars.window_sessions, order)
    found = reorder(bars, order)
    # The same bars to the last bit up to the row: a rebuilt price may differ in the last digit.
    fields = {}
    for name in ("open", "high", "low", "close", "volume"):
        values = getattr(found, name).copy()
        end = bars.first_row + row + 1
        values[:end] = getattr(bars, name)[:end]
        fields[name] = values
    return Shock("other", 0, replace(bars, **fields), series)


def test_the_unshocked_window_is_traded_as_it_was_recorded():
    traded = as_it_was()
    assert traded.portfolios == NAMES
    tables = recorded().tables
    for place, name in enumerate(NAMES):
        own = tables.equity.filter(pl.col("portfolio") == name).sort("session")
        expected = own["equity_usd"].to_numpy()
        # Of a dividend, what lies in cash in one and is reinvested in the other moves apart.
        apart = np.abs(traded.outcomes[:, place, EQUITY] / expected - 1.0).max()
        assert apart < (1e-3 if name == "buy_and_hold" else 2e-5)
    weights = tables.weights.filter(pl.col("portfolio") == "ppo/ensemble").sort("session", "symbol")
    targets = weights["weight"].to_numpy().reshape(-1, 3)
    np.testing.assert_allclose(traded.weights[:, ENSEMBLE], targets, atol=1e-3)


@pytest.mark.parametrize("row", [0, 20, 31, 50])
def test_a_shock_after_a_close_changes_no_decision_at_or_before_it(row: int):
    plain, other = as_it_was(), redecide(redecided_fold(), shocked_after(row))
    # Decision k is taken at the close before bar k of the window.
    np.testing.assert_array_equal(other.weights[: row + 2], plain.weights[: row + 2])
    np.testing.assert_array_equal(other.outcomes[: row + 1], plain.outcomes[: row + 1])
    assert (other.weights[row + 2 :, ENSEMBLE] != plain.weights[row + 2 :, ENSEMBLE]).any()


def test_what_is_known_of_a_shock_is_known_after_it():
    given, row = redecided_fold(), 25
    days = adjusted().window_sessions
    tables = shocked_tables(given, shocked_after(row))
    plain = shocked_tables(given, Shock("as_it_was", 0, adjusted()))
    early = pl.col("session") <= days[row]
    for name in ("features", "forecasts"):
        own, other = getattr(tables, name), getattr(plain, name)
        assert own.filter(early).equals(other.filter(early))
        assert not own.filter(~early).equals(other.filter(~early))
        stored = getattr(given.tables, name).filter(pl.col("session") < given.fold.test_start)
        assert own.filter(pl.col("session") < given.fold.test_start).equals(stored)


def test_the_agent_answers_a_gap():
    bars = adjusted()
    traded = redecide(redecided_fold(), Shock("gap", -3, open_with_gap(bars, -3.0)))
    middle = bars.window_bars // 2
    plain = as_it_was()
    gap = np.abs(traded.weights - plain.weights)[:, ENSEMBLE]
    assert gap[: middle + 1].max() < 1e-5
    assert gap[middle + 1 : middle + 5].max() > 1e-3
    lost = traded.outcomes[middle, :, EQUITY] / plain.outcomes[middle, :, EQUITY] - 1.0
    assert (lost < -0.005).all()


def test_shares_of_a_halted_symbol_are_kept_while_it_is_halted():
    bars = adjusted()
    traded = redecide(redecided_fold(), Shock("halts", 5, halt_symbol(bars, 0)))
    (start,) = pause_starts(bars.window_bars, 2)
    held = traded.positions[:, ENSEMBLE, QUANTITY, 0]
    # What was decided at the close before the halt waits: there is no open to fill it at.
    assert len(set(held[start - 1 : start + 5].tolist())) == 1
    assert held[start - 2] != held[start - 1]


def test_a_stale_feed_stands_still_and_prices_go_on():
    given, bars = redecided_fold(), adjusted()
    shock = Shock("stale_feed", 5, bars, stalls=True)
    tables = shocked_tables(given, shock)
    days = bars.window_sessions
    (start,) = pause_starts(len(days), 4)
    for table, names in (
        (tables.features, ["log_return_1", "series_signal", "volatility_1d"]),
        (tables.forecasts, ["p_up", "expected_return", "interval_low"]),
    ):
        own = table.filter(pl.col("symbol") == "AAA").sort("session")
        stalled = own.filter(pl.col("session").is_in(days[start - 1 : start + 5]))
        assert stalled.select(names).n_unique() == 1
        moving = own.filter(pl.col("session").is_in(days[start + 4 : start + 6]))
        assert moving.select(names).n_unique() == 2
    traded = redecide(given, shock)
    np.testing.assert_array_equal(traded.weights[: start + 1], as_it_was().weights[: start + 1])
    assert (traded.weights[:, ENSEMBLE] != as_it_was().weights[:, ENSEMBLE]).any()
    # Equal weights look at no feature.
    np.testing.assert_array_equal(traded.outcomes[:, 1], as_it_was().outcomes[:, 1])


def test_a_policy_of_other_symbols_is_refused():
    given = redecided_fold()
    other = make_policy(given.strategy, tuple(reversed(SYMBOLS)))
    strange = replace(given, ensembles={"ppo/ensemble": Ensemble((other,))})
    with pytest.raises(DataError, match="expected the same symbols, so train it again"):
        redecide(strange, Shock("as_it_was", 0, adjusted()))


def test_moves_that_are_not_changed_lead_to_the_same_decisions():
    bars = adjusted()
    rebuilt = apply_moves(bars, moves_of(bars))
    traded = redecide(redecided_fold(), Shock("rebuilt", 0, rebuilt))
    np.testing.assert_allclose(traded.weights, as_it_was().weights, atol=1e-5)
