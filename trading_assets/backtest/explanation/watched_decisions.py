"""Decisions of a backtest once more, with what was seen and remembered at each of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.engine import BacktestTables, decision_rows, run_backtest
from trading_assets.backtest.folds import Fold
from trading_assets.policy.acting import Acting
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.rollout import policy_decision
from trading_assets.policy.traded_as_decided import TradedAsDecided
from trading_assets.simulation.core import Books, Floats, held_weights
from trading_assets.simulation.rewards.reward import Rows
from trading_assets.simulation.task import TradingTask
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class WatchedDecisions:
    """What an ensemble saw and decided at each close of a test window.

    Attributes
    ----------
    rows : int64 (T,)
        Rows of the market at whose close was decided.
    sessions : datetime64[D] (T,)
        Their sessions.
    observations : float32 (T, n_inputs)
        What all members saw.
    memories : tuple of float64 (T, n_memory)
        What each member remembered before it decided.
    held, wished, weights : float64 (T, N)
        Weights held, those wanted before limits, by confidence where that is declared, and targets.
    tables : BacktestTables
        What came of it.
    """

    rows: Rows
    sessions: NDArray[np.datetime64]
    observations: NDArray[np.float32]
    memories: tuple[Floats, ...]
    held: Floats
    wished: Floats
    weights: Floats
    tables: BacktestTables


class _WatchedActing(Acting):
    """Keeps what members saw and remembered at each close, and what they wanted."""

    def __init__(self, policies: Sequence[TrainedPolicy]) -> None:
        super().__init__(policies, 1)
        self.observations: list[NDArray[np.float32]] = []
        self.remembered: list[list[list[float]]] = []
        self.raw: list[Floats] = []

    def raw_weights(self, observation: NDArray[np.float32]) -> Floats:
        self.observations.append(observation[0].copy())
        self.remembered.append(self.carried())
        raw = super().raw_weights(observation)
        self.raw.append(raw[0])
        return raw


def watch_decisions(
    portfolio: str,
    policies: Sequence[TrainedPolicy],
    task: TradingTask,
    strategy: Strategy,
    fold: Fold,
) -> WatchedDecisions:
    """Trade a fold's test window as its backtest did, and keep what every decision was made from.

    Parameters
    ----------
    portfolio : str
        Name in the tables.
    policies : sequence of TrainedPolicy
        One policy, or an ensemble.
    task : TradingTask
        The task of the backtest.
    strategy : Strategy
        Costs, limits and equity.
    fold : Fold
        Window that is traded.

    Raises
    ------
    DataError
        As the backtest does.
    """
    acting = _WatchedActing(policies)
    decide = policy_decision(policies, task, acting)
    held: list[Floats] = []
    targets: list[Floats] = []

    def watched(row: int, books: Books) -> Floats:
        held.append(held_weights(books, task.sizing, task.initial_usd)[0])
        targets.append(decide(row, books))
        return targets[-1]

    again = {portfolio: TradedAsDecided(watched)}
    tables = run_backtest(task.market, again, strategy, fold)
    span = decision_rows(task.market, fold)
    rows = np.arange(span.start, span.stop, dtype=np.int64)
    memories = [
        np.array(own, dtype=np.float64).reshape(len(rows), policy.n_memory)
        for policy, own in zip(policies, zip(*acting.remembered, strict=True), strict=True)
    ]
    return WatchedDecisions(
        rows=rows,
        sessions=task.market.sessions[rows],
        observations=np.array(acting.observations),
        memories=tuple(memories),
        held=np.array(held),
        wished=task.view.size_weights(np.array(acting.raw), rows),
        weights=np.array(targets),
        tables=tables,
    )
