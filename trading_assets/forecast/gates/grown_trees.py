"""The trees that scikit-learn has grown: the one place that looks into its histogram boosting."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray

from trading_assets.errors import UserError
from trading_assets.forecast.gates.trees import LEAF, Trees

Array = NDArray[np.float64]

_FIELDS = (
    "value",
    "feature_idx",
    "num_threshold",
    "missing_go_to_left",
    "left",
    "right",
    "is_leaf",
    "is_categorical",
)


def read_trees(models: Sequence[Any], rounds: int) -> Trees:
    """Return the first rounds of fitted models, the columns of one model after another's.

    Parameters
    ----------
    models : sequence of HistGradientBoostingClassifier or HistGradientBoostingRegressor
        Fitted on columns of numbers, each with at least so many rounds.
    rounds : int
        Rounds of each that count.

    Raises
    ------
    UserError
        If the installed scikit-learn keeps its trees in another way.
    """
    try:
        baseline = np.concatenate([np.ravel(model._baseline_prediction) for model in models])
        grown = [[list(trees) for trees in model._predictors[:rounds]] for model in models]
        # Round by round, so that tree t belongs to column t % k.
        nodes = [tree.nodes for row in zip(*grown, strict=True) for trees in row for tree in trees]
        fields = [{name: np.array(tree[name]) for name in _FIELDS} for tree in nodes]
    except (AttributeError, ValueError, TypeError) as error:
        raise UserError(_other_layout(str(error))) from error
    if len(fields) != rounds * len(baseline):
        raise UserError(_other_layout(f"{len(fields)} trees in {rounds} rounds"))
    if any(tree["is_categorical"].any() for tree in fields):
        raise UserError(_other_layout("splits by category"))
    return join_trees(baseline.astype(np.float64), fields)


def join_trees(baseline: Array, fields: Sequence[dict[str, NDArray[Any]]]) -> Trees:
    """Return trees of the fields of their nodes, each one's nodes numbered from 0."""
    roots = np.cumsum([0, *(len(tree["value"]) for tree in fields)])[:-1]

    def join(name: str, dtype: type) -> NDArray[Any]:
        parts = [tree[name] for tree in fields]
        return np.concatenate(parts).astype(dtype) if parts else np.empty(0, dtype)

    def place(name: str) -> NDArray[np.int32]:
        parts = [tree[name] + root for tree, root in zip(fields, roots, strict=True)]
        return np.concatenate(parts).astype(np.int32) if parts else np.empty(0, np.int32)

    is_leaf = join("is_leaf", np.bool_)
    return Trees(
        baseline=baseline,
        roots=roots.astype(np.int32),
        feature=np.where(is_leaf, LEAF, join("feature_idx", np.int32)).astype(np.int32),
        threshold=np.where(is_leaf, 0.0, join("num_threshold", np.float64)),
        missing_left=join("missing_go_to_left", np.bool_),
        left=np.where(is_leaf, 0, place("left")).astype(np.int32),
        right=np.where(is_leaf, 0, place("right")).astype(np.int32),
        value=np.where(is_leaf, join("value", np.float64), 0.0),
    )


def _other_layout(found: str) -> str:
    return (
        f"scikit-learn {sklearn.__version__} keeps its trees in another way ({found}); expected one"
        f" of constraints.txt: install that version"
    )
