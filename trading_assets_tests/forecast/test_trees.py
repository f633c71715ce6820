from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from trading_assets.errors import UserError
from trading_assets.forecast.gates.grown_trees import read_trees
from trading_assets.forecast.gates.steps import fit_steps


def make_inputs(count: int, seed: int, unknown: bool = True) -> np.ndarray:
    """Return inputs (count, 6): 1 is constant, 2 is 0 or 1, 3 and 4 have nan."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 6))
    inputs[:, 1] = 3.0
    inputs[:, 2] = inputs[:, 2] > 0
    if unknown:
        inputs[rng.random(count) < 0.3, 3] = np.nan
        inputs[rng.random(count) < 0.95, 4] = np.nan
    return inputs


def make_targets(inputs: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    known = np.nan_to_num(inputs, nan=-2.0)
    signal = np.sin(known[:, 0]) + known[:, 2] * known[:, 3] + 0.3 * known[:, 5] ** 2
    return signal + rng.normal(size=len(inputs))


SETTINGS: dict[str, Any] = {
    "max_iter": 30,
    "max_leaf_nodes": 9,
    "min_samples_leaf": 10,
    "max_bins": 32,
    "early_stopping": False,
    "random_state": 0,
}


@pytest.mark.parametrize("unknown_in_training", [True, False])
def test_the_trees_say_what_the_library_says(unknown_in_training: bool):
    inputs = make_inputs(800, 1, unknown_in_training)
    targets = make_targets(inputs, 2)
    weights = np.random.default_rng(3).uniform(0.2, 2.0, 800)
    classes = np.digitize(targets, np.quantile(targets, (1 / 3, 2 / 3)))
    classifier = HistGradientBoostingClassifier(**SETTINGS).fit(inputs, classes, weights)
    regressor = HistGradientBoostingRegressor(**SETTINGS).fit(inputs, targets, weights)
    later = make_inputs(500, 4)
    # On an edge, and beyond all edges.
    later[:200, 0] = np.resize(read_trees([regressor], 30).threshold, 200)
    later[200:202, 0] = -1e300, 1e300
    logits = read_trees([classifier], 30).sums(later)
    exponentials = np.exp(logits)
    np.testing.assert_allclose(
        exponentials / exponentials.sum(axis=1, keepdims=True),
        classifier.predict_proba(later),
        rtol=0,
        atol=1e-12,
    )
    means = read_trees([regressor], 30).sums(later)[:, 0]
    np.testing.assert_allclose(means, regressor.predict(later), rtol=0, atol=1e-12)
    assert means.std() > 0.3


def test_fewer_rounds_are_the_first_of_them():
    inputs = make_inputs(400, 1)
    targets = make_targets(inputs, 2)
    regressor = HistGradientBoostingRegressor(**SETTINGS).fit(inputs, targets)
    staged = list(regressor.staged_predict(inputs))
    for rounds in (1, 7, 30):
        found = read_trees([regressor], rounds).sums(inputs)[:, 0]
        np.testing.assert_allclose(found, staged[rounds - 1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(read_trees([regressor], 0).sums(inputs), targets.mean())


def test_models_read_together_are_columns_side_by_side():
    inputs = make_inputs(400, 1)
    models = [
        HistGradientBoostingRegressor(**SETTINGS).fit(inputs, make_targets(inputs, seed))
        for seed in (2, 3, 4)
    ]
    together = read_trees(models, 30).sums(inputs)
    for column, model in enumerate(models):
        np.testing.assert_allclose(together[:, column], model.predict(inputs), rtol=0, atol=1e-12)


def test_trees_of_steps_and_of_values_say_the_same():
    inputs = make_inputs(800, 1)
    steps = fit_steps(inputs, 16)
    regressor = HistGradientBoostingRegressor(**{**SETTINGS, "max_bins": 16})
    # Rows without some steps: what lies between the steps of these has to keep its side.
    chosen = np.random.default_rng(5).random(800) < 0.1
    numbers = steps.number(inputs)
    regressor.fit(numbers[chosen], make_targets(inputs, 2)[chosen])
    trees = read_trees([regressor], 30)
    values = steps.to_values(trees.feature, trees.threshold)
    later = np.concatenate((inputs, make_inputs(800, 6)))
    found = replace(trees, threshold=values).sums(later)
    np.testing.assert_array_equal(found, trees.sums(steps.number(later)))
    assert found.std() > 0.3


def test_steps_hold_about_equally_many_rows_and_few_values_one_each():
    inputs = make_inputs(3200, 1)
    numbers = fit_steps(inputs, 32).number(inputs)
    counts = np.bincount(numbers[:, 0].astype(int))
    assert len(counts) == 32
    assert counts.min() >= 99
    assert counts.max() <= 101
    assert set(numbers[:, 1]) == {0.0}
    np.testing.assert_array_equal(numbers[:, 2], inputs[:, 2])
    np.testing.assert_array_equal(np.isnan(numbers), np.isnan(inputs))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"_predictors": None}, "keeps its trees in another way"),
        ({"_baseline_prediction": None}, "keeps its trees in another way"),
        (
            {"_predictors": [[SimpleNamespace(nodes=np.zeros(3, [("value", float)]))]]},
            "feature_idx",
        ),
        ({"_predictors": [[SimpleNamespace()]]}, "nodes"),
        ({"_predictors": []}, "0 trees in 1 rounds"),
    ],
)
def test_a_library_that_keeps_its_trees_in_another_way_is_refused(
    change: dict[str, Any], sentence: str
):
    fields = {"_predictors": [], "_baseline_prediction": np.zeros((1, 1))} | change
    fields = {name: value for name, value in fields.items() if value is not None}
    with pytest.raises(UserError, match=sentence):
        read_trees([SimpleNamespace(**fields)], 1)


def test_trees_with_categories_are_refused():
    inputs = make_inputs(400, 1)
    regressor = HistGradientBoostingRegressor(**SETTINGS, categorical_features=[2])
    regressor.fit(inputs, make_targets(inputs, 2))
    with pytest.raises(UserError, match="splits by category"):
        read_trees([regressor], 30)
