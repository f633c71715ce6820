from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.linalg import toeplitz

from trading_assets.errors import DataError
from trading_assets.simulation.worlds.drift_filter import (
    DriftProcess,
    best_average,
    draw_returns,
    filter_law,
    filter_probabilities,
)
from trading_assets.simulation.worlds.hidden_drift import HiddenDriftWorld, evaluate_filter

WORLD = HiddenDriftWorld()
# Drift, stay probability; accuracy, log-loss, J* and Sharpe ratio, all drawn.
PUBLISHED = [
    (0.001, 0.99, 0.677, 0.6017, 3.43e-5, 0.66),
    (0.002, 0.99, 0.791, 0.4610, 3.25e-4, 2.01),
    (0.003, 0.98, 0.797, 0.4523, 7.56e-4, 3.01),
]


@pytest.mark.parametrize(("drift", "stay", "accuracy", "log_loss", "best", "sharpe"), PUBLISHED)
def test_the_filters_published_figures_are_reproduced(
    drift, stay, accuracy, log_loss, best, sharpe
):
    world = replace(WORLD, drift=drift, stay_probability=stay)
    law = filter_law(world.process)
    assert law.weight.sum() == pytest.approx(1.0, abs=1e-12)
    assert law.accuracy == pytest.approx(accuracy, abs=5e-4)
    assert law.log_loss == pytest.approx(log_loss, abs=1e-3)
    assert world.optimum == pytest.approx(best, rel=4e-3)
    assert evaluate_filter(world).annual_sharpe == pytest.approx(sharpe, abs=0.01)


@pytest.mark.parametrize(("drift", "stay"), [(0.001, 0.99), (0.002, 0.99), (0.003, 0.98)])
def test_drawn_states_agree_with_the_filters_law(drift, stay):
    process = DriftProcess(0.01, drift, stay)
    n_paths = 2_000
    returns, is_upper = draw_returns(process, 500, n_paths, np.random.default_rng(0))
    told = filter_probabilities(process, returns)[200:-1]
    is_next_upper = is_upper[201:]
    hits = ((told > 0.5) == is_next_upper).mean(axis=0)
    losses = -np.log(np.where(is_next_upper, told, 1.0 - told)).mean(axis=0)
    law = filter_law(process)
    for drawn, exact in ((hits, law.accuracy), (losses, law.log_loss)):
        error = drawn.std() / n_paths**0.5
        assert error < 0.01
        assert abs(drawn.mean() - exact) < 4.0 * error


def test_the_filter_is_the_posterior_over_all_histories_of_the_drift():
    process = DriftProcess(0.01, 0.004, 0.8)
    returns = np.random.default_rng(0).normal(0.0, 0.01, 6)
    weights = {True: 0.0, False: 0.0}
    for sides in product([1.0, -1.0], repeat=7):
        stays = np.equal(sides[1:], sides[:-1])
        prior = 0.5 * np.where(stays, 0.8, 0.2).prod()
        distance = (returns - 0.004 * np.array(sides[:-1])) / 0.01
        weights[sides[-1] > 0.0] += prior * np.exp(-0.5 * distance**2).prod()
    posterior = weights[True] / (weights[True] + weights[False])
    assert filter_probabilities(process, returns)[-1] == pytest.approx(posterior, rel=1e-12)


def test_a_law_of_finer_nodes_is_the_same(monkeypatch):
    module = "trading_assets.simulation.worlds.drift_filter"
    coarse = filter_law(WORLD.process)
    monkeypatch.setattr(f"{module}._STEPS_A_DEVIATION", 24)
    fine = filter_law.__wrapped__(WORLD.process)
    assert len(fine.weight) > 2 * len(coarse.weight)
    assert coarse.log_loss == pytest.approx(fine.log_loss, rel=1e-10)
    assert coarse.accuracy == pytest.approx(fine.accuracy, abs=2e-5)
    square = (coarse.weight @ coarse.probability**2, fine.weight @ fine.probability**2)
    assert square[0] == pytest.approx(square[1], rel=1e-10)


def test_drifts_and_returns_are_stationary():
    returns, is_upper = draw_returns(WORLD.process, 300, 4_000, np.random.default_rng(1))
    assert is_upper.mean(axis=1) == pytest.approx(np.full(300, 0.5), abs=0.04)
    assert (is_upper[1:] == is_upper[:-1]).mean() == pytest.approx(0.99, abs=5e-4)
    assert returns[is_upper].mean() == pytest.approx(0.002, abs=1e-4)
    assert returns[~is_upper].mean() == pytest.approx(-0.002, abs=1e-4)
    assert returns[is_upper].std() == pytest.approx(0.01, rel=0.01)


def test_the_average_is_the_best_linear_forecast():
    # The normal equations of the last 800 returns.
    average = best_average(WORLD.process)
    phi = 0.98
    known = 4e-6 * phi ** np.arange(800)
    covariance = toeplitz(known) + 1e-4 * np.eye(800)
    weights = np.linalg.solve(covariance, phi * known)
    assert average.explained_variance == pytest.approx(weights @ (phi * known), rel=1e-9)
    mine = average.follow(np.eye(800)[0])
    np.testing.assert_allclose(mine, weights, rtol=1e-6, atol=1e-12)


def test_the_ladder_of_simple_policies_is_that_of_hand():
    rungs = {rung.name: rung.reward for rung in WORLD.simple_policies()}
    # A forecast of variance v earns v / (2 gamma sigma^2); the filter's is not clipped here.
    assert rungs == pytest.approx(
        {
            "half_filter": 0.75 * WORLD.optimum,
            "buy_and_hold": -12.5e-4,
            "last_return": (0.98 * 4e-6) ** 2 / 1.04e-4 / 50e-4,
            "exponential_average": best_average(WORLD.process).explained_variance / 50e-4,
        },
        rel=1e-9,
    )
    assert rungs["exponential_average"] / WORLD.optimum == pytest.approx(0.916, abs=5e-4)


def test_positions_are_clipped_where_the_drift_is_large():
    world = replace(WORLD, drift=0.003, stay_probability=0.98)
    signals = world.draw_signals(300, 100, np.random.default_rng(0))
    positions = world.best_positions(signals)
    assert np.abs(positions).max() == 1.0
    assert (np.abs(positions) == 1.0).mean() == pytest.approx(0.2, abs=0.05)


def test_the_signal_of_a_bar_is_its_return_and_moves_with_the_next():
    market, signals = WORLD.draw_market(100_000, np.random.default_rng(2))
    assert market.symbols == ("W4",)
    assert market.open[0, 0] == 100.0
    np.testing.assert_array_equal(market.open[1:], market.close[:-1])
    returns = market.close / market.open - 1.0
    np.testing.assert_allclose(0.01 * signals[:, :, 0], returns, atol=1e-12)
    # Var r = sigma^2 + m^2, Cov(r, r') = (2 p - 1) m^2.
    assert returns.var() == pytest.approx(1.04e-4, rel=0.03)
    assert (returns[1:] * returns[:-1]).mean() == pytest.approx(3.92e-6, abs=1.6e-6)


def test_position_and_reward_use_what_is_known_at_the_close():
    signals = WORLD.draw_signals(40, 3, np.random.default_rng(0))
    changed = signals.copy()
    changed[20] += 3.0
    before, after = (WORLD.best_positions(s)[:, 1, 0] for s in (signals, changed))
    np.testing.assert_array_equal(before[:20], after[:20])
    assert after[20] > before[20] + 0.1
    told = filter_probabilities(WORLD.process, 0.01 * signals[:, :, 0, 0])
    expected = 0.002 * (2.0 * told - 1.0)
    held = np.full((40, 3, 1), 0.5)
    by_hand = (expected * 0.5 - 12.5e-4 * 0.25)[10:].mean(axis=0)
    np.testing.assert_allclose(WORLD.mean_reward(signals, held, 10), by_hand, rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"drift": 1e-4}, "at least 0.02 of the volatility"),
        ({"volatility": 0.0}, "above 0"),
        ({"stay_probability": 0.5}, "above 0.5"),
        ({"stay_probability": 1.0}, "at most 0.999"),
    ],
)
def test_a_drift_that_cannot_be_filtered_is_refused(changes, rule):
    with pytest.raises(DataError, match=rule):
        replace(WORLD, **changes)
