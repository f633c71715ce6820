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
    values = own["equity_usd"].to_numpy()
    before = np.concatenate([[initial_usd], values[:-1]])[: len(values)]
    return own["session"].to_numpy().astype("datetime64[D]"), values / before - 1.0
