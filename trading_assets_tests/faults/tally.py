"""Counts of faults that were injected, and what went wrong after some of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Tally:
    """How many faults were tried; for each that did harm, what it was and what was wrong.

    Attributes
    ----------
    ledger : str
        A Markdown table of what happened, where a sweep keeps one.
    """

    tried: int = 0
    harmed: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    ledger: str = ""

    def add(self, fault: str, problems: Iterable[str]) -> None:
        """Count one fault and what was found wrong afterwards."""
        self.tried += 1
        found = list(problems)
        if found:
            self.harmed.setdefault(fault, []).extend(found)

    def merge(self, other: "Tally") -> None:
        """Count the faults of another sweep too."""
        self.tried += other.tried
        for fault, problems in other.harmed.items():
            self.harmed.setdefault(fault, []).extend(problems)

    def describe(self) -> str:
        """Return the counts, and every problem on a line of its own."""
        lines = [f"{self.tried} faults, {len(self.harmed)} did harm"]
        for fault, problems in self.harmed.items():
            lines.extend(f"  {fault}: {problem}" for problem in problems)
        return "\n".join(lines)


def ledger_of(tallies: dict[str, Tally]) -> str:
    """Return Markdown tables of sweeps by name: their faults, then what some tell besides."""
    rows = [f"| {name} | {t.tried:,} | {len(t.harmed):,} |" for name, t in tallies.items()]
    table = "\n".join(["| sweep | faults | did harm |", "|---|---:|---:|", *rows])
    return "\n\n".join([table, *(tally.ledger for tally in tallies.values() if tally.ledger)])
