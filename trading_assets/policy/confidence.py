"""How sure forecasts are, as factors on weights: what is uncertain is held in smaller size.

A factor is in [0, 1], known at the decision's close, and multiplies a raw weight before limits. It
does not ask which way the weight points: an agent may trade against a forecast.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import panels_of

# Expected returns are mostly within a tenth of the deviation of returns.
_TYPICAL_SHARE = 0.1


def confidence_factors(
    forecasts: pl.DataFrame, rules: DecisionRules, sessions: NDArray[np.datetime64]
) -> Floats | None:
    """Return factors on raw weights, float64 (T, N), or None where weights are taken as they are.

    `posterior_mean` is `s^2 / (s^2 + tau^2)`, what the mean of a normal posterior keeps of an
    estimate with the standard error tau, column `sigma_expected_return`, under a prior of mean 0
    and standard deviation s, a tenth of `sigma_return`. A policy without forecasts has nothing to
    shrink by, and its weights are taken as they are.

    `twice_confidence` is `min(2 c, 1)` with `c = |p_up - p_down|`: 0 for a forecast that sees no
    direction, however sure it is of the middle class.

    Parameters
    ----------
    forecasts : DataFrame
        Table `forecasts`; where it has no row, nothing is known and the factor is 0.
    rules : DecisionRules
        Symbols and `confidence_sizing`.
    sessions : datetime64[D] (T,)
        Rows asked for.
    """
    columns = confidence_columns(rules)
    if not columns:
        return None
    return factors_of(panels_of(forecasts, rules.symbols, sessions, columns), rules)


def confidence_columns(rules: DecisionRules) -> tuple[str, ...]:
    """Return the columns of `forecasts` that factors are made of; none where there are none."""
    if rules.confidence_sizing == "twice_confidence":
        return ("p_down", "p_up")
    if rules.confidence_sizing == "none" or not rules.uses_forecasts:
        return ()
    return ("sigma_return", "sigma_expected_return")


def factors_of(panels: Mapping[str, Floats], rules: DecisionRules) -> Floats:
    """Return factors float64 (T, N) of panels (T, N) of `confidence_columns`, nan without a row."""
    first, second = (panels[name] for name in confidence_columns(rules))
    if rules.confidence_sizing == "twice_confidence":
        return doubled_edge(first, second)
    return shrinkage(_TYPICAL_SHARE * first, second)


def shrinkage(prior: Floats, error: Floats) -> Floats:
    """Return `s^2 / (s^2 + tau^2)` of deviations of priors and of errors; 0 where one is nan."""
    signal, total = prior**2, prior**2 + error**2
    is_known = np.isfinite(total) & (total > 0.0)
    return np.divide(signal, total, out=np.zeros_like(total), where=is_known)


def doubled_edge(p_down: Floats, p_up: Floats) -> Floats:
    """Return `min(2 |p_up - p_down|, 1)`; 0 where one is nan."""
    return np.nan_to_num(np.minimum(2.0 * np.abs(p_up - p_down), 1.0), nan=0.0)


def size_by_factors(raw: Floats, factors: Floats | None) -> Floats:
    """Return raw weights (K, N) by their factors (K, N), if there are any."""
    return raw if factors is None else raw * factors
