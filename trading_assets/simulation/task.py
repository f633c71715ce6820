"""One bar of a trading task for K books: what both environments step.

The task does not know how observations are built or how actions become weights; it is given a
`DecisionView` for that, so that the environments, the backtest and paper trading share one.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trading_assets.simulation.core import (
    Books,
    Floats,
    Sizing,
    StepResult,
    decide_quantities,
    held_weights,
    open_books,
    step,
)
from trading_assets.simulation.market import Market, bar_after
from trading_assets.simulation.rewards import mean_variance_reward
from trading_assets.strategy import CostsSpec

Rows = NDArray[np.int64]


class DecisionView(Protocol):
    """What a policy sees at a row of the market, and what its actions mean."""

    @property
    def n_inputs(self) -> int:
        """Length of an observation."""
        ...

    def observe(self, rows: Rows, held: Floats) -> NDArray[np.float32]:
        """Return observations float32 (K, n_inputs), known at the close of `rows`."""
        ...

    def target_weights(self, actions: NDArray[np.floating], rows: Rows) -> Floats:
        """Return weights float64 (K, N) within the limits for actions in [-1, 1]."""
        ...

    def project(self, raw: Floats, rows: Rows) -> Floats:
        """Return the weights float64 (K, N) that limits leave of raw ones."""
        ...


@dataclass(frozen=True, slots=True)
class TradingTask:
    """A market, what trading it costs, and what is rewarded.

    Attributes
    ----------
    market : Market
        The market.
    view : DecisionView
        Observations and meaning of actions, row by row of the market.
    covariance : float64 (T, N, N)
        Covariance for the reward, known at each row's close.
    costs : CostsSpec
        Trading costs.
    sizing : {"equity", "constant_notional"}
        What a weight is a fraction of.
    is_long_only : bool
        Whether books may neither borrow nor go short.
    initial_usd : float
        Cash of a new book and notional of constant sizing, USD.
    risk_aversion : float
        gamma of the reward.
    """

    market: Market
    view: DecisionView
    covariance: Floats
    costs: CostsSpec
    sizing: Sizing
    is_long_only: bool
    initial_usd: float
    risk_aversion: float

    @property
    def notional_usd(self) -> float | None:
        """Notional of constant sizing, absent when weights are fractions of equity."""
        return self.initial_usd if self.sizing == "constant_notional" else None


def open_at(task: TradingTask, rows: Rows) -> Books:
    """Return one flat book for each row, before its first decision."""
    return open_books(len(rows), task.initial_usd, task.market.close[rows])


def observe(task: TradingTask, books: Books, rows: Rows) -> NDArray[np.float32]:
    """Return what the policy sees of each book at the close of its row, float32 (K, n_inputs)."""
    return task.view.observe(rows, held_weights(books, task.sizing, task.initial_usd))


def trade_bar(task: TradingTask, books: Books, weights: Floats, rows: Rows) -> StepResult:
    """Carry books from the close of `rows` to the next close with the given target weights."""
    quantity = decide_quantities(
        books, weights, task.market.close[rows], task.sizing, task.initial_usd
    )
    return step(
        books,
        quantity,
        bar_after(task.market, rows),
        task.costs,
        is_long_only=task.is_long_only,
        notional_usd=task.notional_usd,
    )


def reward_of(task: TradingTask, result: StepResult, rows: Rows) -> Floats:
    """Return the unscaled reward of a bar decided at the close of `rows`, float64 (K,)."""
    return mean_variance_reward(
        result, task.covariance[rows], task.risk_aversion, task.notional_usd
    )
