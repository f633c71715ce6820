"""The no-trade band of a position under a proportional cost, by relative value iteration.

A position that earns a concave reward, driven by a signal, and pays for each unit of its change is
best moved to the nearer edge of a band that depends on the signal, and left alone inside it.
Sources: Davis and Norman, Portfolio Selection with Transaction Costs, Math. Oper. Res. 15 (1990),
for the band; Puterman, Markov Decision Processes (1994), 8.5, for the iteration.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from trading_assets.errors import DataError
from trading_assets.simulation.core import Floats

# At 4, cutting the tails off would cost 0.15 % of J*.
SIGNAL_LIMIT = 5.0
SIGNAL_NODES = 81
POSITION_NODES = 161
# Beyond it a bar's change of the signal is finer than the grid.
MOST_PERSISTENCE = 0.99
_RELATIVE_TOLERANCE = 1e-10
_MOST_SWEEPS = 10_000


@dataclass(frozen=True, slots=True)
class Grid:
    """Nodes of the dynamic program.

    Attributes
    ----------
    signal, position : float64 (n_signals,), (n_positions,)
        Nodes, ascending.
    transition : float64 (n_signals, n_signals)
        Probability of the next node (column) given the present one (row).
    """

    signal: Floats
    position: Floats
    transition: Floats


@dataclass(frozen=True, slots=True)
class Band:
    """The best policy and its mean reward per bar.

    Attributes
    ----------
    reward : float
        J*.
    signal, low, high : float64 (n_signals,)
        Edges of the band at nodes of the signal, to be interpolated; read-only.
    """

    reward: float
    signal: Floats
    low: Floats
    high: Floats


def signal_grid(persistence: float, max_position: float) -> Grid:
    """Return evenly spaced nodes whose transitions are weighted by the normal density.

    As a quadrature this is exact to rounding for smooth functions. The mass of cells around the
    nodes would widen the signal's variance, and with it J*, by half a percent.
    Source: Tauchen and Hussey, Econometrica 59 (1991).

    Parameters
    ----------
    persistence : float
        phi of an AR(1) signal of variance 1, 0 to 0.99.
    max_position : float
        Largest absolute position.

    Raises
    ------
    DataError
        If the signal is too persistent for the grid.
    """
    if not 0.0 <= persistence <= MOST_PERSISTENCE:
        msg = (
            f"persistence was {persistence}; expected 0 to {MOST_PERSISTENCE}: the grid of signals"
            " does not resolve slower ones"
        )
        raise DataError(msg)
    signal = np.linspace(-SIGNAL_LIMIT, SIGNAL_LIMIT, SIGNAL_NODES)
    position = np.linspace(-max_position, max_position, POSITION_NODES)
    distance = (signal - persistence * signal[:, None]) / sqrt(1.0 - persistence**2)
    density = np.exp(-0.5 * distance**2)
    return Grid(signal, position, density / density.sum(axis=1, keepdims=True))


def solve_band(earned: Floats, fee: float, grid: Grid) -> Band:
    """Return the band of the largest mean reward per bar.

    Parameters
    ----------
    earned : float64 (n_signals, n_positions)
        Expected reward of a bar before costs, concave in the position.
    fee : float
        Cost of a unit of position changed.
    grid : Grid
        Nodes and transitions.

    Raises
    ------
    DataError
        If the iteration does not settle.
    """
    x = grid.position
    tolerance = _RELATIVE_TOLERANCE * float(np.abs(earned).max())
    value = np.zeros_like(earned)
    for _ in range(_MOST_SWEEPS):
        # What each position is worth after the trade, then the best one to buy or sell up to.
        worth = earned + grid.transition @ value
        bought = np.maximum.accumulate((worth - fee * x)[:, ::-1], axis=1)[:, ::-1] + fee * x
        sold = np.maximum.accumulate(worth + fee * x, axis=1) - fee * x
        better = np.maximum(bought, sold)
        gained = better - value
        if float(np.ptp(gained)) < tolerance:
            # J* lies between the least and the largest gain.
            reward = 0.5 * float(gained.max() + gained.min())
            low = x[np.argmax(worth - fee * x, axis=1)]
            high = x[np.argmax(worth + fee * x, axis=1)]
            return Band(reward, *(_read_only(edge) for edge in (grid.signal, low, high)))
        value = better - better[len(better) // 2, len(x) // 2]
    msg = (
        f"value iteration had not settled after {_MOST_SWEEPS} sweeps; expected all nodes to gain"
        " alike by then: use a signal of less persistence"
    )
    raise DataError(msg)


def _read_only(values: Floats) -> Floats:
    values.setflags(write=False)
    return values
