"""What the market was at each session of a test window: its factors, and regimes told before."""

from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.attribution.factor_returns import build_factors
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.market_regimes import (
    REGIME_FEATURES,
    REGIME_NAMES,
    TERCILE_NAMES,
    regimes_at,
    volatility_terciles,
)
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market, total_returns_of


def market_states(market: Market, features: pl.DataFrame, fold: Fold) -> pl.DataFrame:
    """Return the table `market_states` of a fold's test sessions.

    A regime is that of the close before the session, see `market_regimes`; the hidden one is null
    unless the strategy computes its features.

    Parameters
    ----------
    market : Market
        Covers the train and the test window.
    features : DataFrame
        Table `features` of the same sessions.
    fold : Fold
        Its windows.

    Raises
    ------
    DataError
        If the market has no return in the train window, which says what is usual.
    """
    returns = market_returns(market)
    factors = build_factors(returns)
    days: list[date] = market.sessions.astype("datetime64[D]").tolist()
    tested = [row for row, day in enumerate(days) if fold.test_start <= day <= fold.test_end]
    told = _named(volatility_terciles(market, fold), TERCILE_NAMES)
    hidden: list[str | None] = [None] * len(days)
    if set(REGIME_FEATURES) <= set(features.columns):
        hidden = _named(regimes_at(features, market.sessions), REGIME_NAMES)
    stacked = factors.stacked()
    rows = [
        (
            days[row],
            *(_known(value) for value in stacked[row]),
            told[row - 1] if row else None,
            hidden[row - 1] if row else None,
        )
        for row in tested
    ]
    schema = {column.name: column.dtype for column in TABLES["market_states"].columns}
    return conform("market_states", pl.DataFrame(rows, schema=schema, orient="row"))


def symbol_returns(market: Market, fold: Fold) -> pl.DataFrame:
    """Return the table `symbol_returns` of a fold's test sessions, where there is a return."""
    returns = market_returns(market)
    days: list[date] = market.sessions.astype("datetime64[D]").tolist()
    rows = [
        (days[row], symbol, float(returns[row, column]))
        for row in range(len(days))
        if fold.test_start <= days[row] <= fold.test_end
        for column, symbol in enumerate(market.symbols)
        if np.isfinite(returns[row, column])
    ]
    schema = {column.name: column.dtype for column in TABLES["symbol_returns"].columns}
    return conform("symbol_returns", pl.DataFrame(rows, schema=schema, orient="row"))


def market_returns(market: Market) -> Floats:
    """Return total returns of symbols, float64 (T, N), nan where there is none."""
    return total_returns_of(market.close, market.split_ratio, market.cash_per_share)


def _named(levels: NDArray[np.int64], names: tuple[str, ...]) -> list[str | None]:
    """Return the name of each level from 1 on; None of 0, which is unknown."""
    return [names[level - 1] if level else None for level in levels.tolist()]


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
