"""Agents as a user writes them, for tests."""

from dataclasses import replace

import numpy as np

from trading_assets.agent_specs import OwnAgentSpec
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.own_agents import register_agent
from trading_assets.policy.training import Training


@register_agent("always_so_much")
def always_so_much(training: Training) -> TrainedPolicy:
    assert isinstance(training.agent, OwnAgentSpec)
    n_inputs, n_symbols = training.rules.n_inputs, len(training.rules.symbols)
    tensors = {}
    for name, before, after in (
        ("hidden_0", n_inputs, 2),
        ("hidden_1", 2, 2),
        ("action", 2, n_symbols),
    ):
        tensors[f"{name}.weight"] = np.zeros((after, before), dtype=np.float32)
        tensors[f"{name}.bias"] = np.zeros(after, dtype=np.float32)
    tensors["action.bias"] += np.float32(training.agent.parameters["action"])
    return TrainedPolicy(training.rules, tensors, "own", training.seed, (), 0)


@register_agent("no_policy")
def no_policy(training: Training) -> object:
    return object()


@register_agent("of_other_rules")
def of_other_rules(training: Training) -> TrainedPolicy:
    other = replace(training, rules=replace(training.rules, uses_forecasts=False))
    return always_so_much(other)
