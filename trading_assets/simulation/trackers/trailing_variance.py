"""How much an account's returns have varied lately."""

from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.weighting import newest_weight, show_deviation

_SQUARES, _WEIGHT = range(2)


@dataclass(frozen=True, slots=True)
class TrailingVariance:
    """Exponential mean of squared net returns.

    Attributes
    ----------
    half_life_bars : float
        Bars in which half is forgotten.
    """

    half_life_bars: float = 20.0

    @property
    def name(self) -> str:
        """`trailing_variance`."""
        return "trailing_variance"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The deviation on a log scale, 0 until a bar is known, and the weight of known bars."""
        return ("trailing_deviation", "trailing_deviation_known")

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the state of a new account, of which nothing is known."""
        del rng
        return np.zeros(2)

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the states after a bar, float64 (K, 2)."""
        del traded
        weight = newest_weight(self.half_life_bars)
        newest = np.column_stack([net_return * net_return, np.ones(len(state))])
        return state + weight * (newest - state)

    def show(self, state: Floats) -> Floats:
        """Return what a policy sees, float64 (K, 2)."""
        is_known = state[:, _WEIGHT] > 0.0
        deviation = np.where(is_known, show_deviation(variance_of(state)), 0.0)
        return np.column_stack([deviation, state[:, _WEIGHT]])


def variance_of(state: Floats) -> Floats:
    """Return the variance that states stand for, float64 (K,): a mean over known bars, else 0."""
    squares, weight = state[:, _SQUARES], state[:, _WEIGHT]
    return np.divide(squares, weight, out=np.zeros(len(state)), where=weight > 0.0)
