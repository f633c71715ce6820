"""What is known to go wrong between Stable-Baselines3 and trading, each with a test."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

from trading_assets.agent_specs import PpoSpec, Td3Spec
from trading_assets.policy.sb3_agents import train_sb3
from trading_assets.policy.trainers import train
from trading_assets.policy.world_task import world_training
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets.simulation.worlds.one_asset import (
    WorldOne,
    best_policy,
    draw_signal,
    evaluate_policy,
    mean_reward,
)
from trading_assets_tests.policy.killed_training import make_training

BEST = evaluate_policy(WorldOne(), best_policy(WorldOne())).reward
LIMITS = WeightLimits(1.0, 1.0, is_long_only=False)


@pytest.mark.parametrize(("discount", "cost"), [(0.95, 0.002), (0.90, 0.007)])
def test_a_discount_that_matches_the_signal_costs_little_of_the_optimum(discount, cost):
    value = evaluate_policy(WorldOne(), best_policy(WorldOne(), discount)).reward
    assert 1.0 - value / BEST == pytest.approx(cost, abs=1e-3)


@pytest.mark.parametrize(("log_std", "least"), [(0.0, 50.0), (-1.5, 5.0)])
def test_noise_on_a_target_costs_many_times_the_optimum(log_std, least):
    """The reason for a low start: noise is paid for at every bar by the quadratic cost."""
    rng = np.random.default_rng(0)
    signal = draw_signal(WorldOne(), 400, 200, rng)
    noise = np.exp(log_std) * rng.standard_normal(signal.shape)
    noisy = mean_reward(WorldOne(), signal, np.clip(noise, -1.0, 1.0), 50).mean()
    assert -noisy / BEST > least
    assert PpoSpec().log_std_init <= -1.5


def test_actions_are_those_that_a_deterministic_learner_clips_to():
    env = make_env()
    assert (env.action_space.low == -1.0).all()
    assert (env.action_space.high == 1.0).all()
    assert Td3Spec(algorithm="td3").action_noise < 1.0


def test_a_truncated_episode_is_continued_by_its_last_observation():
    """Without it the end of the data would be learned as a loss of all that was still to come."""
    training = make_training("ppo", None)
    env = MarketVecEnv(training.task, Episodes(1, 90, 8, 1.0), 4, "indexed")
    model = PPO("MlpPolicy", env, n_steps=8, batch_size=32, gamma=0.9, seed=0, device="cpu")
    seen = []
    original = model.policy.predict_values
    model.policy.predict_values = lambda obs: seen.append(obs) or original(obs)
    model.learn(32)
    ends = [obs for obs in seen if obs.shape[0] != env.num_envs]
    assert len(ends) == env.num_envs
    for obs in ends:
        # The row after eight bars of an episode, and not that of the next one's start.
        assert float(obs.reshape(-1)[0]) >= 9.0


def test_a_monitor_reads_episodes_as_long_as_they_are():
    env = VecMonitor(make_env(length_bars=16))
    env.seed(0)
    env.reset()
    lengths = [
        info["episode"]["l"]
        for _ in range(40)
        for info in env.step(np.zeros((8, 3), dtype=np.float32))[3]
        if "episode" in info
    ]
    assert lengths == [16] * 16


def test_rewards_are_of_order_one():
    training = world_training(WorldOne(), PpoSpec(), 0, LIMITS, np.random.default_rng(0))
    env = MarketVecEnv(training.task, training.episodes, 64, "indexed")
    env.seed(0)
    env.reset()
    rng = np.random.default_rng(1)
    rewards = np.stack(
        [env.step(rng.normal(0, 0.25, (64, 1)).astype(np.float32))[1] for _ in range(64)]
    )
    assert 0.05 < rewards.std() < 5.0


def test_a_training_runs_on_one_thread_on_the_processor():
    found = []
    training = make_training("ppo", None)
    watched = replace(
        training,
        score=lambda policy: found.append(torch.get_num_threads()) or training.score(policy),
    )
    train(watched)
    assert {*found} == {1}


def test_what_is_scored_and_traded_does_not_explore():
    policy = train_sb3(make_training("ppo", None))
    seen = np.random.default_rng(0).normal(size=(9, policy.rules.n_inputs)).astype(np.float32)
    np.testing.assert_array_equal(policy.act(seen), policy.act(seen))


def test_episodes_of_all_environments_start_at_different_rows():
    env = make_env(n_envs=64)
    env.seed(0)
    starts = env.reset()[:, 0]
    assert len({*starts.tolist()}) > 30


def make_env(length_bars=32, n_envs=8):
    training = make_training("ppo", None)
    return MarketVecEnv(training.task, Episodes(1, 90, length_bars, 1.0), n_envs, "indexed")
