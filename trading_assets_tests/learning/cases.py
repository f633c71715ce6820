"""The learning suite: worlds, agents with their sizes, and the share of the optimum asked for.

Sizes were chosen on other seeds and other paths than those that are tested here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from trading_assets.simulation.worlds.cross_asset import CrossAssetWorld
from trading_assets.simulation.worlds.one_asset import WorldOne
from trading_assets.simulation.worlds.proportional_cost import ProportionalCostWorld
from trading_assets.simulation.worlds.world import World

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Case:
    """One agent on one world.

    Attributes
    ----------
    world : World
        What is traded.
    agent : mapping
        Declaration of the agent.
    figures : mapping of str to (statistic of shares over seeds, least value)
        What is kept and asked for.
    is_finite : bool
        Whether the policy is trained on 20 histories of 2,520 bars.
    most_seconds : float, optional
        Longest training of a seed.
    """

    world: World
    agent: Mapping[str, Any]
    figures: Mapping[str, tuple[Callable[[Sequence[float]], float], float]]
    is_finite: bool = False
    most_seconds: float | None = None


W1 = WorldOne()
STRONG = W1.with_information(0.3)
SILENT = replace(W1, information_coefficient=0.0)
PPO = {"n_envs": 64, "n_steps": 128, "batch_size": 2_048}
DIRECT = {"algorithm": "direct", "learning_rate": 1e-2, "paths": 1_024}

CASES: Mapping[str, Case] = {
    "w1_ppo_400k": Case(
        W1,
        {**PPO, "total_steps": 400_000},
        {"w1_ppo_400k_median": (median, 0.88), "w1_ppo_400k_min": (min, 0.75)},
    ),
    "w1_ppo_1m": Case(W1, {**PPO, "total_steps": 1_000_000}, {"w1_ppo_1m_median": (median, 0.94)}),
    "w1_direct": Case(
        W1, {**DIRECT, "total_steps": 4_800_000}, {"w1_direct": (min, 0.95)}, most_seconds=15.0
    ),
    "w2_ppo": Case(
        CrossAssetWorld(), {**PPO, "total_steps": 1_500_000}, {"w2_ppo": (median, 0.78)}
    ),
    "w3_ppo": Case(
        ProportionalCostWorld(), {**PPO, "total_steps": 1_000_000}, {"w3_ppo": (median, 0.87)}
    ),
    "a2c": Case(
        STRONG,
        {"algorithm": "a2c", "total_steps": 400_000},
        {"a2c": (median, 0.60)},
        most_seconds=150.0,
    ),
    "sac": Case(
        STRONG,
        {"algorithm": "sac", "total_steps": 50_000},
        {"sac": (median, 0.60)},
        most_seconds=150.0,
    ),
    "td3": Case(
        STRONG,
        {"algorithm": "td3", "total_steps": 60_000},
        {"td3": (median, 0.50)},
        most_seconds=150.0,
    ),
    "ddpg": Case(
        STRONG,
        {"algorithm": "ddpg", "total_steps": 50_000},
        {"ddpg": (median, 0.40)},
        most_seconds=150.0,
    ),
    "finite20": Case(
        W1,
        {**PPO, "total_steps": 400_000},
        {"finite20": (median, 0.90)},
        is_finite=True,
    ),
    "w0_ppo": Case(SILENT, {**PPO, "total_steps": 400_000}, {}),
}
