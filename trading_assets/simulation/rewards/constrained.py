"""A reward less a charge for what a constraint limits, with a multiplier that a controller sets.

Source: Stooke, Achiam, Abbeel, Responsive Safety in Reinforcement Learning by PID Lagrangian
Methods, ICML 2020.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trading_assets.constraint_specs import ConstraintSpec, Measure
from trading_assets.simulation.compiled.rewards import vary_positions
from trading_assets.simulation.rewards.reward import PaidBar, Reward
from trading_assets.simulation.terms import Floats

# Fewer bars say too little of a mean; where a rollout is shorter, several make one update.
BARS_PER_UPDATE = 2_048
_BPS = 1e-4


@dataclass(frozen=True, slots=True)
class MeasuredBar:
    """Pays what a constraint measures, so that any environment and rollout can measure it.

    Attributes
    ----------
    measure : {"position_variance", "turnover", "cost_bps", "drawdown_growth"}
        What is measured.
    """

    measure: Measure

    @property
    def is_in_deviations(self) -> bool:
        """Whether values are of order 1: no, they are in the measure's own unit."""
        return False

    @property
    def needs(self) -> tuple[str, ...]:
        """The drawdown, where its growth is measured."""
        return ("drawdown",) if self.measure == "drawdown_growth" else ()

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return the measure of a bar, float64 (K,)."""
        match self.measure:
            case "turnover":
                return bar.traded
            case "cost_bps":
                return bar.cost / _BPS
            case "drawdown_growth":
                grown = after["drawdown"][:, 0] - before["drawdown"][:, 0]
                return np.maximum(grown, 0.0)
            case "position_variance":
                variance = np.empty(len(bar.outcome))
                room = np.empty(bar.fills.shape[2])
                vary_positions(bar.fills, bar.covariance, bar.rows, room, variance)
                return variance


@dataclass(slots=True)
class PidMultiplier:
    """The multiplier of a constraint, set anew from what rollouts cost.

    `lambda = (Kp e + Ki I + Kd D)+` with `e` the mean cost less 1, `I` the sum of errors, kept at 0
    or above, and `D` what the error grew by, 0 where it fell. Costs are shares of the limit, so
    that gains mean the same for any measure.
    Source: Stooke, Achiam, Abbeel, algorithm 2.

    Attributes
    ----------
    spec : ConstraintSpec
        Gains.
    value : float
        lambda.
    error_sum, last_error : float
        I, and e of the update before; the error before the first update counts as 0.
    cost_sum, n_bars : float, int
        Cost and bars seen since the last update.
    """

    spec: ConstraintSpec
    value: float = 0.0
    error_sum: float = 0.0
    last_error: float = 0.0
    cost_sum: float = 0.0
    n_bars: int = 0

    def observe(self, costs: Floats) -> None:
        """Count what bars cost, float64 (K,), as shares of the limit."""
        self.cost_sum += float(costs.sum())
        self.n_bars += len(costs)

    def update(self) -> bool:
        """Set the multiplier at the end of a rollout; return whether enough bars were seen."""
        if self.n_bars < BARS_PER_UPDATE:
            return False
        spec = self.spec
        error = self.cost_sum / self.n_bars - 1.0
        self.error_sum = max(self.error_sum + error, 0.0)
        growth = max(error - self.last_error, 0.0)
        wanted = spec.proportional_gain * error + spec.integral_gain * self.error_sum
        self.value = max(wanted + spec.derivative_gain * growth, 0.0)
        self.last_error, self.cost_sum, self.n_bars = error, 0.0, 0
        return True

    def get_state(self) -> list[float]:
        """Return all that later updates depend on, as JSON values."""
        return [self.value, self.error_sum, self.last_error, self.cost_sum, self.n_bars]

    def set_state(self, state: list[float]) -> None:
        """Go on from what `get_state` returned."""
        self.value, self.error_sum, self.last_error, self.cost_sum = state[:4]
        self.n_bars = int(state[4])


@dataclass(frozen=True, slots=True)
class ConstrainedReward:
    """`(r - lambda c) / (1 + lambda)`: the reward shown to a learner that has to keep a constraint.

    Attributes
    ----------
    reward : Reward
        r.
    measured : MeasuredBar
        What is limited; c is its share of the limit, times `unit_charge`.
    multiplier : PidMultiplier
        lambda; it sees what every paid bar costs.
    unit_charge : float
        What a bar at the limit is charged at lambda 1, in units of the reward.
    newest : list of float64 (K,)
        r and c of the newest bar, for a memory that pays it again at another lambda.
    """

    reward: Reward
    measured: MeasuredBar
    multiplier: PidMultiplier
    unit_charge: float
    newest: list[Floats] = field(default_factory=list[Floats])

    @property
    def is_in_deviations(self) -> bool:
        """Whether rewards are of order 1: as the reward is."""
        return self.reward.is_in_deviations

    @property
    def needs(self) -> tuple[str, ...]:
        """All that the reward and the measure need."""
        return tuple(dict.fromkeys((*self.reward.needs, *self.measured.needs)))

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return rewards, float64 (K,)."""
        share = self.measured.pay(bar, before, after) / self.multiplier.spec.limit
        self.multiplier.observe(share)
        paid, charge = self.reward.pay(bar, before, after), self.unit_charge * share
        self.newest[:] = paid, charge
        return charged(paid, charge, self.multiplier.value)


def charged(reward: Floats, charge: Floats, multiplier: float) -> Floats:
    """Return `(r - lambda c) / (1 + lambda)`, in the shape of the rewards."""
    return (reward - multiplier * charge) / (1.0 + multiplier)


def constrain_reward(
    reward: Reward, spec: ConstraintSpec, reward_scale: float
) -> ConstrainedReward:
    """Return a reward under a constraint, with a multiplier of 0.

    `reward_scale` is the factor that brings rewards to order 1.
    """
    unit = spec.unit_charge_deviations / reward_scale
    return ConstrainedReward(reward, MeasuredBar(spec.measure), PidMultiplier(spec), unit)
