"""K environments whose actions are levels: one of a few weights for each symbol."""

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices

from trading_assets.errors import DataError
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.vector_env import Form, MarketVecEnv


class LevelVecEnv(MarketVecEnv):
    """`MarketVecEnv` with an action for each symbol that numbers one of several levels.

    A symbol that cannot be traded has one level only, that of no position; `action_masks` says so.

    Parameters
    ----------
    task, episodes, n_envs, form
        As in `MarketVecEnv`.
    levels : tuple of float
        Actions in [-1, 1], ascending.

    Raises
    ------
    DataError
        If levels are not ascending within [-1, 1], or none is no position.
    """

    def __init__(
        self,
        task: TradingTask,
        episodes: Episodes,
        n_envs: int,
        form: Form,
        levels: tuple[float, ...],
    ) -> None:
        super().__init__(task, episodes, n_envs, form)
        flat = -1.0 if task.is_long_only else 0.0
        if list(levels) != sorted({*levels}) or not {*levels} <= {flat, *np.clip(levels, -1, 1)}:
            msg = f"levels were {levels}; expected ascending actions within [-1, 1]"
            raise DataError(msg)
        if flat not in levels:
            msg = f"levels were {levels}; expected {flat:g} among them, which is no position"
            raise DataError(msg)
        self._levels = np.array(levels, dtype=np.float32)
        self._flat = levels.index(flat)
        n_symbols = len(task.market.symbols)
        self.action_space = gym.spaces.MultiDiscrete([len(levels)] * n_symbols)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keep the actions that the numbers of levels, int (K, N), stand for."""
        super().step_async(self._levels[actions])

    def action_masks(self) -> NDArray[np.bool_]:
        """Return which levels are open, bool (K, N x levels), symbol after symbol."""
        tradable = self.task.market.tradable[self.traded.rows]
        masks = np.repeat(tradable[:, :, None], len(self._levels), axis=2)
        masks[:, :, self._flat] = True
        return masks.reshape(len(masks), -1)

    def env_method(
        self,
        method_name: str,
        *method_args: object,
        indices: VecEnvIndices = None,
        **method_kwargs: object,
    ) -> list[Any]:
        """Return the masks of each environment asked for; there is nothing else to call."""
        if method_name != "action_masks":
            raise NotImplementedError
        masks = self.action_masks()
        return [masks[index] for index in self._indices_of(indices)]
