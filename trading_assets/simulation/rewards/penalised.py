"""Any reward less penalties."""

from collections.abc import Mapping
from dataclasses import dataclass

from trading_assets.simulation.rewards.penalties.penalty import Penalty
from trading_assets.simulation.rewards.reward import PaidBar, Reward
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class Penalised:
    """A reward less penalties, which are in the reward's own unit.

    Penalties are fractions of equity or of the notional; where the reward is in deviations, they
    are divided by the mean volatility of symbols, so that a weight means the same of any reward.

    Attributes
    ----------
    reward : Reward
        What is paid.
    penalties : tuple of Penalty
        What is charged.
    """

    reward: Reward
    penalties: tuple[Penalty, ...]

    @property
    def is_in_deviations(self) -> bool:
        """Whether rewards are of order 1: as the reward is."""
        return self.reward.is_in_deviations

    @property
    def needs(self) -> tuple[str, ...]:
        """All that the reward and the penalties need."""
        needed = [*self.reward.needs, *(name for p in self.penalties for name in p.needs)]
        return tuple(dict.fromkeys(needed))

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        """Return rewards, float64 (K,)."""
        charged = sum(penalty.charge(bar, before, after) for penalty in self.penalties)
        if self.is_in_deviations:
            charged = charged / bar.mean_volatility
        return self.reward.pay(bar, before, after) - charged
