"""Several objectives at once, by weights that differ from episode to episode."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.compiled.rewards import vary_positions
from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.objective_means import means_of


@dataclass(frozen=True, slots=True)
class MultiObjective:
    """A weighted sum of objectives, or the one that falls shortest.

    The weights are the account's preference, which a policy sees: drawn for each training episode,
    so that one policy learns all of them, and the declared one everywhere else.

    Attributes
    ----------
    objectives : tuple of {"return", "variance", "drawdown", "turnover"}
        Net return; and as losses the variance `x' Sigma x` of the positions, what the drawdown grew
        by, and the traded fraction.
    scales : tuple of float
        Factor on each, so that equal weights mean something like equal importance.
    ideals : tuple of float, optional
        What each would be at best, on its scale. Given, the reward is Chebyshev's: of the objective
        whose trailing mean is farthest from its ideal, by weight, that bar's weighted distance,
        negative. A supergradient of `-max_i w_i (ideal_i - mean_i)`, it improves what is worst.
    """

    objectives: tuple[str, ...]
    scales: tuple[float, ...]
    ideals: tuple[float, ...] | None = None

    @property
    def is_in_deviations(self) -> bool:
        """Whether rewards are of order 1: no, they are fractions."""
        return False

    @property
    def needs(self) -> tuple[str, ...]:
        """The preference, and what the objectives remember."""
        drawdown = ("drawdown",) if "drawdown" in self.objectives else ()
        means = () if self.ideals is None else ("objective_means",)
        return ("preference", *drawdown, *means)

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return rewards, float64 (K,), as fractions of equity or of the notional."""
        values = self.values(bar, before, after)
        preference = before["preference"]
        if self.ideals is None:
            return (preference * values).sum(axis=1)
        ideals = np.array(self.ideals)
        distance = preference * (ideals - means_of(before["objective_means"]))
        worst = distance.argmax(axis=1)
        chosen = np.arange(len(values)), worst
        return preference[chosen] * (values[chosen] - ideals[worst])

    def values(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return what the bar was worth by each objective on its scale, float64 (K, objectives)."""
        columns = [self._value(name, bar, before, after) for name in self.objectives]
        return np.column_stack(columns) * np.array(self.scales)

    def _value(
        self, name: str, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        if name == "return":
            return bar.net_return
        if name == "variance":
            variance = np.empty(len(bar.outcome))
            room = np.empty(bar.fills.shape[2])
            vary_positions(bar.fills, bar.covariance, bar.rows, room, variance)
            return -variance
        if name == "turnover":
            return -bar.traded
        assert name == "drawdown"
        return -np.maximum(after["drawdown"][:, 0] - before["drawdown"][:, 0], 0.0)
