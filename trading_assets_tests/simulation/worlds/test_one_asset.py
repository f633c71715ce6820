import numpy as np
import pytest

from trading_assets.simulation.core import Bar, decide_quantities, open_books, step
from trading_assets.simulation.worlds.one_asset import (
    LinearPolicy,
    WorldOne,
    best_constant_scale,
    best_policy,
    draw_market,
    draw_signal,
    evaluate_policy,
    markowitz_policy,
    mean_reward,
    myopic_policy,
    trade_rate_and_aim,
)
from trading_assets.strategy import CostsSpec

WORLD = WorldOne()
BEST = evaluate_policy(WORLD, best_policy(WORLD))


@pytest.mark.parametrize(
    ("value", "published"),
    [
        (trade_rate_and_aim(WORLD)[0], 0.270156),
        (trade_rate_and_aim(WORLD)[1], 0.314922),
        (BEST.reward, 1.239697e-4),
        (BEST.gross, 2.47939e-4),
        (BEST.cost, 3.0486e-5),
        (BEST.net, 2.17454e-4),
        (BEST.net_deviation, 2.75959e-3),
        (BEST.annual_sharpe, 1.2509),
    ],
)
def test_the_closed_form_gives_the_published_figures(value, published):
    assert value == pytest.approx(published, rel=1e-5)


@pytest.mark.parametrize(
    ("value", "published", "last_digit"),
    [
        (BEST.net / BEST.net_deviation, 0.0788, 1e-4),
        (BEST.position_deviation, 0.2735, 1e-4),
        (BEST.share_beyond_one, 2.6e-4, 1e-5),
        (BEST.mean_absolute_trade, 0.0394, 1e-4),
    ],
)
def test_rounded_figures_agree_to_their_last_digit(value, published, last_digit):
    assert value == pytest.approx(published, abs=0.5 * last_digit)


def test_gross_profit_is_twice_the_reward_at_the_optimum():
    assert BEST.gross == pytest.approx(2.0 * BEST.reward, rel=1e-12)


@pytest.mark.parametrize(
    ("policy", "share"),
    [
        (markowitz_policy(WORLD), -1.613),
        (markowitz_policy(WORLD, best_constant_scale(WORLD)), 0.538),
        (myopic_policy(WORLD), 0.768),
        (best_policy(WORLD, discount=0.95), 0.998),
        (best_policy(WORLD, discount=0.90), 0.993),
        (best_policy(WORLD), 1.0),
    ],
)
def test_the_ladder_of_simple_policies_is_reproduced(policy, share):
    assert evaluate_policy(WORLD, policy).reward / BEST.reward == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize(("information", "sharpe"), [(0.05, 0.630), (0.2, 2.437), (0.3, 3.509)])
def test_sharpe_ratios_of_other_signals_are_reproduced(information, sharpe):
    world = WORLD.with_information(information)
    assert best_policy(world).gain == pytest.approx(best_policy(WORLD).gain, rel=1e-12)
    value = evaluate_policy(world, best_policy(world))
    assert value.annual_sharpe == pytest.approx(sharpe, abs=5e-4)


def test_no_linear_policy_of_a_grid_beats_the_closed_form():
    rewards = [
        evaluate_policy(WORLD, LinearPolicy(1.0 - kappa, kappa * aim)).reward
        for kappa in np.linspace(0.01, 0.99, 99)
        for aim in np.linspace(0.0, 1.0, 300)
    ]
    assert max(rewards) <= BEST.reward
    assert max(rewards) == pytest.approx(BEST.reward, rel=5e-5)


def test_signals_are_stationary_with_the_declared_persistence():
    signal = draw_signal(WORLD, 200, 4_000, np.random.default_rng(0))
    assert signal.std(axis=1) == pytest.approx(np.ones(200), abs=0.05)
    assert (signal[1:] * signal[:-1]).mean() == pytest.approx(0.9, abs=0.01)


def test_each_bar_of_a_drawn_market_opens_at_the_close_before():
    market, signal = draw_market(WORLD, 50_000, np.random.default_rng(1))
    np.testing.assert_array_equal(market.open[1:], market.close[:-1])
    returns = market.close[1:, 0] / market.close[:-1, 0] - 1.0
    assert np.corrcoef(signal[:-1], returns)[0, 1] == pytest.approx(0.1, abs=0.02)
    assert returns.std() == pytest.approx(0.01, rel=0.02)


def test_the_drawn_market_has_the_same_numbers_as_ever():
    market, signal = draw_market(WORLD, 1_000, np.random.default_rng(42))
    assert market.symbols == ("W1",)
    assert market.open[0, 0] == market.close[0, 0] == 100.0
    # The last close is a product of all returns.
    assert float(market.close[-1, 0]) == 35.74230839844716
    assert float(signal[-1]) == 1.661208804632879


def test_without_a_signal_the_best_policy_is_none():
    world = WorldOne(information_coefficient=0.0)
    assert (world.name, WORLD.name) == ("W0", "W1")
    assert world.optimum == 0.0
    assert best_constant_scale(world) == 0.0
    signals = world.draw_signals(50, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(world.best_positions(signals), 0.0)
    held = np.full((50, 4, 1), 0.1)
    assert (world.mean_reward(signals, held, 0) < 0.0).all()


def test_the_rungs_are_the_policies_of_their_names():
    shares = {rung.name: rung.reward / WORLD.optimum for rung in WORLD.simple_policies()}
    expected = {"markowitz": -1.613, "scaled_markowitz": 0.538, "myopic": 0.768}
    aim = shares.pop("markowitz_aim")
    assert shares == pytest.approx(expected, abs=5e-4)
    # An aim that is 1.27 times too far loses in proportion to the square of what it is too far.
    excess = markowitz_policy(WORLD).gain / trade_rate_and_aim(WORLD)[1] - 1.0
    assert aim == pytest.approx(1.0 - excess**2, rel=1e-9)


def test_the_protocol_says_what_the_functions_say():
    policy = best_policy(WORLD)
    signals = WORLD.draw_signals(60, 5, np.random.default_rng(0))
    signal = draw_signal(WORLD, 60, 5, np.random.default_rng(0))
    np.testing.assert_array_equal(signals[:, :, 0, 0], signal)
    positions = WORLD.best_positions(signals)
    np.testing.assert_allclose(positions[..., 0], follow(policy, signal), rtol=1e-12, atol=1e-15)
    rewards = WORLD.mean_reward(signals, positions, 7)
    change = np.diff(positions[:, 2, 0], prepend=0.0)
    by_hand = 0.001 * signal[:, 2] * positions[:, 2, 0]
    by_hand -= 12.5e-4 * positions[:, 2, 0] ** 2 + 125e-4 * change**2
    assert rewards[2] == pytest.approx(by_hand[7:].mean(), rel=1e-12)
    np.testing.assert_array_equal(mean_reward(WORLD, signal, positions[..., 0], 7), rewards)


def follow(policy, signal):
    position = np.zeros_like(signal)
    held = np.zeros(signal.shape[1])
    for bar, value in enumerate(signal):
        held = policy.keep * held + policy.gain * value
        position[bar] = held
    return position


def test_expected_returns_along_paths_recover_the_optimum():
    signal = draw_signal(WORLD, 400, 2_000, np.random.default_rng(2))
    rewards = mean_reward(WORLD, signal, follow(best_policy(WORLD), signal), burn_in=50)
    error = rewards.std() / np.sqrt(len(rewards))
    assert error < 0.01 * BEST.reward
    assert abs(rewards.mean() - BEST.reward) < 4.0 * error


def test_the_best_policy_earns_the_optimum_through_the_market_core():
    # 4,000 books of 350 counted bars, each book on its own path, prices, fills and costs included.
    rng = np.random.default_rng(5)
    n_paths, burn_in, notional = 4_000, 50, 1e6
    signal = draw_signal(WORLD, 400, n_paths, rng)
    position = follow(best_policy(WORLD), signal)
    costs = CostsSpec(fee_bps=0, half_spread_bps=0, quadratic_lambda=WORLD.quadratic_lambda)
    close = np.full((n_paths, 1), 100.0)
    ones = np.ones((n_paths, 1))
    books = open_books(n_paths, notional, close)
    rewards = np.zeros(n_paths)
    for bar in range(len(signal)):
        target = decide_quantities(
            books, position[bar][:, None], close, "constant_notional", notional
        )
        noise = rng.standard_normal((n_paths, 1))
        returns = WORLD.beta * signal[bar][:, None] + WORLD.volatility * noise
        opened, close = close, close * (1.0 + returns)
        quotes = Bar(opened, close, ones, 0 * ones, WORLD.volatility * ones, 1e9 * ones)
        result = step(books, target, quotes, costs, is_long_only=False, notional_usd=notional)
        books = result.books
        if bar >= burn_in:
            x = result.position_weight[:, 0]
            charge = 0.5 * WORLD.risk_aversion * WORLD.volatility**2 * x**2
            rewards += (result.pnl - result.costs) / notional - charge
    rewards /= len(signal) - burn_in
    error = rewards.std() / np.sqrt(n_paths)
    assert error < 0.025 * BEST.reward
    assert abs(rewards.mean() - BEST.reward) < 4.0 * error
