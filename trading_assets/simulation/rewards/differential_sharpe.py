"""What a bar adds to the account's Sharpe ratio."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.differential_sharpe import BARS, MEAN, SECOND_MOMENT


@dataclass(frozen=True, slots=True)
class DifferentialSharpe:
    """Derivative by eta of the exponential Sharpe ratio `A / sqrt(B - A^2)` after the bar.

    `(B dA - A dB / 2) / (B - A^2)^(3/2)` with `dA = R - A` and `dB = R^2 - B`, where A and B are
    the exponential means of net returns R and of their squares before the bar.

    Source: Moody and Saffell, Learning to Trade via Direct Reinforcement, IEEE TNN 12 (2001).

    Attributes
    ----------
    warm_up_bars : int
        First bars of an account, which are paid nothing: A and B are not known yet.
    least_deviation : float
        What the deviation is taken for where it is less, as that of an account that hardly held
        anything.
    """

    warm_up_bars: int = 50
    least_deviation: float = 0.001

    @property
    def is_in_deviations(self) -> bool:
        """Whether rewards are of order 1: yes."""
        return True

    @property
    def needs(self) -> tuple[str, ...]:
        """A and B."""
        return ("differential_sharpe",)

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return rewards, float64 (K,), of order 1."""
        del after
        state, net = before["differential_sharpe"], bar.net_return
        mean, second = state[:, MEAN], state[:, SECOND_MOMENT]
        added = second * (net - mean) - 0.5 * mean * (net * net - second)
        deviation = np.sqrt(np.maximum(second - mean * mean, self.least_deviation**2))
        ratio = added / (deviation * deviation * deviation)
        return np.where(state[:, BARS] >= self.warm_up_bars, ratio, 0.0)
