"""Figures of the features: minute bars against others' libraries, and bars one by one.

The project and the peers take turns on the same bars, each in a process of its own, so that a busy
machine slows all of them. Scaling is a figure of its own: no peer does it.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.compute import compute_features
from trading_assets.features.online import OnlineFeatures
from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets_tests.benchmarks.feature_peers import (
    PEERS,
    PeerFigure,
    measure_peers,
    write_bars,
)
from trading_assets_tests.benchmarks.figures import REPOSITORY, Figure, keep
from trading_assets_tests.benchmarks.peer_processes import KEPT_MEMORY
from trading_assets_tests.features.shared_indicators import talib_columns
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    NO_SERIES,
    make_bars,
    weekdays,
)
from trading_assets_tests.features.test_talib import RUN_IN, minute_bars, own_columns

ENVIRONMENT = REPOSITORY / ".bench" / "peers"
ROUNDS = 3
# Others whose rates are printed beside, measured once.
SLOW = tuple(peer for peer in PEERS if peer not in ("talib", "finrl"))
LONG_FACTOR = 7.5
ONLINE_SYMBOLS, ONLINE_SESSIONS = 50, 120


def measure_speed() -> None:
    """Measure the shared set, all 78 and the peers on 1,372,000 minute bars of 14 symbols."""
    with tempfile.TemporaryDirectory(prefix="trading_assets_bench_") as folder:
        bars = Path(folder) / "bars.parquet"
        write_bars(bars)
        own: dict[str, list[dict[str, float]]] = {}
        peers: dict[str, list[PeerFigure]] = {}
        for _ in range(ROUNDS):
            for work in ("shared30", "shared30_one_thread", "all78"):
                own.setdefault(work, []).append(run_own(work, bars, 5))
            for figure in measure_peers(ENVIRONMENT, bars, ["talib"]):
                peers.setdefault(figure.peer, []).append(figure)
        for figure in measure_peers(ENVIRONMENT, bars, ["finrl", *SLOW]):
            peers.setdefault(figure.peer, []).append(figure)
        own["all78_scaled"] = [run_own("all78_scaled", bars, 3)]
        rates = {work: rate_of(runs) for work, runs in own.items()}
        others = {
            peer: statistics.median(run.bars_per_second for run in runs)
            for peer, runs in peers.items()
        }
        long_bars = Path(folder) / "long.parquet"
        write_bars(long_bars, bars_a_symbol=int(98_000 * LONG_FACTOR))
        long = run_own("all78", long_bars, 3)
    shared = rates["shared30"]
    keep(Figure("features.shared30_bars_per_s", shared, "bars/s"))
    keep(Figure("features.shared30_one_thread_bars_per_s", rates["shared30_one_thread"], "bars/s"))
    talib = shared / others["talib"]
    keep(Figure("features.shared30_vs_talib", talib, "ratio", PEERS["talib"], talib))
    finrl = shared / others["finrl"]
    keep(Figure("features.shared30_vs_finrl", finrl, "ratio", PEERS["finrl"], finrl))
    for peer, rate in others.items():
        keep(Figure(f"features.peer_{peer}_bars_per_s", rate, "bars/s", PEERS[peer], shared / rate))
    keep(Figure("features.all78_bars_per_s", rates["all78"], "bars/s"))
    keep(Figure("features.all78_scaled_bars_per_s", rates["all78_scaled"], "bars/s"))
    peak = statistics.median(run["peak_over_output"] for run in own["all78"])
    keep(Figure("features.all78_peak_over_output", peak, "ratio", limit=2.0))
    keep(Figure("features.all78_long_bars", long["bars"], "bars"))
    keep(Figure("features.all78_long_bars_per_s", rate_of([long]), "bars/s"))


def run_own(work: str, bars: Path, runs: int) -> dict[str, float]:
    """Run one kind of work of `feature_runs` and return its figures; seconds is the median.

    Raises
    ------
    RuntimeError
        If it fails; its last lines are in the message.
    """
    module = "trading_assets_tests.benchmarks.feature_runs"
    command = [sys.executable, "-m", module, work, str(bars), str(runs)]
    environment = os.environ | KEPT_MEMORY
    found = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    if found.returncode:
        msg = f"{work} ended with {found.returncode}: {found.stderr[-2000:]}"
        raise RuntimeError(msg)
    figures = json.loads(found.stdout.splitlines()[-1])
    return {**figures, "seconds": statistics.median(figures["seconds"])}


def rate_of(runs: list[dict[str, float]]) -> float:
    """Return the bars a second of the median run."""
    return statistics.median(run["bars"] / run["seconds"] for run in runs)


def measure_agreement() -> None:
    """Compare with TA-Lib after its run-in, in float64."""
    worst = 0.0
    for seed in (1, 2, 3):
        bars = minute_bars(seed)
        own, golden = own_columns(bars), talib_columns(**bars)
        for name, values in golden.items():
            b = values[RUN_IN:]
            allowed = np.maximum(np.abs(b), np.median(np.abs(b)))
            worst = max(worst, float(np.max(np.abs(own[name][RUN_IN:] - b) / allowed)))
    keep(Figure("features.talib_max_rel_diff", worst, "ratio", limit=1e-6))


def measure_online() -> None:
    """Update 50 symbols with all 78 features, session by session, and compare with the batch.

    A new month's anchor is prepared before its first bars come, as a live session has time for.
    """
    symbols = tuple(f"S{number:02}" for number in range(ONLINE_SYMBOLS))
    count = 600 + ONLINE_SESSIONS
    bars, days = make_bars(symbols, count), weekdays(date(2004, 1, 1), count)
    asked = days[600:]
    spec = FeaturesSpec()
    past = bars.filter(pl.col("session") < asked[0])
    online = OnlineFeatures(past, NO_ACTIONS, NO_SERIES, spec, asked[0])
    milliseconds: list[float] = []
    frames: list[pl.DataFrame] = []
    for day in asked:
        arrived = bars.filter(pl.col("session") == day)
        online.prepare(day)
        started = perf_counter()
        frames.append(online.update(arrived, NO_ACTIONS, NO_SERIES))
        milliseconds.append(1e3 * (perf_counter() - started))
    keep(Figure("features.online_p99_ms", float(np.percentile(milliseconds, 99)), "ms", limit=20.0))
    keep(Figure("features.online_median_ms", statistics.median(milliseconds), "ms"))
    found = pl.concat(frames).sort("symbol", "session")
    batch = compute_features(bars, NO_ACTIONS, NO_SERIES, spec, asked)
    keep(Figure("features.online_max_rel_diff", largest_difference(found, batch), "ratio"))


def largest_difference(found: pl.DataFrame, batch: pl.DataFrame) -> float:
    """Return the largest |a - b| / max(|b|, median |b|) of any feature.

    Raises
    ------
    RuntimeError
        If a row or a null differs.
    """
    worst = 0.0
    for name in batch.columns[batch.columns.index(VOLATILITY_COLUMN) :]:
        a, b = found[name].to_numpy().astype(float), batch[name].to_numpy().astype(float)
        if not np.array_equal(np.isnan(a), np.isnan(b)):
            msg = f"{name} is null in other rows bar by bar than in the batch"
            raise RuntimeError(msg)
        known = ~np.isnan(b)
        if known.any():
            size = np.maximum(np.abs(b[known]), np.median(np.abs(b[known])))
            gap = np.abs(a[known] - b[known])
            worst = max(worst, float(np.max(gap / np.where(size > 0.0, size, 1.0))))
    return worst


def measure_features() -> None:
    """Measure everything that is said of the features."""
    measure_agreement()
    measure_online()
    measure_speed()


STAGES = {"features": measure_features}
