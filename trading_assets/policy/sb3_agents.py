"""Agents of Stable-Baselines3 behind one function; what leaves this module is plain arrays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.noise import NormalActionNoise, VectorizedActionNoise

from trading_assets.agent_specs import (
    A2cSpec,
    AgentSpec,
    DdpgSpec,
    MaskablePpoSpec,
    OffPolicySpec,
    OnPolicySpec,
    PpoSpec,
    RecurrentPpoSpec,
    SacSpec,
    Td3Spec,
)
from trading_assets.policy.checkpoints import CheckpointRecorder
from trading_assets.policy.cloning import CriticWarmUp, warm_start
from trading_assets.policy.context_extractor import ContextExtractor
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.recharged_memory import RechargedMemory
from trading_assets.policy.recording import ON_POLICY_LAYERS, Layers, Recording, actor_tensors
from trading_assets.policy.symbol_graph import symbol_graph
from trading_assets.policy.training import Training, quiet_torch
from trading_assets.simulation.level_env import LevelVecEnv
from trading_assets.simulation.rewards.constrained import ConstrainedReward, constrain_reward
from trading_assets.simulation.vector_env import MarketVecEnv

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Algorithm:
    """How one algorithm is built, and where its actor's weights are.

    Attributes
    ----------
    build : callable
        From (specification, environment, common settings) to the learner.
    layers : tuple of three str
        Prefixes of the two hidden layers and the action layer in the policy's state.
    output : {"clip", "tanh"}
        How the action layer's values become actions.
    """

    build: Callable[[Any, MarketVecEnv, Settings], BaseAlgorithm]
    layers: Layers
    output: str


def train_sb3(training: Training) -> TrainedPolicy:
    """Train one agent and return its best checkpoint; the same seed gives the same bytes.

    About eight checkpoints are scored with the deterministic policy; `CheckpointRecorder` says
    which one is kept. With a warm start the clone is scored too, before the first step.

    Raises
    ------
    DataError
        If the teacher of a warm start cannot be made for the task.
    """
    agent = cast("OnPolicySpec | OffPolicySpec", training.agent)
    algorithm = _ALGORITHMS[type(agent)]
    recorder = CheckpointRecorder(training, algorithm.output)
    with quiet_torch():
        env = _make_env(training, agent)
        model = algorithm.build(agent, env, _common_settings(training))
        recording = Recording(training, recorder, algorithm.layers, env.task.reward)
        is_resumed = recording.resume(model)
        callbacks: list[BaseCallback] = [recording]
        if isinstance(agent, PpoSpec) and agent.warm_start is not None:
            callbacks.append(CriticWarmUp(agent.critic_steps))
            if not is_resumed:
                warm_start(cast("PPO", model), training, agent.warm_start)
                recorder.record(actor_tensors(model, algorithm.layers), 0)
        model.learn(
            agent.total_steps - model.num_timesteps,
            callback=CallbackList(callbacks),
            reset_num_timesteps=not is_resumed,
        )
    return recorder.best()


def _make_env(training: Training, agent: OnPolicySpec | OffPolicySpec) -> MarketVecEnv:
    task, episodes = training.task, training.episodes
    if training.constraint is not None:
        spec, scale = training.constraint.spec, episodes.reward_scale
        task = replace(task, reward=constrain_reward(task.reward, spec, scale))
    if isinstance(agent, MaskablePpoSpec):
        return LevelVecEnv(task, episodes, agent.n_envs, "indexed", agent.levels)
    return MarketVecEnv(task, episodes, agent.n_envs, "indexed")


def _common_settings(training: Training) -> Settings:
    agent, view = training.agent, training.task.view
    return {
        "policy": "MlpPolicy",
        # The last rollout may overshoot, which SB3 reports as a negative remaining share.
        "learning_rate": _falling(agent.learning_rate),
        "gamma": agent.discount,
        "policy_kwargs": {
            "net_arch": [agent.hidden_units, agent.hidden_units],
            "activation_fn": torch.nn.Tanh,
            "features_extractor_class": ContextExtractor,
            "features_extractor_kwargs": {
                "context": view.context,
                "window_bars": view.window_bars,
                "encoder": agent.encoder,
                "n_symbols": len(training.rules.symbols),
                "graph": symbol_graph(training),
            },
        },
        "seed": training.seed,
        "device": "cpu",
    }


def _falling(initial: float) -> Callable[[float], float]:
    return lambda remaining: initial * max(remaining, 0.0)


def _ppo_settings(agent: PpoSpec | MaskablePpoSpec | RecurrentPpoSpec) -> Settings:
    return {
        "n_steps": agent.n_steps,
        "batch_size": min(agent.batch_size, agent.n_envs * agent.n_steps),
        "n_epochs": agent.n_epochs,
        "gae_lambda": agent.gae_lambda,
    }


def _ppo(agent: PpoSpec, env: MarketVecEnv, settings: Settings) -> BaseAlgorithm:
    settings["policy_kwargs"]["log_std_init"] = agent.log_std_init
    return PPO(env=env, target_kl=agent.largest_kl, **_ppo_settings(agent), **settings)


def _maskable_ppo(agent: MaskablePpoSpec, env: MarketVecEnv, settings: Settings) -> BaseAlgorithm:
    return MaskablePPO(env=env, target_kl=agent.target_kl, **_ppo_settings(agent), **settings)


def _recurrent_ppo(agent: RecurrentPpoSpec, env: MarketVecEnv, settings: Settings) -> BaseAlgorithm:
    settings["policy"] = "MlpLstmPolicy"
    settings["policy_kwargs"] |= {
        "log_std_init": agent.log_std_init,
        "lstm_hidden_size": agent.memory_units,
    }
    return RecurrentPPO(env=env, target_kl=agent.target_kl, **_ppo_settings(agent), **settings)


def _a2c(agent: A2cSpec, env: MarketVecEnv, settings: Settings) -> BaseAlgorithm:
    settings["policy_kwargs"]["log_std_init"] = agent.log_std_init
    return A2C(
        env=env,
        n_steps=agent.n_steps,
        gae_lambda=agent.gae_lambda,
        use_rms_prop=False,
        normalize_advantage=True,
        **settings,
    )


def _off_policy(agent: OffPolicySpec, env: MarketVecEnv, settings: Settings) -> Settings:
    reward = env.task.reward
    if isinstance(reward, ConstrainedReward):
        own = {"reward": reward, "reward_scale": env.episodes.reward_scale}
        settings = {
            **settings,
            "replay_buffer_class": RechargedMemory,
            "replay_buffer_kwargs": own,
        }
    return {
        **settings,
        "batch_size": agent.batch_size,
        "buffer_size": agent.buffer_size,
        "learning_starts": agent.learning_starts,
        "train_freq": 1,
        "gradient_steps": agent.gradient_steps,
        "tau": agent.tau,
    }


def _sac(agent: SacSpec, env: MarketVecEnv, settings: Settings) -> BaseAlgorithm:
    return SAC(env=env, **_off_policy(agent, env, settings))


def _noise(agent: Td3Spec | DdpgSpec, env: MarketVecEnv) -> VectorizedActionNoise:
    shape = cast("tuple[int]", env.action_space.shape)
    own = NormalActionNoise(np.zeros(shape), np.full(shape, agent.action_noise))
    return VectorizedActionNoise(own, env.num_envs)


def _td3(agent: Td3Spec, env: MarketVecEnv, settings: Settings) -> BaseAlgorithm:
    return TD3(env=env, action_noise=_noise(agent, env), **_off_policy(agent, env, settings))


def _ddpg(agent: DdpgSpec, env: MarketVecEnv, settings: Settings) -> BaseAlgorithm:
    return DDPG(env=env, action_noise=_noise(agent, env), **_off_policy(agent, env, settings))


_DETERMINISTIC_LAYERS = ("actor.mu.0", "actor.mu.2", "actor.mu.4")

_ALGORITHMS: Mapping[type[AgentSpec], _Algorithm] = {
    PpoSpec: _Algorithm(_ppo, ON_POLICY_LAYERS, "clip"),
    MaskablePpoSpec: _Algorithm(_maskable_ppo, ON_POLICY_LAYERS, "levels"),
    RecurrentPpoSpec: _Algorithm(_recurrent_ppo, ON_POLICY_LAYERS, "clip"),
    A2cSpec: _Algorithm(_a2c, ON_POLICY_LAYERS, "clip"),
    SacSpec: _Algorithm(_sac, ("actor.latent_pi.0", "actor.latent_pi.2", "actor.mu"), "tanh"),
    Td3Spec: _Algorithm(_td3, _DETERMINISTIC_LAYERS, "tanh"),
    DdpgSpec: _Algorithm(_ddpg, _DETERMINISTIC_LAYERS, "tanh"),
}
