"""The oracle ladder: the share of a known optimum that an agent's trainer reaches.

An agent is trained on long histories of world W1 through the same environment, costs and trainer
as on data, and compared with the closed form on paths it has not seen: with a strong signal, with
the declared one, and with none, where the best position is none.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.declared_modules import import_declared_modules
from trading_assets.policy.trainers import train
from trading_assets.policy.world_task import (
    BURN_IN_BARS,
    PATH_BARS,
    declared_world,
    follow_signals,
    world_training,
)
from trading_assets.risk.limits import WeightLimits, declared_limits
from trading_assets.simulation.core import Floats
from trading_assets.simulation.worlds.one_asset import (
    WorldOne,
    best_policy,
    evaluate_policy,
    myopic_policy,
)
from trading_assets.source_specs import WorldSource
from trading_assets.strategy import Strategy

FULL_INFORMATION = 0.3
TEST_PATHS = 2_000


@dataclass(frozen=True, slots=True)
class Rung:
    """Results at one strength of the signal.

    Attributes
    ----------
    name : str
        `full`, `declared` or `zero`.
    information_coefficient : float
        Correlation of the signal with the next return.
    optimum : float
        J*, best mean reward per bar; 0 without a signal.
    shares : tuple of float
        Reward over J* on fresh paths, seed by seed; empty without a signal.
    ensemble_share : float or None
        The same for the mean action of all seeds.
    standard_error : float or None
        Of `ensemble_share`, from the spread over paths.
    mean_absolute_positions : tuple of float
        Mean absolute weight, seed by seed; the best is 0 without a signal.
    histories : tuple
        For each seed (steps, validation reward per bar) at its checkpoints.
    """

    name: str
    information_coefficient: float
    optimum: float
    shares: tuple[float, ...]
    ensemble_share: float | None
    standard_error: float | None
    mean_absolute_positions: tuple[float, ...]
    histories: tuple[tuple[tuple[int, float], ...], ...]


@dataclass(frozen=True, slots=True)
class LadderResult:
    """The rungs of one agent, and what a policy earns that looks one bar ahead only."""

    rungs: tuple[Rung, ...]
    myopic_share: float
    total_steps: int
    seeds: tuple[int, ...]

    def to_card(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return asdict(self)


def climb_oracle_ladder(
    strategy: Strategy,
    agent: DeclaredAgent,
    source: WorldSource,
    seeds: Sequence[int],
    total_steps: int | None = None,
) -> LadderResult:
    """Train an agent on W1 at three signal strengths and hold it against the closed form.

    Parameters
    ----------
    strategy : Strategy
        Costs, limits and risk aversion of W1: long-short, constant notional, quadratic cost.
    agent : DeclaredAgent
        Algorithm and sizes.
    source : WorldSource
        Volatility, persistence and declared information coefficient.
    seeds : sequence of int
        One training a seed and rung.
    total_steps : int, optional
        Replaces the agent's number of steps.

    Raises
    ------
    DeclarationError
        If the strategy's market has no closed form, or a module of its own cannot be imported.
    """
    import_declared_modules(strategy.policy.modules)
    world = declared_world(strategy, source)
    if total_steps is not None:
        agent = agent.model_copy(update={"total_steps": total_steps})
    limits = declared_limits(strategy.risk, strategy.policy, [world.name])
    worlds = {
        "full": world.with_information(FULL_INFORMATION),
        "declared": world,
        "zero": replace(world, information_coefficient=0.0),
    }
    rungs = tuple(
        _climb(_Step(name, at, limits, agent, source.seed), tuple(seeds))
        for name, at in worlds.items()
    )
    best = evaluate_policy(world, best_policy(world)).reward
    return LadderResult(
        rungs=rungs,
        myopic_share=evaluate_policy(world, myopic_policy(world)).reward / best,
        total_steps=agent.total_steps,
        seeds=tuple(seeds),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    world: WorldOne
    limits: WeightLimits
    agent: DeclaredAgent
    source_seed: int

    def rng(self, *purpose: int) -> np.random.Generator:
        # Spelled as bytes, so that each rung has draws of its own and adding one changes none.
        return np.random.default_rng([self.source_seed, *self.name.encode(), *purpose])


def _climb(step: _Step, seeds: tuple[int, ...]) -> Rung:
    world = step.world
    policies = [
        train(world_training(world, step.agent, seed, step.limits, step.rng(2, seed)))
        for seed in seeds
    ]
    signals = world.draw_signals(PATH_BARS, TEST_PATHS, step.rng(1))
    paths = [follow_signals([policy], signals) for policy in policies]
    has_signal = world.information_coefficient > 0.0
    optimum = evaluate_policy(world, best_policy(world)).reward if has_signal else 0.0
    shares: tuple[float, ...] = ()
    ensemble: Floats | None = None
    if has_signal:
        shares = tuple(
            float((world.mean_reward(signals, x, BURN_IN_BARS) / optimum).mean()) for x in paths
        )
        together = follow_signals(policies, signals)
        ensemble = world.mean_reward(signals, together, BURN_IN_BARS) / optimum
    return Rung(
        name=step.name,
        information_coefficient=world.information_coefficient,
        optimum=optimum,
        shares=shares,
        ensemble_share=None if ensemble is None else float(ensemble.mean()),
        standard_error=None if ensemble is None else float(ensemble.std() / TEST_PATHS**0.5),
        mean_absolute_positions=tuple(float(np.abs(x[BURN_IN_BARS:]).mean()) for x in paths),
        histories=tuple(tuple((c.steps, c.score) for c in p.history) for p in policies),
    )
