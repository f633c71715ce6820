import random

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from trading_assets.agent_specs import PpoSpec
from trading_assets.errors import DataError
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.recording import ON_POLICY_LAYERS, actor_tensors
from trading_assets.policy.rollout import build_task, roll_policy
from trading_assets.policy.train import reference_deviation, train_agent
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets_tests.policy.tasks import (
    days_of,
    make_policy,
    make_strategy,
    make_tables,
    random_market,
)

MARKET = random_market(260)
FEATURES, FORECASTS = make_tables(MARKET)
STRATEGY = make_strategy()
DAYS = days_of(MARKET)
TRAIN, VALIDATION = DAYS[1:200], DAYS[200:250]
AGENT = PpoSpec(total_steps=2_000, n_envs=8, n_steps=32, batch_size=128, episode_bars=32)


def train(seed=0, features=FEATURES, market=MARKET):
    return train_agent(market, features, FORECASTS, TRAIN, VALIDATION, STRATEGY, AGENT, seed)


@pytest.fixture(scope="module")
def trained():
    return train()


def test_another_seed_gives_other_weights(trained):
    other = train(seed=1)
    assert trained.to_files()["weights.safetensors"] != other.to_files()["weights.safetensors"]


def test_the_same_seed_gives_the_same_bytes_and_leaves_the_caller_alone(trained):
    states = [random.getstate(), torch.get_rng_state(), np.random.get_state()]  # noqa: NPY002
    threads = torch.get_num_threads()
    assert train().to_files() == trained.to_files()
    assert random.getstate() == states[0]
    assert torch.equal(torch.get_rng_state(), states[1])
    np.testing.assert_array_equal(np.random.get_state()[1], states[2][1])  # noqa: NPY002
    assert torch.get_num_threads() == threads


def test_nothing_after_the_validation_window_changes_what_is_trained(trained):
    later = FEATURES.with_columns(
        momentum=FEATURES["momentum"].zip_with(
            FEATURES["session"] < VALIDATION[-1], FEATURES["reversal"] * 3
        )
    )
    assert train(features=later).to_files() == trained.to_files()


def test_the_kept_checkpoint_is_one_of_those_scored(trained):
    policy = trained
    steps = [point.steps for point in policy.history]
    assert len(steps) >= 4
    assert steps == sorted(steps)
    assert policy.selected_steps in steps
    rows = roll_policy([policy], MARKET, FEATURES, FORECASTS, VALIDATION[:-1], STRATEGY).rewards
    kept = next(p for p in policy.history if p.steps == policy.selected_steps)
    assert rows.mean() == kept.score


def test_the_exported_network_acts_like_the_learner():
    task = build_task(MARKET, FEATURES, FORECASTS, STRATEGY)
    env = MarketVecEnv(task, Episodes(1, 200, 32, 100.0), 16)
    model = PPO(
        "MlpPolicy",
        env,
        seed=3,
        device="cpu",
        policy_kwargs={"net_arch": [32, 32], "activation_fn": torch.nn.Tanh},
    )
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    rules = declared_rules(STRATEGY, MARKET.symbols)
    exported = TrainedPolicy(rules, actor_tensors(model, ON_POLICY_LAYERS), "ppo", 3, (), 0)
    seen = np.random.default_rng(0).normal(size=(50, rules.n_inputs)).astype(np.float32)
    expected, _ = model.predict(seen, deterministic=True)
    np.testing.assert_allclose(exported.act(seen), expected, atol=2e-6)


def test_validation_inside_the_train_window_is_refused():
    with pytest.raises(DataError, match="validation after training"):
        train_agent(MARKET, FEATURES, FORECASTS, TRAIN, TRAIN[-20:], STRATEGY, AGENT, 0)


def test_a_market_without_movement_is_refused():
    task = build_task(MARKET, FEATURES, FORECASTS, STRATEGY)
    with pytest.raises(DataError, match="prices that move"):
        reference_deviation(task, range(5, 6))


@pytest.mark.slow
def test_an_agent_learns_to_hold_what_its_feature_says_will_rise():
    # The feature is the next bar's standardised return: leaking on purpose, so that learning shows.
    returns = np.log(MARKET.close[1:] / MARKET.close[:-1]) / 0.015
    table = {(d, s): returns[t, k] for t, d in enumerate(DAYS[:-1]) for k, s in enumerate("ABC")}
    told = [float(table.get((d, s), 0.0)) for s, d in FEATURES.select("symbol", "session").rows()]
    features = FEATURES.with_columns(momentum=np.array(told, dtype=np.float32))
    agent = PpoSpec(total_steps=30_000, log_std_init=-0.7)
    policy = train_agent(MARKET, features, FORECASTS, TRAIN, VALIDATION, STRATEGY, agent, 0)
    learned = roll_policy([policy], MARKET, features, FORECASTS, DAYS[200:258], STRATEGY)
    untrained = roll_policy(
        [make_policy(STRATEGY)], MARKET, features, FORECASTS, DAYS[200:258], STRATEGY
    )
    assert learned.rewards.mean() > untrained.rewards.mean() + 0.002
