"""Others' 30 indicators on minute bars, each peer in a process of an environment of its own."""

import hashlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from trading_assets_tests.benchmarks.processes import OWN_VARIABLES

SOURCES = Path(__file__).parent / "peers"
REQUIREMENTS = SOURCES / "requirements.txt"
PEERS = {
    "talib": "TA-Lib, a loop over symbols",
    "polars_talib": "polars-talib, over symbols",
    "polars": "polars expressions, over symbols",
    "polars_ta": "polars-ta, over symbols",
    "pandas_ta_classic": "pandas-ta-classic without TA-Lib",
    "stockstats": "stockstats, a loop over symbols",
    "finrl": "FinRL FeatureEngineer, its own columns",
}
N_SYMBOLS, BARS_A_SYMBOL, SEED = 14, 98_000, 7
SECONDS_OF_A_PEER = 900
# What the C library hands back a virtual machine may hand back to its host, and fetching it anew
# then costs more than what is measured (3 s a GB seen). Each process keeps what it has had.
KEPT_MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 40),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
}
# pip asks a package index that does not answer once more, and then gives up.
PIP_OPTIONS = ("-q", "--disable-pip-version-check", "--no-input", "--retries", "1")


@dataclass(frozen=True)
class PeerFigure:
    """What one peer took for its columns of some bars, run by run after a warm-up."""

    peer: str
    columns: int
    bars: int
    seconds: tuple[float, ...]
    peak_gb: float
    threads: int

    @property
    def bars_per_second(self) -> float:
        """Return the rate of the median run."""
        return self.bars / statistics.median(self.seconds)


def measure_peers(folder: Path, bars_parquet: Path, only: Sequence[str] = ()) -> list[PeerFigure]:
    """Measure the named peers, or all, one after the other.

    Parameters
    ----------
    folder : Path
        Where the peers' environment is kept; built when missing or when its pins have changed.
    bars_parquet : Path
        Bars with the columns symbol, event_time, open, high, low, close and volume.
    only : Sequence[str], optional
        Names out of `PEERS`.

    Raises
    ------
    ValueError
        If a name is unknown.
    RuntimeError
        If the environment cannot be built or a peer fails.
    """
    for peer in only:
        if peer not in PEERS:
            msg = f"the peer was {peer!r}; expected one of {', '.join(PEERS)}"
            raise ValueError(msg)
    python = build_environment(folder)
    return [measure_peer(python, peer, bars_parquet) for peer in only or PEERS]


def write_bars(
    file: Path, n_symbols: int = N_SYMBOLS, bars_a_symbol: int = BARS_A_SYMBOL, seed: int = SEED
) -> None:
    """Write minute bars of symbols that walk at random with fat tails, by symbol and time."""
    generator = np.random.default_rng(seed)
    shape = (n_symbols, bars_a_symbol)
    closes = 100 * np.exp(np.cumsum(4e-4 * generator.standard_t(4, shape), axis=1))
    opens = np.roll(closes, 1, axis=1)
    opens[:, 0] = closes[:, 0]
    above, below = np.abs(2e-4 * generator.standard_t(4, (2, *shape)))
    start = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    minutes = pl.datetime_range(
        start, start + timedelta(minutes=bars_a_symbol - 1), "1m", time_unit="us", eager=True
    )
    columns = {
        "open": opens,
        "high": np.maximum(opens, closes) * (1 + above),
        "low": np.minimum(opens, closes) * np.exp(-below),
        "close": closes,
        "volume": np.floor(generator.lognormal(8, 1, shape)) + 1,
    }
    symbols = np.repeat([f"S{number:02}" for number in range(n_symbols)], bars_a_symbol)
    times = np.tile(minutes.to_numpy(), n_symbols)
    table = pl.DataFrame({"symbol": symbols, "event_time": times})
    flat = {name: values.ravel() for name, values in columns.items()}
    table.with_columns(pl.col("event_time").dt.replace_time_zone("UTC"), **flat).write_parquet(file)


def build_environment(folder: Path, requirements: Path = REQUIREMENTS) -> Path:
    """Return the interpreter of the environment below `folder`, built anew if its pins changed.

    Raises
    ------
    RuntimeError
        If the packages cannot be installed; pip's errors are in the message.
    """
    place = folder / "environment"
    python, mark = place / "bin" / "python", place / "requirements.sha256"
    wanted = digest(requirements)
    if python.exists() and mark.exists() and mark.read_text(encoding="utf-8") == wanted:
        return python
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "environment.log"
    create = ["venv", "--clear", "--without-pip", str(place)]
    install = ["pip", "--python", str(python), "install", *PIP_OPTIONS, "-r", str(requirements)]
    for step in (create, install):
        command = [sys.executable, "-m", *step]
        # pip tells of each mirror that it leaves out, which goes to the log and no further.
        with log.open("wb") as output:
            code = subprocess.run(command, check=False, stdout=output, stderr=output).returncode
        if code:
            msg = (
                f"the peers' environment could not be built in {place}, {step[0]} ended with "
                f"{code}: {errors_in(log)}; it needs a package index within reach that has each "
                f"pin of {requirements}"
            )
            raise RuntimeError(msg)
    mark.write_text(wanted, encoding="utf-8")
    return python


def digest(requirements: Path) -> str:
    """Return what an environment's content depends on: the pins and the interpreter."""
    return hashlib.sha256(sys.version.encode() + requirements.read_bytes()).hexdigest()


def errors_in(log: Path) -> str:
    """Return pip's errors, or the log's end where it names none."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return " ".join([line for line in lines if line.startswith("ERROR")] or lines[-3:])[-800:]


def measure_peer(python: Path, peer: str, bars_parquet: Path) -> PeerFigure:
    """Run one peer in a process of its own and return its figures.

    Raises
    ------
    RuntimeError
        If it fails; its last lines are in the message.
    """
    command = [str(python), str(SOURCES / "measure_features.py"), peer, str(bars_parquet.resolve())]
    # polars takes as many threads as it likes, whatever this process was told.
    left_out = (*OWN_VARIABLES, "PYTHON", "POLARS_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    found = subprocess.run(
        command,
        env=environment | KEPT_MEMORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_OF_A_PEER,
    )
    if found.returncode:
        msg = f"the peer {peer} ended with {found.returncode}: {found.stderr[-2000:]}"
        raise RuntimeError(msg)
    return read_figure(found.stdout)


def read_figure(output: str) -> PeerFigure:
    """Return the figures in the last line of a peer's output."""
    values = json.loads(output.splitlines()[-1])
    values["seconds"] = tuple(values["seconds"])
    return PeerFigure(**values)
