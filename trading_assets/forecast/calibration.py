"""Probabilities that mean what they say: temperature, and intervals of accuracy."""

from collections.abc import Callable

import numpy as np

from trading_assets.forecast.scores import LEAST_PROBABILITY, Array, Classes, log_loss

_LOG_TEMPERATURES = (np.log(0.1), np.log(50.0))
_GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


def class_probabilities(logits: Array, temperature: float = 1.0) -> Array:
    """Return softmax(logits / temperature), float64 (n, 3)."""
    scaled = logits / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def temper(probabilities: Array, temperature: float) -> Array:
    """Return softmax(log p / temperature), float64 (n, 3), of probabilities (n, 3).

    The order of the classes stays; a temperature above 1 draws them together, and 1 changes nothing
    but zeros, which count as 1e-12.
    """
    return class_probabilities(log_probabilities(probabilities), temperature)


def log_probabilities(probabilities: Array) -> Array:
    """Return the logarithms of probabilities (n, 3), logits that give them; zeros count as 1e-12.

    An ensemble's mean probabilities have no logits of their own; `fit_temperature` takes these.
    """
    return np.log(np.maximum(probabilities, LEAST_PROBABILITY))


def fit_temperature(logits: Array, classes: Classes) -> float:
    """Return the temperature in [0.1, 50] with the least log-loss on held-out rows.

    Parameters
    ----------
    logits : float64 (n, 3)
        Logits, or `log_probabilities`.
    classes : int64 (n,)
        What came true.

    Notes
    -----
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

    Source: Wilson, Probable Inference, JASA 22 (1927). Rows are not independent: callers pass what
    `count_independent` finds.
    """
    denominator = 1.0 + z * z / count
    centre = (share + z * z / (2.0 * count)) / denominator
    half = z / denominator * np.sqrt(share * (1.0 - share) / count + z * z / (4.0 * count * count))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))
