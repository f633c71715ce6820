"""An ensemble that trades accounts from close to close, with what its members carry on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError, shown
from trading_assets.policy.ensemble import Ensemble
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import raw_weights
from trading_assets.simulation.core import Floats

Carried = Sequence[Sequence[float]]
"""What each member of an ensemble remembers of one account, as JSON values."""


class Acting:
    """Members that decide for the same K accounts at consecutive closes.

    Parameters
    ----------
    policies : sequence of TrainedPolicy
        Members with the same rules; one or more. Those of an `Ensemble` count by its weights.
    n_accounts : int
        K; all are new.
    """

    def __init__(self, policies: Sequence[TrainedPolicy], n_accounts: int) -> None:
        self._members = as_ensemble(policies)
        self._memories = [np.zeros((n_accounts, policy.n_memory)) for policy in self._members]

    @property
    def carries(self) -> bool:
        """Whether any member remembers what it saw."""
        return any(memory.shape[1] for memory in self._memories)

    def raw_weights(self, observation: NDArray[np.float32]) -> Floats:
        """Return the weights before limits of the mean action, float64 (K, N), and remember.

        Parameters
        ----------
        observation : float32 (K, n_inputs)
            What all members see at the close that follows the last one asked for.
        """
        actions: list[Floats] = []
        for place, policy in enumerate(self._members):
            action, self._memories[place] = policy.act_from(observation, self._memories[place])
            actions.append(action)
        return raw_weights(self._members.mix(actions), self._members[0].rules)

    def carry_on(self, carried: Carried) -> None:
        """Go on from what was carried by the only account.

        Raises
        ------
        DataError
            If it does not fit the members.
        """
        sizes = [memory.shape[1] for memory in self._memories]
        fits = [len(memory) for memory in carried] == sizes
        if not fits or not all(np.isfinite(memory).all() for memory in carried):
            msg = (
                f"members carry {shown([list(memory) for memory in carried])}; expected as many"
                f" finite numbers as {sizes}: begin with a new account"
            )
            raise DataError(msg)
        self._memories = [np.array([memory], dtype=np.float64) for memory in carried]

    def carried(self) -> list[list[float]]:
        """Return what the first account's members carry on."""
        return [memory[0].tolist() for memory in self._memories]


def as_ensemble(policies: Sequence[TrainedPolicy]) -> Ensemble:
    """Return policies as an ensemble, of equal weights unless they are one."""
    return policies if isinstance(policies, Ensemble) else Ensemble(tuple(policies))


def carry_nothing(policies: Sequence[TrainedPolicy]) -> list[list[float]]:
    """Return what members carry of an account that was just opened."""
    return [[0.0] * policy.n_memory for policy in policies]
