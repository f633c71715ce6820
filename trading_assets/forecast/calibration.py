"""Probabilities that mean what they say: temperature, log-loss and intervals of accuracy."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Classes = NDArray[np.int64]

_LOG_TEMPERATURES = (np.log(0.1), np.log(50.0))
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


def class_probabilities(logits: Array, temperature: float = 1.0) -> Array:
    """Return softmax(logits / temperature), float64 (n, 3)."""
    scaled = logits / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def log_loss(probabilities: Array, classes: Classes) -> float:
    """Return the mean negative log probability of the classes (n,), nats."""
    chosen = probabilities[np.arange(len(classes)), classes]
    return float(-np.log(np.maximum(chosen, 1e-12)).mean())


def fit_temperature(logits: Array, classes: Classes) -> float:
    """Return the temperature in [0.1, 50] with the least log-loss on validation rows.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
    """

    def loss(log_temperature: float) -> float:
        return log_loss(class_probabilities(logits, float(np.exp(log_temperature))), classes)

    return float(np.exp(_minimise(loss, *_LOG_TEMPERATURES)))


def _minimise(function: Callable[[float], float], low: float, high: float) -> float:
    # Golden-section search: the log-loss has one minimum in the temperature.
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(50):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = function(right)
    return 0.5 * (low + high)


def wilson_interval(share: float, count: float, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share observed in `count` independent trials.

    Source: Wilson, Probable Inference, JASA 22 (1927). Labels over h bars overlap, so callers pass
    rows / h.
    """
    denominator = 1.0 + z * z / count
    centre = (share + z * z / (2.0 * count)) / denominator
    half = z / denominator * np.sqrt(share * (1.0 - share) / count + z * z / (4.0 * count * count))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))
