"""What the market was at each session of a test window: its factors, and regimes told before."""

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.attribution.factor_returns import build_factors
from trading_assets.backtest.folds import Fold
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market, total_returns_of

VOLATILITY_REGIMES = ("calm", "usual", "wild")
HIDDEN_REGIMES = ("calm", "middle", "stressed")
_CALM, _STRESSED = "regime_calm", "regime_stressed"
_VOLATILITY_BARS = 21


def market_states(market: Market, features: pl.DataFrame, fold: Fold) -> pl.DataFrame:
    """Return the table `market_states` of a fold's test sessions.

    A regime is that of the close before the session. Volatility is that of 21 returns of the
    equal-weight market, cut at its terciles in the train window; the hidden regime is the likeliest
    of the feature that the strategy computes, if it does.

    Parameters
    ----------
    market : Market
        Covers the train and the test window.
    features : DataFrame
        Table `features` of the same sessions.
    fold : Fold
        Its windows.
    """
    returns = market_returns(market)
    factors = build_factors(returns)
    volatility = _trailing_volatility(factors.market)
    days: list[date] = market.sessions.astype("datetime64[D]").tolist()
    is_train = np.array([fold.train_start <= day <= fold.train_end for day in days])
    tested = [row for row, day in enumerate(days) if fold.test_start <= day <= fold.test_end]
    told = _volatility_regimes(volatility, volatility[is_train])
    hidden = _hidden_regimes(features, days)
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


def _trailing_volatility(returns: Floats) -> Floats:
    """Return the deviation of the last returns up to each row, float64 (T,); nan before."""
    found = np.full(len(returns), np.nan)
    if len(returns) >= _VOLATILITY_BARS:
        windows = np.lib.stride_tricks.sliding_window_view(returns, _VOLATILITY_BARS)
        found[_VOLATILITY_BARS - 1 :] = windows.std(axis=1)
    return found


def _volatility_regimes(volatility: Floats, trained_on: Floats) -> list[str | None]:
    known = trained_on[np.isfinite(trained_on)]
    if not len(known):
        return [None] * len(volatility)
    edges: NDArray[np.float64] = np.quantile(known, [1.0 / 3.0, 2.0 / 3.0])
    return [
        VOLATILITY_REGIMES[int((value > edges).sum())] if np.isfinite(value) else None
        for value in volatility
    ]


def _hidden_regimes(features: pl.DataFrame, days: Sequence[date]) -> list[str | None]:
    if not {_CALM, _STRESSED} <= set(features.columns):
        return [None] * len(days)
    # The same for all symbols of a session that have one.
    means = features.group_by("session").agg(pl.col(_CALM, _STRESSED).max())
    told: dict[date, str] = {}
    for session, calm, stressed in means.select("session", _CALM, _STRESSED).iter_rows():
        if calm is not None and stressed is not None:
            shares = (calm, 1.0 - calm - stressed, stressed)
            told[session] = HIDDEN_REGIMES[int(np.argmax(shares))]
    return [told.get(day) for day in days]


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
