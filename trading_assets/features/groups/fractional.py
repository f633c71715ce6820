"""Fractional differences: a price made stationary while it keeps as much memory as it can."""

from trading_assets.features.definition import Family, bars_parameter
from trading_assets.features.expressions import Column
from trading_assets.features.operations import LOG_CLOSE, fractional_difference

_LEAST_WEIGHT = 1e-4
_MOST_BARS = 252


def weight_count(order: float) -> int:
    """Return how many weights of (1 - L)^order are not below 1e-4, at most 252.

    w_0 = 1, w_k = -w_{k-1} (order - k + 1) / k (Hosking 1981).
    """
    weight, count = 1.0, 0
    while abs(weight) >= _LEAST_WEIGHT and count < _MOST_BARS:
        count += 1
        weight *= -(order - count + 1.0) / count
    return count


def _difference(order_percent: int) -> Column:
    order = order_percent / 100.0
    return fractional_difference(LOG_CLOSE, order, weight_count(order))


FAMILIES = (
    Family(
        "fractional_difference",
        "returns",
        "(1 - L)^({order_percent} / 100) ln close, weights below 1e-4 or older than 252 bars cut",
        "log price",
        (bars_parameter(1, 100, "order_percent"),),
        _difference,
    ),
)
