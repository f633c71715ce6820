"""Shocks do to prices what they say, and nothing before the window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.backtest.adjusted_bars import AdjustedBars
from trading_assets.backtest.bar_moves import moves_of
from trading_assets.backtest.shocks import open_with_gap, raise_correlation, raise_volatility
from trading_assets.errors import DataError
from trading_assets_tests.backtest.panels import (
    FIELDS,
    assert_alike,
    assert_bars,
    make_panel,
    with_life,
    without_bars,
)

EVERY_SHOCK = {
    "volatility": lambda panel: raise_volatility(panel, 3.0),
    "correlation": lambda panel: raise_correlation(panel, 0.9),
    "gap_down": lambda panel: open_with_gap(panel, -3.0),
    "gap_up": lambda panel: open_with_gap(panel, 3.0),
}


def returns_of(panel: AdjustedBars) -> np.ndarray:
    return moves_of(panel).total


def pairs_of(returns: np.ndarray) -> np.ndarray:
    matrix = np.corrcoef(returns, rowvar=False)
    return matrix[np.triu_indices(len(matrix), 1)]


@pytest.mark.parametrize("shock", EVERY_SHOCK.values(), ids=EVERY_SHOCK)
@pytest.mark.parametrize("panel", [make_panel(), with_life()], ids=["whole", "with_life"])
def test_a_shock_changes_no_bar_before_the_window_and_leaves_bars(shock, panel):
    found = shock(panel)
    assert_alike(found, panel, slice(panel.first_row))
    assert_bars(found)
    assert (np.isfinite(found.close) == np.isfinite(panel.close)).all()
    assert found.sessions is panel.sessions
    assert found.symbols == panel.symbols
    assert not np.allclose(found.close, panel.close, equal_nan=True)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), factor=st.floats(0.0, 5.0))
def test_volatility_is_so_many_times_as_high_and_the_mean_is_kept(seed, factor):
    panel = make_panel(seed)
    before, after = returns_of(panel), returns_of(raise_volatility(panel, factor))
    np.testing.assert_allclose(
        after.std(axis=0), factor * before.std(axis=0), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), rtol=0, atol=1e-12)


def test_ranges_within_bars_are_so_many_times_as_wide():
    panel = make_panel()
    found = raise_volatility(panel, 3.0)
    rows = slice(panel.first_row, None)
    ranges = [np.log(each.high[rows] / each.low[rows]) for each in (panel, found)]
    np.testing.assert_allclose(ranges[1], 3.0 * ranges[0], rtol=1e-9)
    np.testing.assert_array_equal(panel.volume, found.volume)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), symbols=st.integers(2, 7), common=st.floats(0.0, 2.0))
def test_the_mean_pair_has_the_correlation_and_volatilities_are_kept(seed, symbols, common):
    panel = make_panel(seed, symbols=symbols, common=common)
    before, after = returns_of(panel), returns_of(raise_correlation(panel, 0.9))
    assert pairs_of(after).mean() == pytest.approx(0.9, abs=1e-9)
    assert pairs_of(after) == pytest.approx(0.9, abs=0.12)
    np.testing.assert_allclose(after.std(axis=0), before.std(axis=0), rtol=1e-9)
    np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), rtol=0, atol=1e-12)


def test_more_symbols_than_bars_are_correlated_too():
    panel = make_panel(3, bars=40, symbols=30)
    assert pairs_of(returns_of(raise_correlation(panel, 0.9))).mean() == pytest.approx(
        0.9, abs=1e-9
    )


def test_with_missing_bars_the_correlation_is_nearly_reached():
    panel = without_bars(make_panel(), (slice(40, 44), 1), (slice(60, 62), 3))
    after = returns_of(raise_correlation(panel, 0.9))
    whole = np.isfinite(after).all(axis=1)
    assert pairs_of(after[whole]).mean() == pytest.approx(0.9, abs=0.02)


def test_a_symbol_that_does_not_move_stays_where_it_is():
    panel = make_panel()
    fields = {name: getattr(panel, name).copy() for name in FIELDS}
    for name in ("open", "high", "low", "close"):
        fields[name][:, 2] = 10.0
    still = AdjustedBars(panel.sessions, panel.symbols, panel.first_row, **fields)
    found = raise_correlation(still, 0.9)
    np.testing.assert_allclose(found.close[:, 2], 10.0, rtol=1e-12)
    moving = np.delete(returns_of(found), 2, axis=1)
    assert pairs_of(moving).mean() == pytest.approx(0.9, abs=1e-9)


def test_one_moving_symbol_cannot_be_correlated():
    with pytest.raises(DataError, match="1 symbols have returns that vary; expected two or more"):
        raise_correlation(make_panel(symbols=1), 0.9)


@pytest.mark.parametrize("deviations", [-3.0, 3.0])
def test_every_symbol_opens_with_the_gap_in_mid_window_and_stays_there(deviations):
    panel = make_panel()
    found = open_with_gap(panel, deviations)
    middle = panel.first_row + panel.window_bars // 2
    sizes = deviations * returns_of(panel).std(axis=0)
    assert_alike(found, panel, slice(panel.first_row, middle), rtol=1e-12)
    for name in ("open", "high", "low", "close"):
        moved = np.log(getattr(found, name)[middle:] / getattr(panel, name)[middle:])
        np.testing.assert_allclose(moved, np.broadcast_to(sizes, moved.shape), rtol=1e-9)
