"""How long ago an account traded."""

from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.weighting import clip_shown

# ln(1 + 20): a month without a trade is shown as 1.
_SHOWN_SCALE = np.log(21.0)


@dataclass(frozen=True, slots=True)
class BarsSinceTrade:
    """Bars since the account last traded, or since it was opened.

    Attributes
    ----------
    least_traded : float
        Traded fraction of equity or of the notional up to which a bar counts as one without a
        trade, so that a rounded share is none.
    """

    least_traded: float = 1e-4

    @property
    def name(self) -> str:
        """`bars_since_trade`."""
        return "bars_since_trade"

    @property
    def inputs(self) -> tuple[str, ...]:
        """`ln(1 + bars) / ln(21)`."""
        return ("bars_since_trade",)

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the state of a new account."""
        del rng
        return np.zeros(1)

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the states after a bar, float64 (K, 1)."""
        del net_return
        return np.where(traded[:, None] > self.least_traded, 0.0, state + 1.0)

    def show(self, state: Floats) -> Floats:
        """Return what a policy sees, float64 (K, 1)."""
        return clip_shown(np.log1p(state) / _SHOWN_SCALE)
