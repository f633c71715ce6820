"""How much an account has traded lately."""

from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.weighting import clip_shown, newest_weight

# A tenth of the equity traded each bar is shown as 1.
_SHOWN_SCALE = 10.0


@dataclass(frozen=True, slots=True)
class RecentTurnover:
    """Exponential mean of the traded value, as a fraction of equity or of the notional.

    Attributes
    ----------
    half_life_bars : float
        Bars in which half is forgotten.
    """

    half_life_bars: float = 20.0

    @property
    def name(self) -> str:
        """`recent_turnover`."""
        return "recent_turnover"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The mean, times 10."""
        return ("recent_turnover",)

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the state of a new account, which has not traded."""
        del rng
        return np.zeros(1)

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the states after a bar, float64 (K, 1)."""
        del net_return
        return state + newest_weight(self.half_life_bars) * (traded[:, None] - state)

    def show(self, state: Floats) -> Floats:
        """Return what a policy sees, float64 (K, 1)."""
        return clip_shown(_SHOWN_SCALE * state)
