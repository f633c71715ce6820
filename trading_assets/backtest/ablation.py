"""Trades a fold's test window with both arms of an ablation of forecasts, each seed for itself.

Nothing of this is traded otherwise: no ensemble, no champion and no trial is made of an arm.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.backtest.engine import run_backtest
from trading_assets.backtest.fold_ablation import ARMS, WITH, WITHOUT, FoldAblation
from trading_assets.backtest.folds import Fold
from trading_assets.market_data import MarketDataSpec
from trading_assets.policy.ablation import hide_forecasts, without_forecasts
from trading_assets.policy.fold import TrainingTables, market_of
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.rollout import build_task, policy_decision, require_trained_on
from trading_assets.schema import conform
from trading_assets.strategy import Strategy


def trade_arms(
    tables: TrainingTables,
    agent: str,
    arms: Mapping[str, Sequence[TrainedPolicy]],
    fold: Fold,
    strategy: Strategy,
    market_data: MarketDataSpec,
) -> FoldAblation:
    """Trade a fold's test window with every seed of both arms.

    Parameters
    ----------
    tables : TrainingTables
        What the fold's backtest reads; the arm without forecasts is shown none of their rows.
    agent : str
        Name of the agent.
    arms : mapping of str to sequence of TrainedPolicy
        Trained seeds, `with` forecasts and `without`.
    fold : Fold
        Window that is traded.
    strategy : Strategy
        As it is declared, with forecasts.
    market_data : MarketDataSpec
        Universe and source.

    Raises
    ------
    DataError
        If a policy was trained on other symbols.
    """
    market = market_of(tables, market_data)
    require_trained_on(market, {f"{agent} {arm} forecasts": arms[arm] for arm in ARMS})
    hidden = hide_forecasts(tables)
    shown = {WITH: (tables, strategy), WITHOUT: (hidden, without_forecasts(strategy))}
    tasks = {
        arm: build_task(market, given.features, given.forecasts, declared)
        for arm, (given, declared) in shown.items()
    }
    decisions = {
        f"{arm}/{policy.seed}": policy_decision([policy], tasks[arm])
        for arm in ARMS
        for policy in arms[arm]
    }
    equity = run_backtest(market, decisions, strategy, fold).equity
    steps = {arm: {policy.seed: _steps_of(policy) for policy in arms[arm]} for arm in ARMS}
    initial = strategy.backtest.initial_equity_usd
    return FoldAblation(agent, _returns(equity, agent, initial), steps)


def find_unlike(
    ablation: FoldAblation, sessions: Sequence[date], agent: DeclaredAgent
) -> list[str]:
    """Return what keeps the arms from being compared, one sentence each.

    Parameters
    ----------
    ablation : FoldAblation
        Both arms.
    sessions : sequence of date
        Sessions of the test window that bars exist of.
    agent : DeclaredAgent
        Seeds that both arms should have. Where it ends trainings early, arms may differ in steps.
    """
    problems: list[str] = []
    for arm in ARMS:
        seeds = ", ".join(map(str, sorted(ablation.steps.get(arm, {}))))
        expected = ", ".join(map(str, range(agent.seeds)))
        if seeds != expected:
            problems.append(f"{arm} forecasts: seeds were {seeds or 'none'}; expected {expected}")
        problems += _missing(ablation.table, arm, sessions, agent.seeds)
    taken = {arm: dict(ablation.steps.get(arm, {})) for arm in ARMS}
    if agent.patience is None and taken[WITH] != taken[WITHOUT]:
        problems.append(
            f"steps by seed were {taken[WITH]} with and {taken[WITHOUT]} without forecasts;"
            " expected the same: materialize policy and ablation with the same sizes"
        )
    return problems


def window_sessions(bars: pl.DataFrame, fold: Fold) -> list[date]:
    """Return the sessions of a fold's test window that any symbol has a bar of."""
    within = bars.filter(pl.col("session").is_between(fold.test_start, fold.test_end))
    return within["session"].unique().sort().to_list()


def _missing(table: pl.DataFrame, arm: str, sessions: Sequence[date], n_seeds: int) -> list[str]:
    problems: list[str] = []
    for seed in range(n_seeds):
        own = table.filter((pl.col("arm") == arm) & (pl.col("seed") == seed)).sort("session")
        label = f"{arm} forecasts, seed {seed}"
        if own["session"].to_list() != list(sessions):
            problems.append(
                f"{label}: {len(own)} returns; expected one for each of {len(sessions)} sessions"
            )
        broken = int((~own["net_return"].is_finite()).sum()) + own["net_return"].null_count()
        if broken:
            problems.append(f"{label}: {broken} returns are not finite")
    return problems


def _returns(equity: pl.DataFrame, agent: str, initial_usd: float) -> pl.DataFrame:
    before = pl.col("equity_usd").shift(1).over("portfolio", order_by="session")
    name = pl.col("portfolio").str.split("/")
    rows = equity.select(
        pl.lit(agent).alias("agent"),
        name.list.get(0).alias("arm"),
        name.list.get(1).cast(pl.Int64).alias("seed"),
        "session",
        (pl.col("equity_usd") / before.fill_null(initial_usd) - 1.0).alias("net_return"),
    )
    return conform("ablation", rows.sort("arm", "seed", "session"))


def _steps_of(policy: TrainedPolicy) -> int:
    return policy.history[-1].steps if policy.history else policy.selected_steps
