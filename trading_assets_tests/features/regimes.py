"""A two-state Gaussian hidden Markov model of returns: what is known then, and in hindsight."""

import numpy as np

# Chance to go from one state to the other, and the states' volatilities.
TO_WILD, TO_CALM = 0.03, 0.05
SIGMA = np.array([0.010, 0.022])


def filter_regimes(returns: np.ndarray) -> np.ndarray:
    """Return the probability of the wild state given the returns so far, float64 (T,)."""
    wild, known = 0.5, []
    for calm_fit, wild_fit in _likelihood(returns):
        before = (1.0 - wild) * TO_WILD + wild * (1.0 - TO_CALM)
        wild = wild_fit * before / (wild_fit * before + calm_fit * (1.0 - before))
        known.append(wild)
    return np.array(known)


def smooth_regimes(returns: np.ndarray) -> np.ndarray:
    """Return the probability of the wild state given all returns, float64 (T,)."""
    known = filter_regimes(returns).tolist()
    calm, wild = 1.0, 1.0
    smoothed = known[-1:]
    for (calm_fit, wild_fit), own in zip(_likelihood(returns)[:0:-1], known[-2::-1], strict=True):
        calm, wild = calm_fit * calm, wild_fit * wild
        calm, wild = (
            (1.0 - TO_WILD) * calm + TO_WILD * wild,
            TO_CALM * calm + (1.0 - TO_CALM) * wild,
        )
        calm, wild = calm / (calm + wild), wild / (calm + wild)
        smoothed.append(own * wild / (own * wild + (1.0 - own) * calm))
    return np.array(smoothed[::-1])


def _likelihood(returns: np.ndarray) -> list[list[float]]:
    scores = np.clip(returns, -0.2, 0.2)[:, None] / SIGMA
    return (np.exp(-0.5 * scores**2) / SIGMA).tolist()
