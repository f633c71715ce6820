"""Which trainer an agent's declaration asks for."""

import numpy as np

from trading_assets.agent_specs import DirectSpec, OwnAgentSpec, TeacherSpec, refusal_of
from trading_assets.errors import DataError, DeclarationError
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.own_agents import train_own
from trading_assets.policy.training import Training


def train(training: Training) -> TrainedPolicy:
    """Train an agent by its declared algorithm; the same seed gives the same bytes.

    Raises
    ------
    DataError
        If the observations or rewards of the task are not finite, its windows do not fit, or a
        rule that is imitated cannot be made for it.
    DeclarationError
        If the algorithm cannot use a constraint or randomisation of the training, or an agent of
        one's own is not registered.
    """
    _require_trainable(training)
    _require_usable(training)
    if isinstance(training.agent, DirectSpec):
        from trading_assets.policy.direct import train_direct

        return train_direct(training)
    if isinstance(training.agent, TeacherSpec):
        from trading_assets.policy.taught import train_taught

        return train_taught(training, training.agent)
    if isinstance(training.agent, OwnAgentSpec):
        return train_own(training, training.agent)
    from trading_assets.policy.sb3_agents import train_sb3

    return train_sb3(training)


def _require_trainable(training: Training) -> None:
    """Refuse what would be learned from numbers that are none."""
    task, episodes = training.task, training.episodes
    task.require_window(episodes.first_row)
    rows = slice(episodes.first_row - task.view.window_bars + 1, episodes.last_row + 1)
    for name, values in (("observations", task.view.context), ("covariances", task.covariance)):
        is_finite = np.isfinite(values[rows] if len(values) > 1 else values)
        if not is_finite.all():
            row = rows.start + int(np.argwhere(~is_finite)[0][0])
            msg = (
                f"{name} at {task.market.sessions[row]} hold"
                f" {int((~is_finite).sum())} numbers that are nan or infinite in the train window;"
                " expected finite ones: see which features or prices of that session are"
            )
            raise DataError(msg)


def _require_usable(training: Training) -> None:
    agent = training.agent
    declared = {
        "policy.constraint": training.constraint,
        "policy.randomisation": training.task.randomisation,
    }
    for field, value in declared.items():
        msg = None if value is None else refusal_of(agent, agent.algorithm, field)
        if msg is not None:
            raise DeclarationError(msg)
