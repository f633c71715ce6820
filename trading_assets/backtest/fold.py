"""Backtests one fold: seeds, ensembles, baselines and references over the test window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from trading_assets.backtest.accounting import accounting_gaps
from trading_assets.backtest.baselines import baseline_absences, baseline_decisions
from trading_assets.backtest.engine import BacktestTables, Decide
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.matched_control import CONTROL, backtest_with_control
from trading_assets.backtest.metrics import max_drawdown, sharpe_annual
from trading_assets.backtest.net_returns import net_returns
from trading_assets.backtest.parity import PARITY_TOLERANCE, parity_gap_usd, vectorised_gaps_usd
from trading_assets.ensemble_specs import MeanActionSpec
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.ensemble import Ensemble, traded_ensembles
from trading_assets.policy.fold import TrainingTables, market_of
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.references import References, reference_decisions
from trading_assets.policy.rollout import (
    build_task,
    policy_decision,
    require_trained_on,
    roll_policy,
)
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class FoldBacktest:
    """One fold's tables with the evidence of its blocking checks.

    Attributes
    ----------
    tables : BacktestTables
        Weights, trades and equity of all portfolios.
    accounting : list of str
        Steps whose change of equity is not the sum of its parts.
    parity : list of str
        Portfolios on which engines, training environment and referee disagree.
    parity_gap_usd : float
        Largest difference seen, USD.
    sharpe_annual, max_drawdown : mapping of str to float
        By portfolio, after costs.
    absences : mapping of str to str
        Why baselines are not among the portfolios, by name; empty where all of them are.
    """

    tables: BacktestTables
    accounting: list[str]
    parity: list[str]
    parity_gap_usd: float
    sharpe_annual: Mapping[str, float]
    max_drawdown: Mapping[str, float]
    absences: Mapping[str, str]


def backtest_fold(
    tables: TrainingTables,
    policies: Mapping[str, Sequence[TrainedPolicy]],
    fold: Fold,
    strategy: Strategy,
    market_data: MarketDataSpec,
    ensembles: Mapping[str, Ensemble] | None = None,
    references: References | None = None,
) -> FoldBacktest:
    """Trade a fold's test window with everything that is compared.

    Parameters
    ----------
    tables : TrainingTables
        Bars, actions, features and forecasts up to the window's end, bars reaching back a year for
        what baselines need; forecasts of the window are out of sample.
    policies : mapping of str to sequence of TrainedPolicy
        Trained seeds of each agent.
    fold : Fold
        Window that is traded.
    strategy : Strategy
        Costs, limits and equity.
    market_data : MarketDataSpec
        Universe and source.
    ensembles : mapping of str to Ensemble, optional
        What is traded together, by portfolio; by default seeds with equal weights, each agent's and
        where there are several agents all of them.
    references : References, optional
        Fitted on the train window; by default none is traded.

    Raises
    ------
    DataError
        If a policy was trained on other symbols.
    """
    market = market_of(tables, market_data)
    require_trained_on(market, policies)
    task = build_task(market, tables.features, tables.forecasts, strategy)
    decisions: dict[str, Decide] = dict(baseline_decisions(market, fold))
    for agent, seeds in policies.items():
        for policy in seeds:
            decisions[f"{agent}/seed-{policy.seed}"] = policy_decision([policy], task)
    if ensembles is None:
        ensembles = traded_ensembles(MeanActionSpec(), policies, {})
    decisions |= {name: policy_decision(members, task) for name, members in ensembles.items()}
    absences = baseline_absences(market, fold)
    if references is not None:
        beside, lacking = reference_decisions(references, tables, market, strategy)
        decisions |= beside
        absences |= lacking
    found = backtest_with_control(market, decisions, _deployed(ensembles), strategy, fold)
    traded = found.tables
    absences |= found.absences
    gaps = _parity_gaps(market, traded, tables, ensembles, strategy)
    start = strategy.backtest.initial_equity_usd
    names = sorted({*decisions, CONTROL} - {*absences})
    returns = {name: net_returns(traded.equity, name, start)[1] for name in names}
    return FoldBacktest(
        tables=traded,
        accounting=accounting_gaps(traded.equity, start),
        parity=[
            f"{name} differs by {gap:.6f} USD"
            for name, gap in gaps.items()
            if not gap <= PARITY_TOLERANCE * start
        ],
        parity_gap_usd=max(gaps.values()),
        sharpe_annual={name: sharpe_annual(series) for name, series in returns.items()},
        max_drawdown={name: max_drawdown(series) for name, series in returns.items()},
        absences=absences,
    )


def _deployed(ensembles: Mapping[str, Ensemble]) -> str:
    """Return the portfolio that paper sessions trade: all agents together, or the only one."""
    return "ensemble" if "ensemble" in ensembles else next(iter(ensembles))


def _parity_gaps(
    market: Market,
    traded: BacktestTables,
    tables: TrainingTables,
    ensembles: Mapping[str, Ensemble],
    strategy: Strategy,
) -> dict[str, float]:
    """Hold recorded equity against the other engine's, the referee's and the environment's."""
    engines = vectorised_gaps_usd(market, traded.weights, traded.equity, strategy)
    gaps = {f"{name} against the vectorised engine": gap for name, gap in engines.items()}
    for name in ("equal_weight", *ensembles):
        weights, equity = (_of(frame, name) for frame in (traded.weights, traded.equity))
        gaps[f"{name} against the referee"] = parity_gap_usd(market, weights, equity, strategy)
    features, forecasts = tables.features, tables.forecasts
    for name, members in ensembles.items():
        equity = _of(traded.equity, name)
        sessions = _of(traded.weights, name)["session"].unique().sort().to_list()
        rollout = roll_policy(members, market, features, forecasts, sessions, strategy)
        stepped = np.array([float(result.equity[0]) for result in rollout.steps])
        gap = np.abs(stepped - equity["equity_usd"].to_numpy()).max()
        gaps[f"{name} against the environment"] = float(gap)
    return gaps


def _of(frame: pl.DataFrame, portfolio: str) -> pl.DataFrame:
    return frame.filter(pl.col("portfolio") == portfolio).sort("session")
