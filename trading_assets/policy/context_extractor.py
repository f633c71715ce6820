"""What networks see of indexed observations: windows gathered from one shared table."""

from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor


class ContextExtractor(BaseFeaturesExtractor):
    """Turns (row, account row) into (window of the context, account row).

    Rollouts and replay memories then hold a number for each bar and not its window.

    Parameters
    ----------
    observation_space : Box
        Of an indexed `MarketVecEnv`.
    context : float32 (T, C)
        Features of all rows.
    window_bars : int
        Rows of a window, the newest last.
    """

    def __init__(
        self, observation_space: gym.Space[Any], context: NDArray[np.float32], window_bars: int
    ) -> None:
        n_account = cast("tuple[int]", observation_space.shape)[0] - 1
        super().__init__(observation_space, window_bars * context.shape[1] + n_account)
        # Neither a parameter nor a buffer: it is data, and stays out of what is stored.
        self._context = [torch.from_numpy(context)]
        self._window = torch.arange(1 - window_bars, 1)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return float32 (B, window_bars x C + A)."""
        rows = observations[:, :1].long()
        if len(self._window) == 1:
            window = self._context[0][rows[:, 0]]
        else:
            window = self._context[0][rows + self._window].flatten(start_dim=1)
        return torch.cat([window, observations[:, 1:]], dim=1)
