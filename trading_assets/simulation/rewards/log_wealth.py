"""The growth of the account."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats

# A ruined account has no logarithm; what is left of it is taken for a thousandth.
_LEAST_SHARE = 1e-3


@dataclass(frozen=True, slots=True)
class LogWealth:
    """`ln(equity after / equity before)`, whose sum is the logarithm of growth.

    It suits accounts whose weights are fractions of equity.
    """

    @property
    def is_in_deviations(self) -> bool:
        """Whether rewards are of order 1: no, they are nearly fractions."""
        return False

    @property
    def needs(self) -> tuple[str, ...]:
        """Nothing beside the bar."""
        return ()

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return rewards, float64 (K,); at least ln(1/1000)."""
        del before, after
        return np.log1p(np.maximum(bar.net_return, _LEAST_SHARE - 1.0))
