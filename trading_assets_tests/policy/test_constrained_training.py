from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.constraint_specs import ConstraintSpec
from trading_assets.errors import DeclarationError
from trading_assets.policy.checkpoints import CheckpointRecorder
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.recharged_memory import RechargedMemory
from trading_assets.policy.sb3_agents import _make_env
from trading_assets.policy.trainers import train
from trading_assets.policy.training import Constraint
from trading_assets.policy.world_task import measure_positions, world_training
from trading_assets.risk.limits import WeightLimits
from trading_assets.simulation.worlds.one_asset import WorldOne, best_policy, evaluate_policy
from trading_assets_tests.policy.killed_training import SHAPED, make_training
from trading_assets_tests.policy.tasks import make_policy, make_strategy

LIMIT = ConstraintSpec(measure="turnover", limit=0.5)


def record(shares, scores):
    """Return the policy kept of checkpoints with these shares of a limit and mean scores."""
    found = iter(zip(shares, scores, strict=True))
    now = {}

    def measure(policy):
        now["share"], now["score"] = next(found)
        return now["share"] * LIMIT.limit

    training = replace(
        make_training("ppo", None),
        score=lambda policy: np.array([now["score"] - 0.01, now["score"] + 0.01]),
        constraint=Constraint(LIMIT, measure),
    )
    recorder = CheckpointRecorder(training)
    for place in range(len(shares)):
        # Steps from 1 on: what was recorded before the first step is a fallback.
        tensors = make_policy(make_strategy()).tensors
        recorder.record(tensors, place + 1, multiplier=0.1 * place)
    return recorder.best()


@pytest.mark.parametrize(
    ("shares", "scores", "kept"),
    [
        # The best one breaks the limit; of those that keep it the last one is as good as any.
        ((0.9, 1.2, 0.8), (1.0, 9.0, 1.0), 2),
        ((0.9, 0.8, 1.01), (1.0, 1.0, 9.0), 1),
        # Better by more than its error, and feasible.
        ((1.0, 0.8, 0.7), (2.0, 1.0, 1.0), 0),
        # None keeps it.
        ((3.0, 1.1, 1.2), (9.0, 1.0, 5.0), 1),
    ],
)
def test_checkpoints_that_keep_the_constraint_come_first(shares, scores, kept):
    policy = record(shares, scores)
    assert policy.selected_steps == kept + 1
    chosen = policy.kept_checkpoint
    assert chosen.keeps_constraint == (min(shares) <= 1.0)
    assert chosen.constraint_share == pytest.approx(shares[kept])


def test_a_stored_policy_tells_the_course_of_its_constraint():
    policy = record((0.9, 1.2), (1.0, 2.0))
    again = TrainedPolicy.from_files(policy.to_files())
    assert again.history == policy.history
    assert [point.multiplier for point in again.history] == [0.0, 0.1]


def test_checkpoints_of_no_constraint_are_stored_as_before():
    policy = replace(make_policy(make_strategy()), history=record((0.9,), (1.0,)).history)
    bare = replace(policy.history[0], constraint_share=None, multiplier=None)
    assert bare.to_card() == [1, 1.0]
    assert bare.keeps_constraint


def test_reports_tell_share_and_multiplier():
    told = []
    policy = train(make_training("ppo", None, told.append, SHAPED))
    assert told == list(policy.history)
    assert all(point.constraint_share > 0.0 for point in told)
    assert told[-1].multiplier > 0.0


AGENTS = {"direct": {"algorithm": "direct"}, "own": {"algorithm": "own", "name": "mine"}}


@pytest.mark.parametrize("field", SHAPED)
@pytest.mark.parametrize("algorithm", AGENTS)
def test_agents_that_cannot_use_it_are_refused_by_name(algorithm, field):
    shaped = {field: SHAPED[field]}
    agents = {"quick": AGENTS[algorithm]}
    expected = rf"{algorithm}, which cannot use policy\.{field}; expected one of ppo"
    with pytest.raises(ValidationError, match=rf"agent quick .*{expected}"):
        make_strategy(policy={**shaped, "agents": agents}, costs={"latency_bars": 2})
    training = make_training("ppo", None, policy=shaped)
    agent = TypeAdapter(DeclaredAgent).validate_python(AGENTS[algorithm])
    with pytest.raises(DeclarationError, match=expected):
        train(replace(training, agent=agent))


def test_a_measure_that_positions_do_not_tell_is_refused_on_a_world():
    limits = WeightLimits(1.0, 1.0, is_long_only=False)
    agent = TypeAdapter(DeclaredAgent).validate_python({})
    spec = ConstraintSpec(measure="cost_bps", limit=1.0)
    with pytest.raises(DeclarationError, match="position_variance or turnover"):
        world_training(WorldOne(), agent, 0, limits, np.random.default_rng(0), constraint=spec)


def test_a_worlds_measures_are_those_of_its_policies():
    world = WorldOne()
    signals = world.draw_signals(400, 500, np.random.default_rng(0))
    positions = world.best_positions(signals)
    value = evaluate_policy(world, best_policy(world))
    variance = measure_positions(world, "position_variance", positions)
    assert variance == pytest.approx((value.position_deviation * 0.01) ** 2, rel=0.02)
    turnover = measure_positions(world, "turnover", positions)
    assert turnover == pytest.approx(value.mean_absolute_trade, rel=0.02)


def test_a_memory_pays_old_bars_at_the_present_multiplier():
    training = make_training("sac", None, policy={"constraint": SHAPED["constraint"]})
    env = _make_env(training, training.agent)
    reward = env.task.reward
    memory = RechargedMemory(
        8 * 10,
        env.observation_space,
        env.action_space,
        "cpu",
        8,
        reward=reward,
        reward_scale=env.episodes.reward_scale,
    )
    plain = _make_env(replace(training, constraint=None), training.agent)
    rng = np.random.default_rng(0)
    reward.multiplier.value = 0.5
    seen = env.reset()
    plain.reset()
    expected, charged = [], 0
    for _ in range(10):
        actions = rng.uniform(-1, 1, (8, 3)).astype(np.float32)
        after, rewards, dones, infos = env.step(actions)
        bare = plain.step(actions)[1]
        memory.add(seen, after, actions, rewards, dones, infos)
        seen = after
        # c of the bar, from what was shown at 0.5; at 2 it is charged four times as much.
        charge = (bare - 1.5 * rewards) / 0.5
        charged += int((charge > 0.01).sum())
        expected.append((bare - 2.0 * charge) / 3.0)
    assert charged > 40
    reward.multiplier.value = 2.0
    memory.recharge()
    np.testing.assert_allclose(memory.rewards, expected, rtol=1e-4, atol=1e-5)
