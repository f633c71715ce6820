"""Recurrent policies: they decide from what they saw, in training as where they trade."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sb3_contrib import RecurrentPPO

from trading_assets.errors import DataError
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.recording import ON_POLICY_LAYERS, actor_tensors
from trading_assets.policy.rollout import build_task, policy_decision, roll_rows
from trading_assets.policy.trainers import train
from trading_assets.simulation.core import open_books
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.vector_env import MarketVecEnv
from trading_assets_tests.policy.killed_training import make_training
from trading_assets_tests.policy.tasks import (
    broken,
    make_policy,
    make_strategy,
    make_tables,
    random_market,
)

STRATEGY = make_strategy()
MARKET = random_market(60)
TABLES = make_tables(MARKET)
POLICY = make_policy(STRATEGY, memory_units=5)


def test_the_exported_memory_is_that_of_the_learner():
    task = build_task(MARKET, *TABLES, STRATEGY)
    env = MarketVecEnv(task, Episodes(1, 50, 32, 100.0), 4)
    model = RecurrentPPO(
        "MlpLstmPolicy",
        env,
        n_steps=8,
        batch_size=8,
        seed=3,
        device="cpu",
        policy_kwargs={
            "net_arch": [8, 8],
            "activation_fn": torch.nn.Tanh,
            "lstm_hidden_size": 6,
        },
    )
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    tensors = actor_tensors(model, ON_POLICY_LAYERS)
    policy = TrainedPolicy(POLICY.rules, tensors, "recurrent_ppo", 3, (), 0)
    assert policy.n_memory == 12
    seen = np.random.default_rng(0).normal(size=(9, 4, policy.rules.n_inputs))
    state, memory = None, np.zeros((4, 12))
    starts = np.ones(4, dtype=bool)
    for observation in seen.astype(np.float32):
        expected, state = model.predict(observation, state, starts, deterministic=True)
        acted, memory = policy.act_from(observation, memory)
        np.testing.assert_allclose(acted, expected, atol=5e-6)
        starts[:] = False
    assert np.abs(acted - policy.act(observation)).max() > 0.01


def test_a_memory_has_the_same_bits_alone_and_in_a_batch():
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(33, POLICY.rules.n_inputs)).astype(np.float32)
    memory = rng.normal(size=(33, POLICY.n_memory))
    together = POLICY.act_from(seen, memory)
    for k in range(len(seen)):
        alone = POLICY.act_from(seen[k : k + 1], memory[k : k + 1])
        for part, whole in zip(alone, together, strict=True):
            np.testing.assert_array_equal(part[0], whole[k])


def test_a_rollout_and_a_backtest_carry_the_same_memory():
    task = build_task(MARKET, *TABLES, STRATEGY)
    rolled = roll_rows([POLICY], task, range(20, 40))
    decide = policy_decision([POLICY], task)
    books = open_books(1, task.initial_usd, MARKET.close[20])
    for index, row in enumerate(range(20, 40)):
        np.testing.assert_array_equal(decide(row, books), rolled.weights[index])
        books = rolled.steps[index].books
    forgetful = policy_decision([POLICY], task)(39, rolled.steps[-2].books)
    assert (forgetful != rolled.weights[-1]).any()


def test_a_row_left_out_is_refused_as_its_memory_would_be_wrong():
    task = build_task(MARKET, *TABLES, STRATEGY)
    decide = policy_decision([POLICY], task)
    books = open_books(1, task.initial_usd, MARKET.close[20])
    decide(20, books)
    with pytest.raises(DataError, match="expected consecutive rows"):
        decide(22, books)


def test_a_trained_policy_remembers_and_is_read_back_from_its_files():
    policy = train(make_training("recurrent_ppo", None))
    assert policy.n_memory == 8
    again = TrainedPolicy.from_files(policy.to_files())
    seen = np.random.default_rng(1).normal(size=(3, policy.rules.n_inputs)).astype(np.float32)
    memory = np.full((3, 8), 0.3)
    for ours, theirs in zip(
        policy.act_from(seen, memory), again.act_from(seen, memory), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)
    assert (policy.act_from(seen, memory)[0] != policy.act(seen)).any()


def test_weights_of_a_memory_that_do_not_fit_are_refused():
    tensors = {**POLICY.tensors, "memory.weight_ih_l0": np.zeros((20, 3), np.float32)}
    with pytest.raises(DataError, match=r"memory.weight_ih_l0 was \(20, 3\)"):
        replace(POLICY, tensors=tensors)
    with pytest.raises(DataError, match="finite"):
        broken(POLICY, "memory.bias_hh_l0", np.nan)
