"""What all worlds that are traded bar by bar share, so that one trainer and one ladder take any.

Clock: signals and the position before are known at the close of t; a position is chosen there, its
change is paid for, and it earns the return of t + 1. A bar is paid
`x' r - (gamma / 2) x' Sigma x - (lam / 2) dx' Sigma dx - fee sum |dx|`. Positions are fractions of
a constant notional, returns are arithmetic.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trading_assets.errors import DataError
from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market


@dataclass(frozen=True, slots=True)
class SimplePolicy:
    """A rung below the optimum: a policy that leaves something out, and what it earns.

    Attributes
    ----------
    name : str
        What it is, such as `myopic`.
    reward : float
        Exact mean reward per bar; the share of the optimum is this over `World.optimum`.
    positions : callable
        From signals (n_bars, n_paths, N, F) to positions (n_bars, n_paths, N), float64, from a flat
        book on.
    """

    name: str
    reward: float
    positions: Callable[[Floats], Floats]


class World(Protocol):
    """A market of N assets and F signals an asset, with the best mean reward per bar."""

    @property
    def name(self) -> str:
        """Short name, such as `W1`."""
        ...

    @property
    def n_assets(self) -> int:
        """N."""
        ...

    @property
    def n_signals(self) -> int:
        """F, signals of an asset that a policy is shown at each close."""
        ...

    @property
    def risk_aversion(self) -> float:
        """Gamma of the reward."""
        ...

    @property
    def covariance(self) -> Floats:
        """Sigma, covariance of one bar's returns around what drives their mean, float64 (N, N)."""
        ...

    @property
    def quadratic_lambda(self) -> float:
        """Lam of the quadratic cost; 0 where there is none."""
        ...

    @property
    def fee_bps(self) -> float:
        """Proportional cost, basis points of the notional traded; 0 where there is none."""
        ...

    @property
    def optimum(self) -> float:
        """J*, best mean reward per bar."""
        ...

    def draw_signals(self, n_bars: int, n_paths: int, rng: np.random.Generator) -> Floats:
        """Return stationary signals, float64 (n_bars, n_paths, N, F), each known at its close."""
        ...

    def draw_market(self, n_bars: int, rng: np.random.Generator) -> tuple[Market, Floats]:
        """Return one long history and its signals, float64 (n_bars, N, F).

        The signals of a row are known at its close; each bar opens at the close before it.
        """
        ...

    def mean_reward(self, signals: Floats, positions: Floats, burn_in: int) -> Floats:
        """Return each path's mean reward with the expected return in place of the drawn one.

        Parameters
        ----------
        signals : float64 (n_bars, n_paths, N, F)
            As `draw_signals` returns them.
        positions : float64 (n_bars, n_paths, N)
            Chosen at each close; the position before the first bar is 0.
        burn_in : int
            First bars left out.

        Returns
        -------
        float64 (n_paths,)
            Mean reward per bar.

        Raises
        ------
        DataError
            If the arrays do not belong together, or no bar is left.
        """
        ...

    def best_positions(self, signals: Floats) -> Floats:
        """Return the best policy's positions, float64 (n_bars, n_paths, N), from a flat book on."""
        ...

    def simple_policies(self) -> tuple[SimplePolicy, ...]:
        """Return the ladder of simple policies."""
        ...


def reward_of_positions(
    world: World, expected_returns: Floats, positions: Floats, burn_in: int
) -> Floats:
    """Return the mean reward per bar of each path, net of the world's cost and risk term.

    Parameters
    ----------
    world : World
        Risk aversion, covariance and costs.
    expected_returns, positions : float64 (n_bars, n_paths, N)
        Mean of the next bar's return known at each close, and the position chosen there; the
        position before the first bar is 0.
    burn_in : int
        First bars left out.

    Returns
    -------
    float64 (n_paths,)
        Mean reward per bar.

    Raises
    ------
    DataError
        If the shapes differ or no bar is left.
    """
    if positions.shape != expected_returns.shape or positions.shape[-1] != world.n_assets:
        msg = (
            f"positions were {positions.shape} on signals of {expected_returns.shape}; expected"
            f" (n_bars, n_paths, {world.n_assets}) for both: one position an asset, path and close"
        )
        raise DataError(msg)
    if not 0 <= burn_in < len(positions):
        msg = (
            f"burn_in was {burn_in} of {len(positions)} bars; expected at least 0 and less than"
            " the number of bars: draw longer paths"
        )
        raise DataError(msg)
    covariance = world.covariance
    change = np.diff(positions, axis=0, prepend=np.zeros_like(positions[:1]))
    reward = (expected_returns * positions).sum(axis=-1)
    reward -= 0.5 * world.risk_aversion * _spread(positions, covariance)
    if world.quadratic_lambda > 0.0:
        reward -= 0.5 * world.quadratic_lambda * _spread(change, covariance)
    if world.fee_bps > 0.0:
        reward -= world.fee_bps * 1e-4 * np.abs(change).sum(axis=-1)
    return reward[burn_in:].mean(axis=0)


def _spread(x: Floats, covariance: Floats) -> Floats:
    return ((x @ covariance) * x).sum(axis=-1)
