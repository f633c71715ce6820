"""The moments that the differential Sharpe ratio is computed from."""

from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.weighting import show_deviation, show_mean

MEAN, SECOND_MOMENT, BARS = range(3)


@dataclass(frozen=True, slots=True)
class SharpeMoments:
    """Exponential means A of net returns and B of their squares, and the bars in them.

    Source: Moody and Saffell, Learning to Trade via Direct Reinforcement, IEEE TNN 12 (2001).

    Attributes
    ----------
    eta : float
        Weight of the newest bar.
    warm_up_bars : int
        Bars after which both count as known.
    """

    eta: float = 0.01
    warm_up_bars: int = 50

    @property
    def name(self) -> str:
        """`differential_sharpe`."""
        return "differential_sharpe"

    @property
    def inputs(self) -> tuple[str, ...]:
        """A in standard errors, the deviation on a log scale, and how far the warm-up has come."""
        return ("sharpe", "sharpe_deviation", "sharpe_warm_up")

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the state of a new account: A, B and bars of 0."""
        del rng
        return np.zeros(3)

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the states after a bar, float64 (K, 3)."""
        del traded
        after = np.empty_like(state)
        after[:, MEAN] = state[:, MEAN] + self.eta * (net_return - state[:, MEAN])
        surprise = net_return * net_return - state[:, SECOND_MOMENT]
        after[:, SECOND_MOMENT] = state[:, SECOND_MOMENT] + self.eta * surprise
        after[:, BARS] = state[:, BARS] + 1.0
        return after

    def show(self, state: Floats) -> Floats:
        """Return what a policy sees, float64 (K, 3)."""
        second = state[:, SECOND_MOMENT]
        warm = np.ones(len(state))
        if self.warm_up_bars > 0:
            warm = np.minimum(state[:, BARS] / self.warm_up_bars, 1.0)
        mean = show_mean(state[:, MEAN], second, self.eta)
        return np.column_stack([mean, show_deviation(second), warm])
