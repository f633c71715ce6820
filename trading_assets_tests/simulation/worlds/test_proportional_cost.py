from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest
from scipy.special import ndtr

from trading_assets.errors import DataError
from trading_assets.simulation.worlds.no_trade_band import Grid, solve_band
from trading_assets.simulation.worlds.one_asset import WorldOne, best_policy
from trading_assets.simulation.worlds.proportional_cost import (
    ProportionalCostWorld,
    best_band,
    evaluate_clipped,
    evaluate_linear,
    reward_on,
)

WORLD = ProportionalCostWorld()
# Fee, J* on the published grid, drawn reward and its error, band at 0 and 1, Sharpe ratio, and the
# shares of Markowitz's policy, of half of it and of W1's.
PUBLISHED = {
    2.0: (1.7803e-4, (1.7711e-4, 0.0039e-4), 0.0625, (0.325, 0.450), 1.47, (0.959, 0.760, 0.820)),
    5.0: (1.5568e-4, (1.5485e-4, 0.0039e-4), 0.1125, (0.2625, 0.475), 1.38, (0.825, 0.731, 0.862)),
    10.0: (1.2969e-4, (1.2897e-4, 0.0038e-4), 0.150, (0.2, 0.5), 1.26, (0.446, 0.603, 0.883)),
}
FEES = pytest.mark.parametrize("fee_bps", list(PUBLISHED))


def of_fee(fee_bps):
    return replace(WORLD, fee_bps=fee_bps)


@FEES
def test_the_optimum_is_the_published_one_to_its_grid_error(fee_bps):
    world, (on_grid, (drawn, error), *_) = of_fee(fee_bps), PUBLISHED[fee_bps]
    assert world.optimum == pytest.approx(on_grid, rel=0.005)
    assert abs(world.optimum - drawn) < error


@FEES
def test_transitions_of_cells_give_the_published_optimum_and_bands(fee_bps):
    # The published grid error: cells widen the signal's variance by a twelfth of a step squared.
    on_grid, _, at_zero, at_one, *_ = PUBLISHED[fee_bps]
    f = np.linspace(-4.0, 4.0, 81)
    edges = np.concatenate([[-np.inf], (f[1:] + f[:-1]) / 2.0, [np.inf]])
    cells = np.diff(ndtr((edges - 0.9 * f[:, None]) / sqrt(1.0 - 0.81)), axis=1)
    grid = Grid(f, np.linspace(-1.0, 1.0, 161), cells)
    band = solve_band(reward_on(WORLD, f, grid.position), fee_bps * 1e-4, grid)
    assert band.reward == pytest.approx(on_grid, abs=0.5e-8)
    assert (band.low[40], band.high[40]) == pytest.approx((-at_zero, at_zero), abs=1e-12)
    assert (band.low[50], band.high[50]) == pytest.approx(at_one, abs=1e-12)


@FEES
def test_the_bands_are_the_published_ones_to_a_node(fee_bps):
    band, (_, _, at_zero, at_one, *_) = best_band(of_fee(fee_bps)), PUBLISHED[fee_bps]
    assert (len(band.signal), band.signal[40], band.signal[48]) == (81, 0.0, 1.0)
    assert (band.low[40], band.high[40]) == pytest.approx((-at_zero, at_zero), abs=0.0126)
    assert (band.low[48], band.high[48]) == pytest.approx(at_one, abs=0.0126)
    assert band.low[40] == pytest.approx(-band.high[40], abs=1e-12)


def test_a_grid_four_times_as_fine_gives_the_same_optimum():
    f = np.linspace(-7.0, 7.0, 281)
    density = np.exp(-0.5 * (f - 0.9 * f[:, None]) ** 2 / (1.0 - 0.81))
    density /= density.sum(axis=1, keepdims=True)
    grid = Grid(f, np.linspace(-1.0, 1.0, 641), density)
    band = solve_band(reward_on(WORLD, f, grid.position), 5e-4, grid)
    assert WORLD.optimum == pytest.approx(band.reward, rel=2e-4)


@FEES
def test_the_ladder_of_simple_policies_is_reproduced(fee_bps):
    # Shares were published of a J* too high by 0.6 %, and drawn with errors of 0.3 %.
    on_grid, shares = PUBLISHED[fee_bps][0], PUBLISHED[fee_bps][-1]
    rungs = of_fee(fee_bps).simple_policies()
    names = ("markowitz", "half_markowitz", "quadratic_cost_policy")
    assert tuple(rung.name for rung in rungs) == names
    assert [rung.reward / on_grid for rung in rungs] == pytest.approx(shares, abs=0.007)


@FEES
def test_the_sharpe_ratio_is_reproduced(fee_bps):
    world = of_fee(fee_bps)
    signals = world.draw_signals(350, 2_000, np.random.default_rng(1))
    x = world.best_positions(signals)
    change = np.diff(x, axis=0, prepend=0.0)
    expected = (0.001 * signals[..., 0] * x - fee_bps * 1e-4 * np.abs(change))[50:]
    deviation = sqrt(expected.var() + 1e-4 * (x[50:] ** 2).mean())
    assert expected.mean() / deviation * sqrt(252.0) == pytest.approx(
        PUBLISHED[fee_bps][4], abs=0.03
    )


@pytest.mark.parametrize("slope", [0.2, 0.4, 0.8])
@pytest.mark.parametrize("persistence", [0.5, 0.9])
def test_clipped_policies_have_their_exact_value(slope, persistence):
    # Against a sum over pairs of signals.
    world = replace(WORLD, persistence=persistence)
    f = np.linspace(-7.0, 7.0, 1_401)
    now = np.exp(-0.5 * f**2)
    now /= now.sum()
    after = np.exp(-0.5 * (f - persistence * f[:, None]) ** 2 / (1.0 - persistence**2))
    after /= after.sum(axis=1, keepdims=True)
    x = np.clip(slope * f, -1.0, 1.0)
    traded = now @ (after * np.abs(x - x[:, None])).sum(axis=1)
    by_sums = now @ (0.001 * f * x - 12.5e-4 * x**2) - 5e-4 * traded
    assert evaluate_clipped(world, slope) == pytest.approx(by_sums, rel=2e-4)


def test_a_position_of_nothing_earns_nothing():
    assert evaluate_clipped(WORLD, 0.0) == 0.0


def test_the_quadratic_policy_is_that_of_world_one():
    policy = best_policy(WorldOne())
    assert WORLD.quadratic_world == WorldOne()
    # The reward of W1 without its cost, and |dx| of a normal change.
    c, d = policy.keep, policy.gain
    with_signal = d / (1.0 - 0.9 * c)
    square = d**2 * (1.0 + 0.9 * c) / ((1.0 - c**2) * (1.0 - 0.9 * c))
    changed = 2.0 * ((1.0 - c) * square - 0.9 * d * with_signal)
    expected = 0.001 * with_signal - 12.5e-4 * square - 5e-4 * sqrt(2.0 / pi * changed)
    assert evaluate_linear(WORLD, policy) == pytest.approx(expected, rel=1e-12)


def test_positions_move_to_the_nearer_edge_and_rest_inside():
    f = np.array([0.0, 1.0, 1.0, 0.875, 0.0, -5.7, 0.0])
    band = best_band(WORLD)
    positions = WORLD.best_positions(f[:, None, None, None])[:, 0, 0]
    low, high = band.low[48], band.high[40]
    assert positions[:5] == pytest.approx([0.0, low, low, low, high], abs=1e-12)
    assert (band.signal[47], low) == (0.875, pytest.approx(0.2625, abs=0.0126))
    assert band.low[47] < low < band.high[47]
    # Beyond the last node its edge holds.
    assert positions[5] == pytest.approx(band.high[0], abs=1e-12)
    assert positions[6] == pytest.approx(-high, abs=1e-12)


def test_edges_between_nodes_are_interpolated():
    band = best_band(WORLD)
    signals = np.full((2, 1, 1, 1), 1.075)
    positions = WORLD.best_positions(signals)[:, 0, 0]
    expected = 0.4 * band.low[48] + 0.6 * band.low[49]
    assert band.low[49] > band.low[48]
    assert positions == pytest.approx([expected, expected], abs=1e-12)


def test_without_a_fee_the_band_is_markowitz():
    band = best_band(replace(WORLD, fee_bps=0.0))
    np.testing.assert_array_equal(band.low, band.high)
    aim = np.clip(0.4 * band.signal, -1.0, 1.0)
    np.testing.assert_allclose(band.low, aim, atol=0.00626)


def test_positions_of_another_limit_keep_it():
    world = replace(WORLD, max_position=0.3)
    signals = world.draw_signals(100, 50, np.random.default_rng(0))
    for positions in (world.best_positions(signals), world.simple_policies()[0].positions(signals)):
        assert np.abs(positions).max() == 0.3


def test_a_band_is_solved_once_and_cannot_be_written_to():
    band = best_band(ProportionalCostWorld())
    assert best_band(ProportionalCostWorld()) is band
    with pytest.raises(ValueError, match="read-only"):
        band.low[0] = 0.0


def test_a_signal_too_slow_for_the_grid_is_refused():
    with pytest.raises(DataError, match=r"persistence was 0\.995"):
        _ = replace(WORLD, persistence=0.995).optimum
    assert replace(WORLD, persistence=0.99).optimum > WORLD.optimum


def test_a_drawn_market_is_that_of_world_one():
    market, signals = WORLD.draw_market(500, np.random.default_rng(4))
    same, same_signals = WorldOne().draw_market(500, np.random.default_rng(4))
    assert market.symbols == ("W3",)
    np.testing.assert_array_equal(market.close, same.close)
    np.testing.assert_array_equal(signals, same_signals)
