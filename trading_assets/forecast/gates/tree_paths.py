"""What inputs add to sums of trees: integrated gradients of functions that are made of steps.

Along the straight line from a baseline to a row a tree changes by jumps, each where one input
crosses a threshold. The integral of the gradient is the sum of an input's jumps, exactly.
Source: Sundararajan, Taly and Yan, Axiomatic Attribution for Deep Networks, ICML 2017, with the
gradient of a step at its place.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.forecast.gates.trees import LEAF, Trees

Array = NDArray[np.float64]


def attribute_trees(trees: Trees, inputs: Array, baseline: Array) -> Array:
    """Return what each input adds to each column of the sums, float64 (n, k, I).

    Parameters
    ----------
    trees : Trees
        Sums of k columns.
    inputs : float64 (n, I)
        Rows, without nan.
    baseline : float64 (I,)
        What contributions are measured from; they add up to the sums less those of the baseline.
    """
    n_columns = len(trees.baseline)
    added = np.zeros((len(inputs), n_columns, inputs.shape[1]))
    ends = np.append(trees.roots, len(trees.feature))[1:]
    for number, (first, end) in enumerate(zip(trees.roots, ends, strict=True)):
        own = _own_tree(trees, int(first), int(end))
        if len(own.inputs):
            jumps, crossed = _jumps(own, inputs[:, own.inputs], baseline[own.inputs])
            column = added[:, number % n_columns]
            rows = np.broadcast_to(np.arange(len(inputs))[:, None], crossed.shape)
            np.add.at(column, (rows, own.inputs[crossed]), jumps)
    return added


@dataclass(frozen=True, slots=True)
class _OwnTree:
    """One tree on its own inputs (i,), and the input and threshold of each of its inner nodes."""

    tree: Trees
    inputs: NDArray[np.int64]
    feature: NDArray[np.int32]
    threshold: Array


def _own_tree(trees: Trees, first: int, end: int) -> _OwnTree:
    nodes = slice(first, end)
    feature, is_inner = trees.feature[nodes], trees.feature[nodes] != LEAF
    inputs, place = np.unique(feature[is_inner], return_inverse=True)
    own = np.full(len(feature), LEAF, dtype=np.int32)
    own[is_inner] = place
    tree = Trees(
        baseline=np.zeros(1),
        roots=np.zeros(1, dtype=np.int32),
        feature=own,
        threshold=trees.threshold[nodes],
        missing_left=trees.missing_left[nodes],
        left=np.where(is_inner, trees.left[nodes] - first, trees.left[nodes]).astype(np.int32),
        right=np.where(is_inner, trees.right[nodes] - first, trees.right[nodes]).astype(np.int32),
        value=trees.value[nodes],
    )
    return _OwnTree(tree, inputs.astype(np.int64), own[is_inner], tree.threshold[is_inner])


def _jumps(own: _OwnTree, inputs: Array, baseline: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return the jumps of each row in order, (n, nodes), and the tree's input that crosses."""
    start, end = baseline[own.feature], inputs[:, own.feature]
    crosses = (end <= own.threshold) != (start <= own.threshold)
    run = np.where(crosses, end - start, 1.0)
    share = np.where(crosses, (own.threshold - start) / run, np.inf)
    order = np.argsort(share, axis=1, kind="stable")
    at = np.take_along_axis(share, order, axis=1)
    following = np.append(at[:, 1:], np.full((len(at), 1), np.inf), axis=1)
    # Halfway to the next jump; behind the last one nothing changes any more up to the row itself.
    is_before_end = np.isfinite(following)
    between = np.where(is_before_end, 0.5 * (at + np.where(is_before_end, following, 0.0)), 1.0)
    points = np.where(
        (between < 1.0)[:, :, None],
        baseline + between[:, :, None] * (inputs - baseline)[:, None, :],
        inputs[:, None, :],
    )
    after = own.tree.sums(points.reshape(-1, len(baseline)))[:, 0].reshape(at.shape)
    before = own.tree.sums(baseline[None])[0, 0]
    jumps = np.diff(after, axis=1, prepend=np.full((len(after), 1), before))
    return np.where(np.isfinite(at), jumps, 0.0), own.feature[order].astype(np.int64)
