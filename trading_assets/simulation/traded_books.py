"""K books of a task, stepped in place: what both environments and rollouts are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.simulation.account_rows import Accounts, whole_observations
from trading_assets.simulation.compiled.books import endow_books, open_books_at, trade_books
from trading_assets.simulation.compiled.environment import end_episodes
from trading_assets.simulation.compiled.layout import (
    EQUITY,
    FILL_FIELDS,
    OUTCOME_FIELDS,
    POSITION_FIELDS,
    PRICE,
)
from trading_assets.simulation.core import Books, StepResult, books_of, result_of
from trading_assets.simulation.episode_draws import EpisodeDraws
from trading_assets.simulation.rewards.reward import PaidBar, Rows
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.terms import Floats, require_finite
from trading_assets.simulation.trackers.tracker import Memory

Which = slice | NDArray[np.int64]
ALL = slice(None)


class TradedBooks:
    """K books of one task, each at a row of its own.

    Parameters
    ----------
    task : TradingTask
        What is traded and paid.
    n_books : int
        K.

    Attributes
    ----------
    rows : int64 (K,)
        Row at whose close each book stands.
    held : float64 (K, N)
        Weights held there.
    """

    def __init__(self, task: TradingTask, n_books: int) -> None:
        n_symbols = len(task.market.symbols)
        self.task = task
        self.rows: Rows = np.zeros(n_books, dtype=np.int64)
        self._all: Rows = np.arange(n_books)
        self.held: Floats = np.zeros((n_books, n_symbols))
        self._cash = np.zeros(n_books)
        self._positions = np.zeros((n_books, POSITION_FIELDS, n_symbols))
        self._target = np.zeros((n_books, n_symbols))
        self._pending = np.zeros((n_books, task.costs.latency_bars - 1, n_symbols))
        self._fills = np.zeros((n_books, FILL_FIELDS, n_symbols))
        self._outcome = np.zeros((n_books, OUTCOME_FIELDS))
        self._memory = Memory(task.trackers, n_books)
        drawn = task.randomisation
        self._draws = None if drawn is None else EpisodeDraws(task, drawn, n_books)
        self._terms = task.terms if self._draws is None else self._draws.terms
        self._decided_at: Rows = np.zeros(n_books, dtype=np.int64)
        self._bar = PaidBar(
            self._outcome, self._fills, self._decided_at, task.covariance, task.confidence
        )

    def open(
        self, which: Which, rows: Rows, rngs: Sequence[np.random.Generator] | None = None
    ) -> None:
        """Replace some books by new ones at the close of `rows`, before their first decision.

        Training gives the generator of each of these books, for what is drawn for an episode. New
        books are flat, on declared terms, unless the task's randomisation draws others.
        """
        indices = self._all[which] if isinstance(which, slice) else which
        open_books_at(
            indices,
            rows,
            self.task.tape,
            self.task.initial_usd,
            self.rows,
            self._cash,
            self._positions,
            self.held,
        )
        if self._pending.shape[1]:
            self._pending[which] = 0.0
        if self.task.trackers:
            self._memory.start(which, rngs)
        if self._draws is not None:
            weights = self._draws.start(indices, rows, rngs)
            if weights is not None:
                endow_books(
                    indices,
                    weights,
                    self.task.initial_usd,
                    self._terms,
                    self._cash,
                    self._positions,
                    self._pending,
                    self.held,
                    self._outcome,
                )

    def trade(self, weights: Floats) -> Floats:
        """Carry all books to the next close with target weights within the limits.

        Returns
        -------
        float64 (K,)
            Rewards, not scaled.

        Raises
        ------
        DataError
            If a held or traded symbol lacks a price, volatility or dollar volume that is needed.
        """
        task, outcome = self.task, self._outcome
        self._decided_at[:] = self.rows
        is_finite = trade_books(
            self._cash,
            self._positions,
            weights,
            self._target,
            self._pending,
            task.tape,
            self.rows,
            self._terms,
            self._fills,
            outcome,
            self.held,
        )
        if not is_finite:
            require_finite(outcome[:, EQUITY])
        bar = self._bar
        if not task.trackers:
            return task.reward.pay(bar, {}, {})
        before = self._memory.advance(bar.net_return, bar.traded)
        return task.reward.pay(bar, before, self._memory.states)

    @property
    def is_ruined(self) -> NDArray[np.bool_]:
        """Whether a book has lost all its equity, bool (K,)."""
        return self._outcome[:, EQUITY] <= 0.0

    def end(self, ends: Rows, ruined: NDArray[np.bool_], done: NDArray[np.bool_]) -> int:
        """Write which books are ruined, and which are that or at the row of `ends`; count these."""
        return end_episodes(self.rows, ends, self._outcome, ruined, done)

    def accounts(self, which: Which = ALL) -> Accounts:
        """Return some accounts as a policy sees them at the close of `rows`."""
        memory = self._memory if isinstance(which, slice) else self._memory.of(which)
        pending = self._pending[which]
        if pending.shape[1]:
            # A flat new book has nothing pending, whatever its last equity was.
            base = self.task.notional_usd or np.maximum(self._outcome[which, EQUITY], 1e-9)
            price = self._positions[which, PRICE]
            pending = pending * (price / np.reshape(base, (-1, 1)))[:, None, :]
        return Accounts(self.held[which], pending, memory)

    def observe(self, which: Which = ALL) -> NDArray[np.float32]:
        """Return whole observations of some books, float32 (K, task.n_inputs)."""
        return whole_observations(self.task, self.rows[which], self.accounts(which))

    def get_state(self) -> dict[str, NDArray[Any]]:
        """Return copies of all arrays by name."""
        return {name: array.copy() for name, array in self._arrays().items()}

    def set_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `get_state` returned."""
        for name, array in self._arrays().items():
            array[:] = arrays[name]

    def _arrays(self) -> dict[str, NDArray[Any]]:
        tracked = {f"tracked.{name}": state for name, state in self._memory.states.items()}
        drawn = {} if self._draws is None else {"terms": self._draws.terms}
        return {
            "rows": self.rows,
            "held": self.held,
            "cash": self._cash,
            "positions": self._positions,
            "pending": self._pending,
            "outcome": self._outcome,
            **tracked,
            **drawn,
        }

    def result(self) -> StepResult:
        """Return what the last bar did, copied."""
        return result_of(self._cash.copy(), self._positions, self._fills, self._outcome)

    def books(self) -> Books:
        """Return the books, copied."""
        return books_of(self._cash.copy(), self._positions)
