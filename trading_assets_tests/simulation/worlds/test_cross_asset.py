from dataclasses import replace

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.simulation.worlds import one_asset
from trading_assets.simulation.worlds.cross_asset import (
    CrossAssetWorld,
    best_policy,
    evaluate_policy,
    follow_policy,
    linear_market,
    trade_rate_and_discounts,
)
from trading_assets.simulation.worlds.linear_policies import MatrixPolicy, evaluate_matrix_policy

WORLD = CrossAssetWorld()
BEST = evaluate_policy(WORLD, best_policy(WORLD))
SHARES = {rung.name: rung.reward / WORLD.optimum for rung in WORLD.simple_policies()}


def test_the_closed_form_gives_the_published_figures():
    assert trade_rate_and_discounts(WORLD)[0] == pytest.approx(0.270156, rel=2e-6)
    assert WORLD.optimum == pytest.approx(4.25481e-4, rel=2e-6)
    assert BEST.position_deviations == pytest.approx((0.244, 0.195, 0.162, 0.130), abs=5e-4)


def test_the_published_sharpe_ratio_was_drawn():
    # 700,000 drawn bars have a standard error of 0.019.
    assert BEST.annual_sharpe == pytest.approx(3.57, abs=0.02)


def test_gross_profit_is_twice_the_reward_at_the_optimum():
    assert BEST.gross == pytest.approx(2.0 * BEST.reward, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "share", "last_digit"),
    [
        ("markowitz", -7.69, 1e-2),
        ("scaled_markowitz", 0.407, 1e-3),
        ("markowitz_aim", 0.682, 1e-3),
        ("uncorrelated", 0.7333, 1e-4),
        ("myopic", 0.775, 1e-3),
    ],
)
def test_the_ladder_of_simple_policies_is_reproduced(name, share, last_digit):
    assert SHARES[name] == pytest.approx(share, abs=0.5 * last_digit)


def test_no_random_change_of_the_best_policys_matrices_earns_more():
    rng = np.random.default_rng(0)
    best, market = best_policy(WORLD), linear_market(WORLD)
    scales = 10.0 ** rng.uniform(-4, -1.5, 300)
    rewards = [
        evaluate_matrix_policy(
            market,
            MatrixPolicy(
                best.keep + scale * rng.standard_normal(best.keep.shape),
                best.gain + scale * rng.standard_normal(best.gain.shape),
            ),
        ).reward
        for scale in scales
    ]
    assert len(rewards) == 300
    assert max(rewards) < BEST.reward


def test_one_asset_with_one_signal_is_world_one():
    world = replace(
        WORLD,
        volatilities=(0.01,),
        persistences=(0.9,),
        information_coefficients=(0.1,),
        risk_aversion=25.0,
        quadratic_lambda=250.0,
    )
    one = one_asset.WorldOne()
    # Every figure, also away from the optimum.
    for linear in (one_asset.best_policy(one), one_asset.markowitz_policy(one)):
        matrix = MatrixPolicy(np.array([[linear.keep]]), np.array([[linear.gain]]))
        value = evaluate_policy(world, matrix)
        expected = one_asset.evaluate_policy(one, linear)
        for figure in ("reward", "gross", "cost", "net", "net_deviation"):
            assert getattr(value, figure) == pytest.approx(getattr(expected, figure), rel=1e-10)
        assert value.position_deviations[0] == pytest.approx(expected.position_deviation)
    assert best_policy(world).gain[0, 0] == pytest.approx(one_asset.best_policy(one).gain)
    assert world.optimum == pytest.approx(one.optimum, rel=1e-10)
    rungs = {rung.name: rung.reward for rung in world.simple_policies()}
    assert rungs.pop("uncorrelated") == pytest.approx(one.optimum, rel=1e-10)
    ladder = {rung.name: rung.reward for rung in one.simple_policies()}
    assert rungs == pytest.approx(ladder, rel=1e-10)


def test_drawn_profits_have_the_exact_mean_and_deviation():
    rng = np.random.default_rng(3)
    signals = WORLD.draw_signals(250, 1_000, rng)
    positions = WORLD.best_positions(signals)
    root = np.linalg.cholesky(WORLD.covariance)
    returns = (WORLD.betas * signals).sum(axis=-1)
    returns += rng.standard_normal(returns.shape) @ root.T
    change = np.diff(positions, axis=0, prepend=0.0)
    spread = np.einsum("tpi,ij,tpj->tp", change, WORLD.covariance, change)
    net = ((positions * returns).sum(axis=-1) - 300.0 * spread)[50:]
    error = net.mean(axis=0).std() / 1_000**0.5
    assert abs(net.mean() - BEST.net) < 4.0 * error
    assert net.std() == pytest.approx(BEST.net_deviation, rel=0.01)


def test_positions_follow_the_policys_matrices():
    rng = np.random.default_rng(1)
    policy = MatrixPolicy(rng.uniform(-0.2, 0.2, (4, 4)), rng.uniform(-0.2, 0.2, (4, 8)))
    signals = rng.standard_normal((20, 3, 4, 2))
    positions = follow_policy(policy, signals)
    held = np.zeros(4)
    for bar in range(20):
        held = policy.keep @ held + policy.gain @ signals[bar, 1].ravel()
        np.testing.assert_allclose(positions[bar, 1], held, rtol=1e-12)


def test_each_assets_own_signals_move_its_next_bar():
    market, signals = WORLD.draw_market(200_000, np.random.default_rng(2))
    assert market.symbols == ("W2.1", "W2.2", "W2.3", "W2.4")
    np.testing.assert_array_equal(market.open[1:], market.close[:-1])
    returns = market.close[1:] / market.close[:-1] - 1.0
    slopes = np.linalg.lstsq(signals[:-1].reshape(-1, 8), returns)[0]
    # Rows are (asset, kind): a column has its own two betas and otherwise nothing.
    expected = linear_market(WORLD).loadings.T
    assert expected[0, 0] == pytest.approx(0.08 * 0.008)
    assert expected[7, 3] == pytest.approx(0.12 * 0.015)
    errors = np.array(WORLD.volatilities) / 200_000**0.5
    assert np.abs((slopes - expected) / errors).max() < 4.5
    rest = returns - signals[:-1].reshape(-1, 8) @ expected
    np.testing.assert_allclose(np.cov(rest.T), WORLD.covariance, rtol=0.03)
    np.testing.assert_allclose(market.volatility[5], WORLD.volatilities)


def test_signals_are_stationary_with_their_own_persistence():
    signals = WORLD.draw_signals(150, 2_000, np.random.default_rng(0))
    assert signals.shape == (150, 2_000, 4, 2)
    assert signals.std(axis=(1, 2)) == pytest.approx(np.ones((150, 2)), abs=0.04)
    lagged = (signals[1:] * signals[:-1]).mean(axis=(0, 1))
    assert lagged == pytest.approx(np.tile([0.95, 0.7], (4, 1)), abs=0.02)
    across = (signals[..., 0, 0] * signals[..., 1, 0]).mean()
    assert abs(across) < 0.02


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"persistences": (0.9,)}, "one of each"),
        ({"correlation": -0.4}, "between -0.333333 and 1"),
        ({"correlation": 1.0}, "between -0.333333 and 1"),
    ],
)
def test_a_world_that_cannot_be_is_refused(changes, rule):
    with pytest.raises(DataError, match=rule):
        replace(WORLD, **changes)


def test_a_policy_that_grows_without_bound_has_no_value():
    best = best_policy(WORLD)
    with pytest.raises(DataError, match="without bound"):
        evaluate_policy(WORLD, MatrixPolicy(np.eye(4), best.gain))
