"""A charge for falling further below the peak."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class DrawdownPenalty:
    """`weight x max(0, what the drawdown grew by)`.

    Attributes
    ----------
    weight : float
        Factor.
    """

    weight: float

    @property
    def needs(self) -> tuple[str, ...]:
        """The drawdown."""
        return ("drawdown",)

    def charge(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return what is charged, float64 (K,)."""
        del bar
        grown = after["drawdown"][:, 0] - before["drawdown"][:, 0]
        return self.weight * np.maximum(grown, 0.0)
