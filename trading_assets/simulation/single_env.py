"""One book as a Gymnasium environment; the same trajectory as one row of the vectorised one."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from trading_assets.simulation.episodes import Episodes, EpisodeStarts
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.traded_books import TradedBooks


class MarketEnv(gym.Env[NDArray[np.float32], NDArray[np.floating]]):
    """A new book at a random row; observe at a close, fill at the next open.

    Observations are whole: the window of the context, then the account row.
    """

    def __init__(self, task: TradingTask, episodes: Episodes) -> None:
        task.require_window(episodes.first_row)
        self.task = task
        self.episodes = episodes
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (task.n_inputs,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (len(task.market.symbols),), np.float32)
        self.traded = TradedBooks(task, 1)
        self._starts = EpisodeStarts(episodes, 1)
        self._ends = np.array([episodes.first_row])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode; a seed fixes the sequence of start rows."""
        super().reset(seed=seed)
        if seed is not None:
            self._starts.seed(0, seed)
        rows = self._starts.next_of(np.array([0]), self._ends)
        self.traded.open(slice(None), rows, self._starts.generators)
        return self.traded.observe()[0], {}

    def step(
        self, action: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Trade one bar with an action in [-1, 1] for each symbol."""
        traded = self.traded
        weights = self.task.view.target_weights(action[None, :], traded.rows, traded.held)
        reward = traded.trade(weights)[0] * self.episodes.reward_scale
        is_ruined = bool(traded.is_ruined[0])
        is_over = bool(traded.rows[0] >= self._ends[0]) and not is_ruined
        return traded.observe()[0], float(np.float32(reward)), is_ruined, is_over, {}
