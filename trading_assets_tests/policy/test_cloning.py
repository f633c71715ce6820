from dataclasses import replace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from stable_baselines3 import PPO

from trading_assets.agent_specs import DeclaredAgent, PpoSpec
from trading_assets.policy import sb3_agents, world_task
from trading_assets.policy.checkpoints import CheckpointRecorder
from trading_assets.policy.cloning import CriticWarmUp, actions_of, actor_of
from trading_assets.policy.observation import raw_weights
from trading_assets.policy.trainers import train
from trading_assets.policy.world_task import follow_signals, world_training
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets.simulation.worlds.one_asset import WorldOne
from trading_assets_tests.policy.killed_training import make_training
from trading_assets_tests.policy.tasks import make_policy, make_strategy
from trading_assets_tests.policy.test_resume import StoppedError, stop_at

W1 = WorldOne()
LIMITS = WeightLimits(1.0, 1.0, is_long_only=False)


def declared(**values):
    return TypeAdapter(DeclaredAgent).validate_python(values)


def taught_on_w1(rule, monkeypatch, **sizes):
    monkeypatch.setattr(world_task, "HISTORY_BARS", 100_000)
    monkeypatch.setattr(world_task, "VALIDATION_PATHS", 50)
    agent = declared(algorithm="teacher", rule=rule, **sizes)
    return train(world_training(W1, agent, 0, LIMITS, np.random.default_rng(1)))


def share_of_optimum(policy):
    signals = W1.draw_signals(400, 600, np.random.default_rng(5))
    rewards = W1.mean_reward(signals, follow_signals([policy], signals), 50)
    return rewards.mean() / W1.optimum


def test_the_clone_of_garleanu_and_pedersen_reaches_almost_all_of_w1(monkeypatch):
    policy = taught_on_w1("garleanu_pedersen", monkeypatch)
    assert share_of_optimum(policy) > 0.97
    assert policy.algorithm == "teacher"
    assert len(policy.history) == 8
    assert policy.history[-1].steps == pytest.approx(500_000, rel=1e-3)


def test_the_myopic_clone_reaches_what_looking_one_bar_ahead_does(monkeypatch):
    policy = taught_on_w1("myopic", monkeypatch)
    assert share_of_optimum(policy) == pytest.approx(0.768, abs=0.05)


def test_a_clone_of_the_same_seed_has_the_same_bytes():
    agent = declared(algorithm="teacher", rule="myopic", total_steps=20_000)
    trainings = [replace(make_training("ppo", None), agent=agent, seed=n) for n in (3, 3, 4)]
    first, again, other = (train(each).to_files() for each in trainings)
    assert first == again
    assert first["weights.safetensors"] != other["weights.safetensors"]


@pytest.mark.parametrize("position", ["long_only", "long_short"])
def test_actions_stand_for_the_weights_that_a_teacher_wants(position):
    rules = make_policy(make_strategy(policy={"position": position})).rules
    weights = np.array([[0.5, 0.2, 0.0]])
    np.testing.assert_allclose(raw_weights(actions_of(weights, rules), rules), weights, atol=1e-7)
    assert np.abs(actions_of(10 * weights, rules)).max() == 1.0


def warm(**changes):
    return PpoSpec.model_validate({"warm_start": {"teacher": "myopic"}, **changes})


def test_the_critic_s_steps_are_a_share_of_short_trainings():
    assert warm(total_steps=400_000).critic_steps == 40_000
    assert warm(total_steps=50_000).critic_steps == 20_000
    assert PpoSpec().critic_steps == 0
    with pytest.raises(ValidationError, match=r"critic_steps was 60000 of 60000 total_steps"):
        warm(warm_start={"teacher": "myopic", "critic_steps": 60_000})


def test_a_warm_start_limits_the_divergence_unless_declared():
    assert (PpoSpec().largest_kl, warm().largest_kl) == (None, 0.02)
    assert warm(target_kl=0.1).largest_kl == 0.1


def test_the_critic_learns_alone_first():
    task = make_training("ppo", None).task
    env = MarketVecEnv(task, Episodes(1, 90, 32, 100.0), 8)
    model = PPO("MlpPolicy", env, n_steps=16, batch_size=64, seed=0, device="cpu")

    def parts():
        critic = [*model.policy.mlp_extractor.value_net.parameters()]
        actor = [*actor_of(model).parameters(), model.policy.log_std]
        return [torch.cat([p.detach().flatten() for p in each]) for each in (actor, critic)]

    actor, critic = parts()
    model.learn(256, callback=CriticWarmUp(256))
    frozen, taught = parts()
    assert torch.equal(frozen, actor)
    assert not torch.equal(taught, critic)
    model.learn(128, callback=CriticWarmUp(256), reset_num_timesteps=False)
    assert not torch.equal(parts()[0], actor)


def test_the_clone_is_the_first_candidate_and_stays_while_the_critic_learns():
    training, seen = make_training("ppo_warm", None), []
    watched = replace(training, score=lambda p: seen.append(p) or training.score(p))
    policy = train(watched)
    assert [point.steps for point in policy.history[:3]] == [0, 512, 1_024]
    for early in seen[1:2]:
        np.testing.assert_array_equal(
            early.tensors["action.weight"], seen[0].tensors["action.weight"]
        )
    assert not np.array_equal(seen[4].tensors["action.weight"], seen[0].tensors["action.weight"])


def test_a_clone_is_not_made_again_when_a_training_goes_on(tmp_path, monkeypatch):
    whole = train(make_training("ppo_warm", None)).to_files()
    with pytest.raises(StoppedError):
        train(make_training("ppo_warm", tmp_path, stop_at(4)))
    monkeypatch.delattr(sb3_agents, "warm_start")
    assert train(make_training("ppo_warm", tmp_path)).to_files() == whole


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        # Collapsed at once, and at the end.
        ([0.8, -1.0, -2.0], 0),
        ([0.8, 0.95, -2.0], 1),
        # A difference has a standard error of 0.04.
        ([0.8, 0.95, 0.9], 1),
        ([0.8, 0.9, 0.95], 2),
        ([0.8, 0.87, 0.84], 0),
        ([0.8, 0.8, 0.8], 0),
    ],
)
def test_what_was_learned_has_to_prove_itself_against_the_clone(scores, kept):
    noise = np.random.default_rng(1).normal(0.0, 1.0, (3, 400))
    noise = (
        0.04 * 20 / np.sqrt(2) * (noise - noise.mean(axis=1)[:, None]) / noise.std(axis=1)[:, None]
    )
    training = make_training("ppo_warm", None)
    place = iter(range(3))

    def score(policy):
        here = next(place)
        return scores[here] + noise[here]

    recorder = CheckpointRecorder(replace(training, score=score))
    tensors = make_policy(make_strategy()).tensors
    for n in range(3):
        recorder.record(tensors, 100 * n)
    assert recorder.best().selected_steps == 100 * kept


def test_without_a_fallback_the_last_is_kept_unless_an_earlier_one_is_better():
    training = make_training("ppo", None)
    values = iter([np.full(4, 1.0), np.full(4, 3.0), np.full(4, 2.0)])
    recorder = CheckpointRecorder(replace(training, score=lambda policy: next(values)))
    for steps in (100, 200, 300):
        recorder.record(make_policy(make_strategy()).tensors, steps)
    assert recorder.best().selected_steps == 200
