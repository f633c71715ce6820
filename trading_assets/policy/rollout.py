"""Step a trained policy, or the mean of several, through a market day by day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from trading_assets.bars.calendars.weeks import ends_week
from trading_assets.errors import DataError
from trading_assets.policy.account_watcher import AccountWatcher
from trading_assets.policy.acting import Acting
from trading_assets.policy.confidence import confidence_factors
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import PolicyView, build_context, shown_confidence
from trading_assets.policy.traded_as_decided import TradedAsDecided
from trading_assets.simulation.core import Books, Floats, StepResult
from trading_assets.simulation.covariance import causal_covariance
from trading_assets.simulation.market import Market, row_of
from trading_assets.simulation.rewards.declared import declared_reward, declared_trackers
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.trackers.card import TrackerCard, card_of
from trading_assets.simulation.traded_books import TradedBooks
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class Rollout:
    """One book traded by a policy.

    Attributes
    ----------
    sessions : datetime64[D] (T,)
        Sessions at whose close was decided; each decision is filled at the next open.
    raw_weights, weights : float64 (T, N)
        Targets before and after limits and the rebalance rule, both by the confidence of forecasts
        where it is declared.
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

    Raises
    ------
    DeclarationError
        If the reward or a tracker is of a module that cannot be imported or does not register it.
    """
    rules = declared_rules(strategy, market.symbols)
    context = build_context(features, forecasts, rules, market.sessions, market.tradable)
    return TradingTask(
        market=market,
        view=PolicyView(
            rules,
            context,
            market.tradable,
            confidence_factors(forecasts, rules, market.sessions),
            ends_week(market.sessions),
        ),
        covariance=causal_covariance(market),
        costs=strategy.costs,
        sizing=strategy.policy.sizing,
        is_long_only=rules.limits.is_long_only,
        initial_usd=strategy.backtest.initial_equity_usd,
        reward=declared_reward(strategy),
        trackers=declared_trackers(strategy),
        confidence=shown_confidence(context, rules),
        randomisation=strategy.policy.randomisation,
    )


def policy_decision(
    policies: Sequence[TrainedPolicy], task: TradingTask, acting: Acting | None = None
) -> TradedAsDecided[Floats]:
    """Return a function of (row, books of K = 1) giving the weights to trade, float64 (N,).

    They are within the limits, and the rebalance rule has been applied. The function uses nothing
    later than the row's close. It is asked for consecutive rows, as it remembers what the task's
    trackers and latency need, and what its members carry.

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        One policy, or an ensemble.
    task : TradingTask
        What is traded and observed.
    acting : Acting, optional
        The same policies for one new account, where somebody looks over their shoulder.

    Raises
    ------
    DataError
        If a policy was trained to see other trackers than the task has, or a window has no rows.
    """
    _require_trackers(policies, task)
    acting = Acting(policies, 1) if acting is None else acting
    decide = AccountWatcher(task, carries=acting.carries).deciding(acting.raw_weights)

    def decide_in_window(row: int, books: Books) -> Floats:
        task.require_window(row)
        return decide(row, books)

    return TradedAsDecided(decide_in_window)


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
        One policy, or an ensemble.
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
    """Trade one book, flat at first, deciding at the closes of consecutive rows.

    Raises
    ------
    DataError
        If a policy was trained to see other trackers than the task has, or a window has no rows.
    """
    _require_trackers(policies, task)
    task.require_window(rows.start)
    traded = TradedBooks(task, 1)
    traded.open(slice(None), np.array([rows.start], dtype=np.int64))
    acting = Acting(policies, 1)
    raws: list[Floats] = []
    targets: list[Floats] = []
    steps: list[StepResult] = []
    rewards: list[float] = []
    for _ in rows:
        raw = task.view.size_weights(acting.raw_weights(traded.observe()), traded.rows)
        weights = task.view.project(raw, traded.rows, traded.held)
        raws.append(raw[0])
        targets.append(weights[0])
        rewards.append(float(traded.trade(weights)[0]))
        steps.append(traded.result())
    return Rollout(
        sessions=task.market.sessions[rows.start : rows.stop],
        raw_weights=np.array(raws),
        weights=np.array(targets),
        steps=tuple(steps),
        rewards=np.array(rewards),
    )


def require_trained_on(market: Market, policies: Mapping[str, Sequence[TrainedPolicy]]) -> None:
    """Refuse policies, by agent, that were trained on other symbols than the market has.

    Raises
    ------
    DataError
        Naming both.
    """
    for agent, seeds in policies.items():
        for policy in seeds:
            if policy.rules.symbols != market.symbols:
                msg = (
                    f"{agent} was trained on {', '.join(policy.rules.symbols)}, and the market"
                    f" has {', '.join(market.symbols)} now; expected the same symbols, so train it"
                    " again"
                )
                raise DataError(msg)


def _require_trackers(policies: Sequence[TrainedPolicy], task: TradingTask) -> None:
    cards = tuple(card_of(tracker) for tracker in task.trackers)
    for policy in policies:
        if policy.rules.trackers != cards:
            seen, given = (_names(group) for group in (policy.rules.trackers, cards))
            msg = (
                f"a policy of seed {policy.seed} was trained to see {seen} of its account and is"
                f" shown {given}; expected the same with the same parameters: train again, or"
                " declare the reward and observed_account of its training"
            )
            raise DataError(msg)


def _names(cards: Sequence[TrackerCard]) -> str:
    return ", ".join(f"{card.name} {dict(card.parameters)}" for card in cards) or "no tracker"


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
