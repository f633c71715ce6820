"""A charge while the account's returns vary more than a limit allows."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.trailing_variance import variance_of


@dataclass(frozen=True, slots=True)
class ValueAtRiskPenalty:
    """`weight x max(0, value at risk - limit)`.

    The value at risk is the normal quantile of the trailing deviation of net returns, the bar's own
    included; the mean return of a bar is small beside it and is left out.

    Attributes
    ----------
    weight : float
        Factor.
    limit : float
        Value at risk of a bar up to which nothing is charged, as a fraction.
    confidence : float
        Share of bars with a smaller loss.
    """

    weight: float
    limit: float
    confidence: float = 0.95

    @property
    def needs(self) -> tuple[str, ...]:
        """The trailing variance."""
        return ("trailing_variance",)

    def charge(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return what is charged, float64 (K,)."""
        del bar, before
        deviation = np.sqrt(variance_of(after["trailing_variance"]))
        at_risk = NormalDist().inv_cdf(self.confidence) * deviation
        return self.weight * np.maximum(at_risk - self.limit, 0.0)
