from dataclasses import replace

import numpy as np
import pytest

from trading_assets.constraint_specs import ConstraintSpec
from trading_assets.policy.rollout import build_task
from trading_assets.simulation.compiled.layout import BASE, COSTS
from trading_assets.simulation.rewards.constrained import (
    BARS_PER_UPDATE,
    MeasuredBar,
    PidMultiplier,
    constrain_reward,
)
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets_tests.policy.tasks import make_strategy, make_tables, random_market

MARKET = random_market(100)
TABLES = make_tables(MARKET)


def spec(**changes):
    return ConstraintSpec.model_validate({"measure": "turnover", "limit": 0.1, **changes})


def task_under(measure):
    constraint = {"measure": measure, "limit": 1.0}
    return build_task(MARKET, *TABLES, make_strategy(policy={"constraint": constraint}))


def follow_errors(multiplier, errors):
    """Return the multiplier after rollouts whose mean cost is beyond the limit by `errors`."""
    found = []
    for error in errors:
        multiplier.observe(np.full(BARS_PER_UPDATE, 1.0 + error))
        assert multiplier.update()
        found.append(multiplier.value)
    return found


def test_the_multiplier_follows_error_sum_and_growth():
    # Kp e + Ki sum(e) + Kd max(de, 0), by hand.
    found = follow_errors(PidMultiplier(spec()), [1.0, 0.5, 0.7, -0.2])
    expected = [
        0.1 * 1.0 + 0.01 * 1.0 + 0.01 * 1.0,
        0.1 * 0.5 + 0.01 * 1.5,
        0.1 * 0.7 + 0.01 * 2.2 + 0.01 * 0.2,
        -0.1 * 0.2 + 0.01 * 2.0,
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_multiplier_and_the_sum_are_never_negative():
    multiplier = PidMultiplier(spec(proportional_gain=0.0, derivative_gain=0.0))
    assert follow_errors(multiplier, [-0.9, -0.9]) == [0.0, 0.0]
    # Nothing is saved up while the limit is kept.
    assert follow_errors(multiplier, [0.5])[0] == pytest.approx(0.005)


def test_short_rollouts_make_one_update_together():
    multiplier = PidMultiplier(spec())
    multiplier.observe(np.full(BARS_PER_UPDATE - 1, 3.0))
    assert not multiplier.update()
    multiplier.observe(np.full(1, 3.0))
    assert multiplier.update()
    assert multiplier.value == pytest.approx(0.24)
    assert not multiplier.update()


def test_a_multiplier_goes_on_from_its_state():
    one, other = PidMultiplier(spec()), PidMultiplier(spec())
    follow_errors(one, [0.4, 0.1])
    one.observe(np.full(7, 2.5))
    other.set_state(one.get_state())
    assert follow_errors(other, [0.3, 0.6]) == follow_errors(one, [0.3, 0.6])


def test_a_constrained_bar_is_paid_less_its_charge():
    task = task_under("turnover")
    reward = constrain_reward(task.reward, spec(unit_charge_deviations=0.02), reward_scale=50.0)
    reward.multiplier.value = 0.25
    plain, limited = TradedBooks(task, 2), TradedBooks(task_with(task, reward), 2)
    for books in (plain, limited):
        books.open(slice(None), np.array([20, 30]))
    weights = np.array([[0.2, 0.1, 0.0], [0.0, 0.4, 0.1]])
    paid, shown = plain.trade(weights), limited.trade(weights)
    traded = (np.abs(plain.result().trade) * plain.result().fill_price).sum(axis=1)
    charge = 0.02 / 50.0 * traded / plain.result().equity_before / 0.1
    np.testing.assert_allclose(shown, (paid - 0.25 * charge) / 1.25, rtol=1e-12)
    assert reward.multiplier.n_bars == 2
    assert reward.multiplier.cost_sum == pytest.approx(float(charge.sum()) * 50.0 / 0.02)


def task_with(task, reward):
    return replace(task, reward=reward)


@pytest.mark.parametrize(
    "measure", ["position_variance", "turnover", "cost_bps", "drawdown_growth"]
)
def test_measures_are_what_their_names_say(measure):
    task = task_under(measure)
    books = TradedBooks(task_with(task, MeasuredBar(measure)), 1)
    books.open(slice(None), np.array([30]))
    peak = equity = task.initial_usd
    rng = np.random.default_rng(3)
    grown = 0.0
    for row in range(30, 50):
        measured = books.trade(rng.dirichlet(np.ones(4), 1)[:, :3])[0]
        result = books.result()
        weight = result.position_weight[0]
        below = 1.0 - equity / peak
        equity = result.equity[0]
        peak = max(peak, equity)
        outcome = books._outcome[0]
        expected = {
            "position_variance": weight @ task.covariance[row] @ weight,
            "turnover": np.abs(result.trade * result.fill_price).sum() / result.equity_before[0],
            "cost_bps": 1e4 * outcome[COSTS] / outcome[BASE],
            "drawdown_growth": max(1.0 - equity / peak - below, 0.0),
        }[measure]
        assert measured == pytest.approx(expected, rel=1e-6, abs=1e-12)
        grown += measured
    assert grown > 0.0
