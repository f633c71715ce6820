"""World W3: the signal of W1 with a proportional cost, whose best policy is a no-trade band.

Reward `x r' - (gamma / 2) sigma^2 x^2 - c |dx|` with `|x| <= 1`. The best position moves to the
nearer edge of a band [lo(f), hi(f)] and rests inside it; band and J* come from a dynamic program.
"""

from dataclasses import dataclass
from functools import cache, partial
from math import pi, sqrt

import numpy as np
from scipy.integrate import quad
from scipy.special import ndtr, owens_t

from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market
from trading_assets.simulation.worlds.no_trade_band import Band, signal_grid, solve_band
from trading_assets.simulation.worlds.one_asset import (
    LinearPolicy,
    WorldOne,
    best_policy,
    draw_market,
    evaluate_policy,
    follow_policy,
)
from trading_assets.simulation.worlds.world import SimplePolicy, reward_of_positions

# lam / gamma of the W1 whose policy is tried on W3.
_QUADRATIC_SHARE = 10.0


@dataclass(frozen=True, slots=True)
class ProportionalCostWorld:
    """Parameters of W3.

    Attributes
    ----------
    volatility : float
        sigma, standard deviation of one bar's return given the signal.
    persistence : float
        phi, AR(1) coefficient of the signal, 0 to 0.99.
    information_coefficient : float
        beta / sigma.
    risk_aversion : float
        gamma.
    fee_bps : float
        c, basis points of the notional traded.
    max_position : float
        Largest absolute position.
    """

    volatility: float = 0.01
    persistence: float = 0.9
    information_coefficient: float = 0.1
    risk_aversion: float = 25.0
    fee_bps: float = 5.0
    max_position: float = 1.0

    @property
    def name(self) -> str:
        """`W3`."""
        return "W3"

    @property
    def n_assets(self) -> int:
        """One asset."""
        return 1

    @property
    def n_signals(self) -> int:
        """One signal."""
        return 1

    @property
    def quadratic_lambda(self) -> float:
        """No quadratic cost."""
        return 0.0

    @property
    def covariance(self) -> Floats:
        """Variance of a bar's return given the signal, float64 (1, 1)."""
        return np.array([[self.volatility**2]])

    @property
    def quadratic_world(self) -> WorldOne:
        """W1 of the same signal and risk aversion, with lam ten times gamma."""
        return WorldOne(
            volatility=self.volatility,
            persistence=self.persistence,
            information_coefficient=self.information_coefficient,
            risk_aversion=self.risk_aversion,
            quadratic_lambda=_QUADRATIC_SHARE * self.risk_aversion,
        )

    @property
    def optimum(self) -> float:
        """J*, mean reward per bar of the best band."""
        return best_band(self).reward

    def draw_signals(self, n_bars: int, n_paths: int, rng: np.random.Generator) -> Floats:
        """Return stationary signals, float64 (n_bars, n_paths, 1, 1), each known at its close."""
        return self.quadratic_world.draw_signals(n_bars, n_paths, rng)

    def draw_market(self, n_bars: int, rng: np.random.Generator) -> tuple[Market, Floats]:
        """Return one long history and its signals, float64 (n_bars, 1, 1)."""
        market, signal = draw_market(self.quadratic_world, n_bars, rng, symbol=self.name)
        return market, signal[:, None, None]

    def mean_reward(self, signals: Floats, positions: Floats, burn_in: int) -> Floats:
        """Return each path's mean reward with the expected return in place of the drawn one."""
        expected = self.quadratic_world.beta * signals[..., 0]
        return reward_of_positions(self, expected, positions, burn_in)

    def best_positions(self, signals: Floats) -> Floats:
        """Return the positions that keep to the best band, float64 (n_bars, n_paths, 1)."""
        band = best_band(self)
        low = np.interp(signals[..., 0], band.signal, band.low)
        high = np.interp(signals[..., 0], band.signal, band.high)
        positions = np.empty_like(low)
        held = np.zeros(low.shape[1:])
        for bar in range(len(low)):
            held = positions[bar] = np.clip(held, low[bar], high[bar])
        return positions

    def simple_policies(self) -> tuple[SimplePolicy, ...]:
        """Return Markowitz's policy, half of it, and the best policy of a quadratic cost.

        The last is not clipped: of W1's parameters it leaves [-1, 1] in 3 of 10,000 bars.
        """
        quadratic = best_policy(self.quadratic_world)
        return (
            _scaled_rung(self, "markowitz", 1.0),
            _scaled_rung(self, "half_markowitz", 0.5),
            SimplePolicy(
                "quadratic_cost_policy",
                evaluate_linear(self, quadratic),
                partial(follow_policy, quadratic),
            ),
        )


@cache
def best_band(world: ProportionalCostWorld) -> Band:
    """Return the best band of a world, solved once in a process.

    Raises
    ------
    DataError
        If the signal is too persistent for the grid.
    """
    grid = signal_grid(world.persistence, world.max_position)
    return solve_band(reward_on(world, grid.signal, grid.position), world.fee_bps * 1e-4, grid)


def reward_on(world: ProportionalCostWorld, signal: Floats, position: Floats) -> Floats:
    """Return the expected reward of a bar before costs, float64 (n_signals, n_positions)."""
    expected = world.quadratic_world.beta * signal[:, None]
    return expected * position - 0.5 * world.risk_aversion * world.volatility**2 * position**2


def evaluate_linear(world: ProportionalCostWorld, policy: LinearPolicy) -> float:
    """Return the exact mean reward of a linear policy that is not clipped."""
    value = evaluate_policy(world.quadratic_world, policy)
    risk = 0.5 * world.risk_aversion * world.volatility**2 * value.position_deviation**2
    return value.gross - risk - world.fee_bps * 1e-4 * value.mean_absolute_trade


def evaluate_clipped(world: ProportionalCostWorld, slope: float) -> float:
    """Return the exact mean reward of `x = clip(slope f, -max_position, max_position)`.

    Stein's lemma gives E[f x]. `P(f < u < f') = 2 T(u, sqrt((1 - phi) / (1 + phi)))` with Owen's T
    gives E|dx| as an integral over the levels u that the position crosses.
    Source: Owen, Ann. Math. Stat. 27 (1956), for T.
    """
    if slope == 0.0:
        return 0.0
    edge = world.max_position / abs(slope)
    inside = float(2.0 * ndtr(edge) - 1.0)
    density = float(np.exp(-0.5 * edge**2)) / sqrt(2.0 * pi)
    square = slope**2 * (inside - 2.0 * edge * density + edge**2 * (1.0 - inside))
    turn = sqrt((1.0 - world.persistence) / (1.0 + world.persistence))
    # Beyond 10 standard deviations nothing is crossed.
    crossed = quad(owens_t, 0.0, min(edge, 10.0), args=(turn,), epsabs=1e-13)[0]
    return (
        world.quadratic_world.beta * slope * inside
        - 0.5 * world.risk_aversion * world.volatility**2 * square
        - world.fee_bps * 1e-4 * 8.0 * abs(slope) * float(crossed)
    )


def _scaled_rung(world: ProportionalCostWorld, name: str, scale: float) -> SimplePolicy:
    one = world.quadratic_world
    slope = scale * one.beta / (world.risk_aversion * world.volatility**2)

    def positions(signals: Floats) -> Floats:
        return np.clip(slope * signals[..., 0], -world.max_position, world.max_position)

    return SimplePolicy(name, evaluate_clipped(world, slope), positions)
