"""World W2: correlated assets with slow and fast signals and quadratic costs, in closed form.

`f_k' = phi_k f_k + sqrt(1 - phi_k^2) e_k` for each asset and kind of signal, `r' = B f + u` with
`u` normal of covariance Sigma; cost `(lam / 2) dx' Sigma dx`. As cost and risk share Sigma, one
scalar rate serves all assets: `x = x_before + kappa (aim - x_before)`, and signals that fade are
discounted in the aim ("aim in front of the target").
Source: Garleanu and Pedersen, Dynamic Trading with Predictable Returns, J. Finance 68 (2013).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from trading_assets.errors import DataError
from trading_assets.simulation.core import Floats
from trading_assets.simulation.market import Market
from trading_assets.simulation.worlds.drawing import draw_autoregression, market_of_returns
from trading_assets.simulation.worlds.linear_policies import (
    LinearMarket,
    MatrixPolicy,
    PortfolioValue,
    evaluate_matrix_policy,
    follow_matrix_policy,
)
from trading_assets.simulation.worlds.world import SimplePolicy, reward_of_positions


@dataclass(frozen=True, slots=True)
class CrossAssetWorld:
    """Parameters of W2.

    Attributes
    ----------
    volatilities : tuple of float
        sigma_i, standard deviation of one bar's return of each asset given the signals.
    correlation : float
        Correlation of any two assets' returns given the signals.
    persistences : tuple of float
        phi_k, AR(1) coefficient of each kind of signal.
    information_coefficients : tuple of float
        For each kind of signal its beta on an asset over that asset's volatility.
    risk_aversion : float
        gamma.
    quadratic_lambda : float
        lam.

    Raises
    ------
    DataError
        If kinds of signals are not paired or the correlation leaves no positive covariance.
    """

    volatilities: tuple[float, ...] = (0.008, 0.010, 0.012, 0.015)
    correlation: float = 0.4
    persistences: tuple[float, ...] = (0.95, 0.7)
    information_coefficients: tuple[float, ...] = (0.08, 0.12)
    risk_aversion: float = 60.0
    quadratic_lambda: float = 600.0

    def __post_init__(self) -> None:
        if len(self.persistences) != len(self.information_coefficients):
            msg = (
                f"persistences were {self.persistences} and information coefficients"
                f" {self.information_coefficients}; expected one of each for a kind of signal"
            )
            raise DataError(msg)
        lowest = -1.0 / max(len(self.volatilities) - 1, 1)
        if not lowest < self.correlation < 1.0:
            msg = (
                f"correlation was {self.correlation}; expected between {lowest:.6g} and 1 for"
                f" {len(self.volatilities)} assets, ends excluded"
            )
            raise DataError(msg)

    @property
    def name(self) -> str:
        """`W2`."""
        return "W2"

    @property
    def n_assets(self) -> int:
        """N."""
        return len(self.volatilities)

    @property
    def n_signals(self) -> int:
        """F, kinds of signals."""
        return len(self.persistences)

    @property
    def fee_bps(self) -> float:
        """No proportional cost."""
        return 0.0

    @property
    def covariance(self) -> Floats:
        """Sigma, float64 (N, N)."""
        sigma = np.array(self.volatilities)
        correlation = np.full((len(sigma), len(sigma)), self.correlation)
        np.fill_diagonal(correlation, 1.0)
        return correlation * np.outer(sigma, sigma)

    @property
    def betas(self) -> Floats:
        """Expected return of each asset for each kind of its own signals of 1, float64 (N, F)."""
        return np.outer(self.volatilities, self.information_coefficients)

    @property
    def optimum(self) -> float:
        """J*, mean reward per bar of Garleanu and Pedersen's policy."""
        return evaluate_policy(self, best_policy(self)).reward

    def draw_signals(self, n_bars: int, n_paths: int, rng: np.random.Generator) -> Floats:
        """Return stationary signals, float64 (n_bars, n_paths, N, F), each known at its close."""
        shape = (n_bars, n_paths, self.n_assets)
        return np.stack([draw_autoregression(phi, shape, rng) for phi in self.persistences], -1)

    def draw_market(self, n_bars: int, rng: np.random.Generator) -> tuple[Market, Floats]:
        """Return one long history and its signals, float64 (n_bars, N, F)."""
        signals = self.draw_signals(n_bars, 1, rng)[:, 0]
        noise = rng.standard_normal((n_bars - 1, self.n_assets))
        returns = np.zeros((n_bars, self.n_assets))
        returns[1:] = (self.betas * signals[:-1]).sum(axis=-1)
        returns[1:] += noise @ np.linalg.cholesky(self.covariance).T
        symbols = tuple(f"W2.{asset + 1}" for asset in range(self.n_assets))
        return market_of_returns(returns, self.volatilities, symbols), signals

    def mean_reward(self, signals: Floats, positions: Floats, burn_in: int) -> Floats:
        """Return each path's mean reward with the expected return in place of the drawn one."""
        expected = (self.betas * signals).sum(axis=-1)
        return reward_of_positions(self, expected, positions, burn_in)

    def best_positions(self, signals: Floats) -> Floats:
        """Return the positions of Garleanu and Pedersen's policy, float64 (n_bars, n_paths, N)."""
        return follow_policy(best_policy(self), signals)

    def simple_policies(self) -> tuple[SimplePolicy, ...]:
        """Return five policies that leave costs, the signals' decay or correlations out."""
        rungs = {
            "markowitz": markowitz_policy(self),
            "scaled_markowitz": markowitz_policy(self, best_constant_scale(self)),
            "markowitz_aim": markowitz_aim_policy(self),
            "uncorrelated": uncorrelated_policy(self),
            "myopic": myopic_policy(self),
        }
        return tuple(_rung(self, name, policy) for name, policy in rungs.items())


def linear_market(world: CrossAssetWorld) -> LinearMarket:
    """Return the world with its N F signals in one row, those of the first asset first."""
    n, f = world.n_assets, world.n_signals
    loadings = np.zeros((n, n, f))
    loadings[np.arange(n), np.arange(n)] = world.betas
    return LinearMarket(
        loadings=loadings.reshape(n, n * f),
        persistences=np.tile(world.persistences, n),
        covariance=world.covariance,
        risk_aversion=world.risk_aversion,
        quadratic_lambda=world.quadratic_lambda,
    )


def trade_rate_and_discounts(world: CrossAssetWorld) -> tuple[float, Floats]:
    """Return kappa, and for each kind of signal its weight in the aim, float64 (F,)."""
    gamma, lam = world.risk_aversion, world.quadratic_lambda
    a = (sqrt(gamma**2 + 4.0 * gamma * lam) - gamma) / 2.0
    return a / lam, 1.0 / (1.0 + (1.0 - np.array(world.persistences)) * a / gamma)


def best_policy(world: CrossAssetWorld) -> MatrixPolicy:
    """Return the policy of Garleanu and Pedersen."""
    kappa, discounts = trade_rate_and_discounts(world)
    return _toward(kappa, _aim(world, world.covariance, discounts))


def markowitz_policy(world: CrossAssetWorld, scale: float = 1.0) -> MatrixPolicy:
    """Return the policy that ignores costs, scaled."""
    aim = _aim(world, world.covariance, np.ones(world.n_signals))
    return MatrixPolicy(np.zeros((world.n_assets, world.n_assets)), scale * aim)


def markowitz_aim_policy(world: CrossAssetWorld) -> MatrixPolicy:
    """Return the policy of the best rate whose aim takes no signal to fade."""
    kappa, _ = trade_rate_and_discounts(world)
    return _toward(kappa, _aim(world, world.covariance, np.ones(world.n_signals)))


def uncorrelated_policy(world: CrossAssetWorld) -> MatrixPolicy:
    """Return the policy that would be best if returns were uncorrelated."""
    kappa, discounts = trade_rate_and_discounts(world)
    return _toward(kappa, _aim(world, np.diag(np.diagonal(world.covariance)), discounts))


def myopic_policy(world: CrossAssetWorld) -> MatrixPolicy:
    """Return the policy that weighs costs against the next bar only."""
    rate = world.risk_aversion / (world.risk_aversion + world.quadratic_lambda)
    return _toward(rate, _aim(world, world.covariance, np.ones(world.n_signals)))


def best_constant_scale(world: CrossAssetWorld) -> float:
    """Return the factor on Markowitz's policy that earns most after costs; 0 without a signal."""
    full = evaluate_policy(world, markowitz_policy(world))
    return full.gross / (2.0 * (full.gross - full.reward)) if full.gross > 0.0 else 0.0


def evaluate_policy(world: CrossAssetWorld, policy: MatrixPolicy) -> PortfolioValue:
    """Return the exact stationary figures of a linear policy."""
    return evaluate_matrix_policy(linear_market(world), policy)


def follow_policy(policy: MatrixPolicy, signals: Floats) -> Floats:
    """Return the positions of a linear policy, float64 (n_bars, n_paths, N), from a flat book on.

    Parameters
    ----------
    policy : MatrixPolicy
        The policy.
    signals : float64 (n_bars, n_paths, N, F)
        Signals at each close.
    """
    return follow_matrix_policy(policy, signals.reshape(*signals.shape[:2], -1))


def _aim(world: CrossAssetWorld, covariance: Floats, discounts: Floats) -> Floats:
    market = linear_market(world)
    discounted = market.loadings * np.tile(discounts, world.n_assets)
    aim = np.linalg.solve(world.risk_aversion * covariance, discounted)
    return np.asarray(aim, dtype=np.float64)


def _toward(rate: float, aim: Floats) -> MatrixPolicy:
    return MatrixPolicy((1.0 - rate) * np.eye(len(aim)), rate * aim)


def _rung(world: CrossAssetWorld, name: str, policy: MatrixPolicy) -> SimplePolicy:
    def positions(signals: Floats) -> Floats:
        return follow_policy(policy, signals)

    return SimplePolicy(name, evaluate_policy(world, policy).reward, positions)
