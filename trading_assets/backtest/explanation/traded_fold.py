"""What a fold is explained from."""

from dataclasses import dataclass

import polars as pl

from trading_assets.backtest.folds import Fold
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.fold import TrainingTables
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class TradedFold:
    """What a fold was trained on and traded with, and what was recorded of it.

    Attributes
    ----------
    fold : Fold
        Its windows.
    strategy : Strategy
        Costs, limits and equity.
    market_data : MarketDataSpec
        Universe and source.
    learned : TrainingTables
        Tables of train and test window.
    read : TrainingTables
        Those that the backtest read.
    weights, trades : DataFrame
        Those tables of the backtest.
    """

    fold: Fold
    strategy: Strategy
    market_data: MarketDataSpec
    learned: TrainingTables
    read: TrainingTables
    weights: pl.DataFrame
    trades: pl.DataFrame
