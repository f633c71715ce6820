"""One seed of one case: trained, and held against the optimum on fresh paths."""

import time
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.policy.trainers import train
from trading_assets.policy.world_task import finite_training, follow_signals, world_training
from trading_assets.risk.limits import WeightLimits
from trading_assets_tests.learning.cases import CASES

TEST_SEED = 20_261
TEST_PATHS, PATH_BARS, BURN_IN = 2_000, 400, 50


@dataclass(frozen=True)
class Trained:
    """What one seed came to.

    Attributes
    ----------
    share : float
        Reward on fresh paths over the optimum; over 1 where the optimum is 0.
    standard_error : float
        Of the share, over paths.
    mean_abs_position : float
        Mean absolute weight.
    seconds : float
        Of the training, its validation included.
    scores : tuple of float
        Validation score over the optimum at each checkpoint.
    """

    share: float
    standard_error: float
    mean_abs_position: float
    seconds: float
    scores: tuple[float, ...]


def train_seed(name: str, seed: int) -> Trained:
    """Train one seed of a case in this process and try it on paths that no training has seen."""
    case = CASES[name]
    agent = TypeAdapter(DeclaredAgent).validate_python(dict(case.agent))
    # Weights of a world lie well within these: its optimum knows no limits.
    limits = WeightLimits(1.0, float(min(case.world.n_assets, 2)), is_long_only=False)
    make = finite_training if case.is_finite else world_training
    training = make(case.world, agent, seed, limits, np.random.default_rng([7, seed]))
    started = time.perf_counter()
    policy = train(training)
    seconds = time.perf_counter() - started
    rng = np.random.default_rng(TEST_SEED)
    signals = case.world.draw_signals(PATH_BARS, TEST_PATHS, rng)
    positions = follow_signals([policy], signals)
    optimum = case.world.optimum or 1.0
    rewards = case.world.mean_reward(signals, positions, BURN_IN) / optimum
    return Trained(
        share=float(rewards.mean()),
        standard_error=float(rewards.std() / np.sqrt(TEST_PATHS)),
        mean_abs_position=float(np.abs(positions[BURN_IN:]).mean()),
        seconds=seconds,
        scores=tuple(point.score / optimum for point in policy.history),
    )
