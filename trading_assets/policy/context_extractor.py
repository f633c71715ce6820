"""What networks see of indexed observations: windows gathered from one shared table."""

from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from trading_assets.encoder_specs import EncoderSpec
from trading_assets.policy.encoders import WindowEncoder


class ContextExtractor(BaseFeaturesExtractor):
    """Turns (row, account row) into (window of the context or what is encoded of it, account row).

    Rollouts and replay memories then hold a number for each bar and not its window.

    Parameters
    ----------
    observation_space : Box
        Of an indexed `MarketVecEnv`.
    context : float32 (T, C)
        Features of all rows.
    window_bars : int
        Rows of a window, the newest last.
    encoder : EncoderSpec, optional
        What windows pass first.
    n_symbols : int
        Symbols that a row of the context is of.
    graph : float32 (N, N), optional
        What symbols see of each other, for an encoder that asks for it.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        context: NDArray[np.float32],
        window_bars: int,
        encoder: EncoderSpec | None = None,
        n_symbols: int = 1,
        graph: NDArray[np.float32] | None = None,
    ) -> None:
        n_account = cast("tuple[int]", observation_space.shape)[0] - 1
        width = context.shape[1]
        made = encoder and WindowEncoder(encoder, window_bars, n_symbols, width // n_symbols, graph)
        n_features = made.n_features if made else window_bars * width
        super().__init__(observation_space, n_features + n_account)
        self.encoder = made
        # Neither a parameter nor a buffer: it is data, and stays out of what is stored.
        self._context = [torch.from_numpy(context)]
        self._window = torch.arange(1 - window_bars, 1)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return float32 (B, window_bars x C + A), or (B, encoded + A)."""
        rows = observations[:, :1].long()
        if self.encoder is None and len(self._window) == 1:
            seen = self._context[0][rows[:, 0]]
        else:
            window = self._context[0][rows + self._window]
            if self.encoder is None:
                seen = window.flatten(start_dim=1)
            else:
                seen = self.encoder(window.unflatten(2, (self.encoder.n_symbols, -1)))
        return torch.cat([seen, observations[:, 1:]], dim=1)
