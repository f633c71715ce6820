"""Behaviour cloning: a network that does what a teacher does, before it learns by trial or at all.

An actor is cloned first, then the critic learns alone, then both.
Source of the order: pretraining both parts reduces the collapse that follows cloning and does not
remove it, so that the clone stays what is fallen back on; measured in docs/experiments.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from trading_assets.agent_specs import WarmStartSpec
from trading_assets.policy.decision_rules import DecisionRules
from trading_assets.policy.teachers import Teacher, make_teacher
from trading_assets.policy.training import Training
from trading_assets.simulation.terms import Floats
from trading_assets.simulation.vector_env import MarketVecEnv

N_LESSONS = 16_384
_BOOKS, _BATCH, _LEARNING_RATE = 128, 512, 3e-3
# Books start from all over their limits, so that the clone knows more than the teacher's own path.
_NOISE = 0.3


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a teacher did, observation by observation.

    Attributes
    ----------
    observations : float32 (n, n_inputs)
        Indexed observations.
    actions : float32 (n, N)
        Actions in [-1, 1].
    """

    observations: NDArray[np.float32]
    actions: NDArray[np.float32]


def record_lessons(training: Training, teacher: Teacher) -> Lessons:
    """Return what a teacher does on and beside its own paths through the train window.

    The books trade the teacher's action with noise; what is kept is the action without it.
    """
    env = MarketVecEnv(training.task, training.episodes, _BOOKS, "indexed")
    rng = np.random.default_rng(training.seed)
    env.seed(training.seed)
    seen: NDArray[np.float32] = env.reset()
    observations: list[NDArray[np.float32]] = []
    actions: list[NDArray[np.float32]] = []
    for _ in range(N_LESSONS // _BOOKS):
        wanted = teacher(env.traded.rows.copy(), env.traded.held.copy())
        action = actions_of(wanted, training.rules)
        observations.append(seen)
        actions.append(action)
        noisy = action + rng.normal(0.0, _NOISE, action.shape)
        env.step_async(np.clip(noisy, -1.0, 1.0).astype(np.float32))
        seen, *_ = env.step_wait()
    return Lessons(np.concatenate(observations), np.concatenate(actions))


def actions_of(weights: Floats, rules: DecisionRules) -> NDArray[np.float32]:
    """Return the actions, float32 (K, N), whose raw weights are nearest to the given ones."""
    share = weights / rules.limits.max_weight
    actions = 2.0 * share - 1.0 if rules.limits.is_long_only else share
    return np.clip(actions, -1.0, 1.0).astype(np.float32)


def imitate(
    actor: nn.Module, lessons: Lessons, steps: int, learning_rate: float, seed: int
) -> Iterator[int]:
    """Fit an actor to a teacher's actions; yield how many lessons were read after each batch.

    Parameters
    ----------
    actor : Module
        From indexed observations to actions before they are bounded.
    lessons : Lessons
        What the teacher did.
    steps : int
        Lessons to read, in passes of a new order each.
    learning_rate : float
        Initial step size, falling linearly to 0.
    seed : int
        Seed of the orders.
    """
    optimizer = torch.optim.Adam(actor.parameters(), lr=learning_rate)
    observations = torch.from_numpy(lessons.observations)
    actions = torch.from_numpy(lessons.actions)
    generator = torch.Generator().manual_seed(seed)
    read = 0
    while read < steps:
        for part in torch.randperm(len(actions), generator=generator).split(_BATCH):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * (1.0 - read / steps)
            optimizer.zero_grad()
            nn.functional.mse_loss(actor(observations[part]), actions[part]).backward()
            optimizer.step()
            read += len(part)
            yield read
            if read >= steps:
                return


def actor_of(model: PPO) -> nn.Module:
    """Return what a learner's mean action comes from; the critic shares its encoder, if any."""
    policy = cast("Any", model.policy)
    return nn.Sequential(
        policy.features_extractor, policy.mlp_extractor.policy_net, policy.action_net
    )


def warm_start(model: PPO, training: Training, declared: WarmStartSpec) -> None:
    """Give a new learner's actor the mean action of a teacher.

    Raises
    ------
    DataError
        If the teacher cannot be made for the task.
    """
    teacher = make_teacher(declared.teacher, training.task, training.episodes)
    lessons = record_lessons(training, teacher)
    steps = declared.epochs * N_LESSONS
    for _ in imitate(actor_of(model), lessons, steps, _LEARNING_RATE, training.seed):
        pass


class CriticWarmUp(BaseCallback):
    """Keeps the actor as it is until the critic has learned from so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._steps = steps

    def _on_rollout_end(self) -> None:
        # Weights change after a rollout: it is the counter that says whose, also in one resumed.
        is_learning = self.num_timesteps > self._steps
        for parameter in actor_of(cast("PPO", self.model)).parameters():
            parameter.requires_grad_(is_learning)
        cast("Any", self.model.policy).log_std.requires_grad_(is_learning)

    def _on_step(self) -> bool:
        return True
