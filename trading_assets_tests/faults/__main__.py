"""`make faults [ONLY=sweep]`: inject the faults of one sweep or of all, and keep their counts."""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.faults import system_calls
from trading_assets_tests.faults.bundles import Times, sweep_bundles
from trading_assets_tests.faults.corruption import Amounts, sweep_corruption
from trading_assets_tests.faults.dagster_backfill import sweep_dagster_kills
from trading_assets_tests.faults.full_disk import sweep_file_limits, sweep_small_disk
from trading_assets_tests.faults.held_locks import sweep_held_locks
from trading_assets_tests.faults.kills import sweep_crash_points, sweep_random_kills
from trading_assets_tests.faults.log_alterations import sweep_alterations
from trading_assets_tests.faults.mutants import sweep_mutants
from trading_assets_tests.faults.overlap import sweep_overlaps, sweep_threads
from trading_assets_tests.faults.session_kills import kill_ledger, sweep_session_kills
from trading_assets_tests.faults.session_sweep import (
    counted,
    fault_ledger,
    sweep_every_crash,
    sweep_sessions,
)
from trading_assets_tests.faults.tally import Tally, ledger_of
from trading_assets_tests.fuzz.targets import run_all

SEED = 0
AMOUNTS = Amounts(bit_flips=140, truncations=24, zeroed_blocks=16)
FEWER = Amounts(bit_flips=40, truncations=8, zeroed_blocks=4)
FEWEST_ALTERED = 1_000
TIMES = Times(bit_flips=20, truncations=12)
FEWEST_BUNDLES = 200
RANDOM_KILLS = 60
LOG_ALTERATIONS = 10_000
DAGSTER_KILLS = 50
# Of four sessions each, and one more where the kill switch was thrown.
FAULT_WORLDS = 2_500
CRASHED_WORLDS = (1, 3, 5)
# Of three sessions each, besides an account a moment.
KILLED_WORLDS = 60
# Full and failing disks; every occurrence of what changes the disk, and some of what reads it.
REFUSED_CHANGES = {
    "write": "ENOSPC",
    "pwrite64": "ENOSPC",
    "ftruncate": "ENOSPC",
    "mkdir": "ENOSPC",
    "fsync": "EIO",
    "fdatasync": "EIO",
    "rename": "EIO",
}
REFUSED_READS = {"read": "EIO", "pread64": "EIO", "openat": "ENOSPC"}
EVERY_SIXTH = 6


def corrupt(root: Path) -> Tally:
    """Alter Parquet files of a small lake in more than a thousand ways, and other files too."""
    tally = sweep_corruption(root / "tables", AMOUNTS, SEED)
    detected = tally.tried - len(tally.harmed)
    keep(Figure("bars.corruption_tried", tally.tried, "files"))
    keep(Figure("bars.corruption_detected", detected, "files"))
    tally.merge(sweep_corruption(root / "others", FEWER, SEED, of_tables=False))
    return tally


def alter_bundles(root: Path) -> Tally:
    """Alter model bundles in more than ten thousand ways, forged hashes among them."""
    tally = sweep_bundles(root, TIMES, SEED)
    refused = tally.tried - len(tally.harmed)
    print(f"{tally.tried} altered bundles, {refused} refused")
    keep(Figure("paper.bundles_tried", tally.tried, "bundles"))
    keep(Figure("paper.bundles_refused", refused, "bundles"))
    return tally


def kill(root: Path) -> Tally:
    """Kill commits at every point and system call, and backfills at random moments."""
    tally = sweep_crash_points(root / "points")
    if reason := system_calls.why_not():
        print(f"no kill at a system call: {reason}")
    else:
        tally.merge(system_calls.sweep_kills(root / "calls"))
    tally.merge(sweep_random_kills(root / "random", RANDOM_KILLS, SEED))
    tally.merge(sweep_dagster_kills(root / "dagster", DAGSTER_KILLS, SEED))
    keep(Figure("bars.kills", tally.tried, "kills"))
    keep(Figure("bars.kill_mismatches", len(tally.harmed), "kills", limit=0))
    return tally


def overlap(root: Path) -> Tally:
    """Run two backfills at once, and eight threads on one partition."""
    tally = sweep_overlaps(root / "processes", range(10))
    tally.merge(sweep_threads(root / "threads", 10))
    return tally


def refuse(root: Path) -> Tally:
    """Commit to disks that are full or fail."""
    tally = sweep_file_limits(root / "limits", step=2_000)
    (root / "small").mkdir(parents=True)
    on_small_disk = sweep_small_disk(root / "small")
    if on_small_disk is None:
        print("no disk of 1 MB: unshare and mount are not allowed here")
    else:
        tally.merge(on_small_disk)
    if reason := system_calls.why_not():
        print(f"no refusal at a system call: {reason}")
    else:
        tally.merge(system_calls.sweep_refusals(root / "changes", REFUSED_CHANGES))
        tally.merge(system_calls.sweep_refusals(root / "reads", REFUSED_READS, EVERY_SIXTH))
    return tally


def fuzz(root: Path) -> Tally:
    """Throw hostile names, keys, configs and rows at every entry."""
    tally = Tally()
    for outcome in run_all(root, SEED):
        tally.tried += outcome.counts.tried
        if outcome.failures:
            tally.harmed[outcome.name] = outcome.failures
    failures = sum(len(problems) for problems in tally.harmed.values())
    keep(Figure("bars.fuzz_tried", tally.tried, "inputs"))
    keep(Figure("bars.fuzz_failures", failures, "inputs", limit=0))
    return tally


def alter(root: Path) -> Tally:
    """Alter a session's audit log and hold it against its checkpoints."""
    tally = sweep_alterations(root, LOG_ALTERATIONS, SEED)
    keep(Figure("paper.audit_tried", tally.tried, "alterations"))
    keep(Figure("paper.audit_detected", tally.tried - len(tally.harmed), "alterations"))
    return tally


def trade(root: Path) -> Tally:
    """Trade thousands of sessions under faults, and crash a few at every moment."""
    del root
    drawn = sweep_sessions(range(FAULT_WORLDS))
    crashed = sweep_every_crash(CRASHED_WORLDS)
    ledger = fault_ledger({"drawn faults": drawn, "a crash at every moment": crashed})
    drawn.add(crashed)
    keep(Figure("paper.fault_sessions", drawn.sessions, "sessions"))
    keep(Figure("paper.duplicate_orders", drawn.duplicate_orders, "orders", limit=0))
    keep(Figure("paper.lost_fills", drawn.lost_fills, "fills", limit=0))
    tally = counted(drawn)
    tally.ledger = ledger
    return tally


def kill_sessions(root: Path) -> Tally:
    """Kill session and broker processes at every moment and at random ones."""
    killed = sweep_session_kills(root, range(KILLED_WORLDS))
    killed.tally.ledger = kill_ledger(killed)
    keep(Figure("paper.kills", killed.kills, "kills"))
    return killed.tally


def mutate(root: Path) -> Tally:
    """Break the code in named ways; each has to turn a named test red."""
    tally = sweep_mutants(root)
    keep(Figure("paper.mutants", tally.tried, "mutants"))
    keep(Figure("paper.mutants_caught", tally.tried - len(tally.harmed), "mutants"))
    return tally


SWEEPS: dict[str, Callable[[Path], Tally]] = {
    "corruption": corrupt,
    "bundles": alter_bundles,
    "kills": kill,
    "overlap": overlap,
    "disk": refuse,
    "locks": sweep_held_locks,
    "fuzz": fuzz,
    "audit": alter,
    "sessions": trade,
    "session_kills": kill_sessions,
    "mutants": mutate,
}


def main(only: list[str]) -> int:
    """Run the named sweeps, or all; return 1 if a fault did harm, 2 for an unknown sweep."""
    for name in only:
        if name not in SWEEPS:
            print(f"ONLY was {name!r}; expected one of {', '.join(SWEEPS)}", file=sys.stderr)
            return 2
    tallies: dict[str, Tally] = {}
    for name in only or SWEEPS:
        with TemporaryDirectory(prefix="trading_assets_faults_") as folder:
            tallies[name] = SWEEPS[name](Path(folder))
        print(f"{name}: {tallies[name].describe()}", flush=True)
    print(f"\n{ledger_of(tallies)}")
    return 1 if any(tally.harmed for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
