"""A control that knows nothing: random portfolios, traded as much as the one they are held against.

What turnover alone costs and earns is what it shows. It is told how much another portfolio traded
at each bar, which is known only when that bar is over: it is no strategy and cannot be traded.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trading_assets.backtest.engine import Decide, decision_rows
from trading_assets.backtest.folds import Fold
from trading_assets.errors import DataError
from trading_assets.policy.traded_as_decided import TradedAsDecided
from trading_assets.risk.limits import declared_limits
from trading_assets.risk.projection import project_weights
from trading_assets.simulation.core import Books, Floats, equity_of
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

Mask = NDArray[np.bool_]

# Draws among which one far enough away is looked for.
_CANDIDATES = 64
# Turnover that is not worth an order.
_NOTHING = 1e-9


def random_portfolio(
    market: Market, fold: Fold, strategy: Strategy, turnover: Sequence[float]
) -> Decide:
    """Return the portfolio that wanders between random ones with the turnover of another.

    At each decision it moves from what it holds toward a random portfolio within the limits, by the
    turnover that the other one has at the bar that fills the decision. It keeps to one portfolio
    until that is nearer than what it has to trade, then draws the next. What it could not reach,
    or traded too much or too little since opens are not closes, is carried to the next decision.
    Where the other one trades more at every bar than lies between two portfolios within the limits,
    or fills are capped, it stays behind.

    Portfolios are drawn uniformly from the weights of which the absolute values sum up to at most
    the largest gross weight, or to 1 where nothing may be borrowed, signs by a fair coin unless
    long only; what lies beyond other limits is projected on them. The Generator is seeded by the
    characters of the fold's key, so that a fold has the same draws wherever it is traded.

    Parameters
    ----------
    market : Market
        The market that is traded.
    fold : Fold
        The window that is traded.
    strategy : Strategy
        Limits, sizing, latency and initial equity.
    turnover : sequence of float
        Notional that the other portfolio traded over its equity before, of each session of the
        window.

    Returns
    -------
    Decide
        To be asked once for each decision of the window, in order.

    Raises
    ------
    DataError
        If there is not one turnover for each session, or one is negative or not finite.
    """
    rows = decision_rows(market, fold)
    wanted = np.asarray(turnover, dtype=np.float64)
    if wanted.shape != (len(rows),) or not (np.isfinite(wanted) & (wanted >= 0.0)).all():
        msg = (
            f"the random portfolio of fold {fold.key} was given {wanted.size} turnovers; expected"
            f" a number of at least 0 for each of {len(rows)} sessions"
        )
        raise DataError(msg)
    rng = np.random.default_rng([*fold.key.encode()])
    # The turnover is of what a rebalance rule has left already.
    return TradedAsDecided(_Wanderer(market, rows, strategy, wanted, rng))


class _Wanderer:
    """Where the portfolio is headed, and how much of what it should trade it has traded."""

    def __init__(
        self,
        market: Market,
        rows: range,
        strategy: Strategy,
        turnover: Floats,
        rng: np.random.Generator,
    ) -> None:
        limits = declared_limits(strategy.risk, strategy.policy, market.symbols)
        self._market, self._rows, self._rng = market, rows, rng
        # The engine limits each change of weight; a goal may be farther away than that.
        self._limits = replace(limits, max_turnover=None)
        is_constant = strategy.policy.sizing == "constant_notional"
        self._notional_usd = strategy.backtest.initial_equity_usd if is_constant else None
        # What a decision orders is filled so many bars later; the last orders in no session.
        self._latency = strategy.costs.latency_bars
        due = turnover[self._latency - 1 :]
        self._wanted = np.concatenate([due, np.zeros(len(rows) - len(due))])
        self._traded = np.zeros(len(rows))
        self._goal = np.zeros(len(market.symbols))
        self._quantity = np.zeros(len(market.symbols))
        self._equity_usd = 0.0
        # Shares that it holds once all orders on their way are filled.
        self._ordered = np.zeros(len(market.symbols))

    def __call__(self, row: int, books: Books) -> Floats | None:
        place = row - self._rows.start
        if place:
            self._settle(place, row, books)
        quantity, price = books.quantity[0].copy(), books.price[0]
        equity = float(equity_of(books)[0])
        self._quantity, self._equity_usd = quantity, equity
        if equity <= 0.0:
            return None
        has_close = np.isfinite(self._market.close[row])
        may_change = has_close if self._latency > 1 else np.zeros_like(has_close)
        self._ordered = np.where(may_change, self._ordered, quantity)
        base = equity if self._notional_usd is None else self._notional_usd
        tradable = self._market.tradable[row]
        held = np.where(tradable, self._ordered * price / base, 0.0)
        owed = float(self._wanted[: place + 1].sum() - self._traded[:place].sum())
        weights = self._move(held, owed * equity / base, tradable)
        if weights is not None:
            self._traded[place] = float(np.abs(weights - held).sum()) * base / equity
            self._ordered[tradable] = weights[tradable] * base / price[tradable]
        return weights

    def _settle(self, place: int, row: int, books: Books) -> None:
        """Replace what was meant to be traded in the bar that has ended by what was."""
        ratio = self._market.split_ratio[row]
        self._ordered = self._ordered * ratio
        filled = place - self._latency
        if filled >= 0 and self._equity_usd > 0.0:
            # Without an open nothing is traded; what changes there is paid out.
            traded = np.abs(books.quantity[0] - self._quantity * ratio)
            notional = traded * np.nan_to_num(self._market.open[row])
            self._traded[filled] = float(notional.sum()) / self._equity_usd

    def _move(self, held: Floats, budget: float, tradable: Mask) -> Floats | None:
        """Return weights a budget away from those held; None where that is too small."""
        from scipy.optimize import root_scalar

        start = project_weights(held, self._limits, tradable)
        if float(np.abs(start - held).sum()) + _NOTHING >= budget:
            return None
        goal = project_weights(self._goal, self._limits, tradable)
        if float(np.abs(goal - held).sum()) < budget:
            goal = self._goal = self._draw(held, budget, tradable)

        def excess(share: float) -> float:
            return float(np.abs(start + share * (goal - start) - held).sum()) - budget

        if excess(1.0) <= 0.0:
            return goal
        # Convex in the share and below 0 at its start, so there is one root.
        found = root_scalar(excess, bracket=(0.0, 1.0), method="brentq", xtol=1e-12)
        return start + float(found.root) * (goal - start)

    def _draw(self, held: Floats, budget: float, tradable: Mask) -> Floats:
        """Return the first random portfolio that is far enough away, else the farthest."""
        limits, n_symbols = self._limits, len(held)
        drawn = self._rng.dirichlet(np.ones(n_symbols + 1), _CANDIDATES)[:, :n_symbols]
        if limits.is_long_only:
            drawn *= min(limits.max_gross, 1.0)
        else:
            drawn *= limits.max_gross * self._rng.choice([-1.0, 1.0], drawn.shape)
        candidates = project_weights(drawn, limits, tradable)
        distance = np.abs(candidates - held).sum(axis=1)
        is_far = distance >= budget
        return candidates[np.argmax(is_far) if is_far.any() else np.argmax(distance)]
