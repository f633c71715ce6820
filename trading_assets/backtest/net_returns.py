"""Net returns of one portfolio from the table `equity` of a fold."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.metrics import Series


def net_returns(
    equity: pl.DataFrame, portfolio: str, initial_usd: float
) -> tuple[NDArray[np.datetime64], Series]:
    """Return sessions, datetime64[D] (T,), and net simple returns, float64 (T,), in their order.

    Known at the close of each session.

    Parameters
    ----------
    equity : DataFrame
        Table `equity` of one fold.
    portfolio : str
        Portfolio in it; of one that is not there, nothing is returned.
    initial_usd : float
        Equity before the first session.
    """
    own = equity.filter(pl.col("portfolio") == portfolio).sort("session")
    returns = returns_of(own["equity_usd"].to_numpy(), initial_usd)
    return own["session"].to_numpy().astype("datetime64[D]"), returns


def returns_of(equity_usd: Series, initial_usd: float) -> Series:
    """Return the simple return of each bar, float64 (T,), from equity at its close.

    Parameters
    ----------
    equity_usd : float64 (T,)
        Equity at each close.
    initial_usd : float
        Equity before the first.
    """
    before = np.concatenate([[initial_usd], equity_usd[:-1]])[: len(equity_usd)]
    return equity_usd / before - 1.0
