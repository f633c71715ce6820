"""Train one agent of a strategy on a window of a market."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.errors import DataError
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.rollout import build_task, decision_range, roll_rows
from trading_assets.policy.trainers import train
from trading_assets.policy.training import UNWATCHED, Constraint, Training, TrainingWatch
from trading_assets.risk.limits import numbered_sectors
from trading_assets.simulation.core import Floats
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.market import Market, total_returns_of
from trading_assets.simulation.rewards.constrained import MeasuredBar
from trading_assets.simulation.task import TradingTask
from trading_assets.strategy import Strategy


def train_agent(  # noqa: PLR0913  one argument for each input of the stage
    market: Market,
    features: pl.DataFrame,
    forecasts: pl.DataFrame,
    train_sessions: Sequence[date],
    validation_sessions: Sequence[date],
    strategy: Strategy,
    agent: DeclaredAgent,
    seed: int,
    watch: TrainingWatch = UNWATCHED,
) -> TrainedPolicy:
    """Train an agent on the train sessions and keep its best checkpoint on the validation ones.

    Parameters
    ----------
    market : Market
        Covers all sessions; rows outside them are not traded.
    features, forecasts : DataFrame
        Tables with a row for each symbol and session; forecasts of the train window must be
        cross-fitted.
    train_sessions, validation_sessions : sequence of date
        Consecutive sessions, validation after training. The last session of each is only traded,
        not decided at, so that no reward reaches beyond its window.
    strategy : Strategy
        Costs, limits, sizing, observations and reward.
    agent : DeclaredAgent
        Algorithm and sizes.
    seed : int
        Seed of this training.
    watch : TrainingWatch, optional
        Where its state is kept, and who is told of its checkpoints.

    Raises
    ------
    DataError
        If a window is missing from the market, too short, or validation overlaps training.
    """
    if validation_sessions and train_sessions and validation_sessions[0] <= train_sessions[-1]:
        msg = (
            f"validation starts on {validation_sessions[0]} and training ends on"
            f" {train_sessions[-1]}; expected validation after training"
        )
        raise DataError(msg)
    task = build_task(market, features, forecasts, strategy)
    rows = decision_range(market, train_sessions[:-1])
    validation = decision_range(market, validation_sessions[:-1])
    # Bars before the train window are shown where there are some, and not traded.
    first_row = max(rows.start, task.view.window_bars - 1)
    task.require_window(max(rows.stop - 2, 0))
    episodes = Episodes(
        first_row=first_row,
        last_row=rows.stop,
        length_bars=agent.episode_bars,
        reward_scale=_reward_scale(task, rows),
    )

    def score(policy: TrainedPolicy) -> Floats:
        return roll_rows([policy], task, validation).rewards

    constraint = declared_constraint(task, validation, strategy)
    rules = declared_rules(strategy, market.symbols)
    kept, told = watch.folder_of(seed), watch.report_of(seed)
    sectors = numbered_sectors(strategy.risk, market.symbols)
    return train(
        Training(task, episodes, rules, agent, seed, score, kept, told, constraint, sectors)
    )


def declared_constraint(
    task: TradingTask, validation: range, strategy: Strategy
) -> Constraint | None:
    """Return the constraint that a strategy declares, measured on the rows of validation."""
    spec = strategy.policy.constraint
    if spec is None:
        return None
    measured = replace(task, reward=MeasuredBar(spec.measure))
    return Constraint(
        spec, lambda policy: float(roll_rows([policy], measured, validation).rewards.mean())
    )


def _reward_scale(task: TradingTask, rows: range) -> float:
    deviation = reference_deviation(task, rows)
    return 1.0 if task.reward.is_in_deviations else 1.0 / deviation


def reference_deviation(task: TradingTask, rows: range) -> float:
    """Return the standard deviation of a bar's return of equal weights over the given rows.

    It fixes the scale of the reward. Equal weights are 1/N of full investment, or of the notional.

    Raises
    ------
    DataError
        If the returns do not vary.
    """
    market = task.market
    returns = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    window = returns[rows.start + 1 : rows.stop + 1]
    deviation = float(np.nan_to_num(window, nan=0.0).mean(axis=1).std())
    if deviation == 0.0:
        msg = (
            f"returns of {', '.join(market.symbols)} do not vary in {len(rows)} train sessions;"
            " expected prices that move"
        )
        raise DataError(msg)
    return deviation
