"""World W1 under a limit on the mean variance of positions, solved in closed form.

The multiplier of the limit is a further risk aversion: the best policy that keeps it is W1's best
one at a larger gamma.
"""

from dataclasses import replace

from trading_assets.errors import DataError
from trading_assets.simulation.worlds.one_asset import (
    LinearPolicy,
    WorldOne,
    best_policy,
    evaluate_policy,
)

_BISECTIONS = 60


def mean_variance_of(world: WorldOne, policy: LinearPolicy) -> float:
    """Return the stationary mean of `x^2 sigma^2`, a fraction squared a bar."""
    return (evaluate_policy(world, policy).position_deviation * world.volatility) ** 2


def limited_policy(world: WorldOne, variance_limit: float) -> LinearPolicy:
    """Return the policy that earns most of those whose mean variance is at most a limit.

    Parameters
    ----------
    world : WorldOne
        W1.
    variance_limit : float
        Largest stationary mean of `x^2 sigma^2`.

    Raises
    ------
    DataError
        If the limit is not above 0.
    """
    if variance_limit <= 0.0:
        msg = f"variance_limit was {variance_limit:g}; expected it above 0, as 0 leaves no position"
        raise DataError(msg)

    def policy_at(risk_aversion: float) -> LinearPolicy:
        return best_policy(replace(world, risk_aversion=risk_aversion))

    low = high = world.risk_aversion
    while mean_variance_of(world, policy_at(high)) > variance_limit:
        low, high = high, 2.0 * high
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if mean_variance_of(world, policy_at(middle)) > variance_limit:
            low = middle
        else:
            high = middle
    return policy_at(high)
