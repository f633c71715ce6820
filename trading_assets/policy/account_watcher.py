"""Follows one account from close to close by its books, as a policy that trades it does."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.simulation.account_rows import Accounts, whole_observations
from trading_assets.simulation.core import (
    Books,
    Floats,
    decide_quantities,
    equity_of,
    held_weights,
)
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.trackers.tracker import Memory

RawWeights = Callable[[NDArray[np.float32]], Floats]
"""Weights before confidence and limits, float64 (1, N), for observations, float32 (1, n_inputs)."""


class AccountWatcher:
    """Remembers of one book what the task's policies see: trackers, and decisions not filled yet.

    What it remembers follows from books and market prices, so that it is the same for a training
    episode, a backtest and a paper account.

    Parameters
    ----------
    task : TradingTask
        What is traded.
    carries : bool
        Whether the policies remember what they saw.
    """

    def __init__(self, task: TradingTask, *, carries: bool = False) -> None:
        n_symbols = len(task.market.symbols)
        self.task = task
        self._memory = Memory(task.trackers, 1)
        self._pending = np.zeros((task.costs.latency_bars - 1, n_symbols))
        self._follows = carries or bool(task.trackers) or len(self._pending) > 0
        self._last: tuple[int, Books] | None = None

    def deciding(self, raw_weights: RawWeights) -> Callable[[int, Books], Floats]:
        """Return a function of (row, books) that decides target weights, float64 (N,)."""

        def decide(row: int, books: Books) -> Floats:
            at = np.array([row], dtype=np.int64)
            accounts = self.look(row, books)
            wanted = raw_weights(whole_observations(self.task, at, accounts))
            raw = self.task.view.size_weights(wanted, at)
            weights = self.task.view.project(raw, at, accounts.held)
            self._remember(row, books, weights)
            return weights[0]

        return decide

    def look(self, row: int, books: Books) -> Accounts:
        """Return the account at the close of `row`, after what happened since the last look.

        Raises
        ------
        DataError
            If rows are left out, which would leave out what happened at them.
        """
        task = self.task
        if self._last is not None and self._follows:
            self._follow(row, books)
        held = held_weights(books, task.sizing, task.initial_usd)
        base = task.notional_usd or float(np.maximum(equity_of(books)[0], 1e-9))
        pending = self._pending * (books.price[0] / base)
        return Accounts(held, pending[None], self._memory)

    def _follow(self, row: int, books: Books) -> None:
        assert self._last is not None
        task, (last_row, before) = self.task, self._last
        if row != last_row + 1:
            msg = (
                f"a decision at row {row} followed one at row {last_row}; expected consecutive"
                " rows, as the policy sees what happened to its account"
            )
            raise DataError(msg)
        ratio, opened = task.market.split_ratio[row], task.market.open[row]
        trade = np.where(np.isfinite(opened), books.quantity[0] - before.quantity[0] * ratio, 0.0)
        equity = equity_of(before)
        base = equity if task.notional_usd is None else np.array([task.notional_usd])
        traded = np.abs(trade * np.nan_to_num(opened)).sum() / base
        self._memory.advance((equity_of(books) - equity) / base, traded)
        self._pending = self._pending * ratio

    def _remember(self, row: int, books: Books, weights: Floats) -> None:
        self._last = (row, books)
        if len(self._pending):
            close, sizing = self.task.market.close[row], self.task.sizing
            decided = decide_quantities(books, weights, close, sizing, self.task.initial_usd)
            self._pending = np.concatenate([self._pending[1:], decided])
