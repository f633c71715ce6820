from statistics import NormalDist

import numpy as np
import pytest

from trading_assets.simulation.trackers.bars_since_trade import BarsSinceTrade
from trading_assets.simulation.trackers.differential_sharpe import SharpeMoments
from trading_assets.simulation.trackers.drawdown import Drawdown
from trading_assets.simulation.trackers.objective_means import ObjectiveMeans, means_of
from trading_assets.simulation.trackers.preference import Preference
from trading_assets.simulation.trackers.recent_turnover import RecentTurnover
from trading_assets.simulation.trackers.tail_threshold import TailThreshold, threshold_of
from trading_assets.simulation.trackers.trailing_return import TrailingReturn
from trading_assets.simulation.trackers.trailing_variance import TrailingVariance, variance_of
from trading_assets_tests.simulation.trackers.histories import OBJECTIVES, follow, random_history

RETURNS, TRADED = random_history(60, 3)


def weights_of(half_life_bars, count=60):
    """Weights of bars, the oldest first, that fall by half in a half-life; of all bars ever 1."""
    share = 0.5 ** (1.0 / half_life_bars)
    return (1.0 - share) * share ** np.arange(count - 1, -1, -1)


def test_the_drawdown_is_the_share_below_the_peak_of_compounded_returns():
    wealth = np.vstack([np.ones(3), np.cumprod(1.0 + RETURNS, axis=0)])
    expected = 1.0 - wealth / np.maximum.accumulate(wealth, axis=0)
    states = follow(Drawdown(), RETURNS, TRADED)
    np.testing.assert_allclose(states[:, :, 0], expected, atol=1e-14)
    np.testing.assert_allclose(Drawdown().show(states[-1]), 5.0 * states[-1])


def test_a_drawdown_of_everything_is_one_and_stays():
    returns = np.array([[-0.5], [-1.2], [3.0]])
    states = follow(Drawdown(), returns, np.zeros((3, 1)))
    np.testing.assert_array_equal(states[:, 0, 0], [0.0, 0.5, 1.0, 1.0])


def test_sharpe_moments_are_exponential_sums_and_count_bars():
    tracker = SharpeMoments(eta=0.05, warm_up_bars=50)
    state = follow(tracker, RETURNS[:40], TRADED[:40])[-1]
    weights = 0.05 * 0.95 ** np.arange(39, -1, -1)
    np.testing.assert_allclose(state[:, 0], weights @ RETURNS[:40], rtol=1e-12)
    np.testing.assert_allclose(state[:, 1], weights @ RETURNS[:40] ** 2, rtol=1e-12)
    np.testing.assert_array_equal(state[:, 2], 40.0)
    shown = tracker.show(state)
    error = np.sqrt(state[:, 1] * 0.05 / 1.95)
    np.testing.assert_allclose(shown[:, 0], state[:, 0] / error, rtol=1e-12)
    np.testing.assert_allclose(shown[:, 1], np.log(np.sqrt(state[:, 1]) / 0.01), rtol=1e-9)
    np.testing.assert_allclose(shown[:, 2], 0.8)


def test_the_trailing_variance_is_a_weighted_mean_over_known_bars():
    tracker = TrailingVariance(half_life_bars=7.0)
    states = follow(tracker, RETURNS[:9], TRADED[:9])
    weights = weights_of(7.0, 9)
    expected = weights @ RETURNS[:9] ** 2 / weights.sum()
    np.testing.assert_allclose(variance_of(states[-1]), expected, rtol=1e-12)
    shown = tracker.show(states[-1])
    np.testing.assert_allclose(shown[:, 0], np.log(np.sqrt(expected) / 0.01), rtol=1e-9)
    np.testing.assert_allclose(shown[:, 1], weights.sum(), rtol=1e-12)
    np.testing.assert_array_equal(variance_of(states[0]), 0.0)
    np.testing.assert_array_equal(tracker.show(states[0]), 0.0)


def test_the_trailing_return_is_shown_in_standard_errors():
    tracker = TrailingReturn(half_life_bars=7.0)
    weights = weights_of(7.0)
    mean, squares = weights @ RETURNS, weights @ RETURNS**2
    # Of a mean with such weights over all bars ever, the variance is that of a bar times this.
    share = 0.5 ** (1.0 / 7.0)
    error = np.sqrt(squares * (1.0 - share) / (1.0 + share))
    state = follow(tracker, RETURNS, TRADED)[-1]
    np.testing.assert_allclose(tracker.show(state)[:, 0], mean / error, rtol=1e-10)
    np.testing.assert_array_equal(tracker.show(np.zeros((2, 2))), 0.0)


def test_standard_errors_of_noise_have_a_spread_of_one():
    returns, traded = random_history(300, 4_000, seed=2)
    tracker = TrailingReturn()
    shown = tracker.show(follow(tracker, returns - returns.mean(), traded)[-1])
    assert shown.std() == pytest.approx(1.0, abs=0.06)


def test_the_recent_turnover_is_a_weighted_mean_over_all_bars_ever():
    tracker = RecentTurnover(half_life_bars=5.0)
    state = follow(tracker, RETURNS, TRADED)[-1]
    np.testing.assert_allclose(state[:, 0], weights_of(5.0) @ TRADED, rtol=1e-12)
    np.testing.assert_allclose(tracker.show(state), 10.0 * state)


def test_bars_since_the_last_trade_are_counted():
    states = follow(BarsSinceTrade(least_traded=0.02), RETURNS, TRADED)[:, :, 0]
    for account in range(3):
        trades = [-1, *np.flatnonzero(TRADED[:, account] > 0.02)]
        expected = [bar - max(t for t in trades if t <= bar) for bar in range(-1, 60)]
        np.testing.assert_array_equal(states[:, account], expected)
    np.testing.assert_allclose(BarsSinceTrade().show(np.array([[20.0]])), 1.0)


def test_a_rounded_share_is_no_trade():
    state, still = np.full((3, 1), 7.0), np.zeros(3)
    after = BarsSinceTrade().advance(state, still, np.array([0.0, 1e-9, 0.001]))
    np.testing.assert_array_equal(after[:, 0], [8.0, 8.0, 0.0])


def test_means_of_objectives_are_weighted_means_over_known_bars():
    scales = (1.0, 2.5, 0.1, 0.001)
    tracker = ObjectiveMeans(OBJECTIVES, scales, half_life_bars=15.0)
    state = follow(tracker, RETURNS, TRADED)[-1]
    drawdown = follow(Drawdown(), RETURNS, TRADED)[:, :, 0]
    grown = np.maximum(np.diff(drawdown, axis=0), 0.0)
    weights = weights_of(15.0)
    worth = [RETURNS, -(RETURNS**2), -grown, -TRADED]
    parts = [scale * (weights @ each) for scale, each in zip(scales, worth, strict=True)]
    expected = np.column_stack(parts) / weights.sum()
    np.testing.assert_allclose(means_of(state), expected, rtol=1e-10)
    np.testing.assert_allclose(tracker.show(state), np.clip(1e3 * expected, -5, 5), rtol=1e-10)


def test_a_preference_is_declared_or_drawn_and_then_kept():
    tracker = Preference(("return", "variance"), (0.7, 0.3), concentration=2.0)
    np.testing.assert_array_equal(tracker.start(None), [0.7, 0.3])
    rng = np.random.default_rng(0)
    drawn = np.array([tracker.start(rng) for _ in range(4_000)])
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0)
    assert (drawn >= 0.0).all()
    # A Dirichlet weight with concentrations 2 and 2 has mean 1/2 and variance 1/20.
    assert drawn[:, 0].mean() == pytest.approx(0.5, abs=0.015)
    assert drawn[:, 0].var() == pytest.approx(0.05, rel=0.06)
    state = np.array([[0.6, 0.4]])
    np.testing.assert_array_equal(tracker.advance(state, RETURNS[0, :1], TRADED[0, :1]), state)


DISTRIBUTIONS = {
    "normal": lambda rng, n: rng.normal(0.0, 0.01, n),
    "fat tails": lambda rng, n: 0.005 * rng.standard_t(4, n),
    "rare losses": lambda rng, n: 0.002 - 0.01 * rng.exponential(1.0, n),
}


@pytest.mark.parametrize("confidence", [0.9, 0.95])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_threshold_converges_to_the_quantile_of_losses(name, confidence):
    rng = np.random.default_rng(5)
    draw = DISTRIBUTIONS[name]
    returns = draw(rng, (8_000, 40))
    tracker = TailThreshold(confidence, memory_bars=1e6)
    states = follow(tracker, returns, np.zeros_like(returns))
    quantile = np.quantile(-draw(rng, 1_000_000), confidence)
    found = threshold_of(states[-1])
    assert found.mean() == pytest.approx(quantile, rel=0.01)
    np.testing.assert_allclose(found, quantile, rtol=0.1)
    before = np.stack([threshold_of(state) for state in states[2_000:-1]])
    assert (-returns[2_000:] > before).mean() == pytest.approx(1.0 - confidence, rel=0.04)


def test_the_threshold_moves_down_the_subgradient_bar_by_bar():
    confidence, memory = 0.9, 10.0
    states = follow(TailThreshold(confidence, memory), RETURNS, TRADED)
    normal = NormalDist()
    length = 2.0 * 0.1 / normal.pdf(normal.inv_cdf(confidence))
    for account in range(3):
        multiple, squares = normal.inv_cdf(confidence), 0.0
        for bar, net_return in enumerate(RETURNS[:, account], start=1):
            slope = 1.0 - (-net_return > multiple * squares**0.5) / 0.1
            multiple = max(multiple - length * max(1.0 / (bar + 20.0), 1.0 / memory) * slope, 0.0)
            squares += max(1.0 / bar, 1.0 / memory) * (net_return**2 - squares)
            expected = [multiple, squares, bar]
            np.testing.assert_allclose(states[bar, account], expected, rtol=1e-9)
    expected = multiple * squares**0.5
    assert threshold_of(states[-1])[2] == pytest.approx(expected, rel=1e-9)


def test_a_threshold_of_bounded_memory_follows_a_change_of_scale():
    rng = np.random.default_rng(6)
    returns = rng.normal(0.0, 0.01, (3_000, 40))
    returns[1_500:] *= 3.0
    states = follow(TailThreshold(0.95, memory_bars=100.0), returns, np.zeros_like(returns))
    normal = NormalDist(0.0, 0.01).inv_cdf(0.95)
    early = np.mean([threshold_of(state).mean() for state in states[1_000:1_500]])
    late = np.mean([threshold_of(state).mean() for state in states[2_500:]])
    assert early == pytest.approx(normal, rel=0.05)
    assert late == pytest.approx(3.0 * normal, rel=0.05)
