"""Which trainer an agent's declaration asks for."""

from trading_assets.agent_specs import DirectSpec
from trading_assets.policy.networks import TrainedPolicy
from trading_assets.policy.training import Training


def train(training: Training) -> TrainedPolicy:
    """Train an agent by its declared algorithm; the same seed gives the same bytes.

    Raises
    ------
    DataError
        If the observations or rewards of the task are not finite, or its windows do not fit.
    """
    if isinstance(training.agent, DirectSpec):
        from trading_assets.policy.direct import train_direct

        return train_direct(training)
    from trading_assets.policy.sb3_agents import train_sb3

    return train_sb3(training)
