"""Figures of the walk-forward report: four folds, three agents, three seeds, all statistics."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from trading_assets.declarations import PACKAGED
from trading_assets.lake.store import Lake
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.benchmarks.processes import empty_project, script, time_command

NAME = "three_agents"
# What agents learn says nothing of what it takes to judge them.
STEPS = {"ppo": 4_000, "a2c": 4_000, "direct": 80_000}
AGENTS = {
    name: {"algorithm": name, "seeds": 3, "total_steps": steps} for name, steps in STEPS.items()
}


def measure_report() -> None:
    """Trade the demo's folds by three agents, then time the report over all of it."""
    materialize = [script("dagster"), "asset", "materialize", "-m", "trading_assets.definitions"]
    with empty_project() as folder:
        _declare(folder)
        time_command([script("trading-assets"), "run", NAME], folder)
        report = [*materialize, "--select", f'key:"{NAME}/walk_forward_report"']
        timed = time_command(report, folder)
        lake = Lake(folder / "data", lambda: datetime.now(UTC))
        page = lake.read_blobs(f"{NAME}/walk_forward_report")["report.html"]
        keep(Figure("backtest.report_s", timed.seconds, "s", limit=90))
        keep(Figure("backtest.report_gb", timed.peak_gb, "GB", limit=1))
        keep(Figure("backtest.report_mb", len(page) / 1e6, "MB", limit=5))


def _declare(folder: Path) -> None:
    shipped = PACKAGED / "us_equities" / "defs.yaml"
    document: dict[str, Any] = yaml.safe_load(shipped.read_text(encoding="utf-8"))
    document["attributes"]["policy"]["agents"] = AGENTS
    path = folder / "defs" / NAME / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(document), encoding="utf-8")


STAGES = {"report": measure_report}
