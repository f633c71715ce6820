"""Processes that hold a lock of the lake for long, and are then killed."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from trading_assets.errors import DataError
from trading_assets.lake.locks import hold
from trading_assets.lake.store import Lake
from trading_assets_tests.faults.audit import damage, digests
from trading_assets_tests.faults.tally import Tally
from trading_assets_tests.lake.processes import start, wait_for
from trading_assets_tests.lake.samples import BARS, MONTHS, commit, open_lake

PATIENCE_SECONDS = 0.5
# What a call may take beyond its patience on a machine under load.
_SLACK_SECONDS = 5.0


def hold_catalog(root: Path, ready: Path) -> None:
    """Open the DuckDB file to write, as any program may, write to it and keep it."""
    import duckdb

    connection = duckdb.connect(str(root / "catalog.duckdb"))
    connection.execute("CREATE TABLE notes AS SELECT range AS i FROM range(10000)")
    ready.touch()
    time.sleep(600)


def hold_manifest(root: Path, ready: Path) -> None:
    """Begin to write to the manifest and keep it."""
    connection = sqlite3.connect(root / "manifest.sqlite", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    ready.touch()
    time.sleep(600)


def hold_lake(root: Path, ready: Path) -> None:
    """Hold what `clean` holds, and keep it."""
    with hold(root / ".locks" / "lake", is_exclusive=True):
        ready.touch()
        time.sleep(600)


def hold_catalog_lock(root: Path, ready: Path) -> None:
    """Hold what whoever writes the catalog holds, and keep it."""
    with hold(root / ".locks" / "catalog", is_exclusive=True):
        ready.touch()
        time.sleep(600)


# Which calls must be refused, and which must go on, while a lock is held.
REFUSED_WHILE: dict[Callable[[Path, Path], None], tuple[str, ...]] = {
    hold_catalog: (),
    hold_manifest: ("commit",),
    hold_lake: ("commit", "sweep"),
    hold_catalog_lock: ("query",),
}


def sweep_held_locks(root: Path) -> Tally:
    """Hold each lock, call the lake meanwhile, kill the holder and call it again."""
    tally = Tally()
    for number, (holder, refused) in enumerate(REFUSED_WHILE.items()):
        lake = open_lake(root / holder.__name__, lock_timeout_seconds=PATIENCE_SECONDS)
        commit(lake, MONTHS[0])
        lake.rebuild_catalog()
        commit(lake, MONTHS[1])  # so that the catalog has to be written again
        ready = root / f"ready-{number}"
        process = start(holder, lake.root, ready)
        wait_for(ready)
        problems = list(_calls(lake, refused))
        process.kill()
        process.join()
        problems += [*_calls(lake, ()), *damage(lake, [digests(lake)])]
        tally.add(holder.__name__, problems)
        lake.close()
    return tally


def _calls(lake: Lake, refused: tuple[str, ...]) -> Iterator[str]:
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: lake.read(BARS, MONTHS[:2]),
        "query": lambda: lake.query("select count(*) as n from us_daily.raw_bars")["n"].item(),
        "commit": lambda: commit(lake, MONTHS[2], scale=2.0 + len(lake.history(BARS, MONTHS[2]))),
        "sweep": lake.sweep,
    }
    for name, call in calls.items():
        begun = time.monotonic()
        try:
            call()
            was_refused = False
        except DataError as error:
            was_refused = True
            if "\n" in str(error) or "another process" not in str(error):
                yield f"{name} is refused with {error}"
        seconds = time.monotonic() - begun
        if was_refused != (name in refused):
            yield f"{name} was {'refused' if was_refused else 'not refused'}"
        if seconds > PATIENCE_SECONDS + _SLACK_SECONDS:
            yield f"{name} took {seconds:.1f} s"
