"""Which candidate serves: the network if it beats the logistic model beyond chance, else a gate."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.forecast.comparison import LossDifference, Resampling, compare_losses
from trading_assets.forecast.predictions import CandidateName

Array = NDArray[np.float64]

MOST_P_VALUE = 0.05


@dataclass(frozen=True, slots=True)
class Selection:
    """The candidate that serves, why, and how the network did against the logistic model."""

    served: CandidateName
    reason: str
    comparison: LossDifference | None


def select_served(
    losses: Mapping[CandidateName, Array],
    sessions: NDArray[np.int64],
    horizon_bars: int,
    seed: int,
) -> Selection:
    """Return which of the candidates serves.

    The network serves if its log-loss lies below that of the logistic model with a one-sided p
    below 0.05, and below that of every other gate. Otherwise the gate with the least log-loss does.

    Parameters
    ----------
    losses : mapping of str to float64 (n,)
        Log-loss of each judging row under each candidate, nats.
    sessions : int64 (n,)
        Session of each row; blocks of sessions are resampled.
    horizon_bars : int
        Bars of a label, which blocks are at least as long as.
    seed : int
        Of the resampling.
    """
    means = {name: float(loss.mean()) for name, loss in losses.items()}
    if len(losses) == 1:
        (only,) = losses
        return Selection(only, f"{only} was the only candidate asked for", None)
    gates: list[CandidateName] = [name for name in losses if name != "network"]
    best = gates[int(np.argmin([means[name] for name in gates]))]
    said = f"{best} with {means[best]:.4f} nats is the best gate"
    if "network" not in losses:
        return Selection(best, said, None)
    found = compare_losses(
        losses["network"], losses["logistic"], sessions, Resampling(horizon_bars, seed)
    )
    gained = (
        f"the network with {means['network']:.4f} nats gains {found.difference:.4f} on logistic"
    )
    if math.isnan(found.p_value):
        unproven = f"{gained} over {found.sessions} sessions, too few to tell from chance"
        return Selection(best, f"{unproven}; {said}", found)
    gained += f" ({found.low:.4f} to {found.high:.4f}, p {found.p_value:.3f})"
    if found.p_value >= MOST_P_VALUE:
        return Selection(best, f"{gained}, not with p below {MOST_P_VALUE:g}; {said}", found)
    if means[best] <= means["network"]:
        return Selection(best, f"{gained}, but {said}", found)
    return Selection("network", f"{gained}, and no gate is better", found)
