"""Runs one target: draws inputs, counts both sides, and looks for what no input may leave behind."""

import logging
import os
import warnings
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import HealthCheck, Phase, example, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from trading_assets.errors import UserError
from trading_assets_tests.fuzz.material import ABSOLUTE

SECRET = "only-the-outside-may-know"  # content of a file that nothing may reach
# A sentence for a person: what is shown of a value is short, whatever its length.
_LONGEST_LINE = 1_000
_MOST_LINES = 12


@dataclass
class Counts:
    """Inputs tried, by what became of them."""

    accepted: int = 0
    refused: int = 0

    @property
    def tried(self) -> int:
        return self.accepted + self.refused

    def add(self, *, accepted: bool, number: int = 1) -> None:
        if accepted:
            self.accepted += number
        else:
            self.refused += number


Check = Callable[[Any, Counts], None]


@dataclass(frozen=True)
class Target:
    """An entry, what is thrown at it, and the least share of inputs that each side has to see.

    Attributes
    ----------
    open : callable
        Takes an empty folder and gives, for as long as it is entered, the check of one example. The
        check raises `AssertionError` where the code and the referee disagree; whatever the code
        raises beyond its own errors is a finding too.
    quick, full : int
        Examples; one may hold many inputs.
    pinned : tuple
        Examples that were findings once.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    open: Callable[[Path], AbstractContextManager[Check]]
    quick: int
    full: int
    least_accepted: float = 0.1
    least_refused: float = 0.1
    pinned: tuple[Any, ...] = ()


@dataclass
class Outcome:
    """What a target saw; `failures` holds one text for each thing that went wrong."""

    name: str
    counts: Counts
    failures: list[str] = field(default_factory=list[str])

    def describe(self) -> str:
        """Return the target's counts in one line."""
        counts = self.counts
        return (
            f"{self.name:<14} {counts.tried:>8,} tried {counts.accepted:>8,} accepted"
            f" {counts.refused:>8,} refused {len(self.failures):>3} failed"
        )


def run_target(target: Target, examples: int, folder: Path, number: int) -> Outcome:
    """Throw `examples` examples at a target, in an order that `number` decides."""
    outcome = Outcome(target.name, Counts())
    with _watched(folder, outcome), target.open(folder / "inside") as check:

        def attempt(given_input: Any) -> None:
            check(given_input, outcome.counts)

        for pinned in target.pinned:
            attempt = example(pinned)(attempt)
        thrown = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )(seed(number)(given(target.inputs)(attempt)))
        try:
            with warnings.catch_warnings():
                # Hostile values are long; that is no fault of theirs.
                warnings.simplefilter("ignore", HypothesisWarning)
                thrown()
        except BaseExceptionGroup as found:
            outcome.failures += [_told(error) for error in found.exceptions]
        except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 # a finding
            outcome.failures.append(_told(error))
    outcome.failures += _one_sided(target, outcome.counts)
    return outcome


def refusal_of(act: Callable[[], object], *, shows: str = "") -> UserError | None:
    """Return the project's own error if `act` raises one, its message looked at, else None.

    Parameters
    ----------
    act : callable
        The entry; any other error passes through.
    shows : str
        A text that the message has to hold.
    """
    try:
        act()
    except UserError as error:
        text = str(error)
        lines = text.splitlines()
        assert text.strip(), f"{type(error).__name__} without a message"
        assert len(lines) <= _MOST_LINES, f"{len(lines)} lines: {text[:200]}"
        assert all(len(line) <= _LONGEST_LINE for line in lines), f"{len(text)} long: {text[:200]}"
        assert shows in text, f"message lacks {shows!r}: {text}"
        return error
    return None


def _told(error: BaseException) -> str:
    notes = " ".join(getattr(error, "__notes__", []))
    return f"{type(error).__name__}: {str(error)[:1_000]} [{notes[:2_000]}]"


def _one_sided(target: Target, counts: Counts) -> list[str]:
    if not counts.tried:
        return ["nothing was tried"]
    sides = (
        ("accepted", counts.accepted, target.least_accepted),
        ("refused", counts.refused, target.least_refused),
    )
    return [
        f"only {number / counts.tried:.1%} were {side}; expected {least:.0%} or more"
        for side, number, least in sides
        # By three standard errors less: a short run draws few of either side.
        if number < counts.tried * least - 3 * (counts.tried * least * (1 - least)) ** 0.5
    ]


@contextmanager
def _watched(folder: Path, outcome: Outcome) -> Generator[None]:
    """Enter an empty working folder; report whatever was written there, beside it or at `ABSOLUTE`."""
    working, outside = folder / "working", folder / "outside"
    for each in (folder / "inside", working, outside):
        each.mkdir(parents=True)
    (outside / "secret.html").write_text(SECRET, encoding="utf-8")
    before, home = _tree(folder), Path.cwd()
    os.chdir(working)
    log = _Log()
    logging.getLogger("trading_assets").addHandler(log)
    try:
        yield
    finally:
        logging.getLogger("trading_assets").removeHandler(log)
        outcome.failures += log.unfit
        os.chdir(home)
        written = sorted(path for path in _tree(folder) ^ before)
        if written:
            outcome.failures.append(f"written outside the folder given: {written[:5]}")
        if Path(ABSOLUTE).exists():
            outcome.failures.append(f"{ABSOLUTE} was written")


class _Log(logging.Handler):
    """Takes what is logged, and keeps what would break or flood a log."""

    def __init__(self) -> None:
        super().__init__()
        self.unfit: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.isprintable() or len(text) > _LONGEST_LINE:
            self.unfit = [*self.unfit, f"unfit for a log: {text[:200]!r}"][:3]


def _tree(folder: Path) -> set[tuple[str, bytes]]:
    """Return paths and contents of all but what lies in `inside`."""
    files: set[tuple[str, bytes]] = set()
    for path in folder.parent.rglob("*"):
        if (folder / "inside") in path.parents or path == folder / "inside":
            continue
        files.add((str(path), path.read_bytes() if path.is_file() else b""))
    return files
