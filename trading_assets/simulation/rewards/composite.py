"""A sum over symbols: risk-adjusted gains, a bonus for confidence, less what execution cost."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class Composite:
    """Position times return over volatility, plus position times confidence, less costs.

    All parts are in deviations: what a position earned and what its trade cost are divided by its
    symbol's volatility, financing by the mean one. A position earns from its fill on, and what was
    held before earns until then. Penalties for risk are added as to any reward.

    Attributes
    ----------
    confidence_bonus : float
        Paid for a whole position in a symbol whose forecast is certain of its direction. The
        confidence is the probability of a rise less that of a fall.
    cost_weight : float
        Factor on costs; 1 charges what was paid.
    """

    confidence_bonus: float = 0.1
    cost_weight: float = 1.0

    @property
    def is_in_deviations(self) -> bool:
        """Whether rewards are of order 1: yes."""
        return True

    @property
    def needs(self) -> tuple[str, ...]:
        """Nothing beside the bar."""
        return ()

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return rewards, float64 (K,), of order 1.

        Raises
        ------
        DataError
            If confidence is paid for and the policy is shown no forecasts.
        """
        del before, after
        volatility = bar.volatility
        earned = bar.gain - self.cost_weight * bar.trade_cost
        # A symbol without a volatility cannot be held.
        parts = np.divide(earned, volatility, out=np.zeros_like(earned), where=volatility > 0.0)
        if self.confidence_bonus > 0.0:
            parts += self.confidence_bonus * bar.known_confidence * bar.position_weight
        return parts.sum(axis=1) - self.cost_weight * bar.financing / bar.mean_volatility
