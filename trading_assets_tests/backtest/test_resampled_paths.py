"""Paths are the window's own bars in another order, all symbols and series together."""

import numpy as np
import polars as pl

from trading_assets.backtest.bar_moves import moves_of
from trading_assets.backtest.resampled_paths import draw_order, reorder, reorder_series
from trading_assets_tests.backtest.panels import assert_alike, assert_bars, make_panel, with_life
from trading_assets_tests.backtest.stressed_fold import adjusted, redecided_fold, stored_bars


def test_each_bar_of_a_path_is_a_bar_of_the_window_for_all_symbols_at_once():
    panel = make_panel()
    order = draw_order(panel, np.random.default_rng(1))
    before, after = moves_of(panel), moves_of(reorder(panel, order))
    for name in ("gap", "body", "high", "low", "volume"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name)[order], atol=1e-12)
    assert len(set(order.tolist())) < len(order)


def test_a_path_begins_at_the_last_close_and_changes_nothing_before():
    panel = make_panel()
    found = reorder(panel, draw_order(panel, np.random.default_rng(2)))
    assert_alike(found, panel, slice(panel.first_row))
    assert_bars(found)
    first = np.log(found.open[20] / panel.close[19])
    np.testing.assert_allclose(first, moves_of(found).gap[0], rtol=1e-9)


def test_who_is_listed_or_delisted_within_the_window_is_so_on_its_day():
    panel = with_life()
    order = np.roll(np.arange(panel.window_bars), 11)
    found = reorder(panel, order)
    assert_bars(found)
    assert np.isnan(found.close[:50, 2]).all()
    assert found.close[50, 2] == panel.close[50, 2]
    assert np.isnan(found.close[70:, 3]).all()
    has_bar = np.isfinite(found.close)
    assert (has_bar <= np.isfinite(panel.close)).all()


def test_blocks_are_kept_together_and_a_seed_repeats_them():
    panel = make_panel(bars=520)
    first, again = (draw_order(panel, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first != draw_order(panel, np.random.default_rng(4))).any()
    # Calm and wild halves ask for blocks longer than one bar.
    wild = make_panel(bars=520)
    stretch = np.where(np.arange(520) // 60 % 2, 4.0, 0.5)[:, None]
    close = 40.0 * np.exp(np.cumsum(stretch * np.diff(np.log(wild.close), axis=0, prepend=0), 0))
    wild = type(wild)(wild.sessions, wild.symbols, 20, close, close, close, close, wild.volume)
    order = draw_order(wild, np.random.default_rng(3))
    follows = (np.diff(order) == 1).mean()
    assert follows > 0.5


def test_series_of_a_path_lie_beside_the_bars_they_lay_beside():
    given, bars = redecided_fold(), adjusted()
    sessions = bars.window_sessions
    order = draw_order(bars, np.random.default_rng(5))
    found = reorder_series(given.series, stored_bars(), sessions, order)
    by_day = {(row["symbol"], row["session"]): row for row in given.series.iter_rows(named=True)}
    moved = {(row["symbol"], row["session"]): row for row in found.iter_rows(named=True)}
    for place, drawn in enumerate(order.tolist()):
        old, new = by_day[("AAA", sessions[drawn])], moved[("AAA", sessions[place])]
        assert new["value"] == old["value"]
        assert new["event_time"].date() == sessions[place]
        assert new["knowledge_time"] == by_day[("AAA", sessions[place])]["knowledge_time"]
    before = pl.col("session") < sessions[0]
    assert found.filter(before).equals(given.series.filter(before))
    assert found.schema == given.series.schema
