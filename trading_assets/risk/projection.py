"""Risk limits as a projection: one function used in training, backtest and paper trading."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.strategy import PolicySpec, RiskSpec

FEASIBILITY_TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class WeightLimits:
    """Limits on target weights.

    Attributes
    ----------
    max_weight : float
        Largest absolute weight of one symbol.
    max_gross : float
        Largest sum of absolute weights.
    is_long_only : bool
        Whether negative weights are forbidden.
    """

    max_weight: float
    max_gross: float
    is_long_only: bool


def declared_limits(risk: RiskSpec, policy: PolicySpec) -> WeightLimits:
    """Return the weight limits that a strategy declares."""
    return WeightLimits(
        max_weight=risk.max_weight,
        max_gross=risk.max_gross,
        is_long_only=policy.position == "long_only",
    )


def project_weights(
    weights: NDArray[np.float64], limits: WeightLimits, tradable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the nearest weights, in Euclidean distance, that keep the limits.

    Rows are independent and a row's result does not depend on the others. Projecting twice changes
    nothing.

    Parameters
    ----------
    weights : float64 (..., n_symbols)
        Wanted weights, finite.
    limits : WeightLimits
        Box, gross limit and whether short positions are allowed.
    tradable : bool (..., n_symbols)
        Symbols that may be held; the others get 0. Broadcast against `weights`.

    Returns
    -------
    float64 (..., n_symbols)
        Weights within the box whose absolute sum is at most `max_gross` (to 1e-12).
    """
    low = 0.0 if limits.is_long_only else -limits.max_weight
    boxed = np.where(tradable, np.minimum(np.maximum(weights, low), limits.max_weight), 0.0)
    gross = np.abs(boxed).sum(axis=-1)
    is_over = gross > limits.max_gross * (1.0 + FEASIBILITY_TOLERANCE)
    if not is_over.any():
        return boxed
    # Unlike in the box alone, how far a weight lies outside its box matters here.
    wanted = np.maximum(weights, 0.0) if limits.is_long_only else np.abs(weights)
    size = np.where(tradable, wanted, 0.0)
    if boxed.ndim == 1:
        return np.sign(boxed) * _shrink(size[None, :], limits)[0]
    boxed[is_over] = np.sign(boxed[is_over]) * _shrink(size[is_over], limits)
    return boxed


def _shrink(size: NDArray[np.float64], limits: WeightLimits) -> NDArray[np.float64]:
    # The projection on {0 <= x <= c, sum x = G} is clip(size - tau, 0, c). Its sum falls piecewise
    # linearly in tau with kinks at size and size - c: find the segment, then interpolate.
    cap, total = limits.max_weight, limits.max_gross
    kinks = np.sort(np.concatenate([size, np.maximum(size - cap, 0.0)], axis=-1), axis=-1)
    sums = np.clip(size[:, None, :] - kinks[:, :, None], 0.0, cap).sum(axis=-1)
    # `sums` falls along the kinks from above G to 0, so both neighbours exist.
    after = np.argmax(sums <= total, axis=-1)
    rows = np.arange(size.shape[0])
    before = np.maximum(after - 1, 0)
    high, low = sums[rows, before], sums[rows, after]
    span = np.where(high > low, high - low, 1.0)
    share = np.where(high > low, (high - total) / span, 0.0)
    tau = kinks[rows, before] + share * (kinks[rows, after] - kinks[rows, before])
    return np.clip(size - tau[:, None], 0.0, cap)


def binding_limits(
    raw: NDArray[np.float64], limits: WeightLimits, tradable: NDArray[np.bool_]
) -> list[str]:
    """Name, symbol by symbol, the limits that change a raw weight.

    Parameters
    ----------
    raw : float64 (n_symbols,)
        Weights before limits.
    limits : WeightLimits
        Limits to be applied.
    tradable : bool (n_symbols,)
        Symbols that may be held.

    Returns
    -------
    list of str
        For each symbol the names that bind, joined by `+` (`untradable`, `long_only`, `max_weight`,
        `max_gross`), or an empty string.
    """
    low = 0.0 if limits.is_long_only else -limits.max_weight
    boxed = np.where(tradable, np.clip(raw, low, limits.max_weight), 0.0)
    projected = project_weights(raw, limits, tradable)
    is_gross_bound = np.abs(projected) < np.abs(boxed) - FEASIBILITY_TOLERANCE
    names: list[str] = []
    for weight, is_tradable, is_scaled in zip(raw, tradable, is_gross_bound, strict=True):
        found: list[str] = []
        if not is_tradable and weight != 0.0:
            found.append("untradable")
        elif limits.is_long_only and weight < 0.0:
            found.append("long_only")
        elif is_tradable and abs(weight) > limits.max_weight:
            found.append("max_weight")
        if is_scaled:
            found.append("max_gross")
        names.append("+".join(found))
    return names
