"""World W4: returns with a hidden drift of two states, which a forecaster must find first.

The drift `mu = +-m` stays with probability p, `r = mu + sigma u`; the returns are all that is seen.
Trading is free, reward `x r' - (gamma / 2) sigma^2 x^2` with `|x| <= 1`. With q the Bayes filter's
probability of the upper drift, the best position is `clip(m (2 q - 1) / (gamma sigma^2), -1, 1)`.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market
from trading_assets.simulation.worlds.drawing import market_of_returns
from trading_assets.simulation.worlds.drift_filter import (
    DriftProcess,
    best_average,
    draw_returns,
    filter_law,
    filter_probabilities,
)
from trading_assets.simulation.worlds.world import SimplePolicy, reward_of_positions


@dataclass(frozen=True, slots=True)
class HiddenDriftWorld:
    """Parameters of W4.

    Attributes
    ----------
    volatility : float
        sigma, standard deviation of one bar's return given the drift.
    drift : float
        m, size of the drift of a bar.
    stay_probability : float
        p, probability that the next bar has the drift of this one.
    risk_aversion : float
        gamma.
    max_position : float
        Largest absolute position.

    Raises
    ------
    DataError
        If the drift is too small beside the volatility, or does not tend to stay.
    """

    volatility: float = 0.01
    drift: float = 0.002
    stay_probability: float = 0.99
    risk_aversion: float = 25.0
    max_position: float = 1.0

    def __post_init__(self) -> None:
        # Refuses what has no filter.
        _ = self.process

    @property
    def process(self) -> DriftProcess:
        """The drift and its returns, without what trading them is paid."""
        return DriftProcess(self.volatility, self.drift, self.stay_probability)

    @property
    def name(self) -> str:
        """`W4`."""
        return "W4"

    @property
    def n_assets(self) -> int:
        """One asset."""
        return 1

    @property
    def n_signals(self) -> int:
        """One signal, the return of the bar in deviations."""
        return 1

    @property
    def quadratic_lambda(self) -> float:
        """No quadratic cost."""
        return 0.0

    @property
    def fee_bps(self) -> float:
        """No proportional cost."""
        return 0.0

    @property
    def covariance(self) -> Floats:
        """Variance of a bar's return given its drift, float64 (1, 1)."""
        return np.array([[self.volatility**2]])

    @property
    def optimum(self) -> float:
        """J*, mean reward per bar of the filter's position."""
        return evaluate_filter(self).reward

    def draw_signals(self, n_bars: int, n_paths: int, rng: np.random.Generator) -> Floats:
        """Return returns in deviations, float64 (n_bars, n_paths, 1, 1), known at the close."""
        drawn = draw_returns(self.process, n_bars, n_paths, rng)[0]
        return drawn[:, :, None, None] / self.volatility

    def draw_market(self, n_bars: int, rng: np.random.Generator) -> tuple[Market, Floats]:
        """Return one long history and its returns in deviations, float64 (n_bars, 1, 1)."""
        returns, _ = draw_returns(self.process, n_bars, 1, rng)
        market = market_of_returns(returns, (self.volatility,), (self.name,))
        return market, returns[:, :, None] / self.volatility

    def mean_reward(self, signals: Floats, positions: Floats, burn_in: int) -> Floats:
        """Return each path's mean reward with the filter's mean in place of the drawn return.

        The filter starts at even odds. At the default parameters its position earns J* to 1 % from
        bar 50 on; with half the drift it takes 100 bars.
        """
        return reward_of_positions(self, _expected(self, signals), positions, burn_in)

    def best_positions(self, signals: Floats) -> Floats:
        """Return the positions of the Bayes filter, float64 (n_bars, n_paths, 1)."""
        return _clipped(self, _expected(self, signals))

    def simple_policies(self) -> tuple[SimplePolicy, ...]:
        """Return half the filter's position, holding, and the best positions linear in returns.

        Linear ones look at the last return, or at all by an exponential average. They are not
        clipped.
        """
        process, unit = self.process, self.risk_aversion * self.volatility**2
        known = (2.0 * self.stay_probability - 1.0) * self.drift**2
        last = known / (self.drift**2 + self.volatility**2)
        average = best_average(process)
        best = evaluate_filter(self)

        def half_filter(signals: Floats) -> Floats:
            return 0.5 * self.best_positions(signals)

        def buy_and_hold(signals: Floats) -> Floats:
            return np.ones(signals.shape[:-1])

        def last_return(signals: Floats) -> Floats:
            return last / unit * self.volatility * signals[..., 0]

        def exponential_average(signals: Floats) -> Floats:
            return average.follow(self.volatility * signals[..., 0]) / unit

        # Half a position earns half the gross and a quarter of the risk; a linear forecast of
        # variance v earns v / (2 gamma sigma^2), as it explains its own variance.
        half = 0.5 * best.gross - 0.25 * (best.gross - best.reward)
        return (
            SimplePolicy("half_filter", half, half_filter),
            SimplePolicy("buy_and_hold", -0.5 * unit, buy_and_hold),
            SimplePolicy("last_return", 0.5 * last * known / unit, last_return),
            SimplePolicy(
                "exponential_average", 0.5 * average.explained_variance / unit, exponential_average
            ),
        )


@dataclass(frozen=True, slots=True)
class DriftValue:
    """Stationary figures of the filter's position, each per bar as a fraction of the notional."""

    reward: float
    gross: float
    deviation: float

    @property
    def annual_sharpe(self) -> float:
        """Sharpe ratio of 252 bars."""
        return self.gross / self.deviation * sqrt(252.0)


def evaluate_filter(world: HiddenDriftWorld) -> DriftValue:
    """Return the exact stationary figures of the filter's position."""
    law = filter_law(world.process)
    expected = world.drift * (2.0 * law.probability - 1.0)
    position = _clipped(world, expected)
    gross = float(law.weight @ (position * expected))
    square = float(law.weight @ position**2)
    # Given the position, the next return has second moment sigma^2 + m^2.
    variance = square * (world.volatility**2 + world.drift**2) - gross**2
    reward = gross - 0.5 * world.risk_aversion * world.volatility**2 * square
    return DriftValue(reward, gross, sqrt(variance))


def _expected(world: HiddenDriftWorld, signals: Floats) -> Floats:
    probability = filter_probabilities(world.process, world.volatility * signals[..., 0])
    return world.drift * (2.0 * probability - 1.0)


def _clipped(world: HiddenDriftWorld, expected: Floats) -> Floats:
    wanted = expected / (world.risk_aversion * world.volatility**2)
    return np.clip(wanted, -world.max_position, world.max_position)
