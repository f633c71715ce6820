"""Active return by sector: what sectors were held, and what was held within them.

Sources: Brinson and Fachler, Measuring Non-US Equity Portfolio Performance, Journal of Portfolio
Management 11(3) (1985).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CASH = "cash"


@dataclass(frozen=True, slots=True)
class SectorEffects:
    """Effects of each session by sector, of which cash is the last one.

    Attributes
    ----------
    sectors : tuple of str
        J sectors and `cash`.
    allocation, selection : float64 (T, J + 1)
        From holding more or less of a sector than the benchmark, and from what was held of it; the
        second has what both do together, and what was traded since the close before.
    benchmark : float64 (T,)
        Return of the benchmark.
    """

    sectors: tuple[str, ...]
    allocation: Array
    selection: Array
    benchmark: Array


def sector_effects(
    contributions: Array, weights: Array, returns: Array, sectors: tuple[str, ...]
) -> SectorEffects:
    """Return the effects against equal weights of all symbols with a return.

    Effects of a session add up to the sum of its contributions less the benchmark's return.

    Parameters
    ----------
    contributions : float64 (T, N)
        Gain of each symbol over the equity at the close before.
    weights : float64 (T, N)
        Value held at the close before, over that equity; the rest is cash, which earns nothing.
    returns : float64 (T, N)
        Total returns of symbols, nan where there is none.
    sectors : tuple of str
        Sector of each of the N symbols.
    """
    names = tuple(sorted(set(sectors)))
    of_sector = np.array([[sector == name for name in names] for sector in sectors])
    is_priced = np.isfinite(returns)
    count = is_priced.sum(axis=1, keepdims=True)
    earned = np.where(is_priced, returns, 0.0)
    total = np.divide(earned.sum(axis=1, keepdims=True), count, where=count > 0, out=_zeros(count))
    held = is_priced.astype(np.float64) @ of_sector
    share = np.divide(held, count, where=count > 0, out=_zeros(held))
    # A sector that the benchmark lacks earns the benchmark's return: all of it is selection.
    own = np.divide(earned @ of_sector, held, where=held > 0.0, out=np.tile(total, len(names)))
    own_weight, own_gain = weights @ of_sector, contributions @ of_sector
    in_cash = 1.0 - weights.sum(axis=1, keepdims=True)
    allocation = (own_weight - share) * (own - total)
    return SectorEffects(
        (*names, CASH),
        np.hstack([allocation, -in_cash * total]),
        np.hstack([own_gain - own_weight * own, _zeros(total)]),
        total[:, 0],
    )


def _zeros(like: NDArray[np.generic]) -> Array:
    return np.zeros(like.shape)
