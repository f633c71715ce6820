"""Rules that trade without being trained by trial: what an agent may start from.

A teacher's parameters are estimated on the train window alone. It gives target weights at the
closes of rows for books that hold what they hold.
Source of `garleanu_pedersen`: Garleanu and Pedersen, Dynamic Trading with Predictable Returns,
J. Finance 68 (2013).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trading_assets.agent_specs import TeacherName
from trading_assets.errors import DataError
from trading_assets.simulation.episodes import Episodes
from trading_assets.simulation.market import total_returns_of
from trading_assets.simulation.rewards.mean_variance import MeanVariance
from trading_assets.simulation.rewards.reward import Rows
from trading_assets.simulation.task import TradingTask
from trading_assets.simulation.terms import Floats

Teacher = Callable[[Rows, Floats], Floats]
"""Target weights, float64 (K, N), before limits, at the closes of rows for weights held."""

MOMENTUM_BARS = 63
# A proportional cost counts as the quadratic one that costs as much for a trade of this weight.
TYPICAL_TRADE = 0.1
_RIDGE = 1e-6
_BPS = 1e-4


def make_teacher(name: TeacherName, task: TradingTask, episodes: Episodes) -> Teacher:
    """Return a teacher that knows the rows of a train window.

    Parameters
    ----------
    name : {"momentum", "myopic", "garleanu_pedersen"}
        `momentum` holds what has risen over 63 bars, in deviations; `myopic` weighs the next bar's
        expected return against risk and cost; `garleanu_pedersen` also weighs how long what it
        expects will last.
    task : TradingTask
        What is traded.
    episodes : Episodes
        Rows of the train window; nothing after their last one is estimated from.

    Raises
    ------
    DataError
        If the task shows nothing that a return could be expected from, or its reward has no risk
        aversion.
    """
    if name == "momentum":
        return _momentum(task)
    rows = decision_rows(episodes)
    expected = expect_returns(task, rows)
    return cost_aware_teacher(
        task, expected, trade_aversion_of(task, rows), looks_ahead=name == "garleanu_pedersen"
    )


def trade_aversion_of(task: TradingTask, rows: Rows) -> float:
    """Return lam of the cost `(lam / 2) sigma^2 (dx)^2` that declared costs are counted as.

    Parameters
    ----------
    task : TradingTask
        Its costs; a proportional one counts as the quadratic one that costs as much for a trade of
        `TYPICAL_TRADE`.
    rows : int64 (R,)
        Rows of the train window, whose mean variance counts.
    """
    costs = task.costs
    variance = float(np.nanmean(np.square(task.market.volatility[rows])))
    linear = (costs.fee_bps + costs.half_spread_bps) * _BPS
    return costs.quadratic_lambda + 2.0 * linear / (variance * TYPICAL_TRADE)


def decision_rows(episodes: Episodes) -> Rows:
    """Return the rows of a train window that have a next one in the same history, int64 (R,)."""
    rows = np.arange(episodes.first_row, episodes.last_row + 1)
    return rows.reshape(episodes.n_histories, -1)[:, :-1].ravel()


@dataclass(frozen=True, slots=True)
class ExpectedReturns:
    """Pooled estimates of what inputs say of the next bar's return.

    Attributes
    ----------
    slopes : float64 (F,)
        Expected return of a symbol, in deviations, for one unit of each input.
    persistence : float64 (F,)
        AR(1) coefficient of each input, in [0, 1).
    """

    slopes: Floats
    persistence: Floats


def expect_returns(task: TradingTask, rows: Rows) -> ExpectedReturns:
    """Return what the inputs shown at a train window's rows say of the returns after them.

    Slopes are least squares over all symbols, shrunk by the share of what they explain that as
    many inputs without any information would explain too.

    Parameters
    ----------
    task : TradingTask
        What is traded; its context holds the inputs and a mask of each symbol.
    rows : int64 (R,)
        Rows of decisions, ascending; the return of the bar after the last one is the last that is
        used.

    Raises
    ------
    DataError
        If the task shows no inputs, or no row has all of them.
    """
    inputs, is_known = inputs_of(task)
    if inputs.shape[2] == 0:
        msg = "a teacher was asked for and the policy observes no features or forecasts; name some"
        raise DataError(msg)
    market = task.market
    returns = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    scaled = returns[rows + 1] / market.volatility[rows]
    seen, mask = inputs[rows], is_known[rows] & np.isfinite(scaled)
    if not mask.any():
        msg = f"no row of {len(rows)} has all inputs and a return after it; train on more bars"
        raise DataError(msg)
    is_next = np.diff(rows) == 1
    both = is_known[rows][1:] & is_known[rows][:-1] & is_next[:, None]
    before, after = seen[:-1][both], seen[1:][both]
    spread = np.maximum(np.square(before).sum(axis=0), 1e-12)
    persistence = np.clip((before * after).sum(axis=0) / spread, 0.0, 0.999)
    return ExpectedReturns(_shrunk_slopes(seen[mask], scaled[mask]), persistence)


def _shrunk_slopes(x: Floats, y: Floats) -> Floats:
    gram = x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1])
    slopes = np.linalg.solve(gram, x.T @ y)
    fitted = x @ slopes
    explained = max(float(fitted @ fitted), 1e-12)
    by_chance = x.shape[1] * float(np.square(y - fitted).mean())
    return np.asarray(slopes * max(0.0, 1.0 - by_chance / explained), dtype=np.float64)


def inputs_of(task: TradingTask) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the context's inputs, float64 (T, N, F), and where all of a symbol's are known."""
    context = task.view.context
    n_symbols = len(task.market.symbols)
    blocks = context.reshape(len(context), n_symbols, -1).astype(np.float64)
    return blocks[:, :, :-1], blocks[:, :, -1] > 0.0


def _momentum(task: TradingTask) -> Teacher:
    market = task.market
    returns = total_returns_of(market.close, market.split_ratio, market.cash_per_share)
    sums = np.cumsum(np.log1p(np.nan_to_num(returns, nan=0.0)), axis=0)
    trend = sums.copy()
    trend[MOMENTUM_BARS:] -= sums[:-MOMENTUM_BARS]
    deviations = trend / (np.nan_to_num(market.volatility, nan=np.inf) * np.sqrt(MOMENTUM_BARS))
    weights = deviations / max(len(market.symbols), 1)

    def teach(rows: Rows, held: Floats) -> Floats:
        del held
        return np.maximum(weights[rows], 0.0) if task.is_long_only else weights[rows]

    return teach


def cost_aware_teacher(
    task: TradingTask, expected: ExpectedReturns, trade_aversion: float, *, looks_ahead: bool
) -> Teacher:
    """Return the teacher that moves a share of the way to an aim at each close.

    Parameters
    ----------
    task : TradingTask
        What is traded, paid a mean-variance reward.
    expected : ExpectedReturns
        What inputs say of returns.
    trade_aversion : float
        lam of a cost `(lam / 2) sigma^2 (dx)^2` of changing a weight by dx.
    looks_ahead : bool
        Whether the aim counts how fast inputs fade and the rate what is earned later.

    Raises
    ------
    DataError
        If the reward has no risk aversion.
    """
    gamma, lam = _aversions(task, trade_aversion)
    slopes = expected.slopes
    rate = gamma / (gamma + lam)
    if looks_ahead:
        root = (np.sqrt(gamma * gamma + 4.0 * gamma * lam) - gamma) / 2.0
        slopes = slopes / (1.0 + (1.0 - expected.persistence) * root / gamma)
        rate = root / lam
    inputs, is_known = inputs_of(task)

    def expect(rows: Rows) -> Floats:
        volatility = np.nan_to_num(task.market.volatility[rows], nan=0.0)
        return np.where(is_known[rows], (inputs[rows] @ slopes) * volatility, 0.0)

    return _aiming(task, expect, rate)


def myopic_teacher(task: TradingTask, mean: Floats, trade_aversion: float) -> Teacher:
    """Return the teacher that weighs given expectations of the next bar against risk and cost.

    Parameters
    ----------
    task : TradingTask
        What is traded, paid a mean-variance reward.
    mean : float64 (T, N)
        Expected return of the bar after each row, known at its close; nan counts as 0.
    trade_aversion : float
        As in `cost_aware_teacher`.

    Raises
    ------
    DataError
        If the reward has no risk aversion.
    """
    gamma, lam = _aversions(task, trade_aversion)
    expected = np.nan_to_num(mean, nan=0.0)
    return _aiming(task, lambda rows: expected[rows], gamma / (gamma + lam))


def _aversions(task: TradingTask, trade_aversion: float) -> tuple[float, float]:
    reward = task.reward
    if not isinstance(reward, MeanVariance) or reward.risk_aversion <= 0.0:
        msg = (
            f"a cost-aware teacher was asked for with the reward {type(reward).__name__}; expected"
            " mean_variance with a risk_aversion above 0, which says how much to hold"
        )
        raise DataError(msg)
    return reward.risk_aversion, max(trade_aversion + reward.trade_aversion, 1e-9)


def _aiming(task: TradingTask, expect: Callable[[Rows], Floats], rate: float) -> Teacher:
    """Return the teacher that moves at a rate to the mean-variance optimum of what it expects."""
    gamma, _ = _aversions(task, 0.0)

    def teach(rows: Rows, held: Floats) -> Floats:
        covariance = task.covariance[rows if len(task.covariance) > 1 else np.zeros_like(rows)]
        # A symbol without a return yet has variance 0, and is not tradable either.
        diagonal = np.einsum("kii->ki", covariance)
        ridge = np.where(diagonal > 0.0, 1e-6 * diagonal, 1.0)
        padded = covariance + ridge[:, :, None] * np.eye(covariance.shape[1])
        aim = np.linalg.solve(gamma * padded, expect(rows)[:, :, None])[:, :, 0]
        return held + rate * (aim - held)

    return teach
