"""One book as a Gymnasium environment; the same trajectory as one row of the vectorised one."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from trading_assets.simulation.task import TradingTask, observe, open_at, reward_of, trade_bar
from trading_assets.simulation.vector_env import Episodes


class MarketEnv(gym.Env[NDArray[np.float32], NDArray[np.floating]]):
    """A flat book at a random row; observe at a close, fill at the next open."""

    def __init__(self, task: TradingTask, episodes: Episodes) -> None:
        self.task = task
        self.episodes = episodes
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (task.view.n_inputs,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (len(task.market.symbols),), np.float32)
        self._rng = np.random.default_rng(0)
        self._rows = np.array([episodes.first_row], dtype=np.int64)
        self._end = episodes.first_row
        self._books = open_at(task, self._rows)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; a seed fixes the sequence of start rows."""
        super().reset(seed=seed)
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        start = self.episodes.draw_start(self._rng)
        self._rows = np.array([start], dtype=np.int64)
        self._end = min(start + self.episodes.length_bars, self.episodes.last_row)
        self._books = open_at(self.task, self._rows)
        return observe(self.task, self._books, self._rows)[0], {}

    def step(
        self, action: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Trade one bar with an action in [-1, 1] for each symbol."""
        weights = self.task.view.target_weights(action[None, :], self._rows)
        result = trade_bar(self.task, self._books, weights, self._rows)
        reward = reward_of(self.task, result, self._rows)[0] * self.episodes.reward_scale
        self._books = result.books
        self._rows = self._rows + 1
        is_ruined = bool(result.equity[0] <= 0.0)
        is_over = bool(self._rows[0] >= self._end) and not is_ruined
        observation = observe(self.task, self._books, self._rows)[0]
        return observation, float(np.float32(reward)), is_ruined, is_over, {}
