"""A planted market whose policies are trained, traded and explained, for the tests here."""

from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace

import pytest

from trading_assets.backtest.engine import BacktestTables, run_backtest
from trading_assets.backtest.explanation import portfolio as portfolio_module
from trading_assets.backtest.explanation.member_wishes import member_names
from trading_assets.backtest.explanation.portfolio import Desk, ExplainedPortfolio
from trading_assets.backtest.explanation.traded_fold import TradedFold
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.fold import train_seeds
from trading_assets.policy.rollout import build_task, policy_decision
from trading_assets.simulation.task import TradingTask
from trading_assets.strategy import Strategy
from trading_assets_tests.backtest.planted_forecasts import (
    STRATEGY,
    Planted,
    agent_of,
    lay_market,
    plant,
)

NAME = "mine/ensemble"


@dataclass(frozen=True)
class Case:
    """One ensemble in a planted market.

    Attributes
    ----------
    planted : Planted
        Market, tables and fold; forecasts know part of the next bar.
    strategy : Strategy
        What is declared.
    ensemble : Ensemble
        What trades.
    """

    planted: Planted
    strategy: Strategy
    ensemble: Ensemble

    @cached_property
    def task(self) -> TradingTask:
        tables = self.planted.tables
        return build_task(self.planted.market, tables.features, tables.forecasts, self.strategy)

    @cached_property
    def recorded(self) -> BacktestTables:
        decide = policy_decision(self.ensemble, self.task)
        return run_backtest(self.planted.market, {NAME: decide}, self.strategy, self.planted.fold)

    @property
    def traded(self) -> TradedFold:
        tables, recorded = self.planted.tables, self.recorded
        return TradedFold(
            self.planted.fold,
            self.strategy,
            None,
            tables,
            tables,
            recorded.weights,
            recorded.trades,
        )


def train_case(skill: float = 0.5, seed: int = 0, seeds: int = 2, **agent: object) -> Case:
    """Return a case whose seeds are taught on a planted market, within a second or two."""
    planted = plant(skill, seed)
    with pytest.MonkeyPatch.context() as patch:
        lay_market(patch, planted)
        trained = train_seeds(
            planted.tables, planted.fold, STRATEGY, None, agent_of(seeds=seeds, **agent)
        )
    return Case(planted, STRATEGY, Ensemble(trained.policies))


def explain(case: Case, traded: TradedFold | None = None) -> ExplainedPortfolio:
    """Explain a case over its planted market, whose features no catalogue has."""
    groups = {"momentum": "returns", "reversal": "trend"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portfolio_module, "market_of", lambda *_: case.planted.market)
        patch.setattr(
            portfolio_module, "feature_of", lambda name, _: SimpleNamespace(group=groups[name])
        )
        names = member_names(NAME, {NAME: case.ensemble})
        return Desk(traded or case.traded).explain(NAME, case.ensemble, names)
