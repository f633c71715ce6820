"""Proximal policy optimisation with Stable-Baselines3; what leaves this module is plain arrays."""

import random
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from trading_assets.policy.networks import Checkpoint, TrainedPolicy
from trading_assets.policy.observation import DecisionRules
from trading_assets.simulation.core import Floats
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.vector_env import Episodes, MarketVecEnv
from trading_assets.strategy import AgentSpec

N_CHECKPOINTS = 8

Score = Callable[[TrainedPolicy], Floats]
"""Validation rewards of a deterministic policy, float64 (n,), comparable element by element."""


@dataclass(frozen=True, slots=True)
class Training:
    """One training, complete.

    Attributes
    ----------
    task : TradingTask
        Market and reward of the train window.
    episodes : Episodes
        Rows of the train window.
    rules : DecisionRules
        What the policy observes and may do.
    agent : AgentSpec
        Algorithm and sizes.
    seed : int
        Seed of weights, actions, minibatches and episode starts.
    score : callable
        Validation rewards of a policy; used to choose a checkpoint.
    """

    task: TradingTask
    episodes: Episodes
    rules: DecisionRules
    agent: AgentSpec
    seed: int
    score: Score


def train_ppo(training: Training) -> TrainedPolicy:
    """Train one agent and return its best checkpoint; the same seed gives the same bytes.

    About eight checkpoints are scored with the deterministic policy. The last one is kept unless an
    earlier one is better by more than one standard error of the paired difference, so that neither
    a collapse nor a lucky validation window decides.
    """
    agent = training.agent
    with _quiet_torch():
        env = MarketVecEnv(training.task, training.episodes, agent.n_envs)
        model = PPO(
            "MlpPolicy",
            env,
            # The last rollout may overshoot, which SB3 reports as a negative remaining share.
            learning_rate=lambda remaining: agent.learning_rate * max(remaining, 0.0),
            n_steps=agent.n_steps,
            batch_size=min(agent.batch_size, agent.n_envs * agent.n_steps),
            n_epochs=agent.n_epochs,
            gamma=agent.discount,
            gae_lambda=agent.gae_lambda,
            policy_kwargs={
                "net_arch": [agent.hidden_units, agent.hidden_units],
                "activation_fn": torch.nn.Tanh,
                "log_std_init": agent.log_std_init,
            },
            seed=training.seed,
            device="cpu",
        )
        recorder = _Recorder(training)
        model.learn(agent.total_steps, callback=recorder)
    return recorder.best()


@dataclass(frozen=True, slots=True)
class _Candidate:
    policy: TrainedPolicy
    rewards: Floats


class _Recorder(BaseCallback):
    def __init__(self, training: Training) -> None:
        super().__init__()
        self._training = training
        self._candidates: list[_Candidate] = []
        rollout_steps = training.agent.n_envs * training.agent.n_steps
        n_rollouts = -(-training.agent.total_steps // rollout_steps)
        self._every = -(-n_rollouts // N_CHECKPOINTS)
        self._rollouts = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        # Weights change between rollouts: here those of all earlier rollouts are in.
        if self._rollouts and self._rollouts % self._every == 0:
            self._record()
        self._rollouts += 1

    def _on_training_end(self) -> None:
        self._record()

    def _record(self) -> None:
        policy = TrainedPolicy(
            rules=self._training.rules,
            tensors=_actor_tensors(self.model),
            algorithm=self._training.agent.algorithm,
            seed=self._training.seed,
            history=(),
            selected_steps=self.num_timesteps,
        )
        self._candidates.append(_Candidate(policy, self._training.score(policy)))

    def best(self) -> TrainedPolicy:
        kept = self._candidates[-1]
        for candidate in reversed(self._candidates[:-1]):
            gain = candidate.rewards - kept.rewards
            if gain.mean() > gain.std() / np.sqrt(len(gain)):
                kept = candidate
        history = tuple(
            Checkpoint(c.policy.selected_steps, float(c.rewards.mean())) for c in self._candidates
        )
        return TrainedPolicy(
            rules=kept.policy.rules,
            tensors=kept.policy.tensors,
            algorithm=kept.policy.algorithm,
            seed=kept.policy.seed,
            history=history,
            selected_steps=kept.policy.selected_steps,
        )


def _actor_tensors(model: BaseAlgorithm) -> dict[str, NDArray[np.float32]]:
    state = model.policy.state_dict()
    layers = {
        "hidden_0": "mlp_extractor.policy_net.0",
        "hidden_1": "mlp_extractor.policy_net.2",
        "action": "action_net",
    }
    return {
        f"{ours}.{part}": state[f"{theirs}.{part}"].detach().cpu().numpy().copy()
        for ours, theirs in layers.items()
        for part in ("weight", "bias")
    }


@contextmanager
def _quiet_torch() -> Generator[None]:
    # SB3 seeds the process-wide generators; whoever called gets theirs back. One thread is faster
    # for small networks and makes sums independent of the machine's core count.
    threads = torch.get_num_threads()
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
