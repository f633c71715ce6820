"""World W1: one asset with an AR(1) alpha and quadratic costs, solved in closed form.

`f' = phi f + sqrt(1 - phi^2) e`, `r' = beta f + sigma u` with `e`, `u` standard normal; reward
`x r' - (gamma / 2) sigma^2 x^2 - (lam / 2) sigma^2 (dx)^2`. Without a signal (beta 0) it is W0,
where the best position is none.
Source: Garleanu and Pedersen, Dynamic Trading with Predictable Returns, J. Finance 68 (2013).
"""

from dataclasses import dataclass, replace
from functools import partial
from math import erfc, pi, sqrt

import numpy as np
from scipy.signal import lfilter

from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market
from trading_assets.simulation.worlds.drawing import draw_autoregression, market_of_returns
from trading_assets.simulation.worlds.world import SimplePolicy, reward_of_positions


@dataclass(frozen=True, slots=True)
class WorldOne:
    """Parameters of W1, or of W0 with an information coefficient of 0.

    Attributes
    ----------
    volatility : float
        sigma, standard deviation of one bar's return given the signal.
    persistence : float
        phi, AR(1) coefficient of the signal.
    information_coefficient : float
        beta / sigma.
    risk_aversion : float
        gamma.
    quadratic_lambda : float
        lam.
    """

    volatility: float = 0.01
    persistence: float = 0.9
    information_coefficient: float = 0.1
    risk_aversion: float = 25.0
    quadratic_lambda: float = 250.0

    @property
    def beta(self) -> float:
        """Expected return of a bar for a signal of 1."""
        return self.information_coefficient * self.volatility

    def with_information(self, information_coefficient: float) -> "WorldOne":
        """Return the world of another information coefficient with the same best path.

        gamma and lam are scaled by the ratio of the coefficients: only the noise changes.
        """
        ratio = information_coefficient / self.information_coefficient
        return replace(
            self,
            information_coefficient=information_coefficient,
            risk_aversion=self.risk_aversion * ratio,
            quadratic_lambda=self.quadratic_lambda * ratio,
        )

    @property
    def name(self) -> str:
        """`W0` without a signal, else `W1`."""
        return "W1" if self.information_coefficient != 0.0 else "W0"

    @property
    def n_assets(self) -> int:
        """One asset."""
        return 1

    @property
    def n_signals(self) -> int:
        """One signal."""
        return 1

    @property
    def fee_bps(self) -> float:
        """No proportional cost."""
        return 0.0

    @property
    def covariance(self) -> Floats:
        """Variance of a bar's return given the signal, float64 (1, 1)."""
        return np.array([[self.volatility**2]])

    @property
    def optimum(self) -> float:
        """J*, mean reward per bar of Garleanu and Pedersen's policy; 0 without a signal."""
        return evaluate_policy(self, best_policy(self)).reward

    def draw_signals(self, n_bars: int, n_paths: int, rng: np.random.Generator) -> Floats:
        """Return stationary signals, float64 (n_bars, n_paths, 1, 1), each known at its close."""
        return draw_signal(self, n_bars, n_paths, rng)[:, :, None, None]

    def draw_market(self, n_bars: int, rng: np.random.Generator) -> tuple[Market, Floats]:
        """Return one long history and its signals, float64 (n_bars, 1, 1)."""
        market, signal = draw_market(self, n_bars, rng)
        return market, signal[:, None, None]

    def mean_reward(self, signals: Floats, positions: Floats, burn_in: int) -> Floats:
        """Return each path's mean reward with the expected return in place of the drawn one."""
        return reward_of_positions(self, self.beta * signals[..., 0], positions, burn_in)

    def best_positions(self, signals: Floats) -> Floats:
        """Return the positions of Garleanu and Pedersen's policy, float64 (n_bars, n_paths, 1)."""
        return follow_policy(best_policy(self), signals)

    def simple_policies(self) -> tuple[SimplePolicy, ...]:
        """Return four policies that leave the cost, its future or the signal's decay out."""
        kappa, _ = trade_rate_and_aim(self)
        rungs = {
            "markowitz": markowitz_policy(self),
            "scaled_markowitz": markowitz_policy(self, best_constant_scale(self)),
            "markowitz_aim": LinearPolicy(1.0 - kappa, kappa * markowitz_policy(self).gain),
            "myopic": myopic_policy(self),
        }
        return tuple(
            SimplePolicy(name, evaluate_policy(self, policy).reward, partial(follow_policy, policy))
            for name, policy in rungs.items()
        )


@dataclass(frozen=True, slots=True)
class LinearPolicy:
    """`x = keep x_before + gain f`; the best policy of W1 has this form."""

    keep: float
    gain: float


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """Stationary figures of a linear policy in W1, each per bar as a fraction of the notional."""

    reward: float
    gross: float
    cost: float
    net: float
    net_deviation: float
    position_deviation: float
    mean_absolute_trade: float
    share_beyond_one: float

    @property
    def annual_sharpe(self) -> float:
        """Net Sharpe ratio of 252 bars."""
        return self.net / self.net_deviation * sqrt(252.0)


def trade_rate_and_aim(world: WorldOne, discount: float = 1.0) -> tuple[float, float]:
    """Return kappa and g of `x = (1 - kappa) x_before + kappa g f`.

    Parameters
    ----------
    world : WorldOne
        The world.
    discount : float
        1 for the average reward, less for a discounted sum.
    """
    gamma, lam = world.risk_aversion, world.quadratic_lambda
    kept = discount
    linear = gamma * kept + lam * (1.0 - kept)
    a = (-linear + sqrt(linear**2 + 4.0 * gamma * lam * kept**2)) / (2.0 * kept)
    aim = world.beta / (gamma * world.volatility**2) / (1.0 + (1.0 - world.persistence) * a / gamma)
    return a / lam, aim


def best_policy(world: WorldOne, discount: float = 1.0) -> LinearPolicy:
    """Return the policy of Garleanu and Pedersen."""
    kappa, aim = trade_rate_and_aim(world, discount)
    return LinearPolicy(keep=1.0 - kappa, gain=kappa * aim)


def markowitz_policy(world: WorldOne, scale: float = 1.0) -> LinearPolicy:
    """Return the policy that ignores costs, scaled."""
    return LinearPolicy(0.0, scale * world.beta / (world.risk_aversion * world.volatility**2))


def myopic_policy(world: WorldOne) -> LinearPolicy:
    """Return the policy that weighs costs against the next bar only."""
    gamma, lam = world.risk_aversion, world.quadratic_lambda
    gain = world.beta / world.volatility**2 / (gamma + lam)
    return LinearPolicy(lam / (gamma + lam), gain)


def best_constant_scale(world: WorldOne) -> float:
    """Return the factor on Markowitz's policy that earns most after costs; 0 without a signal."""
    # The reward is quadratic in the scale: linear gain beta m, penalties proportional to scale^2.
    full = evaluate_policy(world, markowitz_policy(world))
    if full.gross == 0.0:
        return 0.0
    return full.gross / (2.0 * (full.gross - full.reward))


def evaluate_policy(world: WorldOne, policy: LinearPolicy) -> PolicyValue:
    """Return the exact stationary figures of a linear policy."""
    sigma2, phi, beta = world.volatility**2, world.persistence, world.beta
    c, d = policy.keep, policy.gain
    exf = d / (1.0 - c * phi)
    ex2 = d**2 * (1.0 + c * phi) / ((1.0 - c**2) * (1.0 - c * phi))
    ed2 = 2.0 * ((1.0 - c) * ex2 - d * phi * exf)
    per_trade = 0.5 * world.quadratic_lambda * sigma2
    net = beta * exf - per_trade * ed2
    variance = (
        beta**2 * (ex2 + exf**2)
        + sigma2 * ex2
        + 2.0 * per_trade**2 * ed2**2
        - 2.0 * beta * per_trade * ed2 * (1.0 - phi) * exf
    )
    return PolicyValue(
        reward=net - 0.5 * world.risk_aversion * sigma2 * ex2,
        gross=beta * exf,
        cost=per_trade * ed2,
        net=net,
        net_deviation=sqrt(variance),
        position_deviation=sqrt(ex2),
        mean_absolute_trade=sqrt(2.0 / pi * ed2),
        share_beyond_one=erfc(1.0 / sqrt(2.0 * ex2)) if ex2 > 0.0 else 0.0,
    )


def follow_policy(policy: LinearPolicy, signals: Floats) -> Floats:
    """Return the positions of a linear policy, float64 (n_bars, n_paths, 1), from a flat book on.

    Parameters
    ----------
    policy : LinearPolicy
        The policy.
    signals : float64 (n_bars, n_paths, 1, 1)
        Signal at each close.
    """
    moved = lfilter([policy.gain], [1.0, -policy.keep], signals[..., 0], axis=0)
    return np.asarray(moved, dtype=np.float64)


def draw_signal(world: WorldOne, n_bars: int, n_paths: int, rng: np.random.Generator) -> Floats:
    """Return stationary signals, float64 (n_bars, n_paths)."""
    return draw_autoregression(world.persistence, (n_bars, n_paths), rng)


def draw_market(
    world: WorldOne,
    n_bars: int,
    rng: np.random.Generator,
    initial_price_usd: float = 100.0,
    symbol: str = "W1",
) -> tuple[Market, Floats]:
    """Return one long history and its signal, float64 (n_bars,).

    The signal of a row is known at its close and moves the next bar; each bar opens at the close
    before it.
    """
    signal = draw_signal(world, n_bars, 1, rng)
    noise = rng.standard_normal((n_bars - 1, 1))
    returns = np.zeros((n_bars, 1))
    returns[1:] = world.beta * signal[:-1] + world.volatility * noise
    market = market_of_returns(returns, (world.volatility,), (symbol,), initial_price_usd)
    return market, signal[:, 0]


def mean_reward(world: WorldOne, signal: Floats, position: Floats, burn_in: int) -> Floats:
    """Return the mean reward of each path with the expected return in place of the drawn one.

    Parameters
    ----------
    world : WorldOne
        The world.
    signal, position : float64 (n_bars, n_paths)
        Signal and the position chosen on it; the position before the first bar is 0.
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
    return world.mean_reward(signal[..., None, None], position[..., None], burn_in)
