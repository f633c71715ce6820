"""Trade a window twice: with what is compared, then with random portfolios of equal turnover."""

from collections.abc import Mapping
from dataclasses import fields

import polars as pl

from trading_assets.backtest.engine import BacktestTables, Decide, run_backtest
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.random_portfolio import random_portfolio
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

CONTROL = "random"


def backtest_with_control(
    market: Market, decisions: Mapping[str, Decide], deployed: str, strategy: Strategy, fold: Fold
) -> BacktestTables:
    """Trade each portfolio as `run_backtest` does, and beside them `random`.

    Parameters
    ----------
    market : Market
        Covers the test sessions and at least one session before them.
    decisions : mapping of str to Decide
        Portfolio names and what decides for them.
    deployed : str
        The one of them whose turnover the random portfolio has.
    strategy : Strategy
        Costs, limits, sizing and initial equity.
    fold : Fold
        Window that is traded.

    Returns
    -------
    BacktestTables
        In order of portfolios.

    Raises
    ------
    DataError
        As `run_backtest` does.
    """
    compared = run_backtest(market, decisions, strategy, fold)
    # How much was traded at a bar is known when it has been traded.
    own = compared.equity.filter(pl.col("portfolio") == deployed).sort("session")
    control = random_portfolio(market, fold, strategy, own["turnover"].to_list())
    beside = run_backtest(market, {CONTROL: control}, strategy, fold)
    pairs = [(getattr(compared, part.name), getattr(beside, part.name)) for part in fields(beside)]
    return BacktestTables(
        *(pl.concat(pair).sort("portfolio", maintain_order=True) for pair in pairs)
    )
