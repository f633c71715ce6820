from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.errors import DataError
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.rollout import build_task, roll_rows
from trading_assets.policy.trainers import train
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.level_env import LevelVecEnv
from trading_assets_tests.policy.killed_training import make_training
from trading_assets_tests.policy.tasks import make_strategy, make_tables, random_market

LEVELS = (-1.0, -0.5, 0.0, 0.5, 1.0)
EPISODES = Episodes(1, 90, 32, 100.0)


def halted_market():
    """Return a market whose first symbol cannot be traded from row 40 on."""
    market = random_market(120)
    tradable = market.tradable.copy()
    tradable[40:, 0] = False
    return replace(market, tradable=tradable)


def make_task(position="long_short", market=None):
    market = market or halted_market()
    policy = {"position": position, "confidence_sizing": "none"}
    return build_task(market, *make_tables(market), make_strategy(policy=policy))


def make_env(**changes):
    given = {"task": make_task(), "episodes": EPISODES, "n_envs": 16, "form": "indexed"}
    return LevelVecEnv(**{**given, "levels": LEVELS, **changes})


@pytest.fixture(scope="module")
def trained():
    return train(make_training("maskable_ppo", None))


def test_levels_are_the_weights_they_stand_for():
    env = make_env(episodes=Episodes(1, 35, 32, 100.0))
    env.seed(0)
    env.reset()
    env.step(np.array([[4, 2, 0]] * 16))
    # The largest weight is 0.5 and the largest gross 0.9; weights drift with prices.
    np.testing.assert_allclose(env.traded.held, [[0.45, 0.0, -0.45]] * 16, atol=0.05)
    assert (env.traded.held[:, 1] == 0.0).all()


def test_a_symbol_that_cannot_be_traded_has_the_level_of_no_position_only():
    env = make_env(episodes=Episodes(50, 90, 16, 100.0))
    env.seed(0)
    env.reset()
    masks = env.action_masks().reshape(16, 3, 5)
    assert (masks[:, 0] == [False, False, True, False, False]).all()
    assert masks[:, 1:].all()
    rng = np.random.default_rng(0)
    for _ in range(15):
        masks = np.stack(env.env_method("action_masks")).reshape(16, 3, 5)
        actions = np.where(masks, rng.random(masks.shape), -1.0).argmax(axis=2)
        env.step(actions)
        np.testing.assert_array_equal(env.traded.held[:, 0], 0.0)
        assert np.abs(env.traded.held[:, 1:]).max() > 0.1


def test_a_long_only_book_has_no_position_at_the_lowest_level():
    env = make_env(task=make_task("long_only"), episodes=Episodes(50, 90, 16, 100.0))
    env.seed(0)
    env.reset()
    assert (env.action_masks().reshape(16, 3, 5)[:, 0] == [True, *[False] * 4]).all()


@pytest.mark.parametrize(
    ("levels", "complaint"),
    [
        ((0.0, -0.5), "ascending"),
        ((-0.5, 0.0, 0.0), "ascending"),
        ((-2.0, 0.0, 1.0), r"within \[-1, 1\]"),
        ((float("nan"), 0.0), "ascending"),
        ((-0.5, 0.5), "0 among them"),
    ],
)
def test_levels_that_are_no_actions_are_refused(levels, complaint):
    with pytest.raises(DataError, match=complaint):
        make_env(levels=levels)


def test_a_long_only_book_needs_the_level_of_no_position():
    with pytest.raises(DataError, match="-1 among them"):
        make_env(task=make_task("long_only"), levels=(0.0, 1.0))


def test_the_policy_acts_by_levels_and_comes_back_from_its_files(trained):
    again = TrainedPolicy.from_files(trained.to_files())
    seen = np.random.default_rng(0).normal(size=(200, trained.rules.n_inputs)).astype(np.float32)
    acted = trained.act(3.0 * seen)
    assert (trained.output, trained.levels, acted.shape) == ("levels", LEVELS, (200, 3))
    assert {*np.unique(acted)} <= {*LEVELS}
    assert len(np.unique(acted)) > 1
    np.testing.assert_array_equal(again.act(3.0 * seen), acted)
    assert again.to_files() == trained.to_files()


def test_the_exported_network_chooses_the_learner_s_level(trained):
    # By hand: the level with the largest value, symbol by symbol.
    seen = np.random.default_rng(1).normal(size=(50, trained.rules.n_inputs)).astype(np.float32)
    layer = seen.astype(np.float64)
    for name in ("hidden_0", "hidden_1"):
        layer = np.tanh(
            layer @ trained.tensors[f"{name}.weight"].T + trained.tensors[f"{name}.bias"]
        )
    values = layer @ trained.tensors["action.weight"].T + trained.tensors["action.bias"]
    expected = np.array(LEVELS)[values.reshape(50, 3, 5).argmax(axis=2)]
    np.testing.assert_array_equal(trained.act(seen), expected)


def test_the_same_seed_gives_the_same_bytes(trained):
    assert train(make_training("maskable_ppo", None)).to_files() == trained.to_files()
    other = train(replace(make_training("maskable_ppo", None), seed=4))
    assert other.to_files() != trained.to_files()


def test_a_policy_holds_nothing_that_cannot_be_traded():
    task = make_task()
    agent = TypeAdapter(DeclaredAgent).validate_python(
        {
            "algorithm": "maskable_ppo",
            "total_steps": 1_000,
            "n_envs": 8,
            "n_steps": 16,
            "batch_size": 64,
        }
    )
    training = replace(make_training("ppo", None), task=task, rules=task.view.rules, agent=agent)
    score = training.score
    policy = train(replace(training, score=lambda p: score(replace(p, rules=training.rules))))
    rolled = roll_rows([policy], task, range(35, 100))
    np.testing.assert_array_equal(rolled.weights[5:, 0], 0.0)
    assert np.abs(rolled.weights[:, 1:]).max() > 0.0
