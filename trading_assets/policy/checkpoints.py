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
# Standard errors by which what was learned has to be better than what is fallen back on.
_PROVEN = 2.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy at one point of its training, with its validation rewards.

    Attributes
    ----------
    policy : TrainedPolicy
        The deterministic policy.
    rewards : float64 (n,)
        Validation rewards, comparable element by element with other candidates'.
    constraint_share : float, optional
        Mean of what a constraint measures on the validation window, over its limit.
    multiplier : float, optional
        The constraint's multiplier at that point.
    """

    policy: TrainedPolicy
    rewards: Floats
    constraint_share: float | None = None
    multiplier: float | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The figures that are reported."""
        steps, score = self.policy.selected_steps, float(self.rewards.mean())
        return Checkpoint(steps, score, self.constraint_share, self.multiplier)


class CheckpointRecorder:
    """Scores policies during a training and keeps the one to trade.

    The last one is kept unless an earlier one is better by more than one standard error of the
    paired difference, so that neither a collapse nor a lucky validation window decides. One that
    was recorded before the first step is a fallback: what was learned has to prove itself against
    it, so that only those count that are better by more than two standard errors. Under a
    constraint only those that keep it on the validation window are looked at; where none does, the
    one that violates it least is kept.

    Parameters
    ----------
    training : Training
        What is trained; scores its candidates.
    output : {"clip", "tanh", "levels"}
        How the network's last layer becomes an action.
    """

    def __init__(self, training: Training, output: str = "clip") -> None:
        self._training = training
        self._output = output
        self.candidates: list[Candidate] = []

    def record(
        self,
        tensors: Mapping[str, NDArray[np.float32]],
        steps: int,
        multiplier: float | None = None,
    ) -> Checkpoint:
        """Score the policy of these weights after `steps` environment steps.

        `multiplier` is that of the training's constraint.
        """
        policy = self._policy(tensors, steps)
        constraint = self._training.constraint
        share = None if constraint is None else constraint.measure(policy) / constraint.spec.limit
        candidate = Candidate(policy, self._training.score(policy), share, multiplier)
        self.candidates.append(candidate)
        scored = candidate.checkpoint
        if self._training.report is not None:
            self._training.report(scored)
        return scored

    @property
    def is_over(self) -> bool:
        """Whether as many checkpoints in a row as the agent's patience were no better."""
        patience = self._training.agent.patience
        if patience is None or not self.candidates:
            return False
        scores = [candidate.rewards.mean() for candidate in self.candidates]
        return len(scores) - 1 - int(np.argmax(scores)) >= patience

    def get_state(self) -> tuple[dict[str, NDArray[Any]], list[Any]]:
        """Return the candidates as arrays, and as JSON values steps, share and multiplier."""
        arrays: dict[str, NDArray[Any]] = {}
        for place, candidate in enumerate(self.candidates):
            arrays[f"{place}/rewards"] = candidate.rewards
            arrays |= {f"{place}/{n}": t for n, t in candidate.policy.tensors.items()}
        return arrays, [
            [c.policy.selected_steps, c.constraint_share, c.multiplier] for c in self.candidates
        ]

    def set_state(self, arrays: Mapping[str, NDArray[Any]], recorded: Sequence[Any]) -> None:
        """Go on from what `get_state` returned."""
        self.candidates = []
        for place, (steps, share, multiplier) in enumerate(recorded):
            prefix = f"{place}/"
            own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
            rewards = own.pop("rewards")
            self.candidates.append(Candidate(self._policy(own, steps), rewards, share, multiplier))

    def _policy(self, tensors: Mapping[str, NDArray[np.float32]], steps: int) -> TrainedPolicy:
        return TrainedPolicy(
            rules=self._training.rules,
            tensors=tensors,
            algorithm=self._training.agent.algorithm,
            seed=self._training.seed,
            history=(),
            selected_steps=steps,
            output=self._output,
            levels=getattr(self._training.agent, "levels", ()),
            encoder=self._training.agent.encoder,
        )

    def best(self) -> TrainedPolicy:
        """Return the policy that is kept, with the scores of all."""
        eligible = [c for c in self.candidates if c.checkpoint.keeps_constraint]
        if not eligible:
            eligible = [min(self.candidates, key=lambda c: c.constraint_share or 0.0)]
        kept = _kept(eligible)
        return replace(kept.policy, history=tuple(c.checkpoint for c in self.candidates))


def _kept(candidates: Sequence[Candidate]) -> Candidate:
    fallbacks = [each for each in candidates if each.policy.selected_steps == 0]
    learned = [each for each in candidates if each.policy.selected_steps > 0]
    for fallback in fallbacks:
        learned = [each for each in learned if _is_better(each, fallback, _PROVEN)]
    if not learned:
        return fallbacks[0]
    kept = learned[-1]
    for candidate in reversed(learned[:-1]):
        if _is_better(candidate, kept, 1.0):
            kept = candidate
    return kept


def _is_better(candidate: Candidate, than: Candidate, standard_errors: float) -> bool:
    gain = candidate.rewards - than.rewards
    return bool(gain.mean() > standard_errors * gain.std() / np.sqrt(len(gain)))


class Marks:
    """Every so many steps, from the first multiple on.

    Parameters
    ----------
    every : int
        Steps.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._next = every

    def is_reached(self, steps: int) -> bool:
        """Return whether a multiple was reached since the last one that was."""
        if steps < self._next:
            return False
        self.pass_by(steps)
        return True

    def pass_by(self, steps: int) -> None:
        """Go on with the first multiple after `steps`."""
        self._next = (steps // self._every + 1) * self._every
