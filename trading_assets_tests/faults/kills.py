"""Kills of commits and backfills, at every crash point and at random moments."""

import random
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from trading_assets.lake.store import CRASH_POINTS
from trading_assets_tests.faults.audit import Digests, damage, difference, digests, litter
from trading_assets_tests.faults.real_bars import KEYS, actions_write, backfill, bars_write
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.lake.processes import die_at, run, start, wait_for
from trading_assets_tests.lake.samples import made_by, open_lake

_MOST_TIMES = 100
_SECONDS = 60


def sweep_crash_points(root: Path) -> Tally:
    """Kill a commit of two partitions each time it passes any of its crash points."""
    writes = [bars_write(KEYS[3]), actions_write()]
    control = open_lake(root / "control")
    control.commit(writes, made_by())
    after = digests(control)
    control.close()
    tally = Tally()
    for point in CRASH_POINTS:
        for times in range(1, _MOST_TIMES):
            folder = root / f"{point}-{times}"
            ended = run(die_at, folder, writes, point, times)
            if ended == 0:
                break
            lake = open_lake(folder)
            problems = list(damage(lake, [after]))
            if ended != -signal.SIGKILL:
                problems.append(f"the commit ended with {ended}")
            if digests(lake) not in ({}, after):
                problems.append("one of two partitions of a commit is visible")
            lake.commit(writes, made_by())
            problems += [*difference(lake, after), *litter(lake)]
            tally.add(f"killed at {point} for the {times}. time", problems)
            lake.close()
    return tally


def sweep_random_kills(root: Path, kills: int, seed: int) -> Tally:
    """Kill backfills of twelve months at random moments, some of them again while they resume."""
    generator = random.Random(seed)
    control, seconds = _undisturbed(root / "control")
    tally = Tally()
    folder = root / "faulty"
    for number in range(kills):
        if number and generator.random() < 0.5:
            shutil.rmtree(folder)
        moment = seconds * generator.random()
        _kill_backfill(folder, KEYS, moment)
        lake = open_lake(folder)
        problems = list(damage(lake, [control]))
        if generator.random() < 0.5:
            backfill(folder, KEYS)
            problems += [*difference(lake, control), *litter(lake)]
        tally.add(f"backfill {number} killed after {moment:.3f} s, seed {seed}", problems)
        lake.close()
    backfill(folder, KEYS)
    lake = open_lake(folder)
    tally.add("the last run", [*difference(lake, control), *litter(lake)])
    tally.tried -= 1  # nothing was killed in it
    lake.close()
    return tally


def announced_backfill(root: Path, keys: Sequence[str], ready: Path) -> None:
    """Put a file, then fill the lake."""
    ready.touch()
    backfill(root, keys)


def _undisturbed(root: Path) -> tuple[Digests, float]:
    ready = root.with_suffix(".ready")
    root.parent.mkdir(parents=True, exist_ok=True)
    process = start(announced_backfill, root, KEYS, ready)
    wait_for(ready)
    begun = time.monotonic()
    process.join(_SECONDS)
    seconds = time.monotonic() - begun
    lake = open_lake(root)
    found = digests(lake)
    lake.close()
    assert process.exitcode == 0
    assert len(found) == len(KEYS)
    return found, seconds


def _kill_backfill(root: Path, keys: Sequence[str], moment: float) -> None:
    ready = root.with_suffix(".ready")
    ready.unlink(missing_ok=True)
    process = start(announced_backfill, root, keys, ready)
    wait_for(ready)
    time.sleep(moment)
    process.kill()
    process.join()
