"""A charge for the mean loss of the worst bars."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.tail_threshold import threshold_of


@dataclass(frozen=True, slots=True)
class ExpectedShortfallPenalty:
    """`weight x (c + max(loss - c, 0) / (1 - confidence))` with the threshold c before the bar.

    Its mean is the expected shortfall (CVaR) where c is the loss's quantile, and more elsewhere.

    Source: Rockafellar and Uryasev, Optimization of Conditional Value-at-Risk, J. Risk 2 (2000).

    Attributes
    ----------
    weight : float
        Factor.
    confidence : float
        Share of bars with a loss below the threshold.
    """

    weight: float
    confidence: float = 0.95

    @property
    def needs(self) -> tuple[str, ...]:
        """The threshold."""
        return ("tail_threshold",)

    def charge(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return what is charged, float64 (K,)."""
        del after
        threshold = threshold_of(before["tail_threshold"])
        beyond = np.maximum(-bar.net_return - threshold, 0.0)
        return self.weight * (threshold + beyond / (1.0 - self.confidence))
