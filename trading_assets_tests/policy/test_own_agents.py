from dataclasses import replace

import numpy as np
import pytest

from trading_assets.declarations import load_declarations
from trading_assets.errors import DataError, DeclarationError
from trading_assets.policy.rollout import build_task, roll_rows
from trading_assets.policy.train import train_agent
from trading_assets.policy.trainers import train
from trading_assets_tests.policy.killed_training import make_training
from trading_assets_tests.policy.tasks import days_of, make_strategy, make_tables, random_market

MODULE = "trading_assets_tests.policy.own_agents"
MARKET_DATA = """
type: trading_assets.pipeline.component.MarketData
attributes:
  source: {kind: world, seed: 7}
  universe: [W1]
  start: 2021-08-02
"""
STRATEGY = f"""
type: trading_assets.pipeline.component.TradingPipeline
attributes:
  market_data: own_data
  policy:
    modules: [{MODULE}]
    agents:
      mine: {{algorithm: own, name: always_so_much, seeds: 1, parameters: {{action: 0.25}}}}
  folds: {{first: 2023-01-01}}
"""


def own(name, **parameters):
    agent = {"algorithm": "own", "name": name, "parameters": parameters}
    return make_strategy(policy={"modules": [MODULE], "agents": {"mine": agent}})


def training_of(strategy):
    training = make_training("ppo", None)
    # What a strategy's task is built with imports its modules.
    task = build_task(random_market(120), *make_tables(random_market(120)), strategy)
    return replace(training, task=task, agent=strategy.policy.agents["mine"])


def test_an_agent_of_a_module_named_in_yaml_trains_and_trades(tmp_path):
    for name, text in (("own_data", MARKET_DATA), ("own", STRATEGY)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "defs.yaml").write_text(text, encoding="utf-8")
    declared = load_declarations([tmp_path], "development").strategies["own"].policy
    market = random_market(120)
    policy_spec = {
        "modules": declared.modules,
        "agents": dict(declared.agents),
        "confidence_sizing": "none",
    }
    strategy, tables, days = make_strategy(policy=policy_spec), make_tables(market), days_of(market)
    agent = declared.agents["mine"]
    policy = train_agent(market, *tables, days[1:80], days[80:110], strategy, agent, 5)
    assert (policy.algorithm, policy.seed) == ("own", 5)
    rolled = roll_rows([policy], build_task(market, *tables, strategy), range(80, 90))
    # Long-only: an action of 0.25 is 0.625 of the largest weight, 0.5.
    np.testing.assert_allclose(rolled.raw_weights, 0.3125)


def test_an_agent_that_is_not_registered_is_named_with_what_was_meant():
    with pytest.raises(DeclarationError, match="did you mean 'always_so_much'"):
        train(training_of(own("always_so_mch")))


@pytest.mark.parametrize("name", ["no_policy", "of_other_rules"])
def test_what_an_agent_returns_has_to_be_a_policy_of_its_training(name):
    with pytest.raises(DataError, match=f"agent {name} returned"):
        train(training_of(own(name, action=0.0)))


def test_a_module_that_is_not_there_is_named():
    strategy = make_strategy(policy={"modules": ["no_such_module_of_agents"]})
    with pytest.raises(DeclarationError, match="no_such_module_of_agents"):
        build_task(random_market(120), *make_tables(random_market(120)), strategy)
