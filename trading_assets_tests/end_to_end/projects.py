"""A folder of a user's own with declarations, and the commands run in it as real processes."""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from trading_assets.lake.store import Lake
from trading_assets.pipeline.instance import open_instance

REPOSITORY = Path(__file__).parents[2]
COMMANDS = Path(sys.executable).parent
# What a developer may have set must not reach the commands.
FOREIGN = ("TRADING_ASSETS_", "DAGSTER_", "ALPACA_", "MLFLOW_")

# The one fold and the one session of the strategy `tiny`.
FOLD, SESSION = "2008-01-01", "2008-03-31"

TINY_BARS: dict[str, Any] = {
    "source": {"kind": "sample"},
    "universe": ["IBM", "MSFT"],
    "start": "2006-01-03",
    "end": SESSION,
}
TINY: dict[str, Any] = {
    "market_data": "tiny_bars",
    "features": {
        "names": ["log_return_1", "log_return_5", "ewma_volatility"],
        "scale_bars": 60,
    },
    "forecast": {
        "window_bars": 20,
        "network": "small",
        "members": 1,
        "epochs": 1,
        "cross_fit_parts": 2,
    },
    "policy": {
        "agents": {
            "ppo": {
                "seeds": 2,
                "total_steps": 2000,
                "n_envs": 8,
                "n_steps": 32,
                "batch_size": 64,
            }
        }
    },
    "folds": {
        "period": "quarter",
        "first": FOLD,
        "last": FOLD,
        "train_months": 12,
        "validation_months": 3,
    },
    "backtest": {"bootstrap_samples": 200},
    "governance": {
        "challenger_sessions": 300,
        "validation_sessions": 40,
        "drift_sessions": 30,
    },
}


@dataclass(frozen=True)
class Project:
    """A folder with `defs/`, a copy of `dagster.yaml` and its own `data/`."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> "Project":
        folder.mkdir(parents=True, exist_ok=True)
        config = (REPOSITORY / "dagster.yaml").read_text(encoding="utf-8")
        (folder / "dagster.yaml").write_text(config, encoding="utf-8")
        return cls(folder)

    @classmethod
    def tiny(cls, folder: Path) -> "Project":
        project = cls.create(folder)
        project.declare("tiny_bars", "MarketData", TINY_BARS)
        project.declare("tiny", "TradingPipeline", TINY)
        return project

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def declare(self, name: str, component: str, attributes: dict[str, Any]) -> Path:
        kind = f"trading_assets.pipeline.component.{component}"
        path = self.folder / "defs" / name / "defs.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump({"type": kind, "attributes": attributes}, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return path

    def trading_assets(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return self._call([str(COMMANDS / "trading-assets"), *arguments], variables)

    def materialize(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [str(COMMANDS / "dagster"), "asset", "materialize"]
        return self._call([*command, "-m", "trading_assets.definitions", *arguments], variables)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `trading-assets` and return while it runs."""
        with (self.folder / "started.log").open("wb") as log:
            return subprocess.Popen(
                [str(COMMANDS / "trading-assets"), *arguments],
                cwd=self.folder,
                env=environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @contextmanager
    def lake(self) -> Generator[Lake]:
        lake = Lake(self.data, lambda: datetime.now(UTC))
        try:
            yield lake
        finally:
            lake.close()

    @contextmanager
    def instance(self) -> Generator[dg.DagsterInstance]:
        # The base_dir of dagster.yaml is relative to the folder that a command runs in.
        with chdir(self.folder), open_instance(self.data) as instance:
            yield instance

    def _call(
        self, command: list[str], variables: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment(**variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without settings of the project's own, plus some."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**kept, "COLUMNS": "200", **variables}
