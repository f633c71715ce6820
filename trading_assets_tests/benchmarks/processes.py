"""Times whole processes and the memory of all their children, the way a user meets them."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import psutil

from trading_assets_tests.benchmarks.figures import REPOSITORY

POLL_SECONDS = 0.2
OWN_VARIABLES = ("TRADING_ASSETS_", "DAGSTER_", "MLFLOW_")


@dataclass(frozen=True)
class Timing:
    """Wall seconds and the largest sum of resident memory of a process and its children."""

    seconds: float
    peak_gb: float


@contextmanager
def empty_project() -> Generator[Path]:
    """Give an empty folder with the repository's instance configuration."""
    with tempfile.TemporaryDirectory(prefix="trading_assets_bench_") as folder:
        shutil.copy(REPOSITORY / "dagster.yaml", folder)
        yield Path(folder)


def script(name: str) -> str:
    """Return the path of a command installed beside this interpreter."""
    return str(Path(sys.executable).parent / name)


def time_command(command: Sequence[str], folder: Path) -> Timing:
    """Run a command to its end and measure it.

    Raises
    ------
    RuntimeError
        If it fails; its last lines are in the message.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith(OWN_VARIABLES)}
    log = folder / "bench.log"
    with log.open("wb") as output:
        started = monotonic()
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        peak = 0
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _resident_bytes(watched))
            sleep(POLL_SECONDS)
        seconds = monotonic() - started
    if process.returncode:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        msg = f"{' '.join(command)} ended with {process.returncode}: {tail}"
        raise RuntimeError(msg)
    return Timing(seconds, peak / 1e9)


def median_seconds(command: Sequence[str], folder: Path, runs: int = 5) -> float:
    """Return the median wall seconds of several runs after one that warms the disk cache."""
    time_command(command, folder)
    return statistics.median(time_command(command, folder).seconds for _ in range(runs))


def _resident_bytes(process: psutil.Process) -> int:
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for member in family:
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total
