"""Weights of exponential means, and the scales on which they are shown."""

import numpy as np

from trading_assets.simulation.terms import Floats

LARGEST_SHOWN = 5.0
# A balanced book of daily bars has about this deviation; its logarithm is shown as 0.
_TYPICAL_DEVIATION = 0.01
_LEAST_VARIANCE = 1e-16


def newest_weight(half_life_bars: float) -> float:
    """Return the weight of the newest bar in a mean that forgets half in so many bars."""
    return 1.0 - 0.5 ** (1.0 / half_life_bars)


def clip_shown(values: Floats) -> Floats:
    """Return values within the range of all inputs of a policy, [-5, 5]."""
    return np.clip(values, -LARGEST_SHOWN, LARGEST_SHOWN)


def show_deviation(variance: Floats) -> Floats:
    """Return `ln(deviation / 0.01)`, clipped: of order 1 for deviations from 0.01 % to 150 %."""
    floored = np.maximum(variance, _LEAST_VARIANCE)
    return clip_shown(0.5 * np.log(floored) - np.log(_TYPICAL_DEVIATION))


def show_mean(mean: Floats, second_moment: Floats, weight: float) -> Floats:
    """Return an exponential mean in standard errors, clipped; 0 where nothing varied.

    Parameters
    ----------
    mean, second_moment : float64 (K,)
        Exponential means of values and of their squares, both started at 0.
    weight : float
        Weight of the newest bar.
    """
    error = np.sqrt(second_moment * (weight / (2.0 - weight)))
    return clip_shown(np.divide(mean, error, out=np.zeros_like(mean), where=error > 0.0))
