"""How far an account is below its peak."""

from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.weighting import clip_shown

# A fifth below the peak is shown as 1.
_SHOWN_SCALE = 5.0


@dataclass(frozen=True, slots=True)
class Drawdown:
    """Share below the peak of compounded net returns.

    The state is that share: 0 at a new peak, 1 where all is lost.
    """

    @property
    def name(self) -> str:
        """`drawdown`."""
        return "drawdown"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Share below the peak, times 5."""
        return ("drawdown",)

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the state of a new account, which is at its peak."""
        del rng
        return np.zeros(1)

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the states after a bar, float64 (K, 1)."""
        del traded
        return drawdown_after(state[:, 0], net_return)[:, None]

    def show(self, state: Floats) -> Floats:
        """Return what a policy sees, float64 (K, 1)."""
        return clip_shown(_SHOWN_SCALE * state)


def drawdown_after(drawdown: Floats, net_return: Floats) -> Floats:
    """Return the shares below the peak after a bar, float64 (K,), from those before it."""
    left = (1.0 - drawdown) * np.maximum(1.0 + net_return, 0.0)
    return np.maximum(1.0 - left, 0.0)
