"""Where episodes of a task may run, and from which row each one starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError
from trading_assets.simulation.compiled.environment import end_of_starts, take_starts

Rows = NDArray[np.int64]


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

    def draw_starts(self, rng: np.random.Generator, count: int) -> Rows:
        """Return random first decision rows, int64 (count,)."""
        n_starts = max(self.history_rows - self.length_bars, 1)
        places = rng.integers(self.n_histories * n_starts, size=count)
        histories, offsets = np.divmod(places, n_starts)
        return self.first_row + histories * self.history_rows + offsets


class EpisodeStarts:
    """First rows of the episodes of K environments, drawn some at a time by each one's generator.

    Parameters
    ----------
    episodes : Episodes
        Where episodes run.
    n_envs : int
        K.
    """

    _AHEAD = 64

    def __init__(self, episodes: Episodes, n_envs: int) -> None:
        self._episodes = episodes
        self._drawn = np.zeros((n_envs, self._AHEAD), dtype=np.int64)
        self._used = np.full(n_envs, self._AHEAD)
        self.generators = [np.random.default_rng(index) for index in range(n_envs)]

    def seed(self, index: int, seed: int) -> None:
        """Begin the sequence of one environment anew."""
        self.generators[index] = np.random.default_rng(seed)
        self._used[index] = self._AHEAD

    def next_of(self, indices: Rows, ends: Rows) -> Rows:
        """Return the next first row of some environments, int64 (M,).

        `ends`, int64 (K,), is written: the row of each episode's last bar.
        """
        episodes = self._episodes
        starts = np.empty(len(indices), dtype=np.int64)
        while (taken := take_starts(indices, self._drawn, self._used, starts)) < len(indices):
            index = int(indices[taken])
            self._drawn[index] = episodes.draw_starts(self.generators[index], self._AHEAD)
            self._used[index] = 0
        end_of_starts(
            indices,
            starts,
            episodes.first_row,
            episodes.history_rows,
            episodes.length_bars,
            ends,
        )
        return starts

    def get_state(self) -> tuple[dict[str, NDArray[Any]], list[Any]]:
        """Return what is drawn and not used yet, and the generators."""
        arrays = {"starts.drawn": self._drawn.copy(), "starts.used": self._used.copy()}
        return arrays, [rng.bit_generator.state for rng in self.generators]

    def set_state(self, arrays: Mapping[str, NDArray[Any]], generators: Sequence[Any]) -> None:
        """Go on from what `get_state` returned."""
        self._drawn[:], self._used[:] = arrays["starts.drawn"], arrays["starts.used"]
        for rng, state in zip(self.generators, generators, strict=True):
            rng.bit_generator.state = state
