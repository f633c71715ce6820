"""A market whose forecasts know a chosen part of the next bar, and one agent's arms in it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.backtest import ablation as ablation_module
from trading_assets.backtest.ablation import trade_arms
from trading_assets.backtest.fold_ablation import WITH, WITHOUT, FoldAblation
from trading_assets.backtest.folds import Fold
from trading_assets.policy import fold as fold_module
from trading_assets.policy.ablation import train_without_forecasts
from trading_assets.policy.fold import TrainingTables, train_seeds
from trading_assets.simulation.market import Market
from trading_assets_tests.policy.tasks import days_of, make_strategy, make_tables, random_market

STRATEGY = make_strategy(
    policy={"ablation": "forecasts", "position": "long_short"},
    costs={"fee_bps": 0, "half_spread_bps": 0.5},
)
# Learns within a second what its inputs are worth.
TEACHER = {"algorithm": "teacher", "rule": "garleanu_pedersen", "episode_bars": 32}


@dataclass(frozen=True)
class Planted:
    """A market, its tables and the windows of one fold."""

    market: Market
    tables: TrainingTables
    fold: Fold

    @property
    def test_days(self):
        days = days_of(self.market)
        return [d for d in days if self.fold.test_start <= d <= self.fold.test_end]


def plant(skill, seed=0):
    """Forecasts lean on the bar that a decision earns with this correlation; only tests may."""
    market = random_market(520, seed=seed)
    days = days_of(market)
    fold = Fold("2021-01-01", days[0], days[399], days[330], days[400], days[518])
    features, others = make_tables(market, seed=100 + seed)
    rng = np.random.default_rng(seed)
    ahead = np.zeros(market.close.shape)
    ahead[:-1] = np.log(market.close[1:] / market.open[1:]) / 0.015
    seen = skill * ahead + np.sqrt(1 - skill**2) * rng.normal(size=ahead.shape)
    by_row = {
        (symbol, day): seen[row, column]
        for column, symbol in enumerate(market.symbols)
        for row, day in enumerate(days)
    }
    told = np.array([by_row[row] for row in others.select("symbol", "session").iter_rows()])
    edge = 0.25 * np.tanh(0.5 * told)
    forecasts = others.with_columns(
        p_down=(1 / 3 - edge).astype(np.float32),
        p_flat=pl.lit(1 / 3, pl.Float32),
        p_up=(1 / 3 + edge).astype(np.float32),
        expected_return=(0.01 * told).astype(np.float32),
    )
    return Planted(market, TrainingTables(features, features, features, forecasts), fold)


def agent_of(**values) -> DeclaredAgent:
    return TypeAdapter(DeclaredAgent).validate_python({**TEACHER, "total_steps": 20_000, **values})


def lay_market(patch: pytest.MonkeyPatch, planted: Planted) -> None:
    """Have the planted market traded in place of one that is laid out from bars."""
    for module in (fold_module, ablation_module):
        patch.setattr(module, "market_of", lambda *_: planted.market)


def train_arms(planted: Planted, agent: DeclaredAgent):
    """Train both arms with the market laid by `lay_market`."""
    given = (planted.tables, planted.fold, STRATEGY, None, agent)
    return {
        WITH: train_seeds(*given).policies,
        WITHOUT: train_without_forecasts(*given).policies,
    }


def ablate(planted: Planted, agent: DeclaredAgent) -> FoldAblation:
    arms = train_arms(planted, agent)
    return trade_arms(planted.tables, "mine", arms, planted.fold, STRATEGY, None)
