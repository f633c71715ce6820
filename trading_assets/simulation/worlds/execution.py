"""World W6: selling a block of shares under temporary price impact, solved in closed form.

Selling n shares in a time tau moves the price received by `eta n / tau`; the price itself is a
random walk that the sales do not move. The best schedule trades the cost off against the variance
of what is received.

With weights as fractions of the block's first value, it is the market core on constant notional
without drift, with the mean-variance reward: `quadratic_lambda` and `reward_aversion` give the
same cost and the same charge for variance, whatever the prices do.
Source: Almgren and Chriss, Optimal Execution of Portfolio Transactions, J. Risk 3 (2001), with
temporary impact only.
"""

from dataclasses import dataclass
from math import asinh, sqrt

import numpy as np

from trading_assets.errors import DataError
from trading_assets.simulation.core import Floats


@dataclass(frozen=True, slots=True)
class Liquidation:
    """A block to be sold by a deadline.

    Attributes
    ----------
    shares : float
        X, shares held at the start.
    horizon_days : float
        T, time until all are sold.
    n_trades : int
        N, trades at even distances tau = T / N.
    price_usd : float
        Price at the start, USD.
    volatility_usd : float
        sigma, standard deviation of a day's price change, USD.
    temporary_impact : float
        eta, USD lost on each share for each share a day of trading speed.
    risk_aversion : float
        lambda, USD of cost that 1 USD^2 of variance is worth.

    Raises
    ------
    DataError
        If there is nothing to trade with, or no impact.
    """

    shares: float = 1e6
    horizon_days: float = 1.0
    n_trades: int = 20
    price_usd: float = 100.0
    volatility_usd: float = 2.0
    temporary_impact: float = 2.5e-6
    risk_aversion: float = 1e-5

    def __post_init__(self) -> None:
        demands = (
            ("n_trades", self.n_trades, self.n_trades >= 1, "at least 1"),
            ("horizon_days", self.horizon_days, self.horizon_days > 0.0, "above 0"),
            ("temporary_impact", self.temporary_impact, self.temporary_impact > 0.0, "above 0"),
            ("risk_aversion", self.risk_aversion, self.risk_aversion >= 0.0, "at least 0"),
        )
        for name, value, is_met, demand in demands:
            if not is_met:
                msg = f"{name} was {value}; expected {demand}"
                raise DataError(msg)

    @property
    def trade_days(self) -> float:
        """Tau, days from one trade to the next."""
        return self.horizon_days / self.n_trades

    @property
    def notional_usd(self) -> float:
        """Value of the block at the first price, USD."""
        return self.shares * self.price_usd

    @property
    def bar_volatility(self) -> float:
        """Standard deviation of the return between two trades."""
        return self.volatility_usd * sqrt(self.trade_days) / self.price_usd

    @property
    def quadratic_lambda(self) -> float:
        """Lam, at which the core's `(lam / 2) sigma^2 dw^2` of the notional is `eta n^2 / tau`."""
        impact_usd = self.temporary_impact * self.shares**2 / self.trade_days
        return 2.0 * impact_usd / (self.notional_usd * self.bar_volatility**2)

    @property
    def reward_aversion(self) -> float:
        """Gamma, at which `(gamma / 2) sigma^2 w^2` of the notional is lambda times a variance."""
        return 2.0 * self.risk_aversion * self.notional_usd


@dataclass(frozen=True, slots=True)
class ScheduleValue:
    """What a schedule costs against selling all at the first price.

    Attributes
    ----------
    cost_usd : float
        Expected cost, USD.
    cost_bps : float
        The same over the value at the first price.
    variance_usd2 : float
        Variance of the cost, USD^2.
    objective_usd : float
        Cost plus lambda times the variance, USD; the best schedule has the least.
    """

    cost_usd: float
    cost_bps: float
    variance_usd2: float
    objective_usd: float


def decay_rate(task: Liquidation) -> float:
    """Return k, at which the best holdings decay, per day.

    `cosh(k tau) = 1 + (tau^2 / 2) lambda sigma^2 / eta`, solved for `sinh(k tau / 2)`, which keeps
    its digits near 0.
    """
    tau = task.trade_days
    urgency = task.risk_aversion * task.volatility_usd**2 / task.temporary_impact
    return 2.0 * asinh(0.5 * tau * sqrt(urgency)) / tau


def best_holdings(task: Liquidation) -> Floats:
    """Return the shares left after each trade, float64 (n_trades + 1,), from all to none.

    `x_j = X sinh(k (T - j tau)) / sinh(k T)`, in the limit of no risk aversion even trades.
    """
    left = task.horizon_days - task.trade_days * np.arange(task.n_trades + 1)
    left[-1] = 0.0
    rate = decay_rate(task)
    if rate == 0.0:
        return even_holdings(task)
    # sinh(k u) / sinh(k T) without overflow of either.
    fall = np.exp(-rate * (task.horizon_days - left))
    return task.shares * fall * np.expm1(-2.0 * rate * left) / np.expm1(-2.0 * rate * left[0])


def even_holdings(task: Liquidation) -> Floats:
    """Return the holdings of even trades (TWAP), float64 (n_trades + 1,)."""
    return task.shares * (1.0 - np.arange(task.n_trades + 1) / task.n_trades)


def immediate_holdings(task: Liquidation) -> Floats:
    """Return the holdings of one trade at the start, float64 (n_trades + 1,)."""
    holdings = np.zeros(task.n_trades + 1)
    holdings[0] = task.shares
    return holdings


def evaluate_schedule(task: Liquidation, holdings: Floats) -> ScheduleValue:
    """Return cost and risk of a schedule.

    Parameters
    ----------
    task : Liquidation
        The block and what selling it costs.
    holdings : float64 (n_trades + 1,)
        Shares left after each trade; the first is before any.

    Raises
    ------
    DataError
        If the schedule does not lead from all shares to none in the task's trades.
    """
    is_whole = holdings.shape == (task.n_trades + 1,)
    if not is_whole or holdings[0] != task.shares or holdings[-1] != 0.0:
        msg = (
            f"holdings were {holdings.shape} from {holdings[:1]} to {holdings[-1:]}; expected"
            f" {task.n_trades + 1} numbers from {task.shares} to 0"
        )
        raise DataError(msg)
    tau = task.trade_days
    cost = task.temporary_impact / tau * float((np.diff(holdings) ** 2).sum())
    variance = task.volatility_usd**2 * tau * float((holdings[1:] ** 2).sum())
    return ScheduleValue(
        cost_usd=cost,
        cost_bps=cost / (task.shares * task.price_usd) * 1e4,
        variance_usd2=variance,
        objective_usd=cost + task.risk_aversion * variance,
    )
