"""A disk and a clock of memory: they crash, tear, refuse and go on as a seed says."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from trading_assets.errors import DataError


class SimulatedCrash(BaseException):
    """The process is gone: nothing catches it but the test."""


@dataclass
class CrashPlan:
    """Says at which moments a process dies; every moment that could be one is counted.

    Attributes
    ----------
    rate : float
        Probability of dying at a moment.
    at : int or None
        The one moment to die at, instead of drawn ones.
    on_moment : callable
        Told of every moment before it is decided whether the process dies there.
    """

    rng: np.random.Generator
    rate: float
    crashes: int = 0
    moments: int = 0
    at: int | None = None
    on_moment: Callable[[str], None] = lambda what: None

    def maybe(self, what: str) -> None:
        """Die here, perhaps."""
        self.moments += 1
        self.on_moment(what)
        chosen = self.at == self.moments if self.at is not None else self.rng.random() < self.rate
        if chosen:
            self.crashes += 1
            raise SimulatedCrash(what)


@dataclass
class SimulatedHeads:
    """A `HeadStore` of memory: the process may die before a checkpoint is kept, or after."""

    crash: CrashPlan
    kept: list[tuple[str, str]] = field(default_factory=list)

    def append(self, account: str, head: str) -> None:
        self.crash.maybe("before a checkpoint is kept")
        self.kept.append((account, head))
        self.crash.maybe("after a checkpoint was kept")

    def heads(self, account: str) -> list[str]:
        return [head for owner, head in self.kept if owner == account]


class SimulatedClock:
    """Advances a little with each reading, and by what is slept."""

    def __init__(self, start: datetime = datetime(2020, 1, 2, 12, tzinfo=UTC)) -> None:
        self.moment = start
        self.on_sleep: Callable[[float], None] = lambda seconds: None

    def now(self) -> datetime:
        self.moment += timedelta(milliseconds=1)
        return self.moment

    def monotonic(self) -> float:
        return self.now().timestamp()

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.on_sleep(seconds)


@dataclass
class SimulatedFolder:
    """A `LogFolder`: what a write left when the process died is a prefix of it.

    Attributes
    ----------
    files : dict of str to bytes
        What survives a crash.
    """

    crash: CrashPlan
    rng: np.random.Generator
    refuse_rate: float = 0.0
    files: dict[str, bytes] = field(default_factory=dict)
    locks: set[str] = field(default_factory=set)
    writes: int = 0
    stamps: dict[str, int] = field(default_factory=dict)
    own_locks: set[str] = field(default_factory=set)
    label = "disk of memory"

    def start_process(self) -> None:
        """Free what a process that is gone has held, as the kernel does."""
        self.locks.clear()
        self.own_locks.clear()

    def calm(self) -> "SimulatedFolder":
        """Return the same files and locks, as a process has them that meets no fault."""
        crash = CrashPlan(self.rng, 0.0)
        return SimulatedFolder(crash, self.rng, 0.0, self.files, self.locks, 0, self.stamps)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.files))

    def stamp(self, name: str) -> tuple[int, ...] | None:
        return (self.stamps.get(name, 0),) if name in self.files else None

    def read(self, name: str) -> bytes:
        return self.files.get(name, b"")

    def create(self, name: str) -> None:
        self.crash.maybe(f"before {name} exists")
        self.files.setdefault(name, b"")

    def append(self, name: str, data: bytes) -> None:
        self._write(name, self.files[name], data)

    def truncate(self, name: str, size: int) -> None:
        self.crash.maybe(f"before {name} is cut")
        self._set(name, self.files.get(name, b"")[:size])

    def replace(self, name: str, data: bytes) -> None:
        self.crash.maybe(f"before {name} is replaced")
        self._set(name, data)
        self.crash.maybe(f"after {name} was replaced")

    @contextmanager
    def lock(self, name: str, timeout_seconds: float = 0.0) -> Generator[None]:
        if name in self.own_locks:
            yield
            return
        if name in self.locks:
            raise DataError(f"{name} is held")
        self.locks.add(name)
        self.own_locks.add(name)
        try:
            yield
        finally:
            # The kernel frees a dead process's locks, too.
            self.locks.discard(name)
            self.own_locks.discard(name)

    def _write(self, name: str, before: bytes, data: bytes) -> None:
        self.writes += 1
        if self.rng.random() < self.refuse_rate:
            kept = int(self.rng.integers(len(data) + 1))
            self._set(name, before + data[:kept])
            raise OSError(28, "No space left on device")
        try:
            self.crash.maybe(f"within a write of {name}")
        except SimulatedCrash:
            kept = int(self.rng.integers(len(data) + 1))
            self._set(name, before + data[:kept])
            raise
        self._set(name, before + data)
        self.crash.maybe(f"after a write of {name}")

    def _set(self, name: str, content: bytes) -> None:
        self.files[name] = content
        self.stamps[name] = self.stamps.get(name, 0) + 1
