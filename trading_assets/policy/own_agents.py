"""Agents of a user's own, by the names that their modules register."""

from collections.abc import Callable

from trading_assets.agent_specs import OwnAgentSpec
from trading_assets.declaration_mistakes import expected_names
from trading_assets.errors import DataError, DeclarationError, shown
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.training import Training

Trainer = Callable[[Training], TrainedPolicy]

_OWN: dict[str, Trainer] = {}


def register_agent(name: str) -> Callable[[Trainer], Trainer]:
    """Make what is decorated the trainer that `name` stands for in `algorithm: own`.

    It is given a `policy.training.Training`, whose agent holds the declared parameters, and returns
    a `policy.networks.TrainedPolicy`. A name registered again is replaced.
    """

    def register(trainer: Trainer) -> Trainer:
        _OWN[name] = trainer
        return trainer

    return register


def train_own(training: Training, agent: OwnAgentSpec) -> TrainedPolicy:
    """Train with a trainer that a module of `policy.modules` registered.

    Raises
    ------
    DeclarationError
        If none of that name is registered.
    DataError
        If it returns no policy, or one that observes something else.
    """
    if agent.name not in _OWN:
        msg = (
            f"agent {shown(agent.name)} is not registered; {expected_names(agent.name, _OWN)}:"
            f" decorate a trainer with register_agent({agent.name!r}) in one of policy.modules"
        )
        raise DeclarationError(msg)
    policy = _OWN[agent.name](training)
    if not isinstance(policy, TrainedPolicy) or policy.rules != training.rules:  # pyright: ignore[reportUnnecessaryIsInstance]  # written by others
        msg = (
            f"agent {agent.name} returned {type(policy).__name__}; expected a TrainedPolicy with"
            " the rules of its training"
        )
        raise DataError(msg)
    return policy
