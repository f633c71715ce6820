"""Backfills that run at the same time over the same partitions."""

import random
import threading
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

from trading_assets.lake.store import Lake
from trading_assets_tests.faults.audit import damage, digests, litter, unreadable
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.lake.processes import commit_each, start
from trading_assets_tests.lake.samples import (
    BARS,
    MONTHS,
    commit,
    open_lake,
    rows_of,
)

PARTITIONS = MONTHS[:30]
FIRST, SECOND = PARTITIONS[:25], PARTITIONS[5:]
_SECONDS = 120


def sweep_overlaps(root: Path, seeds: range) -> Tally:
    """Let two processes fill 30 partitions, 20 of them both, from random starting places.

    With even seeds both write the same content, with odd ones each its own.
    """
    tally = Tally()
    for seed in seeds:
        lake = open_lake(root / f"overlap-{seed}")
        problems = list(_overlap(lake, random.Random(seed), 1.0 + seed % 2))
        tally.add(f"two backfills at once, seed {seed}", problems)
        lake.close()
    return tally


def sweep_threads(root: Path, rounds: int, threads: int = 8) -> Tally:
    """Let threads commit one partition, through one lake and through one each."""
    tally = Tally()
    for number in range(rounds):
        lake = open_lake(root / f"threads-{number}")
        is_shared = number % 2 == 0
        problems = list(_crowd(lake, threads, is_shared=is_shared))
        tally.add(f"{threads} threads, round {number}", problems)
        lake.close()
    return tally


def _overlap(lake: Lake, generator: random.Random, scale: float) -> Iterator[str]:
    scales = {1.0: FIRST, scale: SECOND} if scale > 1 else {1.0: PARTITIONS}
    workers: list[BaseProcess] = []
    for own_scale, keys in ((1.0, FIRST), (scale, SECOND)):
        offset = generator.randrange(len(keys))
        workers.append(start(commit_each, lake.root, keys[offset:] + keys[:offset], own_scale))
        time.sleep(0.2 * generator.random())
    deadline = time.monotonic() + _SECONDS
    while any(worker.is_alive() for worker in workers) and time.monotonic() < deadline:
        yield from unreadable(lake)
    for worker in workers:
        worker.join(0)
        if worker.exitcode != 0:
            worker.kill()
            yield f"a backfill ended with {worker.exitcode}, None if it did not within {_SECONDS} s"
    yield from _missing(lake, scales)
    yield from damage(lake, [digests(lake)])
    yield from litter(lake)


def _missing(lake: Lake, scales: dict[float, list[str]]) -> Iterator[str]:
    records = lake.records(BARS)
    if list(records) != PARTITIONS:
        yield f"{sorted({*PARTITIONS} - {*records})} are lost"
    for key, record in records.items():
        writers = [scale for scale, keys in scales.items() if key in keys]
        if not any(lake.read(BARS, [key]).equals(rows_of(key, scale)) for scale in writers):
            yield f"{key} is not what one of its writers wrote"
        history = lake.history(BARS, key)
        if len(history) != len(writers) or history[-1] != record:
            yield f"{key} has {len(history)} commits of {len(writers)} contents, or an old one"


def _crowd(lake: Lake, threads: int, *, is_shared: bool) -> Iterator[str]:
    failures: list[str] = []
    key = PARTITIONS[0]
    start_line = threading.Barrier(threads)

    def write(scale: float) -> None:
        own = lake if is_shared else open_lake(lake.root)
        start_line.wait(_SECONDS)
        try:
            commit(own, key, scale=scale)
        except Exception as error:  # noqa: BLE001 - a thread's failure is what is looked for
            failures.append(f"thread {scale}: {error}")
        if own is not lake:
            own.close()

    crowd = [threading.Thread(target=write, args=(1.0 + i,), daemon=True) for i in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join(_SECONDS)
        if thread.is_alive():
            failures.append(f"a thread did not end within {_SECONDS} s")
    yield from failures
    history = lake.history(BARS, key)
    closes = {lake.read_table(record)["close"][0] for record in history}
    if len(history) != threads or len(closes) != threads:
        yield f"{threads} threads left {len(history)} commits of {len(closes)} contents"
    yield from damage(lake, [digests(lake)])
    yield from litter(lake)
