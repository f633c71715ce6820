"""What inputs add to sums of trees: by hand, against a fine walk, and that it adds up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.forecast.gates.fit_boosting import fit_boosting
from trading_assets.forecast.gates.tree_paths import attribute_trees
from trading_assets.forecast.gates.trees import LEAF, Trees
from trading_assets_tests.forecast.planted_samples import make_samples


def tree_of(feature, threshold, left, right, value):
    """Return one tree of a column from lists of its nodes."""
    n_nodes = len(feature)
    return Trees(
        baseline=np.array([0.5]),
        roots=np.zeros(1, np.int32),
        feature=np.array(feature, np.int32),
        threshold=np.array(threshold, np.float64),
        missing_left=np.zeros(n_nodes, np.bool_),
        left=np.array(left, np.int32),
        right=np.array(right, np.int32),
        value=np.array(value, np.float64),
    )


# x_2 <= 1: 10; else x_0 <= 0: 20, else 35.
TREE = tree_of(
    feature=[2, LEAF, 0, LEAF, LEAF],
    threshold=[1.0, 0.0, 0.0, 0.0, 0.0],
    left=[1, 0, 3, 0, 0],
    right=[2, 0, 4, 0, 0],
    value=[0.0, 10.0, 0.0, 20.0, 35.0],
)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        # Nothing is crossed.
        ([-5.0, 9.0, 0.5], [0.0, 0.0, 0.0]),
        # x_2 crosses 1 alone.
        ([-1.0, 9.0, 2.0], [0.0, 0.0, 10.0]),
        # x_2 crosses at 1 / 4 of the way, while x_0 is still below 0, which it crosses at 1 / 2.
        ([1.0, 9.0, 4.0], [15.0, 0.0, 10.0]),
        # x_0 crosses at 1 / 4 of the way, before anybody asks for it; x_2 at 1 / 2 to the leaf 35.
        ([3.0, 9.0, 2.0], [0.0, 0.0, 25.0]),
    ],
)
def test_a_jump_belongs_to_the_input_that_crosses(row, expected):
    baseline = np.array([-1.0, 0.0, 0.0])
    found = attribute_trees(TREE, np.array([row]), baseline)
    assert found.tolist() == [[expected]]


@pytest.fixture(scope="module")
def gate():
    def expect(inputs):
        return 0.6 * inputs[:, 0] * inputs[:, 1] + 0.4 * np.sign(inputs[:, 2])

    train, _ = make_samples(expect, 800, seed=0)
    stopping, _ = make_samples(expect, 150, seed=1)
    return fit_boosting(train, stopping, 5, 0)


def test_contributions_add_up_to_the_sums_of_grown_trees(gate):
    inputs = np.random.default_rng(2).normal(size=(200, 6))
    baseline = np.zeros(6)
    for trees in (gate.classes, gate.mean, gate.members):
        found = attribute_trees(trees, inputs, baseline)
        changes = trees.sums(inputs) - trees.sums(baseline[None])
        np.testing.assert_allclose(found.sum(axis=2), changes, atol=1e-12)
        assert len(trees.roots) >= 10 * len(trees.baseline)


def test_contributions_are_those_of_a_fine_walk_along_the_line(gate):
    rng = np.random.default_rng(3)
    row, baseline = rng.normal(size=6), rng.normal(size=6)
    steps = np.linspace(0.0, 1.0, 40_001)[:, None]
    line = baseline + steps * (row - baseline)
    values = gate.mean.sums(line)[:, 0]
    walked = np.zeros(6)
    for at in np.flatnonzero(np.diff(values)):
        # So short a step crosses one threshold: the input without which nothing changes.
        for column in range(6):
            kept = line[at + 1].copy()
            kept[column] = line[at, column]
            if gate.mean.sums(kept[None])[0, 0] == values[at]:
                walked[column] += values[at + 1] - values[at]
    found = attribute_trees(gate.mean, row[None], baseline)[0, 0]
    np.testing.assert_allclose(found, walked, atol=1e-10)
    assert np.abs(found).max() > 0.0


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_random_trees_add_up_even_where_thresholds_meet(seed):
    rng = np.random.default_rng(seed)
    feature, left, right = [], [], []

    def grow(depth):
        place = len(feature)
        is_leaf = depth == 3 or rng.random() < 0.2
        feature.append(LEAF if is_leaf else int(rng.integers(3)))
        left.append(0)
        right.append(0)
        if not is_leaf:
            left[place] = grow(depth + 1)
            right[place] = grow(depth + 1)
        return place

    grow(0)
    # Few values: inputs lie on thresholds, and several are crossed at once.
    thresholds = rng.integers(-2, 3, len(feature)).astype(float)
    tree = tree_of(feature, thresholds, left, right, rng.normal(size=len(feature)))
    inputs = rng.integers(-3, 4, (20, 3)).astype(float)
    baseline = rng.integers(-3, 4, 3).astype(float)
    found = attribute_trees(tree, inputs, baseline)
    changes = tree.sums(inputs) - tree.sums(baseline[None])
    np.testing.assert_allclose(found.sum(axis=2), changes, atol=1e-12)
