"""The loss above which an account's worst bars begin, learned from its own returns."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.weighting import clip_shown, show_deviation

_MULTIPLE, _SQUARES, _BARS = range(3)
# First steps are as short as if bars with so many losses beyond the threshold were known, or the
# first one would throw it off.
_LOSSES_BEFORE = 2.0
# Steps that are too short for the density at the quantile, which is low where tails are fat, would
# hold on to where they started.
_LENGTHENED = 2.0


@dataclass(frozen=True, slots=True)
class TailThreshold:
    """Threshold c of `c + E[max(loss - c, 0)] / (1 - confidence)`, moved down its subgradient.

    The minimiser is the loss's quantile at `confidence`, the minimum its expected shortfall. What
    is learned is the threshold as a multiple of the trailing deviation, from the normal quantile
    on, so that accounts of any size of returns start near theirs. Steps shrink with the number of
    bars down to that of `memory_bars`, and are twice those of a normal density at the quantile.

    Source: Rockafellar and Uryasev, Optimization of Conditional Value-at-Risk, J. Risk 2 (2000).

    Attributes
    ----------
    confidence : float
        Share of bars with a loss below the threshold.
    memory_bars : float
        Bars that count in the long run.
    """

    confidence: float = 0.95
    memory_bars: float = 250.0

    @property
    def name(self) -> str:
        """`tail_threshold`."""
        return "tail_threshold"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The multiple, the deviation on a log scale, and known bars as a share of the memory."""
        return ("tail_multiple", "tail_deviation", "tail_known")

    def start(self, rng: np.random.Generator | None) -> Floats:
        """Return the state of a new account: the normal quantile of no deviation."""
        del rng
        return np.array([NormalDist().inv_cdf(self.confidence), 0.0, 0.0])

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        """Return the states after a bar, float64 (K, 3)."""
        del traded
        normal, beyond = NormalDist(), 1.0 - self.confidence
        scale = _LENGTHENED * beyond / normal.pdf(normal.inv_cdf(self.confidence))
        bars = state[:, _BARS] + 1.0
        step = scale * np.maximum(1.0 / (bars + _LOSSES_BEFORE / beyond), 1.0 / self.memory_bars)
        is_beyond = -net_return > threshold_of(state)
        moved = state[:, _MULTIPLE] - step * np.where(is_beyond, 1.0 - 1.0 / beyond, 1.0)
        weight = np.maximum(1.0 / bars, 1.0 / self.memory_bars)
        squares = state[:, _SQUARES] + weight * (net_return * net_return - state[:, _SQUARES])
        return np.column_stack([np.maximum(moved, 0.0), squares, bars])

    def show(self, state: Floats) -> Floats:
        """Return what a policy sees, float64 (K, 3)."""
        deviation = np.where(state[:, _BARS] > 0.0, show_deviation(state[:, _SQUARES]), 0.0)
        known = np.minimum(state[:, _BARS] / self.memory_bars, 1.0)
        return np.column_stack([clip_shown(state[:, _MULTIPLE]), deviation, known])


def threshold_of(state: Floats) -> Floats:
    """Return the threshold that states stand for, float64 (K,), as a loss above 0."""
    return state[:, _MULTIPLE] * np.sqrt(state[:, _SQUARES])
