"""A window as moves, and back."""

from dataclasses import replace

import numpy as np
import pytest

from trading_assets.backtest.bar_moves import Moves, apply_moves, market_moves, moves_of
from trading_assets_tests.backtest.panels import (
    assert_alike,
    assert_bars,
    make_panel,
    with_life,
    without_bars,
)


@pytest.mark.parametrize("panel", [make_panel(), with_life()], ids=["whole", "with_life"])
def test_the_moves_of_a_window_lead_to_it_again(panel):
    found = apply_moves(panel, moves_of(panel))
    assert_alike(found, panel, slice(None), rtol=1e-12)
    assert_alike(found, panel, slice(panel.first_row))
    assert_bars(found)


def test_moves_are_logs_over_the_last_known_close():
    panel = without_bars(make_panel(), (slice(30, 33), 0))
    moves = moves_of(panel)
    assert np.isnan(moves.total[10:13, 0]).all()
    assert moves.total[13, 0] == pytest.approx(np.log(panel.close[33, 0] / panel.close[29, 0]))
    assert moves.gap[0, 1] == pytest.approx(np.log(panel.open[20, 1] / panel.close[19, 1]))
    assert moves.high[5, 2] == pytest.approx(np.log(panel.high[25, 2] / panel.open[25, 2]))


def test_a_listing_has_no_move_and_stays_where_it_was():
    panel = with_life()
    moves = moves_of(panel)
    assert np.isnan(moves.total[:31, 2]).all()
    stretched = replace(moves, gap=moves.gap + 0.1)
    found = apply_moves(panel, stretched)
    assert found.close[50, 2] == panel.close[50, 2]
    assert found.close[51, 2] == pytest.approx(panel.close[51, 2] * np.exp(0.1))


def test_moves_before_a_listing_do_not_count():
    panel = with_life()
    moves = moves_of(panel)
    names = ("gap", "body", "high", "low", "volume")
    filled = Moves(**{name: np.nan_to_num(getattr(moves, name), nan=0.01) for name in names})
    found = apply_moves(panel, filled)
    assert np.isnan(found.close[20:50, 2]).all()
    assert found.close[50, 2] == panel.close[50, 2]
    np.testing.assert_allclose(found.close[51:, 2], panel.close[51:, 2], rtol=1e-12)


def test_the_market_moves_by_the_mean_of_what_moves():
    panel = with_life()
    moves = moves_of(panel)
    assert market_moves(moves)[0] == pytest.approx(moves.total[0, [0, 1, 3]].mean())
    assert market_moves(moves)[-1] == pytest.approx(moves.total[-1, [0, 1, 2]].mean())
    nothing = without_bars(panel, (slice(60, 61), slice(None)))
    assert np.isnan(market_moves(moves_of(nothing))[40])
