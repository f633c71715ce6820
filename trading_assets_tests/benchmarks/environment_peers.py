"""Others' environments with random actions, each in a process of an environment of its own."""

from pathlib import Path

from trading_assets_tests.benchmarks.peer_processes import SOURCES, build_environment, run_peer

REQUIREMENTS = SOURCES / "requirements_environments.txt"
# Each peer beside the figure that shows the same: windows of one asset, or rows of several.
PEERS = {
    "finrl_5": ("FinRL StockTradingEnv, 5 stocks x 8 indicators", None),
    "finrl_30": (
        "FinRL StockTradingEnv, 30 stocks x 8 indicators",
        "simulation.env30_steps_per_s",
    ),
    "gym_anytrading": ("gym-anytrading, window of 60 x 20, without fees", None),
    "gym_trading_env": (
        "gym-trading-env, window of 60 x 20",
        "simulation.env1_steps_per_s",
    ),
}
SECONDS_OF_A_PEER = 300


def measure_peers(folder: Path) -> dict[str, float]:
    """Return the steps a second of each peer.

    Parameters
    ----------
    folder : Path
        Where the peers' environment is kept; built when missing or when its pins have changed.

    Raises
    ------
    RuntimeError
        If the environment cannot be built or a peer fails.
    """
    python = build_environment(folder, REQUIREMENTS)
    return {peer: measure_peer(python, peer) for peer in PEERS}


def measure_peer(python: Path, peer: str) -> float:
    """Run one peer in a process of its own and return its steps a second.

    Raises
    ------
    RuntimeError
        If it fails; its last lines are in the message.
    """
    values = run_peer(python, "measure_environments.py", peer, SECONDS_OF_A_PEER)
    return float(values["steps_per_s"])
