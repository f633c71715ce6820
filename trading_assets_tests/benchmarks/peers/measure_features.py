"""Time one peer on a table of bars: `python measure_features.py PEER BARS.parquet`.

It runs in the peers' environment and prints one line of JSON. The seconds are those of three runs
after one on fewer bars, which compiles and warms; the bars lie in memory as the peer likes them
best, and its columns are kept until a run has ended. `peak_gb` is the process's whole memory.
"""

import importlib
import json
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

# Each peer has a module `by_<peer>`; those of polars take as many threads as it likes.
THREADED = ("polars_talib", "polars", "polars_ta")
RUNS = 3
BARS_OF_WARM_UP = 2_000
SECONDS_OF_A_RUN = 120

Work = Callable[[], list[dict[str, object]]]


def measure(peer: str, bars: pl.DataFrame) -> dict[str, object]:
    """Return the figures of a peer on all bars, or on as many as a run of 120 s allows."""
    prepare = importlib.import_module(f"by_{peer}").prepare
    first = take_first(bars, BARS_OF_WARM_UP)
    warm = prepare(first)
    seconds_of_warm_up = min(time_run(warm)[0], time_run(warm)[0])
    measured = take_first(bars, bars_within(SECONDS_OF_A_RUN, seconds_of_warm_up))
    work = prepare(measured)
    seconds: list[float] = []
    for _ in range(RUNS):
        found: list[dict[str, object]] = []  # lets go of the run before
        took, found = time_run(work)
        seconds.append(took)
    peak_gb = read_peak_gb()
    return {
        "peer": peer,
        "columns": len(check_columns(found, len(measured))),
        "bars": len(measured),
        "seconds": seconds,
        "peak_gb": peak_gb,
        "threads": pl.thread_pool_size() if peer in THREADED else 1,
    }


def take_first(bars: pl.DataFrame, bars_a_symbol: int) -> pl.DataFrame:
    """Return the first bars of each symbol."""
    return bars.group_by("symbol", maintain_order=True).head(bars_a_symbol).select(bars.columns)


def bars_within(seconds: float, seconds_of_warm_up: float) -> int:
    """Return how many bars of a symbol a run takes in some seconds, as the warm-up did."""
    return int(BARS_OF_WARM_UP * seconds / seconds_of_warm_up)


def time_run(work: Work) -> tuple[float, list[dict[str, object]]]:
    """Return the seconds of a run and what it computed."""
    started = perf_counter()
    found = work()
    return perf_counter() - started, found


def check_columns(found: Sequence[dict[str, object]], n_bars: int) -> set[str]:
    """Return the names of the columns, each with a value for all bars and most of them numbers."""
    names = set(found[0])
    for name in names:
        parts = [np.asarray(part[name], dtype=np.float64) for part in found]
        values = np.concatenate(parts)
        if len(values) != n_bars or np.isfinite(values).mean() < 0.5:
            numbers = int(np.isfinite(values).sum())
            msg = f"{name} has {len(values)} values, {numbers} of them numbers, for {n_bars} bars"
            raise RuntimeError(msg)
    return names


def read_peak_gb() -> float:
    """Return the most memory this process held, without that of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024 / 1e9


def main(peer: str, bars_parquet: str) -> None:
    """Print the figures of a peer."""
    warnings.simplefilter("ignore")
    bars = pl.read_parquet(bars_parquet).sort("symbol", "event_time").rechunk()
    print(json.dumps(measure(peer, bars)), file=sys.stdout, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
