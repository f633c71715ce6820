"""Almgren and Chriss's model of execution: cost and risk of a trajectory, and the best of them.

Almgren, R. and Chriss, N. (2000), Optimal execution of portfolio transactions, Journal of Risk
3 (2), 5-39; equations are cited by its numbers. A trajectory x_0 .. x_N is what is still to be
traded at times t_j = j tau, positive for shares to sell and negative for shares to buy; costs are
the same for both. This module knows no orders and rounds nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trading_assets.errors import DataError
from trading_assets.simulation.terms import Floats


@dataclass(frozen=True, slots=True)
class LinearImpact:
    """An arithmetic random walk whose price trades move, in amounts linear in their rate.

    Attributes
    ----------
    volatility_usd : float
        sigma of eq. 1: deviation of the price of a share over one session, USD.
    permanent_usd : float
        gamma of eq. 6: USD by which a share traded moves the price for good.
    temporary_usd : float
        eta of eq. 7: USD a share that trading at a rate of one share a session costs.
    half_spread_usd : float
        epsilon of eq. 7: fixed cost of a share, USD.

    Raises
    ------
    DataError
        If a number is negative or not finite, or `temporary_usd` is 0.
    """

    volatility_usd: float
    permanent_usd: float
    temporary_usd: float
    half_spread_usd: float = 0.0

    def __post_init__(self) -> None:
        values = {
            "volatility_usd": self.volatility_usd,
            "permanent_usd": self.permanent_usd,
            "temporary_usd": self.temporary_usd,
            "half_spread_usd": self.half_spread_usd,
        }
        for name, value in values.items():
            if not (math.isfinite(value) and value >= 0.0):
                msg = f"{name} was {value}; expected a finite number of 0 or more"
                raise DataError(msg)
        if self.temporary_usd == 0.0:
            msg = "temporary_usd was 0; expected it above 0, as all would be traded at once"
            raise DataError(msg)


@dataclass(frozen=True, slots=True)
class Horizon:
    """The time an order is given, T of the paper, in N slots of equal length tau.

    Attributes
    ----------
    sessions : float
        T, sessions or a part of one, above 0.
    slots : int
        N, 1 or more.

    Raises
    ------
    DataError
        If one of them is not as above.
    """

    sessions: float
    slots: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.sessions) and self.sessions > 0.0):
            msg = f"the horizon was {self.sessions} sessions; expected a finite time above 0"
            raise DataError(msg)
        if self.slots < 1:
            msg = f"the horizon had {self.slots} slots; expected 1 or more"
            raise DataError(msg)

    @property
    def slot_sessions(self) -> float:
        """Tau, the length of a slot, sessions."""
        return self.sessions / self.slots


@dataclass(frozen=True, slots=True)
class FrontierPoint:
    """The least expected cost at its variance.

    Attributes
    ----------
    risk_aversion_per_usd : float
        lambda, 1/USD.
    expected_cost_usd : float
        E, USD.
    cost_variance_usd2 : float
        V, USD squared.
    """

    risk_aversion_per_usd: float
    expected_cost_usd: float
    cost_variance_usd2: float


def urgency_per_session(
    horizon: Horizon, impact: LinearImpact, risk_aversion_per_usd: float
) -> float:
    """Return kappa, the rate at which the best trajectory decays, 1/session.

    It solves 2 (cosh(kappa tau) - 1) / tau^2 = kappa~^2 with kappa~^2 = lambda sigma^2 / eta~ and
    eta~ = eta - gamma tau / 2, the difference equation before eq. 17 and its eta~ of eq. 8. With
    cosh(z) - 1 = 2 sinh(z / 2)^2 that is kappa = (2 / tau) arsinh(kappa~ tau / 2).

    Parameters
    ----------
    horizon : Horizon
        T and N.
    impact : LinearImpact
        sigma, gamma and eta.
    risk_aversion_per_usd : float
        lambda, 1/USD, 0 or more.

    Raises
    ------
    DataError
        If lambda is negative or not finite, or eta~ is not above 0.
    """
    if not (math.isfinite(risk_aversion_per_usd) and risk_aversion_per_usd >= 0.0):
        msg = (
            f"risk_aversion_per_usd was {risk_aversion_per_usd}; expected a finite one of 0 or more"
        )
        raise DataError(msg)
    tau = horizon.slot_sessions
    eta = impact.temporary_usd - 0.5 * impact.permanent_usd * tau
    if eta <= 0.0:
        msg = (
            f"temporary_usd {impact.temporary_usd:g} was not above half of permanent_usd"
            f" {impact.permanent_usd:g} times slots of {tau:g} sessions; expected it above, as"
            " trading at once would cost nothing: use more slots"
        )
        raise DataError(msg)
    rate = impact.volatility_usd * math.sqrt(risk_aversion_per_usd / eta)
    return 2.0 / tau * math.asinh(0.5 * rate * tau)


def optimal_holdings(
    shares: float, horizon: Horizon, impact: LinearImpact, risk_aversion_per_usd: float
) -> Floats:
    """Return the trajectory with the least E + lambda V, float64 (N + 1,), shares.

    x_j = X sinh(kappa (T - t_j)) / sinh(kappa T) (eq. 17); where kappa is 0, the straight line that
    it tends to.

    Parameters
    ----------
    shares : float
        X, finite.
    horizon, impact, risk_aversion_per_usd
        As in `urgency_per_session`.

    Raises
    ------
    DataError
        If `shares` is not finite, or as `urgency_per_session` does.
    """
    if not math.isfinite(shares):
        msg = f"shares was {shares}; expected a finite number"
        raise DataError(msg)
    kappa = urgency_per_session(horizon, impact, risk_aversion_per_usd)
    left = np.arange(horizon.slots, -1, -1) / horizon.slots
    if kappa == 0.0:
        return shares * left
    # The quotient of two sinh, written so that it neither overflows nor cancels.
    whole = kappa * horizon.sessions
    decay = np.exp(whole * (left - 1.0))
    return shares * decay * np.expm1(-2.0 * whole * left) / np.expm1(-2.0 * whole)


def expected_cost_usd(
    holdings: Floats, horizon: Horizon, impact: LinearImpact, relative_volume: Floats | None = None
) -> float:
    """Return E of a trajectory, USD: what it costs on average against the price at its start.

    E = sum of gamma n_k x_k + epsilon |n_k| + (eta / tau) n_k^2 / u_k with n_k = x_{k-1} - x_k
    (eq. 4 with eqs. 6 and 7). With u = 1 it is eq. 8.

    Parameters
    ----------
    holdings : float64 (N + 1,)
        Shares still to be traded; none are left at the end.
    horizon, impact
        As in `urgency_per_session`.
    relative_volume : float64 (N,), optional
        u, each slot's volume over the mean slot's, to which the temporary impact is inversely
        proportional; 1 without. It is no part of the paper's model.

    Raises
    ------
    DataError
        If holdings are not of N + 1 finite numbers that end with 0, or a volume is not above 0.
    """
    trades = _trades(holdings, horizon)
    volume = np.ones(horizon.slots) if relative_volume is None else relative_volume
    if volume.shape != trades.shape or not (np.isfinite(volume).all() and (volume > 0.0).all()):
        msg = (
            f"relative_volume was of shape {volume.shape}; expected a finite one above 0 for each"
            f" of {horizon.slots} slots"
        )
        raise DataError(msg)
    permanent = impact.permanent_usd * float(trades @ holdings[1:])
    spread = impact.half_spread_usd * float(np.abs(trades).sum())
    rate = impact.temporary_usd / horizon.slot_sessions
    return permanent + spread + rate * float((trades**2 / volume).sum())


def cost_variance_usd2(holdings: Floats, horizon: Horizon, impact: LinearImpact) -> float:
    """Return V of a trajectory, USD squared: sigma^2 tau times the sum of x_k^2, k >= 1 (eq. 5).

    Parameters
    ----------
    holdings, horizon, impact
        As in `expected_cost_usd`.

    Raises
    ------
    DataError
        If holdings are not of N + 1 finite numbers that end with 0.
    """
    _trades(holdings, horizon)
    held = float((holdings[1:] ** 2).sum())
    return impact.volatility_usd**2 * horizon.slot_sessions * held


def efficient_frontier(
    shares: float,
    horizon: Horizon,
    impact: LinearImpact,
    risk_aversions_per_usd: Sequence[float],
) -> tuple[FrontierPoint, ...]:
    """Return cost and variance of the best trajectory at each risk aversion, in their order.

    Raises
    ------
    DataError
        As `optimal_holdings` does.
    """
    points: list[FrontierPoint] = []
    for risk_aversion in risk_aversions_per_usd:
        holdings = optimal_holdings(shares, horizon, impact, risk_aversion)
        cost = expected_cost_usd(holdings, horizon, impact)
        variance = cost_variance_usd2(holdings, horizon, impact)
        points.append(FrontierPoint(risk_aversion, cost, variance))
    return tuple(points)


def _trades(holdings: Floats, horizon: Horizon) -> Floats:
    """Return n_k, the shares that each slot trades."""
    expected = (horizon.slots + 1,)
    if holdings.shape != expected or not np.isfinite(holdings).all() or holdings[-1] != 0.0:
        msg = (
            f"holdings were of shape {holdings.shape}; expected {expected[0]} finite numbers of"
            " shares still to be traded, the last of them 0"
        )
        raise DataError(msg)
    return holdings[:-1] - holdings[1:]
