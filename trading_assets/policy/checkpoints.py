"""Policies recorded during a training, and which of them is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.policy.networks import Checkpoint, TrainedPolicy
from trading_assets.policy.training import Training
from trading_assets.simulation.core import Floats

N_CHECKPOINTS = 8


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy at one point of its training, with its validation rewards.

    Attributes
    ----------
    policy : TrainedPolicy
        The deterministic policy.
    rewards : float64 (n,)
        Validation rewards, comparable element by element with other candidates'.
    """

    policy: TrainedPolicy
    rewards: Floats


class CheckpointRecorder:
    """Scores policies during a training and keeps the one to trade.

    The last one is kept unless an earlier one is better by more than one standard error of the
    paired difference, so that neither a collapse nor a lucky validation window decides.

    Parameters
    ----------
    training : Training
        What is trained; scores its candidates.
    output : {"clip", "tanh"}
        How the network's last layer becomes an action.
    """

    def __init__(self, training: Training, output: str = "clip") -> None:
        self._training = training
        self._output = output
        self.candidates: list[Candidate] = []

    def record(self, tensors: Mapping[str, NDArray[np.float32]], steps: int) -> Checkpoint:
        """Score the policy of these weights after `steps` environment steps."""
        policy = self._policy(tensors, steps)
        candidate = Candidate(policy, self._training.score(policy))
        self.candidates.append(candidate)
        scored = Checkpoint(steps, float(candidate.rewards.mean()))
        if self._training.report is not None:
            self._training.report(scored)
        return scored

    def get_state(self) -> tuple[dict[str, NDArray[Any]], list[int]]:
        """Return the candidates as arrays, and the steps they were recorded at."""
        arrays: dict[str, NDArray[Any]] = {}
        for place, candidate in enumerate(self.candidates):
            arrays[f"{place}/rewards"] = candidate.rewards
            arrays |= {f"{place}/{n}": t for n, t in candidate.policy.tensors.items()}
        return arrays, [candidate.policy.selected_steps for candidate in self.candidates]

    def set_state(self, arrays: Mapping[str, NDArray[Any]], steps: Sequence[int]) -> None:
        """Go on from what `get_state` returned."""
        self.candidates = []
        for place, step in enumerate(steps):
            prefix = f"{place}/"
            own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            rewards = own.pop("rewards")
            self.candidates.append(Candidate(self._policy(own, step), rewards))

    def _policy(self, tensors: Mapping[str, NDArray[np.float32]], steps: int) -> TrainedPolicy:
        return TrainedPolicy(
            rules=self._training.rules,
            tensors=tensors,
            algorithm=self._training.agent.algorithm,
            seed=self._training.seed,
            history=(),
            selected_steps=steps,
            output=self._output,
        )

    def best(self) -> TrainedPolicy:
        """Return the policy that is kept, with the scores of all."""
        kept = self.candidates[-1]
        for candidate in reversed(self.candidates[:-1]):
            gain = candidate.rewards - kept.rewards
            if gain.mean() > gain.std() / np.sqrt(len(gain)):
                kept = candidate
        history = tuple(
            Checkpoint(c.policy.selected_steps, float(c.rewards.mean())) for c in self.candidates
        )
        return replace(kept.policy, history=history)
