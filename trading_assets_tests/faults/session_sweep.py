"""Thousands of fault sessions on all cores, a crash at every moment of a few, and their ledger."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence

from trading_assets_tests.faults.fault_sessions import Tally, run_world, run_worlds
from trading_assets_tests.faults.tally import Tally as Counted

_SEEDS_AT_ONCE = 20
_MOST_MOMENTS = 2_000


def sweep_sessions(seeds: range, n_sessions: int = 4, processes: int | None = None) -> Tally:
    """Run the worlds of many seeds in processes of their own.

    Parameters
    ----------
    seeds : range
        A world each.
    n_sessions : int
        Sessions of a world.
    processes : int, optional
        How many run at once; by default one a core. With 1, all run here.
    """
    count = os.cpu_count() or 1 if processes is None else processes
    starts = range(seeds.start, seeds.stop, _SEEDS_AT_ONCE)
    parts = [range(start, min(start + _SEEDS_AT_ONCE, seeds.stop)) for start in starts]
    tally = Tally()
    for one in _spread(parts, n_sessions, count):
        tally.add(one)
    return tally


def sweep_every_crash(seeds: Sequence[int], n_sessions: int = 2, step: int = 1) -> Tally:
    """Let each world die once at its first moment, then at its second, until none is left."""
    tally = Tally()
    for seed in seeds:
        for at in range(1, _MOST_MOMENTS, step):
            one = run_world(seed, n_sessions, crash_at=at)
            one.wrong = [f"crash at moment {at}: {text}" for text in one.wrong]
            tally.add(one)
            if not one.crashes and not one.wrong:
                break
    return tally


def counted(tally: Tally) -> Counted:
    """Return fault sessions as a sweep's tally: each that went wrong did harm."""
    return Counted(tally.sessions, {text.split(": ")[0]: [text] for text in tally.wrong})


def fault_ledger(columns: dict[str, Tally]) -> str:
    """Return a Markdown table of what happened in sweeps, one column each."""
    names = ("sessions", "attempts", "crashes", "halted", "orders", "fills")
    faults = sorted({fault for tally in columns.values() for fault in tally.faults})
    lines = [
        f"| fault ledger | {' | '.join(columns)} |",
        f"|---|{'---:|' * len(columns)}",
        *(_row(name, [getattr(tally, name) for tally in columns.values()]) for name in names),
        *(_row(name, [tally.faults[name] for tally in columns.values()]) for name in faults),
        *(
            _row(name, [getattr(tally, name) for tally in columns.values()])
            for name in ("duplicate_orders", "lost_fills")
        ),
        _row("sessions that went wrong", [len(tally.wrong) for tally in columns.values()]),
    ]
    return "\n".join(lines)


def _row(name: str, counts: list[int]) -> str:
    words = name.replace("_", " ")
    return f"| {words} | {' | '.join(f'{count:,}' for count in counts)} |"


def _spread(parts: list[range], n_sessions: int, count: int) -> Iterator[Tally]:
    if count == 1:
        yield from (run_worlds(part, n_sessions) for part in parts)
        return
    # Spawned: a fork would inherit the threads of the data frame library.
    context = multiprocessing.get_context("spawn")
    with context.Pool(count) as pool:
        yield from pool.starmap(run_worlds, [(part, n_sessions) for part in parts], chunksize=1)
