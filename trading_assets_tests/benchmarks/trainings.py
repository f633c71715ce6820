"""Figures of training: PPO on K environments as arrays against Stable-Baselines3's usual set-up.

Both learn world W1 with 19 features of noise beside its signal, take the same steps with the same
discount and network, and are then held against the optimum on the same fresh paths.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv

from trading_assets.agent_specs import PpoSpec
from trading_assets.policy.context_extractor import ContextExtractor
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.observation import PolicyView, assemble_context
from trading_assets.policy.recording import ON_POLICY_LAYERS, actor_tensors
from trading_assets.policy.training import Training, quiet_torch
from trading_assets.policy.world_task import follow_signals, world_training
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.core import Floats
from trading_assets.simulation.single_env import MarketEnv
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets.simulation.worlds.one_asset import WorldOne
from trading_assets_tests.benchmarks.figures import Figure, keep

N_FEATURES, N_STEPS, WARM_UP_STEPS, ROUNDS = 20, 196_608, 16_384, 3
N_BOOKS, ROLLOUT_BARS, BATCH = 256, 64, 2_048
USUAL_BOOKS, USUAL_ROLLOUT_BARS, USUAL_BATCH = 8, 2_048, 64
LIMITS = WeightLimits(1.0, 1.0, is_long_only=False)
WORLD = WorldOne().with_information(0.3)
TEST_PATHS, PATH_BARS, BURN_IN = 500, 400, 50


@dataclass(frozen=True)
class Learned:
    """What one training came to.

    Attributes
    ----------
    steps_per_s : float
        Environment steps a second, learning included.
    share : float
        Of the optimum, on fresh paths.
    """

    steps_per_s: float
    share: float


def noisy(signals: Floats, seed: int) -> Floats:
    """Return a world's signal with features of noise beside it, (..., N_FEATURES)."""
    noise = np.random.default_rng(seed).standard_normal((*signals.shape[:-1], N_FEATURES - 1))
    return np.concatenate([signals, noise], axis=-1)


def make_training(seed: int) -> Training:
    """Return W1's training with noise in its observations."""
    plain = world_training(WORLD, PpoSpec(), seed, LIMITS, np.random.default_rng(seed))
    task = plain.task
    names = tuple(f"feature_{place}" for place in range(N_FEATURES))
    rules = replace(plain.rules, observed_features=names)
    signals = task.view.context[:, :1, None].astype(np.float64)
    context = assemble_context(noisy(signals, 1), task.market.tradable)
    view = PolicyView(rules, context, task.market.tradable)
    return replace(plain, task=replace(task, view=view), rules=rules)


def batched(training: Training) -> BaseAlgorithm:
    """Return PPO on arrays of environments, windows gathered from one table."""
    env = MarketVecEnv(training.task, training.episodes, N_BOOKS, "indexed")
    view = training.task.view
    extractor = {"context": view.context, "window_bars": view.window_bars}
    rate = training.agent.learning_rate
    return make_ppo(
        training,
        env,
        (ROLLOUT_BARS, BATCH),
        lambda remaining: rate * max(remaining, 0.0),
        features_extractor_class=ContextExtractor,
        features_extractor_kwargs=extractor,
    )


def usual(training: Training) -> BaseAlgorithm:
    """Return PPO as it is usually set up: one environment after the other, small batches."""
    makers = [lambda: MarketEnv(training.task, training.episodes)] * USUAL_BOOKS
    n_steps = USUAL_ROLLOUT_BARS // USUAL_BOOKS
    # Batches that small do not bear the step size of large ones: Stable-Baselines3's own is taken.
    return make_ppo(training, DummyVecEnv(makers), (n_steps, USUAL_BATCH), 3e-4)


def make_ppo(
    training: Training, env: Any, sizes: tuple[int, int], rate: Any, **policy: Any
) -> BaseAlgorithm:
    """Return a learner of ten epochs with the agent's discount and network."""
    n_steps, batch_size = sizes
    agent = training.agent
    assert isinstance(agent, PpoSpec)
    units = [agent.hidden_units, agent.hidden_units]
    return PPO(
        "MlpPolicy",
        env,
        n_steps=n_steps,
        batch_size=batch_size,
        learning_rate=rate,
        gamma=agent.discount,
        gae_lambda=agent.gae_lambda,
        seed=training.seed,
        device="cpu",
        policy_kwargs={"net_arch": units, "log_std_init": agent.log_std_init, **policy},
    )


def learn(make: Callable[[Training], BaseAlgorithm], seed: int) -> Learned:
    """Train, and hold what was learned against the optimum."""
    training = make_training(seed)
    with quiet_torch():
        make(training).learn(WARM_UP_STEPS)
        model = make(training)
        started = time.perf_counter()
        model.learn(N_STEPS)
        seconds = time.perf_counter() - started
    policy = TrainedPolicy(
        training.rules, actor_tensors(model, ON_POLICY_LAYERS), "ppo", seed, (), model.num_timesteps
    )
    signals = WORLD.draw_signals(PATH_BARS, TEST_PATHS, np.random.default_rng(9))
    positions = follow_signals([policy], noisy(signals, 2))
    rewards = WORLD.mean_reward(signals, positions, BURN_IN)
    return Learned(model.num_timesteps / seconds, float(rewards.mean() / WORLD.optimum))


def rollout_bytes_per_unique(window_bars: int = 60) -> float:
    """Return what a rollout keeps over what is new in it.

    What is new are the bars that were seen, each once, and what each step has of its own: account
    row, action, reward and what the learner notes beside them.
    """
    training = make_training(0)
    rules = replace(training.rules, window_bars=window_bars)
    view = PolicyView(rules, training.task.view.context, training.task.view.tradable)
    episodes = replace(training.episodes, first_row=window_bars - 1)
    task = replace(training.task, view=view)
    model = batched(replace(training, task=task, episodes=episodes))
    with quiet_torch():
        model.learn(N_BOOKS * ROLLOUT_BARS)
    buffer: Any = cast("Any", model).rollout_buffer
    kept = [v for v in vars(buffer).values() if isinstance(v, np.ndarray)]
    rows = np.unique(buffer.observations[..., 0]).astype(np.int64)
    seen = np.unique(rows[:, None] + np.arange(1 - window_bars, 1))
    table = len(seen) * view.context.shape[1] * view.context.itemsize
    steps = N_BOOKS * ROLLOUT_BARS
    # Eight numbers: an account row of one, action, reward, start, value, probability, advantage
    # and return.
    unique = table + steps * 8 * 4
    return (sum(array.nbytes for array in kept) + table) / unique


def measure_trainings() -> None:
    """Measure both set-ups, turn by turn, and the memory of a rollout."""
    ours: list[Learned] = []
    theirs: list[Learned] = []
    for seed in range(ROUNDS):
        ours.append(learn(batched, seed))
        theirs.append(learn(usual, seed))
    rates = [statistics.median(one.steps_per_s for one in group) for group in (ours, theirs)]
    shares = [statistics.median(one.share for one in group) for group in (ours, theirs)]
    peer = "stable-baselines3 PPO, DummyVecEnv(8), batch 64"
    keep(Figure("policy.ppo_steps_per_s", rates[0], "steps/s"))
    keep(Figure("policy.ppo_vs_sb3_default", rates[0] / rates[1], "x", peer, limit=12.0))
    keep(Figure("policy.ppo_share_reached", shares[0], "share of J*", peer, shares[0] / shares[1]))
    memory = rollout_bytes_per_unique()
    keep(Figure("policy.rollout_bytes_per_unique", memory, "x", limit=2.0))


STAGES = {"policy": measure_trainings}
