"""One seed of one case: trained, and held against the optimum on fresh paths."""

import time
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.policy.trainers import train
from trading_assets.policy.training import Training
from trading_assets.policy.world_task import (
    finite_training,
    follow_signals,
    measure_positions,
    world_training,
)
from trading_assets.risk.limits import WeightLimits
from trading_assets_tests.learning.cases import CASES, Case

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
    limit_share : float, optional
        Measure of the case's limit on fresh paths over the limit.
    """

    share: float
    standard_error: float
    mean_abs_position: float
    seconds: float
    scores: tuple[float, ...]
    limit_share: float | None = None


def train_seed(name: str, seed: int) -> Trained:
    """Train one seed of a case in this process and try it on paths that no training has seen."""
    case = CASES[name]
    agent = TypeAdapter(DeclaredAgent).validate_python(dict(case.agent))
    # Weights of a world lie well within these: its optimum knows no limits.
    limits = WeightLimits(1.0, float(min(case.world.n_assets, 2)), is_long_only=False)
    training = _training_of(case, agent, seed, limits)
    started = time.perf_counter()
    policy = train(training)
    seconds = time.perf_counter() - started
    rng = np.random.default_rng(TEST_SEED)
    signals = case.world.draw_signals(PATH_BARS, TEST_PATHS, rng)
    positions = follow_signals([policy], signals)
    limit, optimum = case.limit, case.world.optimum or 1.0
    limit_share = None
    if limit is not None:
        optimum = limit.optimum or optimum
        spec = limit.constraint
        limit_share = measure_positions(case.world, spec.measure, positions) / spec.limit
    rewards = case.world.mean_reward(signals, positions, BURN_IN) / optimum
    return Trained(
        share=float(rewards.mean()),
        standard_error=float(rewards.std() / np.sqrt(TEST_PATHS)),
        mean_abs_position=float(np.abs(positions[BURN_IN:]).mean()),
        seconds=seconds,
        scores=tuple(point.score / optimum for point in policy.history),
        limit_share=limit_share,
    )


def _training_of(case: Case, agent: DeclaredAgent, seed: int, limits: WeightLimits) -> Training:
    rng = np.random.default_rng([7, seed])
    if case.is_finite:
        return finite_training(case.world, agent, seed, limits, rng)
    is_told = case.limit is not None and case.limit.optimum is not None
    constraint = case.limit.constraint if case.limit is not None and is_told else None
    return world_training(
        case.world,
        agent,
        seed,
        limits,
        rng,
        window_bars=case.window_bars,
        constraint=constraint,
    )


# Not beside the command: a process that is spawned does not import what runs as `__main__`.
def show_seed(case_and_seed: tuple[str, int]) -> Trained:
    """Train one seed of a case, and print its row of the table."""
    name, seed = case_and_seed
    found = train_seed(name, seed)
    scores = " ".join(f"{score:.2f}" for score in found.scores)
    limited = "" if found.limit_share is None else f"{found.limit_share:.3f}"
    print(
        f"| {name} | {seed} | {found.share:.3f} | {found.standard_error:.3f} |"
        f" {found.mean_abs_position:.4f} | {limited} | {found.seconds:.1f} | {scores} |",
        flush=True,
    )
    return found
