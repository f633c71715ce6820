from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trading_assets.errors import DataError
from trading_assets.policy.pareto import (
    hypervolume,
    non_dominated,
    preference_grid,
    reach_preferences,
)
from trading_assets.policy.rollout import build_task, roll_rows
from trading_assets_tests.policy.tasks import (
    make_policy,
    make_strategy,
    make_tables,
    random_market,
)

MARKET = random_market(60)
TABLES = make_tables(MARKET)
REWARD = {
    "kind": "multi_objective",
    "preference": {"return": 0.5, "turnover": 0.3, "drawdown": 0.2},
    "scales": {"turnover": 0.01},
}
STRATEGY = make_strategy(policy={"reward": REWARD})
TASK = build_task(MARKET, *TABLES, STRATEGY)
ROWS = range(20, 50)

points_strategy = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.integers(2, 4)),
    elements=st.integers(-2, 6).map(lambda step: step / 4),
)


def test_a_grid_holds_every_combination_of_whole_steps_once():
    grid = preference_grid(3, 4)
    whole = {(i / 4, j / 4, (4 - i - j) / 4) for i in range(5) for j in range(5 - i)}
    assert {tuple(row) for row in grid.tolist()} == whole
    assert len(grid) == len(whole) == 15
    np.testing.assert_array_equal(preference_grid(2, 1), [[0.0, 1.0], [1.0, 0.0]])


@pytest.mark.parametrize(("n_objectives", "n_steps"), [(1, 4), (3, 0)])
def test_a_grid_without_a_choice_is_refused(n_objectives, n_steps):
    with pytest.raises(DataError, match="expected at least 2 objectives and 1 step"):
        preference_grid(n_objectives, n_steps)


@given(points_strategy)
def test_a_point_is_kept_if_no_other_one_is_better_at_no_loss(points):
    for point, is_kept in zip(points, non_dominated(points), strict=True):
        beaten = any(
            all(other >= point) and any(other > point) for other in points if other is not point
        )
        assert is_kept == (not beaten)


def volume_by_inclusion_and_exclusion(points, reference):
    boxes = np.maximum(points - reference, 0.0)
    total = 0.0
    for size in range(1, len(boxes) + 1):
        for chosen in combinations(boxes, size):
            total += (-1) ** (size + 1) * np.prod(np.min(chosen, axis=0))
    return total


@given(points_strategy)
def test_the_hypervolume_is_that_of_the_union_of_boxes(points):
    reference = np.full(points.shape[1], -0.25)
    expected = volume_by_inclusion_and_exclusion(points, reference)
    assert hypervolume(points, reference) == pytest.approx(expected, abs=1e-9)


def test_the_hypervolume_of_a_staircase():
    points = np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0], [2.0, 1.0], [-5.0, 9.0]])
    assert hypervolume(points, np.zeros(2)) == 6.0
    assert hypervolume(points[4:], np.zeros(2)) == 0.0


def test_the_hypervolume_of_a_hundred_points_of_four_objectives_agrees_with_sampling():
    rng = np.random.default_rng(0)
    points = rng.dirichlet(np.ones(4), 100)
    drawn = rng.random((40_000, 4))
    inside = np.zeros(len(drawn), dtype=bool)
    for point in points:
        inside |= (drawn <= point).all(axis=1)
    found = hypervolume(points, np.zeros(4))
    assert found == pytest.approx(inside.mean(), abs=4 * inside.std() / 200.0)


@pytest.mark.parametrize(
    ("points", "reference"),
    [
        (np.ones((2, 3)), np.zeros(2)),
        (np.array([[np.nan, 1.0]]), np.zeros(2)),
        (np.ones(2), np.zeros(2)),
    ],
)
def test_points_that_do_not_fit_are_refused(points, reference):
    with pytest.raises(DataError, match="expected finite numbers and as many objectives"):
        hypervolume(points, reference)


def test_points_are_the_means_of_what_a_rollout_with_that_preference_is_worth():
    policies = [make_policy(STRATEGY, seed=seed) for seed in range(2)]
    grid = preference_grid(3, 2)
    found = reach_preferences(policies, TASK, ROWS, grid)
    assert found.objectives == ("return", "turnover", "drawdown")
    for place, weights in enumerate(grid):
        names = dict(zip(found.objectives, weights.tolist(), strict=True))
        strategy = make_strategy(policy={"reward": {**REWARD, "preference": names}})
        task = build_task(MARKET, *TABLES, strategy)
        members = [make_policy(strategy, seed=seed) for seed in range(2)]
        rolled = roll_rows(members, task, ROWS)
        returns = np.array([s.equity[0] / s.equity_before[0] - 1.0 for s in rolled.steps])
        wealth = np.append(1.0, np.cumprod(1.0 + returns))
        drawdown = 1.0 - wealth / np.maximum.accumulate(wealth)
        traded = [np.abs(s.trade * s.fill_price).sum() / s.equity_before[0] for s in rolled.steps]
        expected = [
            returns.mean(),
            -0.01 * np.mean(traded),
            -0.1 * np.maximum(np.diff(drawdown), 0.0).mean(),
        ]
        np.testing.assert_allclose(found.points[place], expected, atol=1e-9)
        assert rolled.rewards.mean() == pytest.approx(weights @ found.points[place], abs=1e-12)
    assert len(np.unique(found.points[:, 0])) == len(grid)
    np.testing.assert_array_equal(found.is_efficient, non_dominated(found.points))
    np.testing.assert_array_equal(found.reference, found.points.min(axis=0))
    corner = found.reference - 0.01
    lower = reach_preferences(policies, TASK, ROWS, grid, corner)
    assert lower.hypervolume == hypervolume(found.points, corner) > found.hypervolume


def test_preferences_need_a_reward_with_objectives_and_a_policy_that_sees_them():
    policy, blind = make_policy(STRATEGY), make_policy(make_strategy())
    plain = build_task(MARKET, *TABLES, make_strategy())
    with pytest.raises(DataError, match="MeanVariance, which has no preferences"):
        reach_preferences([blind], plain, ROWS, preference_grid(3, 1))
    other = make_policy(make_strategy(policy={"reward": "differential_sharpe"}))
    with pytest.raises(DataError, match="trained to see"):
        reach_preferences([other], TASK, ROWS, preference_grid(3, 1))
    for wrong in (preference_grid(2, 2), preference_grid(3, 2) * 2.0, np.zeros((0, 3))):
        with pytest.raises(DataError, match="expected rows of 3 weights for return, turnover"):
            reach_preferences([policy], TASK, ROWS, wrong)


def test_penalties_leave_the_objectives_as_they_are():
    reward = {**REWARD, "penalties": [{"kind": "turnover", "weight": 0.1}]}
    strategy = make_strategy(policy={"reward": reward})
    task = build_task(MARKET, *TABLES, strategy)
    policy = make_policy(strategy)
    grid = preference_grid(3, 1)
    found = reach_preferences([policy], task, ROWS, grid)
    same = reach_preferences([replace(policy)], TASK, ROWS, grid)
    np.testing.assert_array_equal(found.points, same.points)
