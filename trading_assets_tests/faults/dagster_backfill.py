"""The real backfill, `dagster asset materialize` over a range of months, killed at random."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from trading_assets.lake.files import encode_table
from trading_assets.lake.records import PartitionRecord
from trading_assets.lake.store import Lake
from trading_assets_tests.benchmarks.figures import REPOSITORY
from trading_assets_tests.benchmarks.processes import OWN_VARIABLES, script
from trading_assets_tests.faults.audit import damage, digests, litter
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.lake.samples import BARS, open_lake

RANGE = "2000-03-01...2001-02-01"
COMMAND = ("asset", "materialize", "-m", "trading_assets.definitions")
SELECTED = ("--select", f'key:"{BARS}"', "--partition-range", RANGE)
_SECONDS = 120
# Start-up takes most of the command's time and touches nothing of the lake.
_EARLIEST = 0.6


def sweep_dagster_kills(root: Path, kills: int, seed: int) -> Tally:
    """Kill the command, run it again to its end, and compare with one that was left alone."""
    generator = random.Random(seed)
    begun = time.monotonic()
    _finish(root / "control")
    seconds = time.monotonic() - begun
    lake = open_lake(root / "control" / "data")
    control = _row_digests(lake)
    lake.close()
    tally = Tally()
    for number in range(kills):
        moment = seconds * generator.uniform(_EARLIEST, 1.0)
        problems = _kill_and_finish(root / f"faulty-{number}", moment, control)
        tally.add(f"command {number} killed after {moment:.2f} s, seed {seed}", problems)
    return tally


def _kill_and_finish(project: Path, moment: float, control: dict[str, str]) -> list[str]:
    process = _start(project)
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    problems: list[str] = []
    lake = open_lake(project / "data")
    problems.extend(damage(lake, [digests(lake)]))
    rows = _row_digests(lake)
    problems += [f"{key} is visible with other rows" for key in rows if rows[key] != control[key]]
    if rows and len(rows) != len(control):
        problems.append(f"{len(rows)} of {len(control)} partitions of one commit are visible")
    _finish(project)
    if _row_digests(lake) != control:
        problems.append("after running it again the rows differ from the control's")
    problems.extend(litter(lake))
    lake.close()
    shutil.rmtree(project)
    return problems


def _start(project: Path) -> "subprocess.Popen[bytes]":
    project.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "dagster.yaml", project)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(OWN_VARIABLES)}
    with (project / "command.log").open("ab") as log:
        return subprocess.Popen(
            [script("dagster"), *COMMAND, *SELECTED],
            cwd=project,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _finish(project: Path) -> None:
    process = _start(project)
    if process.wait(_SECONDS):
        tail = (project / "command.log").read_text(encoding="utf-8", errors="replace")[-2000:]
        msg = f"the command ended with {process.returncode}: {tail}"
        raise RuntimeError(msg)


def _row_digests(lake: Lake) -> dict[str, str]:
    return {key: _row_digest(lake, record) for key, record in lake.records(BARS).items()}


def _row_digest(lake: Lake, record: PartitionRecord) -> str:
    """Return a digest of a month's rows without the moment at which they were stored."""
    total = hashlib.sha256()
    for table in ("rows", "series", "actions"):
        frame = lake.read_table(record, table).drop("ingest_time", strict=False)
        total.update(encode_table(frame.sort(frame.columns)))
    return total.hexdigest()
