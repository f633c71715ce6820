"""What portfolios earned while the market was calm or wild, by regime, and in crises."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from trading_assets.backtest.crisis_windows import CRISIS_WINDOWS
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.market_regimes import (
    REGIME_FEATURES,
    is_between,
    regimes_at,
    volatility_terciles,
)
from trading_assets.backtest.stress_rows import Earned, row_of
from trading_assets.simulation.market import Market

# Scenarios of table `stress`; a crisis follows with its name.
TERCILE, REGIME, CRISIS = "volatility_tercile", "regime", "crisis/"


def condition_rows(
    earned: Mapping[str, Earned],
    market: Market,
    features: pl.DataFrame,
    fold: Fold,
) -> list[dict[str, object]]:
    """Return rows of table `stress` of the bars under each condition.

    A bar belongs to the tercile and the regime that were known at the close before it. Edges of
    terciles are those of the train window; regimes are the filtered probabilities that the features
    `regime_calm` and `regime_stressed` are, of which the largest counts, and are left out where
    these are not declared. Of crises only those are listed that the window has bars of.

    Parameters
    ----------
    earned : mapping of str to Earned
        By portfolio, each over all sessions of the test window.
    market : Market
        Of the train and the test window.
    features : DataFrame
        Table `features` up to the test window's end.
    fold : Fold
        Windows.

    Raises
    ------
    DataError
        If the market has no return in the train window.
    """
    days = market.sessions
    tested = np.flatnonzero(is_between(days, fold.test_start, fold.test_end))
    rows: list[dict[str, object]] = []
    conditions = [(TERCILE, volatility_terciles(market, fold)[tested - 1])]
    if set(REGIME_FEATURES) <= set(features.columns):
        conditions.append((REGIME, regimes_at(features, days)[tested - 1]))
    for portfolio, own in earned.items():
        for scenario, levels in conditions:
            for level in (1, 2, 3):
                where = levels == level
                if where.any():
                    rows.append(row_of(scenario, level, portfolio, own, where, is_run=False))
        for crisis in CRISIS_WINDOWS:
            where = is_between(days[tested], crisis.first, crisis.last)
            if where.any():
                rows.append(row_of(f"{CRISIS}{crisis.name}", 0, portfolio, own, where))
    return rows
