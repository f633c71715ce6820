"""Others' environments with random actions, each in a process of an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

from trading_assets_tests.benchmarks.feature_peers import KEPT_MEMORY, SOURCES, build_environment
from trading_assets_tests.benchmarks.processes import OWN_VARIABLES

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
    left_out = (*OWN_VARIABLES, "PYTHON")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    found = subprocess.run(
        [str(python), str(SOURCES / "measure_environments.py"), peer],
        env=environment | KEPT_MEMORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_OF_A_PEER,
    )
    if found.returncode:
        msg = f"the peer {peer} ended with {found.returncode}: {found.stderr[-2000:]}"
        raise RuntimeError(msg)
    return float(json.loads(found.stdout.splitlines()[-1])["steps_per_s"])
