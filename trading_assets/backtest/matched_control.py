"""Trade a window twice: with what is compared, then with random portfolios of equal turnover."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import polars as pl

from trading_assets.backtest.engine import BacktestTables, Decide, run_backtest
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.random_portfolio import random_portfolio
from trading_assets.errors import EquityLostError
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

CONTROL = "random"


@dataclass(frozen=True, slots=True)
class ControlledBacktest:
    """Tables of all portfolios, in their order, and why the control is not among them if so.

    Attributes
    ----------
    tables : BacktestTables
        Of what is compared and of `random`.
    absences : mapping of str to str
        `random` and a clause, where it lost everything; else empty.
    """

    tables: BacktestTables
    absences: Mapping[str, str]


def backtest_with_control(
    market: Market, decisions: Mapping[str, Decide], deployed: str, strategy: Strategy, fold: Fold
) -> ControlledBacktest:
    """Trade each portfolio as `run_backtest` does, and beside them `random`.

    Chance may ruin a control on credit, which says nothing of what it is held against: it is left
    out then.

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

    Raises
    ------
    DataError
        As `run_backtest` does.
    """
    compared = run_backtest(market, decisions, strategy, fold)
    # How much was traded at a bar is known when it has been traded.
    own = compared.equity.filter(pl.col("portfolio") == deployed).sort("session")
    control = random_portfolio(market, fold, strategy, own["turnover"].to_list())
    try:
        beside = run_backtest(market, {CONTROL: control}, strategy, fold)
    except EquityLostError:
        return ControlledBacktest(compared, {CONTROL: "it lost all its equity within the fold"})
    pairs = [(getattr(compared, part.name), getattr(beside, part.name)) for part in fields(beside)]
    joined = (pl.concat(pair).sort("portfolio", maintain_order=True) for pair in pairs)
    return ControlledBacktest(BacktestTables(*joined), {})
