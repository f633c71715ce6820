"""Weights by hierarchical risk parity, the textbook rule that is the package skfolio's own."""

import warnings

import numpy as np

from trading_assets.backtest.allocations import Floats, year_of_moves


def hierarchical_risk_parity_weights(returns: Floats) -> Floats:
    """Return weights that halve variance down a tree of the correlations of a year.

    With the defaults of skfolio: sample covariance, distance `sqrt((1 - rho) / 2)`, Ward's linkage
    with leaves in optimal order, bisection by variance. Two symbols get weights as 1 over their
    variances, a single one everything. A symbol that never moved has no correlation and gets 0.
    Source: Lopez de Prado, Building Diversified Portfolios that Outperform Out of Sample, Journal
    of Portfolio Management 42 (2016).

    Parameters
    ----------
    returns : float64 (T, N)
        Past total returns, as the rules of `backtest.allocations` see them.

    Returns
    -------
    float64 (N,)
        Not negative, with sum 1, or all 0 where nothing is known.
    """
    weights = np.zeros(returns.shape[1])
    known, window = year_of_moves(returns)
    if len(known):
        weights[known] = _fitted(window)
    return weights


def _fitted(window: Floats) -> Floats:
    # What the package or one of its own says while it is imported or fitted concerns no one here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skfolio.optimization import HierarchicalRiskParity

        found = HierarchicalRiskParity().fit(window).weights_
    return np.asarray(found, dtype=np.float64)
