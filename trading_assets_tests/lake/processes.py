"""What tests do in other processes: die at a crash point, meet a full disk, commit side by side.

The processes come from a server that has imported the lake but started no thread of it, which is
what makes forking it safe.
"""

import ctypes
import multiprocessing
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl

from trading_assets.errors import DataError
from trading_assets.lake import files
from trading_assets.lake.records import PartitionWrite
from trading_assets_tests.lake.samples import commit, made_by, open_lake, rows_of, write_of

NOBODY = 65534
REFUSED = 3
_PR_SET_PTRACER = 0x59616D61


def context() -> ForkServerContext:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__])
    return server


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    process = context().Process(target=target, args=arguments)
    process.start()
    return process


def run(target: Callable[..., None], *arguments: Any) -> int | None:
    process = start(target, *arguments)
    process.join(60)
    return process.exitcode


def commit_and_die(root: Path, months: list[str], scale: float, point: str, times: int) -> None:
    """Commit sample months, and be killed when a crash point is passed for the given time."""
    die_at(root, [write_of(month, scale=scale) for month in months], point, times)


def die_at(root: Path, writes: list[PartitionWrite], point: str, times: int) -> None:
    """Commit, and be killed when a crash point is passed for the given time."""
    passed = 0

    def fault(name: str) -> None:
        nonlocal passed
        passed += name == point
        if passed == times:
            os.kill(os.getpid(), signal.SIGKILL)

    open_lake(root, fault=fault).commit(writes, made_by())


def commit_forever(root: Path, months: list[str]) -> None:
    """Commit ever new content until killed."""
    lake = open_lake(root)
    scale = len(lake.history("us_daily/raw_bars", months[0])) + 1.0
    while True:
        commit(lake, *months, scale=scale)
        scale += 1.0


def commit_each(root: Path, months: list[str], scale: float) -> None:
    """Commit partitions one by one."""
    lake = open_lake(root)
    for month in months:
        commit(lake, month, scale=scale)


def commit_with_file_limit(root: Path, month: str, rows: int, limit_bytes: int) -> None:
    """Commit while no file may grow beyond a limit; exit with REFUSED on a one-line refusal."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    frame = rows_of(month, scale=3.0, count=rows).with_columns(noise=_noise(rows))
    _exit_with_refusal(
        lambda: open_lake(root).commit([write_of(month, tables={"rows": frame})], made_by())
    )


def commit_when_told(root: Path, write: PartitionWrite, gate: Path) -> None:
    """Put a file `ready`, wait for a file `go`, commit; exit with REFUSED on a one-line refusal.

    Files are flushed by one thread, so that the n-th flush is the same one in every process.
    """
    # Lets a process attach that is not an ancestor, where the system asks for leave.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1))
    lake = open_lake(root)
    with patch.object(files, "_FLUSH_THREADS", 1):
        (gate / "ready").touch()
        wait_for(gate / "go")
        _exit_with_refusal(lambda: lake.commit([write], made_by()))
    # Interpreters that shut down write too; here only the commit is of interest.
    os._exit(0)


def wait_for(path: Path) -> None:
    """Wait until a file exists."""
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear within 30 s"
        time.sleep(0.003)


def read_with_file_limit(root: Path, month: str, limit_bytes: int) -> None:
    """Read while no file may grow beyond a limit, from a lake that nobody has open."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    os._exit(0 if open_lake(root).read("us_daily/raw_bars", [month]).height == 20 else 1)


def rebuild_with_file_limit(root: Path, limit_bytes: int) -> None:
    """Rebuild the catalog while no file may grow beyond a limit; exit with REFUSED on a refusal."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))
    _exit_with_refusal(lambda: open_lake(root).rebuild_catalog())


def commit_without_permission(root: Path, month: str) -> None:
    """Read and commit as a user who may only read; exit with REFUSED if just the read worked."""
    if os.getuid() == 0:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    lake = open_lake(root)
    if lake.read("us_daily/raw_bars", [month]).height == 20:
        _exit_with_refusal(lambda: commit(lake, month, scale=2.0))


def _exit_with_refusal(attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except DataError as error:
        is_one_line = "\n" not in str(error) and "run again" in str(error)
        os._exit(REFUSED if is_one_line else 1)


def _noise(count: int) -> pl.Series:
    generator = random.Random(0)
    return pl.Series([generator.random() for _ in range(count)])
