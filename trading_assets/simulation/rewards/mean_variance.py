"""Net return minus a charge for the variance of what was held."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.compiled.environment import pay_mean_variance
from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class MeanVariance:
    """Net return minus `(gamma / 2) x' Sigma x` of the position that earned it.

    Attributes
    ----------
    risk_aversion : float
        gamma.
    trade_aversion : float
        lam of a further charge `(lam / 2) dx' Sigma dx` on the change of the target weights, which
        no account pays: a cost that depends on what else is traded.
    """

    risk_aversion: float
    trade_aversion: float = 0.0

    @property
    def is_in_deviations(self) -> bool:
        """Whether rewards are of order 1: no, they are fractions."""
        return False

    @property
    def needs(self) -> tuple[str, ...]:
        """Nothing beside the bar."""
        return ()

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return rewards, float64 (K,), as fractions of equity or of the notional."""
        del before, after
        reward = np.empty(len(bar.outcome))
        pay_mean_variance(
            bar.outcome,
            bar.fills,
            bar.covariance,
            bar.rows,
            self.risk_aversion,
            self.trade_aversion,
            np.empty(bar.fills.shape[2]),
            reward,
        )
        return reward
