"""Boosted trees as plain arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.forecast.gates.compiled.walk import add_trees
from trading_assets.forecast.gates.stored import Stored, as_tensors

Array = NDArray[np.float64]
Index = NDArray[np.int32]
Flags = NDArray[np.bool_]

LEAF = -1


@dataclass(frozen=True, slots=True)
class Trees:
    """Sums of trees: k columns, tree t belonging to column t % k.

    Attributes
    ----------
    baseline : float64 (k,)
        What each column is without a tree.
    roots : int32 (trees,)
        First node of each tree; its nodes lie between there and the next tree's root.
    feature : int32 (nodes,)
        Input that a node looks at, `LEAF` of a leaf.
    threshold : float64 (nodes,)
        A row whose input is at most that goes left.
    missing_left : bool (nodes,)
        Whether a row whose input is nan goes left.
    left, right : int32 (nodes,)
        Where a row goes on, always further along.
    value : float64 (nodes,)
        What a leaf adds.
    """

    baseline: Array
    roots: Index
    feature: Index
    threshold: Array
    missing_left: Flags
    left: Index
    right: Index
    value: Array

    def sums(self, inputs: Array) -> Array:
        """Return the columns (n, k) at inputs (n, I), each row's bytes as if it were alone."""
        sums = np.tile(self.baseline, (len(inputs), 1))
        add_trees(
            # Each other type or order of an array would be compiled anew.
            np.ascontiguousarray(inputs, dtype=np.float64),
            self.roots,
            self.feature,
            self.threshold,
            self.missing_left,
            self.left,
            self.right,
            self.value,
            sums,
        )
        return sums

    def tensors(self, prefix: str) -> dict[str, torch.Tensor]:
        """Return the arrays as tensors `<prefix>.<name>`."""
        return as_tensors(prefix, {name: getattr(self, name) for name in ("baseline", *_LISTS)})


_LISTS: Mapping[str, torch.dtype] = {
    "roots": torch.int32,
    "feature": torch.int32,
    "threshold": torch.float64,
    "missing_left": torch.bool,
    "left": torch.int32,
    "right": torch.int32,
    "value": torch.float64,
}


def stored_trees(columns: int) -> dict[str, Stored]:
    """Return how the arrays of trees of so many columns are stored, by name."""
    lists = {name: Stored((None,), dtype) for name, dtype in _LISTS.items()}
    return {"baseline": Stored((columns,)), **lists}


def restore_trees(prefix: str, arrays: Mapping[str, NDArray[Any]], n_inputs: int) -> Trees:
    """Return the trees of arrays read as `stored_trees` says; every walk ends at a leaf.

    Raises
    ------
    DataError
        If a node points outside the inputs or its own tree.
    """
    nodes = len(arrays["feature"])
    for name in ("threshold", "missing_left", "left", "right", "value"):
        _require(prefix, f"{name} had {len(arrays[name])} nodes", len(arrays[name]) == nodes)
    _require_nodes(prefix, arrays, n_inputs)
    return Trees(**{name: np.ascontiguousarray(array) for name, array in arrays.items()})


def _require_nodes(prefix: str, arrays: Mapping[str, NDArray[Any]], n_inputs: int) -> None:
    columns = len(arrays["baseline"])
    roots, feature = arrays["roots"].astype(np.int64), arrays["feature"]
    ends = np.append(roots, len(feature))[1:]
    _require(prefix, f"{len(roots)} trees of {columns} columns", len(roots) % columns == 0)
    starts_at_0 = int(roots[0]) == 0 if len(roots) else not len(feature)
    is_grown = starts_at_0 and bool((roots < ends).all())
    _require(prefix, "roots are not those of trees one after another", is_grown)
    is_input = (feature >= LEAF) & (feature < n_inputs)
    _require(prefix, f"feature lies outside of {n_inputs} inputs", bool(is_input.all()))
    is_inner = feature != LEAF
    place = np.arange(len(feature))
    end = np.repeat(ends, ends - roots)
    for side in ("left", "right"):
        child = arrays[side]
        is_within = ~is_inner | ((child > place) & (child < end))
        _require(prefix, f"{side} leads out of its tree", bool(is_within.all()))


def _require(prefix: str, found: str, holds: bool) -> None:
    if not holds:
        msg = (
            f"forecaster weights {prefix}: {found}; expected trees as they were grown: train the"
            f" forecaster again"
        )
        raise DataError(msg)
