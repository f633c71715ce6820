"""Step a trained policy, or the mean of several, through a market day by day."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trading_assets.errors import DataError
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import (
    PolicyView,
    build_context,
    declared_rules,
    raw_weights,
)
from trading_assets.simulation.core import Books, Floats, StepResult, held_weights
from trading_assets.simulation.market import Market, row_of
from trading_assets.simulation.rewards import causal_covariance
from trading_assets.simulation.task import TradingTask, open_at, reward_of, trade_bar
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Rollout:
    """One book traded by a policy.

    Attributes
    ----------
    sessions : datetime64[D] (T,)
        Sessions at whose close was decided; each decision is filled at the next open.
    raw_weights, weights : float64 (T, N)
        Targets before and after limits.
    steps : tuple of StepResult
        What each next bar did, with one book.
    rewards : float64 (T,)
        Unscaled reward of each bar.
    """

    sessions: np.ndarray[tuple[int], np.dtype[np.datetime64]]
    raw_weights: Floats
    weights: Floats
    steps: tuple[StepResult, ...]
    rewards: Floats


def build_task(
    market: Market, features: pl.DataFrame, forecasts: pl.DataFrame, strategy: Strategy
) -> TradingTask:
    """Return the trading task that a strategy declares over a market.

    Weights of constant sizing and the cash of a new book are `backtest.initial_equity_usd`.
    """
    rules = declared_rules(strategy, market.symbols)
    context = build_context(features, forecasts, rules, market.sessions, market.tradable)
    return TradingTask(
        market=market,
        view=PolicyView(rules, context, market.tradable),
        covariance=causal_covariance(market),
        costs=strategy.costs,
        sizing=strategy.policy.sizing,
        is_long_only=rules.limits.is_long_only,
        initial_usd=strategy.backtest.initial_equity_usd,
        risk_aversion=strategy.policy.risk_aversion,
    )


def mean_raw_weights(policies: Sequence[TrainedPolicy], observation: np.ndarray) -> Floats:
    """Return the weights before limits of the policies' mean action, float64 (K, N).

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        Members with the same rules; one or more.
    observation : float32 (K, n_inputs)
        What all members see.
    """
    actions = np.stack([policy.act(observation) for policy in policies]).mean(axis=0)
    return raw_weights(actions, policies[0].rules)


def policy_decision(
    policies: Sequence[TrainedPolicy], task: TradingTask
) -> Callable[[int, Books], Floats]:
    """Return a function of (row, books of K = 1) giving target weights float64 (N,) after limits.

    The function uses nothing later than the row's close.
    """

    def decide(row: int, books: Books) -> Floats:
        return _decide(policies, task, row, books)[1][0]

    return decide


def roll_policy(
    policies: Sequence[TrainedPolicy],
    market: Market,
    features: pl.DataFrame,
    forecasts: pl.DataFrame,
    sessions: Sequence[date],
    strategy: Strategy,
) -> Rollout:
    """Trade one book, flat at first, by one policy or by the mean action of several.

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        One policy, or the members of an ensemble.
    market : Market
        Covers the sessions and one more.
    features, forecasts : DataFrame
        Tables with a row for each symbol and session decided at.
    sessions : sequence of date
        Consecutive sessions of the market at whose close is decided.
    strategy : Strategy
        Costs, limits, sizing and reward.

    Raises
    ------
    DataError
        If the market does not cover the sessions, or has sessions between them.
    """
    rows = decision_range(market, sessions)
    return roll_rows(policies, build_task(market, features, forecasts, strategy), rows)


def roll_rows(policies: Sequence[TrainedPolicy], task: TradingTask, rows: range) -> Rollout:
    """Trade one book, flat at first, deciding at the closes of consecutive rows."""
    books = open_at(task, np.array([rows.start], dtype=np.int64))
    raws: list[Floats] = []
    targets: list[Floats] = []
    steps: list[StepResult] = []
    rewards: list[float] = []
    for row in rows:
        raw, weights = _decide(policies, task, row, books)
        at = np.array([row], dtype=np.int64)
        result = trade_bar(task, books, weights, at)
        raws.append(raw[0])
        targets.append(weights[0])
        steps.append(result)
        rewards.append(float(reward_of(task, result, at)[0]))
        books = result.books
    return Rollout(
        sessions=task.market.sessions[rows.start : rows.stop],
        raw_weights=np.array(raws),
        weights=np.array(targets),
        steps=tuple(steps),
        rewards=np.array(rewards),
    )


def decision_range(market: Market, sessions: Sequence[date]) -> range:
    """Return the rows of consecutive sessions, each of which has a next row.

    Raises
    ------
    DataError
        If there is none, one is missing, or the last one has no next row.
    """
    if not sessions:
        msg = "no session was given; expected at least one that the market covers"
        raise DataError(msg)
    first, last = row_of(market, sessions[0]), row_of(market, sessions[-1])
    if last - first + 1 != len(sessions) or last + 1 >= len(market.sessions):
        msg = (
            f"{len(sessions)} sessions from {sessions[0]} to {sessions[-1]} lie on rows {first} to"
            f" {last} of {len(market.sessions)}; expected consecutive rows and one after the last"
        )
        raise DataError(msg)
    return range(first, last + 1)


def _decide(
    policies: Sequence[TrainedPolicy], task: TradingTask, row: int, books: Books
) -> tuple[Floats, Floats]:
    at = np.array([row], dtype=np.int64)
    held = held_weights(books, task.sizing, task.initial_usd)
    raw = mean_raw_weights(policies, task.view.observe(at, held))
    return raw, task.view.project(raw, at)
