"""Effects of single sessions as parts of the compounded active return.

Source: Carino, Combining Attribution Effects Over Time, Journal of Performance Measurement 3(4)
(1999).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def link_effects(effects: Array, portfolio: Array, benchmark: Array) -> Array:
    """Return effects (K,) that add up to the compounded active return.

    Parameters
    ----------
    effects : float64 (T, K)
        Of each session; they add up to its active return, `portfolio - benchmark`.
    portfolio, benchmark : float64 (T,)
        Simple returns of each session, above -1.

    Returns
    -------
    float64 (K,)
        Their sum is `prod(1 + portfolio) - prod(1 + benchmark)`.
    """
    whole = np.array([compound(portfolio)]), np.array([compound(benchmark)])
    return (_slopes(portfolio, benchmark) / _slopes(*whole)) @ effects


def compound(returns: Array) -> float:
    """Return the compounded return of simple ones."""
    return float(np.expm1(np.log1p(returns).sum()))


def _slopes(portfolio: Array, benchmark: Array) -> Array:
    """Return `(ln(1 + p) - ln(1 + b)) / (p - b)`, and its limit where both are equal."""
    active = portfolio - benchmark
    is_active = active != 0.0
    grown = np.log1p(active / (1.0 + benchmark))
    return np.divide(grown, active, out=1.0 / (1.0 + benchmark), where=is_active)
