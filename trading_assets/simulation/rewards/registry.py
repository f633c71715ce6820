"""Rewards of a user's own, by the names that their modules register."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

from trading_assets.declaration_mistakes import expected_names
from trading_assets.errors import DataError, DeclarationError, shown
from trading_assets.simulation.rewards.reward import PaidBar, Reward
from trading_assets.simulation.terms import Floats

MakesReward = TypeVar("MakesReward", bound=Callable[..., Any])

_OWN: dict[str, Callable[..., Any]] = {}


def register_reward(name: str) -> Callable[[MakesReward], MakesReward]:
    """Make what is decorated, usually a frozen dataclass, the reward that `name` stands for.

    It is called with the declared parameters and returns a `rewards.reward.Reward`; a module that
    is named under `policy.modules` is imported before. A name registered again is replaced.
    """

    def register(maker: MakesReward) -> MakesReward:
        _OWN[name] = maker
        return maker

    return register


def make_own_reward(name: str, parameters: Mapping[str, Any], modules: Sequence[str]) -> Reward:
    """Return the reward that a user's module registered.

    Parameters
    ----------
    name : str
        Name it was registered under.
    parameters : mapping of str to value
        Its parameters.
    modules : sequence of str
        Modules that were imported, for the message.

    Raises
    ------
    DeclarationError
        If none of that name is registered, or it cannot be made with these parameters.
    """
    if name not in _OWN:
        where = f"imported from {', '.join(modules)}" if modules else "and policy.modules is empty"
        msg = (
            f"reward {shown(name)} is not registered {where}; {expected_names(name, _OWN)}:"
            f" decorate a reward with register_reward({name!r}) in one of policy.modules"
        )
        raise DeclarationError(msg)
    try:
        reward = _OWN[name](**parameters)
    except TypeError as error:
        msg = f"reward {name} cannot be made with {dict(parameters)} ({error}); correct parameters"
        raise DeclarationError(msg) from error
    missing = [part for part in ("needs", "pay", "is_in_deviations") if not hasattr(reward, part)]
    if missing:
        msg = (
            f"reward {name} has no {', '.join(missing)}; expected what"
            " trading_assets.simulation.rewards.reward.Reward asks for"
        )
        raise DeclarationError(msg)
    return _OwnReward(name, cast("Reward", reward))


@dataclass(frozen=True, slots=True)
class _OwnReward:
    """A user's reward, held to what it has to return."""

    name: str
    reward: Reward

    @property
    def is_in_deviations(self) -> bool:
        return self.reward.is_in_deviations

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(self.reward.needs)

    def pay(
        self, bar: PaidBar, before: Mapping[str, Floats], after: Mapping[str, Floats]
    ) -> Floats:
        paid = np.asarray(self.reward.pay(bar, before, after), dtype=np.float64)
        expected = (len(bar.outcome),)
        if paid.shape != expected or not np.isfinite(paid).all():
            what = "values that are not finite" if paid.shape == expected else f"{paid.shape}"
            msg = (
                f"reward {self.name} paid {what}; expected one finite number for each of"
                f" {expected[0]} books: correct its pay"
            )
            raise DataError(msg)
        return paid
