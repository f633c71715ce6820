import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.simulation.worlds.cross_asset import CrossAssetWorld
from trading_assets.simulation.worlds.hidden_drift import HiddenDriftWorld
from trading_assets.simulation.worlds.one_asset import WorldOne
from trading_assets.simulation.worlds.proportional_cost import ProportionalCostWorld
from trading_assets.strategy import CostsSpec
from trading_assets.symbols import normalize_symbol

WORLDS = [
    WorldOne(information_coefficient=0.0),
    WorldOne(),
    CrossAssetWorld(),
    ProportionalCostWorld(),
    HiddenDriftWorld(),
]
EACH = pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
N_PATHS, N_BARS, BURN_IN = 2_000, 450, 100


@pytest.fixture(scope="module")
def drawn():
    return {
        world.name: world.draw_signals(N_BARS, N_PATHS, np.random.default_rng(11))
        for world in WORLDS
    }


def mean_and_error(world, signals, positions):
    rewards = world.mean_reward(signals, positions, BURN_IN)
    assert rewards.shape == signals.shape[1:2]
    return rewards.mean(), rewards.std() / len(rewards) ** 0.5


def test_worlds_have_names_of_their_own():
    assert [world.name for world in WORLDS] == ["W0", "W1", "W2", "W3", "W4"]


@EACH
def test_the_best_positions_earn_the_optimum(world, drawn):
    signals = drawn[world.name]
    assert signals.shape == (N_BARS, N_PATHS, world.n_assets, world.n_signals)
    positions = world.best_positions(signals)
    assert positions.shape == signals.shape[:-1]
    mean, error = mean_and_error(world, signals, positions)
    assert error <= 0.01 * world.optimum
    assert abs(mean - world.optimum) <= 4.0 * error


@EACH
def test_simple_policies_earn_their_exact_rewards_below_the_optimum(world, drawn):
    signals = drawn[world.name][:, :1_000]
    rungs = world.simple_policies()
    assert len(rungs) == len({rung.name for rung in rungs}) >= 3
    for rung in rungs:
        mean, error = mean_and_error(world, signals, rung.positions(signals))
        assert abs(mean - rung.reward) <= 4.0 * error, rung.name
        assert rung.reward <= world.optimum, rung.name


@EACH
def test_slightly_other_positions_earn_less(world, drawn):
    signals = drawn[world.name][:, :500]
    best = world.best_positions(signals)
    mean = world.mean_reward(signals, best, BURN_IN).mean()
    rng = np.random.default_rng(0)
    for other in (1.15 * best, 0.85 * best, best + rng.normal(0.0, 0.05, best.shape)):
        # Paths are the same, so that most of their chance cancels.
        assert world.mean_reward(signals, other, BURN_IN).mean() < mean or not other.any()


@EACH
def test_a_drawn_market_pays_what_its_signals_promise(world):
    n_bars = 30_000
    market, signals = world.draw_market(n_bars, np.random.default_rng(5))
    assert signals.shape == (n_bars, world.n_assets, world.n_signals)
    assert market.close.shape == (n_bars, world.n_assets)
    assert [normalize_symbol(symbol) for symbol in market.symbols] == list(market.symbols)
    np.testing.assert_array_equal(market.open[1:], market.close[:-1])
    np.testing.assert_allclose(market.volatility[-1], np.sqrt(np.diagonal(world.covariance)))
    known = signals[:-1, None]
    positions = world.best_positions(known) if world.optimum > 0.0 else np.ones((n_bars - 1, 1, 1))
    # Cost and risk are the same for the mirrored positions, so half the difference is gross.
    mirrored = world.mean_reward(known, -positions, 0)[0]
    promised = 0.5 * (world.mean_reward(known, positions, 0)[0] - mirrored)
    returns = market.close[1:] / market.close[:-1] - 1.0
    earned = (positions[:, 0] * returns).sum(axis=-1)
    noise = np.einsum("ti,ij,tj->", positions[:, 0], world.covariance, positions[:, 0])
    assert abs(earned.mean() - promised) < 4.0 * np.sqrt(noise) / n_bars


@EACH
def test_costs_are_those_that_a_strategy_declares(world):
    costs = CostsSpec(
        fee_bps=world.fee_bps, half_spread_bps=0.0, quadratic_lambda=world.quadratic_lambda
    )
    signals = 0.0 * world.draw_signals(4, 1, np.random.default_rng(0))
    positions = np.zeros((4, 1, world.n_assets))
    positions[:2, 0, 0] = 0.5
    # Bought at the first close and sold two later, without an expected return.
    variance = world.covariance[0, 0]
    risk = 2.0 * 0.5 * world.risk_aversion * variance * 0.25
    cost = 2.0 * (0.5 * costs.quadratic_lambda * variance * 0.25 + costs.fee_bps * 1e-4 * 0.5)
    rewards = world.mean_reward(signals, positions, 0)
    assert rewards[0] == pytest.approx(-(risk + cost) / 4.0, rel=1e-12)


@EACH
def test_positions_of_another_shape_are_refused(world):
    signals = world.draw_signals(5, 2, np.random.default_rng(0))
    positions = world.best_positions(signals)
    with pytest.raises(DataError, match="one position an asset"):
        world.mean_reward(signals, positions[:, :1], 0)
    with pytest.raises(DataError, match="one position an asset"):
        world.mean_reward(signals[:-1], positions, 0)


@EACH
@pytest.mark.parametrize("burn_in", [-1, 5])
def test_a_burn_in_of_all_bars_is_refused(world, burn_in):
    signals = world.draw_signals(5, 2, np.random.default_rng(0))
    with pytest.raises(DataError, match=f"burn_in was {burn_in}"):
        world.mean_reward(signals, world.best_positions(signals), burn_in)
