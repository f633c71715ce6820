"""What the worlds are drawn from: AR(1) signals, and a market that has given returns."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy.signal import lfilter

from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market


def draw_autoregression(
    persistence: float, shape: tuple[int, ...], rng: np.random.Generator
) -> Floats:
    """Return stationary AR(1) paths of mean 0 and variance 1 along the first axis.

    Parameters
    ----------
    persistence : float
        AR(1) coefficient.
    shape : tuple of int
        Bars first; all other axes are independent paths.
    rng : Generator
        Draws one standard normal an element.
    """
    noise = rng.standard_normal(shape)
    noise[1:] *= sqrt(1.0 - persistence**2)
    return np.asarray(lfilter([1.0], [1.0, -persistence], noise, axis=0), dtype=np.float64)


def market_of_returns(
    returns: Floats,
    volatility: Sequence[float],
    symbols: tuple[str, ...],
    initial_price_usd: float = 100.0,
) -> Market:
    """Return a market whose bars open at the close before them and move by the given returns.

    Parameters
    ----------
    returns : float64 (T, N)
        Arithmetic return of each bar from its open to its close.
    volatility : sequence of float
        Known standard deviation of one bar's return, one an asset.
    symbols : tuple of str
        Symbols in column order.
    initial_price_usd : float
        Open of the first bar, USD.
    """
    shape = returns.shape
    prices = np.full((shape[0] + 1, shape[1]), initial_price_usd)
    prices[1:] *= np.cumprod(1.0 + returns, axis=0)
    return Market(
        sessions=np.datetime64("0001-01-01", "D") + np.arange(shape[0]),
        symbols=symbols,
        open=prices[:-1].copy(),
        close=prices[1:].copy(),
        volume=np.full(shape, 1e6),
        tradable=np.ones(shape, dtype=np.bool_),
        split_ratio=np.ones(shape),
        cash_per_share=np.zeros(shape),
        volatility=np.tile(np.asarray(volatility, dtype=np.float64), (shape[0], 1)),
        adv_usd=np.full(shape, 1e9),
    )
