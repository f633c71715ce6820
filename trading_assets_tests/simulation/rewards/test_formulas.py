from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import COSTS, FINANCING, TRADE_COST
from trading_assets.simulation.rewards.composite import Composite
from trading_assets.simulation.rewards.differential_sharpe import DifferentialSharpe
from trading_assets.simulation.rewards.log_wealth import LogWealth
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.rewards.multi_objective import MultiObjective
from trading_assets.simulation.rewards.penalised import Penalised
from trading_assets.simulation.rewards.penalties.drawdown import DrawdownPenalty
from trading_assets.simulation.rewards.penalties.expected_shortfall import ExpectedShortfallPenalty
from trading_assets.simulation.rewards.penalties.turnover import TurnoverPenalty
from trading_assets.simulation.rewards.penalties.value_at_risk import ValueAtRiskPenalty
from trading_assets.simulation.trackers.tracker import Memory
from trading_assets_tests.simulation.rewards.bars import (
    BASE_USD,
    bar_of_returns,
    one_of,
    random_bar,
)
from trading_assets_tests.simulation.trackers.histories import OBJECTIVES, TRACKERS, random_history

SCALES = (1.0, 2.5, 0.1, 0.001)
REWARDS = {
    "mean_variance": MeanVariance(5.0),
    "log_wealth": LogWealth(),
    "differential_sharpe": DifferentialSharpe(warm_up_bars=5),
    "composite": Composite(),
    "linear": MultiObjective(OBJECTIVES, SCALES),
    "chebyshev": MultiObjective(OBJECTIVES, SCALES, (0.001, 0.0, 0.0, 0.0)),
}
PENALTIES = (
    DrawdownPenalty(0.5),
    TurnoverPenalty(0.001),
    ValueAtRiskPenalty(1.0, 0.01),
    ExpectedShortfallPenalty(0.1),
)


def moments(mean, second, bars=100.0):
    return {"differential_sharpe": np.array([[mean, second, bars]])}


def test_log_wealth_adds_up_to_the_logarithm_of_growth():
    returns = np.array([0.02, -0.5, 0.3])
    paid = LogWealth().pay(bar_of_returns(returns), {}, {})
    assert paid.sum() == pytest.approx(np.log(1.02 * 0.5 * 1.3))


def test_ruin_costs_a_finite_logarithm():
    paid = LogWealth().pay(bar_of_returns([-1.0, -7.0, -0.9995]), {}, {})
    np.testing.assert_allclose(paid, np.log(1e-3))


def exponential_sharpe(returns, eta):
    mean = second = 0.0
    for value in returns:
        mean += eta * (value - mean)
        second += eta * (value**2 - second)
    return mean / np.sqrt(second - mean**2)


def test_differential_sharpe_is_the_derivative_of_the_exponential_sharpe_ratio_by_eta():
    rng = np.random.default_rng(1)
    past, newest = rng.normal(0.002, 0.01, 120), 0.013
    mean, second = (np.array(0.02 * 0.98 ** np.arange(119, -1, -1)) @ past**k for k in (1, 2))

    def ratio(eta):
        after = mean + eta * (newest - mean)
        spread = second + eta * (newest**2 - second) - after**2
        return after / np.sqrt(spread)

    assert ratio(0.02) == pytest.approx(exponential_sharpe([*past, newest], 0.02))
    slope = (ratio(1e-6) - ratio(-1e-6)) / 2e-6
    paid = DifferentialSharpe().pay(bar_of_returns(newest), moments(mean, second), {})
    assert paid[0] == pytest.approx(slope, rel=1e-7)


def test_differential_sharpe_of_known_numbers():
    # A = 0.001, B = 0.000101, R = 0.02: dA = 0.019, dB = 0.000299, B - A^2 = 0.0001.
    paid = DifferentialSharpe().pay(bar_of_returns(0.02), moments(0.001, 0.000101), {})
    assert paid[0] == pytest.approx((0.000101 * 0.019 - 0.5 * 0.001 * 0.000299) / 1e-6)
    assert paid[0] == pytest.approx(1.7695)


def test_differential_sharpe_pays_nothing_before_the_end_of_the_warm_up():
    reward = DifferentialSharpe(warm_up_bars=50)
    bar = bar_of_returns(0.01)
    assert reward.pay(bar, moments(0.0, 1e-4, bars=49.0), {})[0] == 0.0
    assert reward.pay(bar, moments(0.0, 1e-4, bars=50.0), {})[0] == pytest.approx(1.0)


def test_an_account_that_hardly_varied_is_taken_for_one_of_the_least_deviation():
    reward = DifferentialSharpe(least_deviation=0.002)
    paid = reward.pay(bar_of_returns(0.004), moments(0.0, 1e-10), {})
    assert paid[0] == pytest.approx(1e-10 * 0.004 / 0.002**3)


def test_a_composite_sums_over_symbols_what_each_earned_by_its_volatility():
    bar = random_bar(3)
    reward = Composite(confidence_bonus=0.2, cost_weight=1.5)
    for book, paid in enumerate(reward.pay(bar, {}, {})):
        deviations = np.sqrt(np.diagonal(bar.covariance[bar.rows[book]]))
        expected = 0.0
        for symbol in range(1, 4):
            earned = bar.gain[book, symbol] - 1.5 * bar.trade_cost[book, symbol]
            expected += earned / deviations[symbol]
            confidence = bar.confidence[bar.rows[book], symbol]
            expected += 0.2 * confidence * bar.position_weight[book, symbol]
        financing = bar.outcome[book, FINANCING] / BASE_USD
        expected -= 1.5 * financing / deviations[1:].mean()
        assert paid == pytest.approx(expected, rel=1e-12)


def test_a_composite_of_one_volatility_is_the_net_return_over_it():
    bar = replace(random_bar(5), covariance=0.0004 * np.eye(4)[None])
    paid = Composite(confidence_bonus=0.0).pay(bar, {}, {})
    np.testing.assert_allclose(paid, bar.net_return / 0.02, rtol=1e-10)


def test_confidence_that_is_not_shown_is_not_paid_for():
    bar = replace(random_bar(2), confidence=None)
    assert np.isfinite(Composite(confidence_bonus=0.0).pay(bar, {}, {})).all()
    with pytest.raises(DataError, match=r"expected policy\.uses_forecasts true"):
        Composite().pay(bar, {}, {})


def states_after_two_bars():
    memory = Memory(TRACKERS, 3)
    returns, traded = random_history(2, 3, seed=4)
    memory.advance(returns[0], traded[0])
    before = memory.advance(returns[1], traded[1])
    return before, memory.states


def test_objectives_are_the_return_and_three_losses_on_their_scales():
    bar = random_bar(3)
    before, after = states_after_two_bars()
    values = MultiObjective(OBJECTIVES, SCALES).values(bar, before, after)
    weight = bar.position_weight
    variance = [x @ bar.covariance[row] @ x for x, row in zip(weight, bar.rows, strict=True)]
    grown = after["drawdown"][:, 0] - before["drawdown"][:, 0]
    expected = [
        bar.net_return,
        -2.5 * np.array(variance),
        -0.1 * np.maximum(grown, 0.0),
        -0.001 * bar.traded,
    ]
    np.testing.assert_allclose(values, np.column_stack(expected), rtol=1e-12)
    assert (grown > 0).any()
    assert (grown <= 0).any()


def test_linear_objectives_are_weighed_by_each_accounts_own_preference():
    bar = random_bar(3)
    before, after = states_after_two_bars()
    before = {**before, "preference": np.random.default_rng(0).dirichlet(np.ones(4), 3)}
    reward = MultiObjective(OBJECTIVES, SCALES)
    values = reward.values(bar, before, after)
    expected = [w @ v for w, v in zip(before["preference"], values, strict=True)]
    np.testing.assert_allclose(reward.pay(bar, before, after), expected, rtol=1e-12)


def test_chebyshev_pays_the_objective_that_has_fallen_shortest_lately():
    names, scales, ideals = ("return", "turnover"), (1.0, 0.01), (0.002, 0.0)
    reward = MultiObjective(names, scales, ideals)
    bar = bar_of_returns([0.01, 0.01], traded=[0.3, 0.3])
    # Distances, weighed: 0.5 x 0.001 against 0.5 x 0.003, and 0.9 x 0.001 against 0.1 x 0.003.
    means = np.array([[0.0, 1.0, 0.001, -0.003]] * 2)
    before = {"preference": np.array([[0.5, 0.5], [0.9, 0.1]]), "objective_means": means}
    paid = reward.pay(bar, before, before)
    np.testing.assert_allclose(paid, [0.5 * (-0.003 - 0.0), 0.9 * (0.01 - 0.002)])


def test_penalties_follow_their_formulas():
    returns = np.array([-0.03, 0.01, 0.0])
    bar = bar_of_returns(returns, traded=[0.2, 0.0, 0.1])
    before, after = states_after_two_bars()
    grown = np.maximum(after["drawdown"][:, 0] - before["drawdown"][:, 0], 0.0)
    np.testing.assert_allclose(DrawdownPenalty(0.5).charge(bar, before, after), 0.5 * grown)
    np.testing.assert_allclose(TurnoverPenalty(0.3).charge(bar, {}, {}), [0.06, 0.0, 0.03])
    squares, weight = after["trailing_variance"].T
    at_risk = NormalDist().inv_cdf(0.99) * np.sqrt(squares / weight)
    limit = float(np.median(at_risk))
    charged = ValueAtRiskPenalty(2.0, limit, 0.99).charge(bar, before, after)
    np.testing.assert_allclose(charged, 2.0 * np.maximum(at_risk - limit, 0.0))
    assert (charged > 0).any()
    assert (charged == 0).any()
    multiple, squares, _ = before["tail_threshold"].T
    threshold = multiple * np.sqrt(squares)
    beyond = np.maximum(-returns - threshold, 0.0)
    charged = ExpectedShortfallPenalty(0.1, 0.9).charge(bar, before, after)
    np.testing.assert_allclose(charged, 0.1 * (threshold + beyond / 0.1))


def test_the_mean_charge_for_expected_shortfall_is_that_of_the_distribution():
    from trading_assets.simulation.trackers.tail_threshold import TailThreshold

    rng = np.random.default_rng(3)
    tracker, penalty = TailThreshold(0.9, memory_bars=1e6), ExpectedShortfallPenalty(1.0, 0.9)
    state = np.tile(tracker.start(None), (200, 1))
    charged = []
    for bar in range(2_000):
        net_return = rng.normal(0.0, 0.01, 200)
        if bar >= 1_000:
            paid = bar_of_returns(net_return)
            charged.append(penalty.charge(paid, {"tail_threshold": state}, {}).mean())
        state = tracker.advance(state, net_return, net_return)
    normal = NormalDist()
    expected = 0.01 * normal.pdf(normal.inv_cdf(0.9)) / 0.1
    assert np.mean(charged) == pytest.approx(expected, rel=0.01)


def test_penalties_are_taken_off_in_the_unit_of_the_reward():
    bar = random_bar(3)
    before, after = states_after_two_bars()
    charged = sum(penalty.charge(bar, before, after) for penalty in PENALTIES)
    plain = Penalised(MeanVariance(5.0), PENALTIES)
    expected = MeanVariance(5.0).pay(bar, before, after) - charged
    np.testing.assert_allclose(plain.pay(bar, before, after), expected)
    relative = Penalised(Composite(), PENALTIES)
    deviations = np.sqrt(np.einsum("kii->ki", bar.covariance[bar.rows]))[:, 1:].mean(axis=1)
    expected = Composite().pay(bar, before, after) - charged / deviations
    np.testing.assert_allclose(relative.pay(bar, before, after), expected)
    assert not plain.is_in_deviations
    assert relative.is_in_deviations


def test_what_penalties_need_is_needed_once():
    reward = Penalised(REWARDS["linear"], PENALTIES)
    expected = ("preference", "drawdown", "trailing_variance", "tail_threshold")
    assert reward.needs == expected


@pytest.mark.parametrize("name", REWARDS)
def test_a_book_is_paid_alike_alone_and_among_others(name):
    n_books = 37
    bar = random_bar(n_books, n_symbols=11)
    memory = Memory(TRACKERS, n_books)
    returns, traded = random_history(8, n_books)
    before = {}
    for net_return, share in zip(returns, traded, strict=True):
        before = memory.advance(net_return, share)
    reward = Penalised(REWARDS[name], PENALTIES)
    together = reward.pay(bar, before, memory.states)
    assert np.isfinite(together).all()
    assert len(np.unique(together)) == n_books
    for book in (0, 1, 20, 36):
        one = slice(book, book + 1)
        own = [{n: s[one] for n, s in states.items()} for states in (before, memory.states)]
        alone = reward.pay(one_of(bar, book), *own)
        np.testing.assert_array_equal(alone, together[one])


@pytest.mark.parametrize("name", REWARDS)
def test_a_cost_lowers_every_reward(name):
    bar = random_bar(4)
    before, after = (dict(states) for states in states_after_many_bars())
    dearer = replace(bar, outcome=bar.outcome.copy(), fills=bar.fills.copy())
    dearer.outcome[:, COSTS] *= 2.0
    dearer.fills[:, TRADE_COST] *= 2.0
    paid, less = (REWARDS[name].pay(each, before, after) for each in (bar, dearer))
    assert (less <= paid).all()
    assert (less < paid).any()


def states_after_many_bars():
    memory = Memory(TRACKERS, 4)
    returns, traded = random_history(20, 4, seed=7)
    before = {}
    for net_return, share in zip(returns, traded, strict=True):
        before = memory.advance(net_return, share)
    return before, memory.states
