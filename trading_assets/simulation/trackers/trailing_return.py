"""How an account has done lately."""

from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.weighting import newest_weight, show_mean


@dataclass(frozen=True, slots=True)
class TrailingReturn:
    """Exponential mean of net returns, beside that of their squares.

    Attributes
    ----------
    half_life_bars : float
        Bars in which half is forgotten.
    """

    half_life_bars: float = 20.0

    @property
    def name(self) -> str:
        """`trailing_return`."""
        return "trailing_return"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The mean in standard errors."""
        return ("trailing_return",)

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the state of a new account."""
        del rng
        return np.zeros(2)

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the states after a bar, float64 (K, 2)."""
        del traded
        newest = np.column_stack([net_return, net_return * net_return])
        return state + newest_weight(self.half_life_bars) * (newest - state)

    def show(self, state: Floats) -> Floats:
        """Return what a policy sees, float64 (K, 1)."""
        weight = newest_weight(self.half_life_bars)
        return show_mean(state[:, 0], state[:, 1], weight)[:, None]
