"""K environments stepped as arrays, for Stable-Baselines3."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from trading_assets.errors import DataError
from trading_assets.simulation.core import Books
from trading_assets.simulation.task import (
    Rows,
    TradingTask,
    observe,
    open_at,
    reward_of,
    trade_bar,
)


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
    """

    first_row: int
    last_row: int
    length_bars: int
    reward_scale: float

    def __post_init__(self) -> None:
        if self.last_row <= self.first_row:
            msg = (
                f"an episode window was rows {self.first_row} to {self.last_row}; expected at"
                " least two rows: one to decide at and one to trade"
            )
            raise DataError(msg)

    def draw_start(self, rng: np.random.Generator) -> int:
        """Return a random first decision row."""
        latest = max(self.first_row, self.last_row - self.length_bars)
        return int(rng.integers(self.first_row, latest + 1))


class MarketVecEnv(VecEnv):
    """K books over one market, each at its own row.

    An episode starts flat at a random row and is truncated after `length_bars` or at the end of the
    window; it terminates only by ruin. A truncated episode gives `terminal_observation` and
    `TimeLimit.truncated`, so that the learner does not take the end of the data for a bankruptcy.
    """

    def __init__(self, task: TradingTask, episodes: Episodes, n_envs: int) -> None:
        self.task = task
        self.episodes = episodes
        n_symbols = len(task.market.symbols)
        super().__init__(
            n_envs,
            gym.spaces.Box(-np.inf, np.inf, (task.view.n_inputs,), np.float32),
            gym.spaces.Box(-1.0, 1.0, (n_symbols,), np.float32),
        )
        self._rngs = [np.random.default_rng(index) for index in range(n_envs)]
        self._rows: Rows = np.full(n_envs, episodes.first_row, dtype=np.int64)
        self._ends: Rows = self._rows.copy()
        self._books: Books = open_at(task, self._rows)
        self._actions: NDArray[np.floating] = np.zeros((n_envs, n_symbols), dtype=np.float32)

    def reset(self) -> NDArray[np.float32]:
        """Start an episode in every environment; seeds given by `seed` are used once."""
        for index, seed in enumerate(self._seeds):
            if seed is not None:
                self._rngs[index] = np.random.default_rng(seed)
        self._reset_seeds()
        self._reset_options()
        self._start(np.arange(self.num_envs))
        return observe(self.task, self._books, self._rows)

    def step_async(self, actions: NDArray[np.floating]) -> None:
        """Keep the actions, float32 (K, N) in [-1, 1], for `step_wait`."""
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        """Trade one bar; finished environments start a new episode at once."""
        weights = self.task.view.target_weights(self._actions, self._rows)
        result = trade_bar(self.task, self._books, weights, self._rows)
        rewards = reward_of(self.task, result, self._rows) * self.episodes.reward_scale
        self._books = result.books
        self._rows = self._rows + 1
        is_ruined = result.equity <= 0.0
        is_done = is_ruined | (self._rows >= self._ends)
        observation = observe(self.task, self._books, self._rows)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if is_done.any():
            finished = np.flatnonzero(is_done)
            for index in finished:
                infos[index]["terminal_observation"] = observation[index].copy()
                infos[index]["TimeLimit.truncated"] = not bool(is_ruined[index])
            self._start(finished)
            observation = observe(self.task, self._books, self._rows)
        return observation, rewards.astype(np.float32), is_done, infos

    def _start(self, indices: NDArray[np.int64]) -> None:
        self._rows = self._rows.copy()
        for index in indices:
            self._rows[index] = self.episodes.draw_start(self._rngs[index])
        self._ends[indices] = np.minimum(
            self._rows[indices] + self.episodes.length_bars, self.episodes.last_row
        )
        fresh = open_at(self.task, self._rows[indices])
        current = {field.name: getattr(self._books, field.name) for field in fields(Books)}
        for name, values in current.items():
            current[name] = values.copy()
            current[name][indices] = getattr(fresh, name)
        self._books = replace(self._books, **current)

    def close(self) -> None:
        """Release nothing: the environments are arrays."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return the attribute once for each environment asked for; they share it."""
        if attr_name == "render_mode":
            return [None for _ in self._indices_of(indices)]
        return [getattr(self, attr_name) for _ in self._indices_of(indices)]

    def set_attr(self, attr_name: str, value: object, indices: VecEnvIndices = None) -> None:
        """Refuse: environments share one task."""
        raise NotImplementedError

    def env_method(
        self,
        method_name: str,
        *method_args: object,
        indices: VecEnvIndices = None,
        **method_kwargs: object,
    ) -> list[Any]:
        """Refuse: there are no single environments to call."""
        raise NotImplementedError

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return False for each environment asked for."""
        return [False for _ in self._indices_of(indices)]

    def _indices_of(self, indices: VecEnvIndices) -> Sequence[int]:
        return list(self._get_indices(indices))
