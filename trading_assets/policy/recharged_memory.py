"""A memory of transitions whose rewards follow the multiplier of a constraint."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer

from trading_assets.simulation.rewards.constrained import ConstrainedReward, charged


class RechargedMemory(ReplayBuffer):
    """Remembers what was paid and charged apart, so that old bars are charged as new ones are.

    Else a learner would mix rewards of multipliers long gone.

    Parameters
    ----------
    reward : ConstrainedReward
        What the environments pay; its newest bar is that of the transition that is added.
    reward_scale : float
        Factor on the reward.
    """

    REMEMBERED = ("paid", "charges")

    def __init__(
        self,
        *args: Any,  # noqa: ANN401  those of a ReplayBuffer
        reward: ConstrainedReward,
        reward_scale: float,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(*args, **kwargs)
        self._reward, self._reward_scale = reward, reward_scale
        self.paid = np.zeros_like(self.rewards)
        self.charges = np.zeros_like(self.rewards)

    def add(
        self,
        obs: NDArray[Any],
        next_obs: NDArray[Any],
        action: NDArray[Any],
        reward: NDArray[Any],
        done: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """Remember a transition of every environment."""
        paid, charge = self._reward.newest
        self.paid[self.pos] = paid * self._reward_scale
        self.charges[self.pos] = charge * self._reward_scale
        super().add(obs, next_obs, action, reward, done, infos)

    def recharge(self) -> None:
        """Pay all that is remembered at the present multiplier."""
        self.rewards[:] = charged(self.paid, self.charges, self._reward.multiplier.value)
