"""Figures of the way in: 1,372,000 minute bars of 14 symbols from CSV files to validated Parquet.

The command is the one a user gives, in an empty project. `bars.ingest_s` is how long Dagster says
that its run took: three assets of thirteen months, Great Expectations' import and Data Docs
included. The whole command starts Python and loads the definitions before. The peer reads the same
files with pandas, judges 15 expectations and writes monthly Parquet files, its imports not counted.
"""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import polars as pl
import yaml

from trading_assets.lake.store import Lake
from trading_assets_tests.benchmarks.bars import minute_bars, minute_bars_spec, peer_seconds
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.benchmarks.processes import empty_project, script, time_command

NAME, MONTHS = "bench", "2014-12-01...2015-12-01"
STAGES_OF_BARS = ("raw_bars", "corporate_actions", "validated_bars")
ROUNDS = 3


def measure_ingest() -> None:
    """Materialize the files' months several times, each in an empty project."""
    with tempfile.TemporaryDirectory(prefix="trading_assets_bench_") as name:
        dump = Path(name) / "dump"
        rows = write_dump(dump)
        timings = [ingest(dump, rows) for _ in range(ROUNDS)]
        seconds = median(run for run, _ in timings)
        peer_s = read_with_peer(dump, Path(name)) + peer_seconds(minute_bars(minute_bars_spec()))
    peer = "pandas and great_expectations, 15 expectations"
    keep(Figure("bars.ingest_s", seconds, "s", peer, peer_s / seconds, limit=8))
    keep(Figure("bars.ingest_command_s", median(whole for _, whole in timings), "s"))


def write_dump(folder: Path) -> int:
    """Write one CSV file a symbol below `folder` and return the number of bars."""
    folder.mkdir()
    rows = minute_bars(minute_bars_spec())
    written = rows.select(
        "symbol",
        pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("timestamp"),
        *("open", "high", "low", "close", "volume"),
    )
    parts = written.partition_by("symbol", as_dict=True, include_key=False)
    for (symbol,), part in parts.items():
        part.write_csv(folder / f"{symbol}.csv")
    return len(rows)


def declare(dump: Path, folder: Path) -> None:
    """Write the data set's declaration below `folder`."""
    spec = minute_bars_spec()
    attributes = {
        "source": {
            "kind": "files",
            "folder": str(dump),
            "feed": "bench",
            "symbol_from": "file_name",
            "time_is": "bar_close",
            "columns": {"time": "timestamp"},
        },
        "universe": list(spec.universe),
        "bar_length": "1m",
        "start": spec.start.isoformat(),
        "end": str(spec.end),
    }
    place = folder / "defs" / NAME
    place.mkdir(parents=True)
    kind = "trading_assets.pipeline.component.MarketData"
    text = yaml.safe_dump({"type": kind, "attributes": attributes})
    (place / "defs.yaml").write_text(text, encoding="utf-8")


def ingest(dump: Path, n_rows: int) -> tuple[float, float]:
    """Return the seconds of Dagster's run and of the whole command, once all bars are there."""
    with empty_project() as folder:
        declare(dump, folder)
        command = [script("dagster"), "asset", "materialize", "-m", "trading_assets.definitions"]
        selected = " or ".join(f'key:"{NAME}/{stage}"' for stage in STAGES_OF_BARS)
        command += ["--select", selected, "--partition-range", MONTHS]
        whole = time_command(command, folder).seconds
        lake = Lake(folder / "data", lambda: datetime.now(UTC))
        kept = lake.records(f"{NAME}/validated_bars").values()
        found = sum(record.rows or 0 for record in kept if record.verdict == "passed")
        if found != n_rows:
            msg = f"{found} bars were stored; expected all {n_rows}"
            raise RuntimeError(msg)
        return run_seconds(folder), whole


def run_seconds(folder: Path) -> float:
    """Return the seconds of the one run of the instance below `folder`."""
    from dagster import DagsterInstance

    before = Path.cwd()
    os.chdir(folder)  # the instance's configuration names its storage relative to the project
    try:
        with DagsterInstance.from_config(str(folder)) as instance:
            (run,) = instance.get_run_records()
    finally:
        os.chdir(before)
    assert run.start_time is not None
    assert run.end_time is not None
    return run.end_time - run.start_time


def read_with_peer(dump: Path, folder: Path) -> float:
    """Return the seconds that pandas takes to read the files and to write them by month."""
    import pandas as pd

    (folder / "peer").mkdir()
    started = perf_counter()
    frames = [
        pd.read_csv(file, parse_dates=["timestamp"]).assign(symbol=file.stem)
        for file in sorted(dump.glob("*.csv"))
    ]
    table = pd.concat(frames)
    months = table["timestamp"].dt.strftime("%Y-%m")
    for month, part in table.groupby(months):
        part.to_parquet(folder / "peer" / f"{month}.parquet")
    return perf_counter() - started


STAGES = {"ingest": measure_ingest}
