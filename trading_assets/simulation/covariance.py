"""Covariance of a bar's returns that was known when a position was decided."""

import numpy as np

from trading_assets.simulation.market import Market, total_returns_of
from trading_assets.simulation.terms import Floats

CORRELATION_BARS = 63
CORRELATION_SHRINKAGE = 0.2


def causal_covariance(market: Market) -> Floats:
    """Return the covariance of one bar's returns, float64 (T, N, N), known at each row's close.

    Volatilities are the market's; correlations are those of the last 63 bars around a mean of 0,
    shrunk by a fifth toward 0. Symbols without a return yet have variance 0: they cannot be held.
    """
    volatility = np.nan_to_num(market.volatility, nan=0.0)
    n_symbols = volatility.shape[1]
    if n_symbols == 1:
        return (volatility * volatility)[:, :, None]
    returns = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    filled = np.nan_to_num(returns, nan=0.0)
    sums = np.cumsum(filled[:, :, None] * filled[:, None, :], axis=0)
    # Sums of zero-filled windows form Gram matrices, so the result stays positive semi-definite.
    gram = sums.copy()
    gram[CORRELATION_BARS:] -= sums[:-CORRELATION_BARS]
    scale = np.sqrt(np.maximum(np.einsum("tii->ti", gram), 0.0))
    norm = scale[:, :, None] * scale[:, None, :]
    correlation = np.divide(gram, norm, out=np.zeros_like(gram), where=norm > 0.0)
    correlation *= 1.0 - CORRELATION_SHRINKAGE
    diagonal = np.arange(n_symbols)
    correlation[:, diagonal, diagonal] = 1.0
    return correlation * volatility[:, :, None] * volatility[:, None, :]
