"""Where episodes of a task may run, and from which row each one starts."""

from dataclasses import dataclass

import numpy as np

from trading_assets.errors import DataError


@dataclass(frozen=True, slots=True)
class Episodes:
    """Where episodes may run.

    Attributes
    ----------
    first_row, last_row : int
        Rows of the market: first decision allowed, and last bar that may be traded.
    length_bars : int
        Bars of an episode; shorter only when the rows do not allow it.
    reward_scale : float
        Factor on the reward.
    n_histories : int
        Parts of equal length that the rows fall into, such as histories of several assets that one
        policy is trained on; no episode goes from one to the next.
    """

    first_row: int
    last_row: int
    length_bars: int
    reward_scale: float
    n_histories: int = 1

    def __post_init__(self) -> None:
        if self.last_row <= self.first_row:
            msg = (
                f"an episode window was rows {self.first_row} to {self.last_row}; expected at"
                " least two rows: one to decide at and one to trade"
            )
            raise DataError(msg)
        n_rows = self.last_row + 1 - self.first_row
        if n_rows % self.n_histories or n_rows < 2 * self.n_histories:
            msg = (
                f"{n_rows} rows were to fall into {self.n_histories} histories; expected parts of"
                " equal length with at least two rows"
            )
            raise DataError(msg)

    @property
    def history_rows(self) -> int:
        """Rows of each history."""
        return (self.last_row + 1 - self.first_row) // self.n_histories

    def draw_start(self, rng: np.random.Generator) -> int:
        """Return a random first decision row."""
        n_starts = max(self.history_rows - self.length_bars, 1)
        place = int(rng.integers(self.n_histories * n_starts))
        history, offset = divmod(place, n_starts)
        return self.first_row + history * self.history_rows + offset

    def end_of(self, start: int) -> int:
        """Return the row of an episode's last bar, which is traded and not decided at."""
        history = (start - self.first_row) // self.history_rows
        last = self.first_row + (history + 1) * self.history_rows - 1
        return min(start + self.length_bars, last)
