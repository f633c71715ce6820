import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.errors import DataError
from trading_assets.risk.limits import WeightLimits
from trading_assets.risk.projection import binding_limits, project_weights
from trading_assets_tests.risk.limit_cases import (
    cases,
    draw_case,
    kept_book,
    least_turnover,
    nearest_by_general_solver,
    project,
)

ALL = np.ones(2, dtype=bool)
EXACT = 1e-12


def limits_of(**changes):
    return WeightLimits(**{"max_weight": 1.0, "max_gross": 2.0, "is_long_only": False, **changes})


@pytest.mark.parametrize(
    ("changes", "wanted", "expected"),
    [
        # Both give way alike, until one is at the edge of its box.
        ({"max_net": 0.6}, [0.5, 0.3], [0.4, 0.2]),
        ({"max_net": -0.2}, [0.5, 0.3], [0.0, -0.2]),
        ({"max_net": 0.6, "max_weight": 0.3}, [0.5, 0.3], [0.3, 0.3]),
        ({"min_net": 0.4}, [-0.2, 0.2], [0.0, 0.4]),
        ({"min_net": 0.4, "max_gross": 0.4}, [-0.2, 0.2], [0.0, 0.4]),
        ({"max_sector_gross": 0.5, "sectors": (0, 0)}, [0.5, -0.2], [0.4, -0.1]),
        ({"max_sector_gross": 0.4, "sectors": (0, 1)}, [0.5, -0.2], [0.4, -0.2]),
        ({"max_sector_gross": 0.4, "sectors": (0, 1), "max_gross": 0.5}, [0.6, 0.3], [0.4, 0.1]),
        ({"max_turnover": 0.2}, [0.4, -0.2], [0.2, 0.0]),
        ({"max_turnover": 0.2, "max_net": 0.1}, [0.3, 0.0], [0.15, -0.05]),
    ],
)
def test_small_cases_have_the_answer_that_is_found_by_hand(changes, wanted, expected):
    found = project_weights(np.array(wanted), limits_of(**changes), ALL, np.zeros(2))
    np.testing.assert_allclose(found, expected, atol=EXACT)


@given(cases())
def test_every_limit_but_turnover_is_kept(case):
    projected = project(case)
    assert case.breach(projected) <= EXACT * (1.0 + case.limits.max_gross)


@given(cases(most=30))
def test_turnover_is_kept_wherever_the_book_keeps_the_others(case):
    kept = kept_book(case)
    if kept.limits.max_turnover is not None:
        assert kept.turnover(project(kept)) <= kept.limits.max_turnover + 4 * EXACT


@given(cases(most=7))
def test_turnover_goes_beyond_its_limit_no_further_than_the_others_need(case):
    if case.limits.max_turnover is not None:
        needed = max(case.limits.max_turnover, least_turnover(case))
        assert case.turnover(project(case)) <= needed + 1e-9


def test_of_weights_with_the_least_turnover_the_nearest_to_those_wanted_are_taken():
    limits = limits_of(max_net=0.5, max_turnover=0.1)
    wanted, held = np.array([0.0, 0.9]), np.array([0.5, 0.5])
    found = project_weights(wanted, limits, ALL, held)
    np.testing.assert_allclose(found, [0.0, 0.5], atol=EXACT)


@pytest.mark.parametrize("seed", range(60))
def test_no_weights_of_a_general_solver_are_nearer(seed):
    rng = np.random.default_rng(seed)
    case = draw_case(rng, int(rng.integers(2, 9)))
    projected, other = project(case), nearest_by_general_solver(case)
    assert case.breach(other) <= 1e-7
    distance = np.linalg.norm(projected - case.wanted)
    assert distance <= np.linalg.norm(other - case.wanted) + 1e-7
    np.testing.assert_allclose(projected, other, atol=2e-4)


@given(cases(least=20, most=30), st.integers(0, 2**32 - 1))
def test_the_way_to_the_weights_wanted_leads_away_from_all_that_keep_the_limits(case, seed):
    # Which makes them the nearest: (wanted - x) (y - x) <= 0 for every y that keeps the limits.
    case = kept_book(case)
    projected = project(case)
    rng = np.random.default_rng(seed)
    for scale in (0.01, 0.3):
        other = project(case.wanting(projected + rng.normal(0, scale, projected.shape)))
        assert (case.wanted - projected) @ (other - projected) <= 1e-9
        assert np.linalg.norm(projected - other) <= np.linalg.norm(case.wanted - other) + 1e-9


@given(cases(most=30), st.integers(0, 2**32 - 1))
def test_projecting_brings_no_two_weights_further_apart(case, seed):
    rng = np.random.default_rng(seed)
    moved = case.wanting(case.wanted + rng.normal(0, 0.2, case.wanted.shape))
    apart = np.linalg.norm(project(case) - project(moved))
    assert apart <= np.linalg.norm(case.wanted - moved.wanted) + 1e-9


@given(cases(most=30))
def test_projecting_twice_changes_no_bit(case):
    once = project(case)
    np.testing.assert_array_equal(project(case.wanting(once)), once)


@given(cases(most=30), st.floats(0.0, 1.0))
def test_weights_that_keep_the_limits_keep_their_bits(case, share):
    case = kept_book(case)
    # Between two points that keep them all, as the limits leave no hole.
    between = share * project(case) + (1.0 - share) * case.held
    found = project(case.wanting(between))
    if case.breach(between) <= 0.0 and case.turnover(between) <= (case.limits.max_turnover or 9.0):
        np.testing.assert_array_equal(found, between)
    np.testing.assert_allclose(found, between, atol=1e-12)


@given(cases(least=12, most=12), st.integers(0, 2**32 - 1))
def test_a_row_is_projected_alike_alone_and_in_a_batch(case, seed):
    rng = np.random.default_rng(seed)
    wanted, held = rng.normal(0, 0.5, (2, 20, 12))
    tradable = rng.random((20, 12)) < 0.8
    batch = project_weights(wanted, case.limits, tradable, held)
    for row in range(20):
        alone = project_weights(wanted[row], case.limits, tradable[row], held[row])
        np.testing.assert_array_equal(alone, batch[row])
    stacked = project_weights(wanted[None], case.limits, tradable, held)
    np.testing.assert_array_equal(stacked[0], batch)


def test_symbols_that_cannot_be_held_leave_a_net_limit_what_the_others_reach():
    limits = limits_of(max_weight=0.3, min_net=0.5)
    wanted, tradable = np.array([0.1, 0.1, 0.1]), np.array([False, True, False])
    found = project_weights(wanted, limits, tradable)
    np.testing.assert_allclose(found, [0.0, 0.3, 0.0], atol=EXACT)
    nothing = project_weights(wanted, limits, np.zeros(3, dtype=bool))
    np.testing.assert_array_equal(nothing, np.zeros(3))


def test_symbols_that_cannot_be_traded_do_not_count_in_turnover():
    limits, tradable = limits_of(max_turnover=0.2), np.array([True, False])
    found = project_weights(np.array([0.5, 0.5]), limits, tradable, np.array([0.1, 0.4]))
    np.testing.assert_allclose(found, [0.3, 0.0], atol=EXACT)


@given(cases(least=12, most=12))
def test_weights_far_outside_keep_the_limits_too(case):
    # Digits that a large number lacks are lost, and no more.
    far = case.wanting(case.wanted * 1e5)
    assert case.breach(project(far)) <= 1e-9


def test_a_weight_that_is_no_number_stays_visible():
    wanted = np.array([np.nan, 0.9])
    for limits in (limits_of(max_gross=0.5), limits_of(max_gross=0.5, max_net=0.1)):
        assert np.isnan(project_weights(wanted, limits, ALL)).any()


@pytest.mark.parametrize("held", [None, np.array([0.1, np.nan])])
def test_a_limit_on_turnover_needs_the_weights_held(held):
    with pytest.raises(DataError, match="since max_turnover is set"):
        project_weights(np.zeros(2), limits_of(max_turnover=0.2), ALL, held)


def test_sectors_of_other_symbols_are_refused():
    limits = limits_of(max_sector_gross=0.2, sectors=(0, 0, 1))
    with pytest.raises(DataError, match="one for each of 2"):
        project_weights(np.zeros(2), limits, ALL)


@pytest.mark.parametrize(
    ("changes", "raw", "expected"),
    [
        ({"max_net": 0.6}, [0.5, 0.3], ["max_net", "max_net"]),
        ({"min_net": 0.4}, [-0.2, 0.2], ["min_net", "min_net"]),
        (
            {"max_sector_gross": 0.4, "sectors": (0, 1)},
            [0.5, 0.2],
            ["max_sector_gross", ""],
        ),
        (
            {"max_sector_gross": 0.4, "sectors": (0, 1), "max_gross": 0.5},
            [0.7, 0.3],
            ["max_gross+max_sector_gross", "max_gross"],
        ),
        ({"max_turnover": 0.3}, [0.4, 0.0], ["max_turnover", ""]),
        ({"max_turnover": 0.3, "max_weight": 0.5}, [0.6, 0.0], ["max_weight+max_turnover", ""]),
        ({"max_net": 0.9, "max_gross": 0.5}, [0.4, -0.3], ["max_gross", "max_gross"]),
        ({"max_net": 0.9, "max_turnover": 0.9}, [0.4, -0.3], ["", ""]),
    ],
)
def test_each_limit_on_a_sum_that_binds_is_named(changes, raw, expected):
    assert binding_limits(np.array(raw), limits_of(**changes), ALL, np.zeros(2)) == expected


@given(cases())
def test_a_name_is_given_where_a_weight_is_changed_and_nowhere_else(case):
    names = binding_limits(case.wanted, case.limits, case.tradable, case.held)
    is_changed = np.abs(project(case) - case.wanted) > 1e-9
    is_kept = np.abs(project(case) - case.wanted) <= EXACT
    for name, changed, kept in zip(names, is_changed, is_kept, strict=True):
        assert not changed or name
        assert not kept or name in ("", "max_weight", "long_only")
