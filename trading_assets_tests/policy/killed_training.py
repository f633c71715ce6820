"""Trains an agent with its state kept in a folder: run as a process that a test kills."""

import sys
from pathlib import Path

from pydantic import TypeAdapter

from trading_assets.agent_specs import DeclaredAgent
from trading_assets.policy.decision_rules import declared_rules
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.rollout import build_task, roll_rows
from trading_assets.policy.train import declared_constraint
from trading_assets.policy.trainers import train
from trading_assets.policy.training import Training
from trading_assets.simulation.episodes import Episodes
from trading_assets_tests.policy.tasks import make_strategy, make_tables, random_market

SMALL = {
    "ppo": {"total_steps": 4_096, "n_envs": 8, "n_steps": 16, "batch_size": 64},
    "ppo_warm": {
        "total_steps": 4_096,
        "n_envs": 8,
        "n_steps": 16,
        "batch_size": 64,
        "warm_start": {"teacher": "myopic", "epochs": 1, "critic_steps": 1_000},
    },
    "maskable_ppo": {
        "algorithm": "maskable_ppo",
        "total_steps": 4_096,
        "n_envs": 8,
        "n_steps": 16,
        "batch_size": 64,
    },
    "a2c": {"algorithm": "a2c", "total_steps": 4_096, "n_envs": 8, "n_steps": 16},
    "sac": {"algorithm": "sac"},
    "td3": {"algorithm": "td3"},
    "ddpg": {"algorithm": "ddpg"},
    "recurrent_ppo": {
        "algorithm": "recurrent_ppo",
        "total_steps": 4_096,
        "n_envs": 8,
        "n_steps": 16,
        "batch_size": 64,
        "memory_units": 4,
    },
}
OFF_POLICY = {
    "total_steps": 1_024,
    "n_envs": 8,
    "batch_size": 32,
    "learning_starts": 64,
    "buffer_size": 1_000,
    "gradient_steps": 1,
}


# A limit that is broken, and all that episodes can draw.
SHAPED = {
    "constraint": {"measure": "turnover", "limit": 0.05, "unit_charge_deviations": 1.0},
    "randomisation": {"cost_factor": [0.5, 2.0], "start_weights": True, "latency": True},
}


def make_training(name, folder, report=None, policy=None):
    """Return a short training of an agent by name."""
    spec = SMALL[name] | (OFF_POLICY if name in ("sac", "td3", "ddpg") else {})
    if policy:
        # Enough bars for the multiplier to be set twice, and to learn by the second.
        spec = spec | {"total_steps": 4_352}
    agent = TypeAdapter(DeclaredAgent).validate_python({**spec, "episode_bars": 32})
    costs = {"latency_bars": 3} if policy else {}
    strategy, market = make_strategy(policy=policy or {}, costs=costs), random_market(120)
    task = build_task(market, *make_tables(market), strategy)

    def score(policy: TrainedPolicy):
        return roll_rows([policy], task, range(90, 110)).rewards

    constraint = declared_constraint(task, range(90, 110), strategy)
    rules = declared_rules(strategy, market.symbols)
    episodes = Episodes(1, 90, 32, 100.0)
    return Training(task, episodes, rules, agent, 3, score, folder, report, constraint)


if __name__ == "__main__":
    files = train(make_training(sys.argv[1], Path(sys.argv[2]))).to_files()
    for file_name, content in files.items():
        (Path(sys.argv[3]) / file_name).write_bytes(content)
