"""Grows the boosting gate: small trees, shrunk for faint signals, stopped on later rows."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from trading_assets.forecast.gates.boosting import MEMBERS, BoostingGate
from trading_assets.forecast.gates.grown_trees import read_trees
from trading_assets.forecast.gates.samples import Samples, one_thread
from trading_assets.forecast.gates.steps import Steps, fit_steps
from trading_assets.forecast.gates.trees import Trees

Array = NDArray[np.float64]
Index = NDArray[np.int64]

MOST_ROUNDS = 200
# Rounds without progress on the stopping rows after which growing ends.
PATIENCE_ROUNDS = 20
LEARNING_RATE = 0.05
# Few enough to tell a step of one input from that of another, with room for what two say together.
_LEAVES = 8
_STEPS = 64
_INPUT_SHARE = 0.5
# Independent observations a leaf holds at least, and such of value 0 that it is averaged with.
LEAF_OBSERVATIONS = 20.0
_SHRINKING_OBSERVATIONS = 20.0
# Horizons of a resampled block: labels within one overlap.
_BLOCK_HORIZONS = 3


@dataclass(frozen=True, slots=True)
class _Growth:
    """Train and stopping rows in steps, and the settings of all models."""

    steps: Steps
    train: Samples
    stopping: Samples
    seed: int

    def settings(self, rows_share: float = 1.0) -> dict[str, Any]:
        """Return what the models have in common; labels that overlap count as one."""
        overlap = len(self.train) / self.train.observations
        return {
            "learning_rate": LEARNING_RATE,
            "max_leaf_nodes": _LEAVES,
            "min_samples_leaf": max(1, round(LEAF_OBSERVATIONS * overlap * rows_share)),
            "l2_regularization": _SHRINKING_OBSERVATIONS * overlap,
            "max_features": _INPUT_SHARE,
            "early_stopping": False,
            # As many as there are steps: they are cut once for all models.
            "max_bins": _STEPS,
        }

    def read(self, models: list[Any], rounds: int) -> Trees:
        """Return trees of values instead of steps."""
        trees = read_trees(models, rounds)
        return replace(trees, threshold=self.steps.to_values(trees.feature, trees.threshold))


def fit_boosting(train: Samples, stopping: Samples, horizon_bars: int, seed: int) -> BoostingGate:
    """Return the boosting gate, its rounds those of the least loss on the stopping rows.

    Parameters
    ----------
    train, stopping : Samples
        Purged rows; those of `stopping` come later. Log-loss and squared error there choose the
        rounds of the classes and of the mean, which may be none.
    horizon_bars : int
        Sessions a label lives; blocks of resampled sessions are at least so long.
    seed : int
        Seed of the inputs each split chooses among and of the resampled sessions.

    Raises
    ------
    DataError
        If a class has no train row.
    UserError
        If the installed scikit-learn keeps its trees in another way.
    """
    train.require_classes()
    steps = fit_steps(train.inputs, _STEPS)
    growth = _Growth(
        steps,
        replace(train, inputs=steps.number(train.inputs)),
        replace(stopping, inputs=steps.number(stopping.inputs)),
        seed,
    )
    with one_thread():
        classes, _ = _grow_stopped(growth, HistGradientBoostingClassifier, "classes")
        mean, rounds = _grow_stopped(growth, HistGradientBoostingRegressor, "scaled_returns")
        counts = resample_sessions(
            train.sessions, horizon_bars, MEMBERS, np.random.default_rng(seed)
        )
        members = growth.read(
            [_grow_member(growth, count, rounds, seed + i) for i, count in enumerate(counts, 1)],
            rounds,
        )
    noise = _measure_noise(train, members.sums(train.inputs), counts)
    least_error = noise / float(np.sqrt(train.observations))
    return BoostingGate(classes, mean, members, noise, least_error, train.inputs.shape[1])


def _grow_stopped(growth: _Growth, kind: type[Any], target: str) -> tuple[Trees, int]:
    train, stopping = growth.train, growth.stopping
    stopped = {
        "early_stopping": True,
        "scoring": "loss",
        "n_iter_no_change": PATIENCE_ROUNDS,
        "tol": 0.0,
    }
    model = kind(
        **growth.settings() | stopped,
        max_iter=MOST_ROUNDS,
        random_state=growth.seed,
    )
    model.fit(
        _without_empty(train.inputs),
        getattr(train, target),
        train.weights,
        # Rows of the library's own choice would overlap with those the trees are grown on.
        X_val=stopping.inputs,
        y_val=getattr(stopping, target),
        sample_weight_val=stopping.weights,
    )
    # The first score is that of no round.
    rounds = int(np.argmax(model.validation_score_))
    return growth.read([model], rounds), rounds


def _grow_member(growth: _Growth, count: Index, rounds: int, seed: int) -> Any:  # noqa: ANN401
    train, is_drawn = growth.train, count > 0
    model = HistGradientBoostingRegressor(
        **growth.settings(float(is_drawn.mean())),
        max_iter=max(1, rounds),
        random_state=seed,
    )
    weights = train.weights[is_drawn] * count[is_drawn]
    inputs = _without_empty(train.inputs[is_drawn])
    return model.fit(inputs, train.scaled_returns[is_drawn], weights)


def _without_empty(inputs: Array) -> Array:
    # The library fails at a column of nothing but nan; one of zeros splits no rows either.
    return np.where(np.isnan(inputs).all(axis=0), 0.0, inputs)


def resample_sessions(
    sessions: Index, horizon_bars: int, samples: int, rng: np.random.Generator
) -> Index:
    """Return how often each row is drawn (samples, n) if blocks of sessions are, with replacement.

    A block is three horizons long, but no more than a quarter of the sessions, and at least a
    horizon. Blocks wrap around the end. All rows of a session are drawn together.

    Source: Politis and Romano, A Circular Block-Resampling Procedure for Stationary Data, 1992.
    """
    distinct, position = np.unique(sessions, return_inverse=True)
    count = len(distinct)
    block = max(horizon_bars, min(_BLOCK_HORIZONS * horizon_bars, count // 4))
    starts = rng.integers(0, count, (samples, -(-count // block)))
    drawn = (starts[:, :, None] + np.arange(block)) % count
    drawn = drawn.reshape(samples, -1)[:, :count]
    times = np.array([np.bincount(row, minlength=count) for row in drawn])
    return times[:, position]


def _measure_noise(train: Samples, means: Array, counts: Index) -> float:
    # A train row that a member was not fitted on, or, where each was fitted on all, any.
    is_out = counts.T == 0
    if not is_out.any():
        is_out = np.ones_like(is_out)
    squares = (train.scaled_returns[:, None] - means) ** 2
    return float(
        np.sqrt(np.average(squares[is_out], weights=(is_out * train.weights[:, None])[is_out]))
    )
