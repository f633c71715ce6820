"""What the market was at a close: calm or wild by its volatility, and the likeliest hidden state.

One definition for all that is told by regime. A session belongs to what was known at the close
before it; whoever asks moves by that one row.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.folds import Fold
from trading_assets.errors import DataError
from trading_assets.simulation.market import Market, ewma_volatility, total_returns_of
from trading_assets.simulation.terms import Floats

# Names of levels from 1 on; level 0 is unknown.
TERCILE_NAMES = ("calm", "usual", "wild")
REGIME_NAMES = ("calm", "between", "stressed")
REGIME_FEATURES = ("regime_calm", "regime_stressed")


def market_volatility(market: Market) -> Floats:
    """Return the EWMA volatility of the mean return of all symbols, float64 (T,).

    Known at each close; nan before the first return.
    """
    returns = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    known = np.isfinite(returns)
    total, count = np.where(known, returns, 0.0).sum(axis=1), known.sum(axis=1)
    mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return ewma_volatility(mean[:, None])[:, 0]


def volatility_terciles(market: Market, fold: Fold) -> NDArray[np.int64]:
    """Return the tercile of the market's volatility at each close, 1 to 3, int64 (T,); 0 unknown.

    Raises
    ------
    DataError
        If no volatility is known in the fold's train window, which sets the edges.
    """
    volatility = market_volatility(market)
    trained = volatility[is_between(market.sessions, fold.train_start, fold.train_end)]
    trained = trained[np.isfinite(trained)]
    if not len(trained):
        msg = (
            f"the market from {market.sessions[0]} has no return from {fold.train_start} to"
            f" {fold.train_end}; expected bars of the train window, which sets the edges"
        )
        raise DataError(msg)
    edges = np.quantile(trained, [1.0 / 3.0, 2.0 / 3.0])
    tercile = 1 + np.searchsorted(edges, volatility, side="left")
    return np.where(np.isfinite(volatility), tercile, 0)


def regimes_at(features: pl.DataFrame, sessions: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Return the likeliest regime at each close, 1 calm to 3 stressed, int64 (T,); 0 unknown.

    Parameters
    ----------
    features : DataFrame
        Table `features` with both columns; of a session all symbols have the same.
    sessions : datetime64[D] (T,)
        Sessions asked for.
    """
    known = (
        features.select("session", *REGIME_FEATURES)
        .drop_nulls()
        .unique("session", keep="first", maintain_order=True)
        .sort("session")
    )
    calm, stressed = (known[name].cast(pl.Float64).to_numpy() for name in REGIME_FEATURES)
    likeliest = 1 + np.argmax([calm, 1.0 - calm - stressed, stressed], axis=0)
    found = dict(zip(known["session"].to_list(), likeliest.tolist(), strict=True))
    return np.array([found.get(day, 0) for day in sessions.tolist()], dtype=np.int64)


def is_between(days: NDArray[np.datetime64], first: object, last: object) -> NDArray[np.bool_]:
    """Return which days lie between two others, both included, bool (T,)."""
    return (days >= np.datetime64(str(first), "D")) & (days <= np.datetime64(str(last), "D"))
