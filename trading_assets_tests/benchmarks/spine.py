"""Figures of the whole pipeline: the demo, a second run, start-up, one month and many."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from trading_assets.lake.store import Lake
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.benchmarks.processes import (
    empty_project,
    median_seconds,
    script,
    time_command,
)

LOAD = "from trading_assets.definitions import defs; defs().get_repository_def()"
RAW_BARS = 'key:"us_daily/raw_bars"'


def measure_demo() -> None:
    """Run the demo's strategy in an empty project, then once more."""
    command = [script("trading-assets"), "run", "us_equities"]
    with empty_project() as folder:
        first = time_command(command, folder)
        keep(Figure("demo.minutes", first.seconds / 60, "min", limit=6))
        keep(Figure("demo.peak_gb", first.peak_gb, "GB", limit=3))
        keep_verdict(folder / "data")
        again = time_command(command, folder)
        keep(Figure("run_again.s", again.seconds, "s", limit=20))
        if "0 runs" not in (log := (folder / "bench.log").read_text()) and "nothing" not in log:
            msg = f"the second run launched something: {log}"
            raise RuntimeError(msg)


def keep_verdict(data: Path) -> None:
    """Keep what the demo's report says of each ensemble and baseline, for the README's table."""
    lake = Lake(data, lambda: datetime.now(UTC))
    figures = json.loads(lake.read_blobs("us_equities/walk_forward_report")["figures.json"])
    for name, own in figures["portfolios"].items():
        if "/seed-" in name:
            continue
        for figure, unit in VERDICT.items():
            for part in (figure, f"{figure}_low", f"{figure}_high"):
                if own.get(part) is not None:
                    keep(Figure(f"verdict.{name}.{part}", own[part], unit))


def measure_commands() -> None:
    """Time loading the code location and materializing through Dagster's own command."""
    materialize = [script("dagster"), "asset", "materialize", "-m", "trading_assets.definitions"]
    materialize += ["--select", RAW_BARS]
    with empty_project() as folder:
        load = [sys.executable, "-W", "ignore", "-c", LOAD]
        nothing = median_seconds([sys.executable, "-c", "import dagster"], folder)
        seconds = median_seconds(load, folder)
        peer = "import dagster"
        keep(Figure("import.s", seconds, "s", peer, seconds / nothing, limit=2.5))
        month = median_seconds([*materialize, "--partition", "2012-11-01"], folder)
        keep(Figure("cli_month.s", month, "s", limit=4.5))
        span = "2000-03-01...2012-08-01"
        months = median_seconds([*materialize, "--partition-range", span], folder, runs=3)
        peer = "150 runs of one month"
        keep(Figure("cli_range150.s", months, "s", peer, 150 * month / months, limit=10))


VERDICT = {
    "sharpe_annual": "1",
    "cagr": "fraction",
    "max_drawdown": "fraction",
    "turnover_annual": "1",
}
STAGES = {"demo": measure_demo, "commands": measure_commands}
