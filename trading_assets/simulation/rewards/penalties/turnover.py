"""A charge for trading, beyond what trades cost."""

from collections.abc import Mapping
from dataclasses import dataclass

from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class TurnoverPenalty:
    """`weight x traded fraction`.

    Attributes
    ----------
    weight : float
        Factor.
    """

    weight: float

    @property
    def needs(self) -> tuple[str, ...]:
        """Nothing beside the bar."""
        return ()

    def charge(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return what is charged, float64 (K,)."""
        del before, after
        return self.weight * bar.traded
