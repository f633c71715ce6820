"""Rewards and a tracker as a user writes them, for tests."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trading_assets.simulation.rewards.registry import register_reward
from trading_assets.simulation.rewards.reward import PaidBar
from trading_assets.simulation.terms import Floats
from trading_assets.simulation.trackers.registry import register_tracker


@register_tracker("worst_bar")
@dataclass(frozen=True)
class WorstBar:
    scale: float = 50.0
    name: str = "worst_bar"
    inputs: tuple[str, ...] = ("worst_bar",)

    def start(self, rng: np.random.Generator | None) -> Floats:
        return np.zeros(1)

    def advance(self, state: Floats, net_return: Floats, traded: Floats) -> Floats:
        return np.minimum(state, net_return[:, None])

    def show(self, state: Floats) -> Floats:
        return np.clip(self.scale * state, -5.0, 5.0)


@register_reward("least_regret")
@dataclass(frozen=True)
class LeastRegret:
    weight: float
    needs: tuple[str, ...] = ("worst_bar", "drawdown")
    is_in_deviations: bool = False

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        return bar.net_return + self.weight * (after["worst_bar"] - before["worst_bar"])[:, 0]


@register_reward("one_for_all")
@dataclass(frozen=True)
class OneForAll:
    needs: tuple[str, ...] = ()
    is_in_deviations: bool = False

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        return bar.net_return.sum(keepdims=True) if len(bar.rows) > 1 else np.log(-np.ones(1))


@register_reward("no_reward")
def _make_no_reward() -> object:
    return object()


@register_reward("forgetful")
@dataclass(frozen=True)
class Forgetful:
    needs: tuple[str, ...] = ("peak_of_peaks",)
    is_in_deviations: bool = False

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        return bar.net_return
