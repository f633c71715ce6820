"""Long-only weights of the textbook rules that learned portfolios are held against.

Each is a function of past total returns float64 (T, N), nan where a symbol had none, oldest first,
and of nothing else: what is known at the close that the last row ends with. Symbols without enough
returns get 0, as do those that never moved where variances are compared; if none is left, nothing
is held.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BARS_PER_YEAR = 252
# A year of returns, and the least of them that a symbol is judged by.
LOOKBACK_BARS, LEAST_BARS = 252, 126
VOLATILITY_BARS, MONTH_BARS = 63, 21
TARGET_VOLATILITY_ANNUAL = 0.10
# Deviation of a bar's return, a thousandth of a basis point, below which nothing has moved.
STILL = 1e-7


def inverse_volatility_weights(returns: Floats) -> Floats:
    """Return weights `1 / sigma` over their sum, sigma of the last 63 returns.

    A symbol that has not moved since has no sigma to divide by and gets 0.
    """
    weights = np.zeros(returns.shape[1])
    known, window = year_of_moves(returns)
    if len(known):
        deviation = window[-VOLATILITY_BARS:].std(axis=0, ddof=1)
        weights[known] = np.divide(1.0, deviation, out=deviation * 0.0, where=deviation > STILL)
    return _normalised(weights)


def minimum_variance_weights(returns: Floats) -> Floats:
    """Return the long-only weights of least variance, by the shrunk covariance of a year.

    Source: Ledoit and Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance Matrices,
    Journal of Multivariate Analysis 88 (2004).
    """
    return _optimal(returns, is_by_mean=False)


def mean_variance_weights(returns: Floats) -> Floats:
    """Return the long-only weights of the largest Sharpe ratio, by mean and covariance of a year.

    Nothing is held where no mean is above 0. Source: Markowitz, Portfolio Selection, Journal of
    Finance 7 (1952); covariance as in `minimum_variance_weights`.
    """
    return _optimal(returns, is_by_mean=True)


def momentum_weights(returns: Floats) -> Floats:
    """Return equal weights of the third of symbols that rose most from 12 months to one ago.

    The third is rounded up. Source: Jegadeesh and Titman, Returns to Buying Winners and Selling
    Losers, Journal of Finance 48 (1993).
    """
    known = known_symbols(returns)
    if not len(known):
        return np.zeros(returns.shape[1])
    window = np.nan_to_num(returns[-LOOKBACK_BARS:-MONTH_BARS, known])
    growth = np.prod(1.0 + window, axis=0)
    count = math.ceil(len(known) / 3)
    # Of equal growth the first column counts.
    best = known[np.argsort(-growth, kind="stable")[:count]]
    weights = np.zeros(returns.shape[1])
    weights[best] = 1.0 / count
    return weights


def trend_weights(returns: Floats) -> Floats:
    """Return weights of symbols that rose over a year, each sized to a tenth of annual volatility.

    `(1 / N) min(1, 0.1 / sigma)`, N all symbols with a year of returns; what fell is not held, and
    the rest stays in cash. Source: Moskowitz, Ooi and Pedersen, Time Series Momentum, Journal of
    Financial Economics 104 (2012), without shorts or leverage.
    """
    weights = np.zeros(returns.shape[1])
    known = known_symbols(returns)
    if not len(known):
        return weights
    window = np.nan_to_num(returns[-LOOKBACK_BARS:, known])
    has_risen = np.prod(1.0 + window, axis=0) > 1.0
    recent = window[-VOLATILITY_BARS:]
    deviation = recent.std(axis=0, ddof=1) * math.sqrt(BARS_PER_YEAR)
    size = np.minimum(1.0, TARGET_VOLATILITY_ANNUAL / np.maximum(deviation, 1e-12))
    weights[known] = has_risen * size / len(known)
    return weights


def known_symbols(returns: Floats) -> NDArray[np.intp]:
    """Return the columns of symbols with a return on the last row and enough within the year."""
    if not len(returns):
        return np.zeros(0, np.intp)
    window = np.isfinite(returns[-LOOKBACK_BARS:])
    return np.flatnonzero(window[-1] & (window.sum(axis=0) >= LEAST_BARS))


def year_of_moves(returns: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return what variances are compared by: known symbols that moved within the year.

    Returns
    -------
    columns : intp (K,)
        Their columns.
    window : float64 (<= 252, K)
        Their returns of the year, 0 where there was none.
    """
    known = known_symbols(returns)
    window = np.nan_to_num(returns[-LOOKBACK_BARS:, known])
    moves = window.std(axis=0) > STILL if len(known) else np.zeros(0, np.bool_)
    return known[moves], window[:, moves]


def _optimal(returns: Floats, *, is_by_mean: bool) -> Floats:
    from scipy.optimize import nnls
    from sklearn.covariance import LedoitWolf

    weights = np.zeros(returns.shape[1])
    known, window = year_of_moves(returns)
    if not len(known):
        return weights
    wanted = window.mean(axis=0) if is_by_mean else np.ones(len(known))
    if not (wanted > 0.0).any():
        return weights
    covariance: Floats = LedoitWolf().fit(window).covariance_
    # Scaled to a mean variance of 1, so that small numbers lose no digits.
    covariance = covariance / float(np.trace(covariance) / len(covariance))
    wanted = wanted / float(np.abs(wanted).max())
    # Least x' S x - 2 m' x over x >= 0 is a least-squares problem of non-negative numbers in the
    # root of S, and its solution points to the portfolio of the largest m' w / sqrt(w' S w).
    root = np.linalg.cholesky(covariance)
    found, _ = nnls(root.T, np.linalg.solve(root, wanted))
    weights[known] = found
    return _normalised(weights)


def _normalised(weights: Floats) -> Floats:
    total = float(weights.sum())
    return weights / total if total > 0.0 else np.zeros_like(weights)
