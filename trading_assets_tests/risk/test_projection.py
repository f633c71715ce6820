import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize

from trading_assets.risk.limits import WeightLimits
from trading_assets.risk.projection import (
    FEASIBILITY_TOLERANCE,
    binding_limits,
    project_weights,
)

limits_strategy = st.builds(
    WeightLimits,
    max_weight=st.floats(0.05, 2.0),
    max_gross=st.floats(0.05, 3.0),
    is_long_only=st.booleans(),
)
weights_strategy = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.floats(-3, 3)
)


@given(weights_strategy, limits_strategy, st.integers(0, 2**32 - 1))
def test_projected_weights_keep_every_limit(weights, limits, seed):
    tradable = np.random.default_rng(seed).random(weights.shape) < 0.8
    projected = project_weights(weights, limits, tradable)
    assert (np.abs(projected) <= limits.max_weight).all()
    assert (np.abs(projected).sum(axis=-1) <= limits.max_gross * (1 + FEASIBILITY_TOLERANCE)).all()
    assert (projected[~tradable] == 0).all()
    if limits.is_long_only:
        assert (projected >= 0).all()


@given(weights_strategy, limits_strategy)
def test_projecting_twice_changes_no_bit(weights, limits):
    tradable = np.ones(weights.shape, dtype=bool)
    once = project_weights(weights, limits, tradable)
    np.testing.assert_array_equal(project_weights(once, limits, tradable), once)


@given(weights_strategy, limits_strategy)
def test_a_row_is_projected_alike_alone_and_in_a_batch(weights, limits):
    tradable = np.ones(weights.shape, dtype=bool)
    batch = project_weights(weights, limits, tradable)
    for row, expected in zip(weights, batch, strict=True):
        np.testing.assert_array_equal(project_weights(row, limits, tradable[0]), expected)


def shrink_by_sorted_kinks(weights, limits, tradable):
    """Project in numpy: sum at every kink, then interpolate between the two around the limit."""
    low = 0.0 if limits.is_long_only else -limits.max_weight
    boxed = np.where(tradable, np.clip(weights, low, limits.max_weight), 0.0)
    if np.abs(boxed).sum() <= limits.max_gross * (1 + FEASIBILITY_TOLERANCE):
        return boxed
    size = np.where(tradable, np.maximum(weights, 0) if limits.is_long_only else abs(weights), 0.0)
    kinks = np.sort(np.concatenate([size, np.maximum(size - limits.max_weight, 0.0)]))
    sums = np.clip(size - kinks[:, None], 0.0, limits.max_weight).sum(axis=-1)
    after = np.argmax(sums <= limits.max_gross)
    share = (sums[after - 1] - limits.max_gross) / (sums[after - 1] - sums[after])
    tau = kinks[after - 1] + share * (kinks[after] - kinks[after - 1])
    return np.sign(boxed) * np.clip(size - tau, 0.0, limits.max_weight)


@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-3, 3)),
    limits_strategy,
    st.integers(0, 2**32 - 1),
)
def test_the_compiled_projection_has_the_bits_of_the_one_over_sorted_kinks(weights, limits, seed):
    tradable = np.random.default_rng(seed).random(weights.shape) < 0.8
    expected = shrink_by_sorted_kinks(weights, limits, tradable)
    np.testing.assert_array_equal(project_weights(weights, limits, tradable), expected)


@pytest.mark.parametrize("is_long_only", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_projection_is_the_nearest_feasible_point(is_long_only, seed):
    rng = np.random.default_rng(seed)
    wanted = rng.normal(0.1, 0.5, 4)
    limits = WeightLimits(0.4, 0.9, is_long_only)
    projected = project_weights(wanted, limits, np.ones(4, dtype=bool))
    # Split into long and short parts: a smooth problem that a general solver can check.
    low = 0.0 if is_long_only else 0.4
    found = minimize(
        lambda p: ((p[:4] - p[4:] - wanted) ** 2).sum(),
        np.zeros(8),
        bounds=[(0, 0.4)] * 4 + [(0, low)] * 4,
        constraints={"type": "ineq", "fun": lambda p: 0.9 - p.sum()},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    if is_long_only:
        np.testing.assert_allclose(projected, found.x[:4], atol=1e-5)
    else:
        np.testing.assert_allclose(projected, found.x[:4] - found.x[4:], atol=1e-5)


@given(weights_strategy, limits_strategy, st.integers(0, 2**32 - 1))
def test_no_random_feasible_point_is_nearer(weights, limits, seed):
    rng = np.random.default_rng(seed)
    tradable = np.ones(weights.shape, dtype=bool)
    projected = project_weights(weights, limits, tradable)
    other = project_weights(projected + rng.normal(0, 0.1, weights.shape), limits, tradable)
    distance = ((projected - weights) ** 2).sum(axis=-1)
    assert (((other - weights) ** 2).sum(axis=-1) >= distance - 1e-9).all()


def test_each_limit_that_binds_is_named():
    limits = WeightLimits(0.5, 0.8, is_long_only=True)
    raw = np.array([0.9, 0.4, -0.2, 0.3])
    tradable = np.array([True, True, True, False])
    assert binding_limits(raw, limits, tradable) == [
        "max_weight",
        "max_gross",
        "long_only",
        "untradable",
    ]
    free = binding_limits(np.array([0.1, 0.2, 0.0, 0.0]), limits, tradable)
    assert free == ["", "", "", ""]
