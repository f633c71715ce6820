"""Decision functions that the backtest's engine applies no rebalance rule to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from trading_assets.simulation.core import Books, Floats

Weights = TypeVar("Weights", Floats, Floats | None)


@dataclass(frozen=True, slots=True)
class TradedAsDecided(Generic[Weights]):
    """A function of (row, books of K = 1) whose target weights are traded as they are.

    The declared rebalance rule is in them already, and it may be applied only once; or they follow
    a schedule of their own, and what the rule held back would not be decided again.

    Attributes
    ----------
    decide : callable
        The function; its weights are within the limits, or are projected on them.
    """

    decide: Callable[[int, Books], Weights]

    def __call__(self, row: int, books: Books) -> Weights:
        """Return the target weights, float64 (N,), or None where all shares are kept."""
        return self.decide(row, books)
