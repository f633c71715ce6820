"""Exact figures of linear policies of several assets on AR(1) signals with quadratic costs.

All that such a policy holds and earns is made of normal variables, so second moments give all
figures. Their stationary values solve a discrete Lyapunov equation `S = T S T' + Q`.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from trading_assets.errors import DataError
from trading_assets.simulation.core import Floats


@dataclass(frozen=True, slots=True)
class LinearMarket:
    """K signals of unit variance that move N assets, and what holding and trading these costs.

    Attributes
    ----------
    loadings : float64 (N, K)
        B; expected returns of the next bar are `B f`.
    persistences : float64 (K,)
        AR(1) coefficients of the signals, which are independent.
    covariance : float64 (N, N)
        Sigma, covariance of one bar's returns given the signals.
    risk_aversion : float
        gamma of `(gamma / 2) x' Sigma x`.
    quadratic_lambda : float
        lam of `(lam / 2) dx' Sigma dx`.
    """

    loadings: Floats
    persistences: Floats
    covariance: Floats
    risk_aversion: float
    quadratic_lambda: float


@dataclass(frozen=True, slots=True)
class MatrixPolicy:
    """`x = keep x_before + gain f` with `keep` (N, N) and `gain` (N, K), float64."""

    keep: Floats
    gain: Floats


@dataclass(frozen=True, slots=True)
class PortfolioValue:
    """Stationary figures of a linear policy, each per bar as a fraction of the notional."""

    reward: float
    gross: float
    cost: float
    net: float
    net_deviation: float
    position_deviations: tuple[float, ...]

    @property
    def annual_sharpe(self) -> float:
        """Net Sharpe ratio of 252 bars."""
        return self.net / self.net_deviation * sqrt(252.0)


def evaluate_matrix_policy(market: LinearMarket, policy: MatrixPolicy) -> PortfolioValue:
    """Return the exact stationary figures of a linear policy.

    Raises
    ------
    DataError
        If positions do not stay bounded.
    """
    keep, gain, phi = policy.keep, policy.gain, market.persistences
    n, sigma = len(keep), market.covariance
    radius = float(np.abs(np.linalg.eigvals(keep)).max())
    if radius >= 1.0:
        msg = (
            f"eigenvalues of keep reached {radius:.6g} in size; expected less than 1: positions"
            " would grow without bound"
        )
        raise DataError(msg)
    moments = _moments(policy, phi)
    held, with_signal = moments[:n, :n], moments[:n, n:]
    with_before = keep @ held + (gain * phi) @ with_signal.T
    changed = 2.0 * held - with_before - with_before.T
    gross = float((market.loadings * with_signal).sum())
    cost = 0.5 * market.quadratic_lambda * float((sigma * changed).sum())
    variance_held = float((sigma * held).sum())
    # Net profit is a quadratic form of (x, x_before, f) plus x' times the returns' own noise, and
    # the variance of w' A w is 2 tr(A V A V) for normal w of covariance V.
    after = with_signal * phi
    joint = np.block(
        [
            [held, with_before, with_signal],
            [with_before.T, held, after],
            [with_signal.T, after.T, moments[n:, n:]],
        ]
    )
    form = np.zeros_like(joint)
    priced = 0.5 * market.quadratic_lambda * sigma
    form[:n, :n] = form[n : 2 * n, n : 2 * n] = -priced
    form[:n, n : 2 * n] = form[n : 2 * n, :n] = priced
    form[:n, 2 * n :] = 0.5 * market.loadings
    form[2 * n :, :n] = 0.5 * market.loadings.T
    turned = form @ joint
    variance = 2.0 * float((turned * turned.T).sum()) + variance_held
    return PortfolioValue(
        reward=gross - cost - 0.5 * market.risk_aversion * variance_held,
        gross=gross,
        cost=cost,
        net=gross - cost,
        net_deviation=sqrt(variance),
        position_deviations=tuple(float(v) for v in np.sqrt(np.diagonal(held))),
    )


def follow_matrix_policy(policy: MatrixPolicy, signals: Floats) -> Floats:
    """Return the positions of a linear policy, float64 (n_bars, n_paths, N), from a flat book on.

    Parameters
    ----------
    policy : MatrixPolicy
        The policy.
    signals : float64 (n_bars, n_paths, K)
        Signals at each close.
    """
    positions: Floats = signals @ policy.gain.T
    for bar in range(1, len(positions)):
        positions[bar] += positions[bar - 1] @ policy.keep.T
    return positions


def _moments(policy: MatrixPolicy, phi: Floats) -> Floats:
    # (x, f) after a bar is T (x, f) + R e with e the news in the signals.
    n, k = policy.gain.shape
    step = np.zeros((n + k, n + k))
    step[:n, :n], step[:n, n:] = policy.keep, policy.gain * phi
    step[n:, n:] = np.diag(phi)
    entered = np.vstack([policy.gain, np.eye(k)])
    news = (entered * (1.0 - phi**2)) @ entered.T
    return np.asarray(solve_discrete_lyapunov(step, news), dtype=np.float64)
