"""Which of several objectives an account has fallen short of lately."""

from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.drawdown import drawdown_after
from trading_assets.simulation.trackers.weighting import clip_shown, newest_weight

_DRAWDOWN, _WEIGHT, _FIRST = range(3)
# A bar's 10 bps are shown as 1.
_SHOWN_SCALE = 1_000.0


@dataclass(frozen=True, slots=True)
class ObjectiveMeans:
    """Exponential means of what each bar was worth by several objectives, on their scales.

    It knows net returns and traded shares only, so that the variance is that of net returns.

    Attributes
    ----------
    objectives : tuple of {"return", "variance", "drawdown", "turnover"}
        Names of the objectives.
    scales : tuple of float
        Factor on each.
    half_life_bars : float
        Bars in which half is forgotten.
    """

    objectives: tuple[str, ...]
    scales: tuple[float, ...]
    half_life_bars: float = 60.0

    @property
    def name(self) -> str:
        """`objective_means`."""
        return "objective_means"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The means, times 1000; 0 until a bar is known."""
        return tuple(f"mean_{objective}" for objective in self.objectives)

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the state of a new account, of which nothing is known."""
        del rng
        return np.zeros(_FIRST + len(self.objectives))

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the states after a bar, float64 (K, 2 + objectives)."""
        drawdown = drawdown_after(state[:, _DRAWDOWN], net_return)
        worth = {
            "return": net_return,
            "variance": -net_return * net_return,
            "drawdown": -np.maximum(drawdown - state[:, _DRAWDOWN], 0.0),
            "turnover": -traded,
        }
        pairs = zip(self.objectives, self.scales, strict=True)
        newest = [scale * worth[name] for name, scale in pairs]
        target = np.column_stack([drawdown, np.ones(len(state)), *newest])
        after = state + newest_weight(self.half_life_bars) * (target - state)
        after[:, _DRAWDOWN] = drawdown
        return after

    def show(self, state: Floats) -> Floats:
        """Return what a policy sees, float64 (K, objectives)."""
        return clip_shown(_SHOWN_SCALE * means_of(state))


def means_of(state: Floats) -> Floats:
    """Return the means that states stand for, float64 (K, objectives); 0 where none is known."""
    means, weight = state[:, _FIRST:], state[:, [_WEIGHT]]
    return np.divide(means, weight, out=np.zeros_like(means), where=weight > 0.0)
