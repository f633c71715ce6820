"""Trade a fold's test window with the market core and record what happened.

Every portfolio, learned or baseline, is a function that is asked for target weights at each close
and sees its own books. The engine applies the declared limits and rebalance rule, trades all
portfolios through the event-driven engine and writes the tables. It knows no model, fits nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from trading_assets.backtest.event_engine import EventEngine
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.orders import Rebalance
from trading_assets.backtest.recording import (
    equity_table,
    holdings_table,
    trades_table,
    weights_table,
)
from trading_assets.backtest.window import TradedWindow, empty_window
from trading_assets.bars.calendars.weeks import ends_week
from trading_assets.errors import DataError
from trading_assets.policy.traded_as_decided import TradedAsDecided
from trading_assets.risk.limits import WeightLimits, declared_limits
from trading_assets.risk.projection import project_weights
from trading_assets.risk.rebalance_rule import weights_to_trade
from trading_assets.simulation.core import (
    Books,
    Floats,
    decide_quantities,
    equity_of,
    held_weights,
)
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

Decide = Callable[[int, Books], Floats | None]
"""Target weights, float64 (N,), asked at the close of a market row with the portfolio's one book.

`None` keeps all shares as they are, or as they will be when what is on its way has arrived. The
function must use nothing later than the given row. The declared rebalance rule is applied to what
it decides, unless it is `TradedAsDecided`.
"""


@dataclass(frozen=True, slots=True)
class BacktestTables:
    """Tables `weights`, `trades`, `equity` and `holdings` of every portfolio of a fold."""

    weights: pl.DataFrame
    trades: pl.DataFrame
    equity: pl.DataFrame
    holdings: pl.DataFrame


def run_backtest(
    market: Market, decisions: Mapping[str, Decide], strategy: Strategy, fold: Fold
) -> BacktestTables:
    """Trade each portfolio over the fold's test sessions, starting from cash.

    The first decision is taken at the close of the last session before `fold.test_start` and filled
    at the first test open, or as many bars later as the declared latency says; the last equity row
    is at the last test close. Constant-notional sizing uses the initial equity as notional.

    Parameters
    ----------
    market : Market
        Covers the test sessions and at least one session before them.
    decisions : mapping of str to Decide
        Portfolio names and what decides for them. Weights are projected on the declared limits
        here, and go through the declared rebalance rule where they have not yet. Shares that are
        kept are not projected; the weight recorded is the one held.
    strategy : Strategy
        Costs, limits, rebalance rule, sizing and initial equity.
    fold : Fold
        Window that is traded.

    Raises
    ------
    DataError
        If the market does not cover the window, or a decision has another shape or is not finite.
    EquityLostError
        If a portfolio loses all its equity.
    """
    rows = decision_rows(market, fold)
    traded = trade_decisions(market, decisions, strategy, rows)
    return BacktestTables(
        weights=weights_table(traded, market),
        trades=trades_table(traded, market, strategy.costs),
        equity=equity_table(traded, market, strategy.costs),
        holdings=holdings_table(traded, market),
    )


def trade_decisions(
    market: Market, decisions: Mapping[str, Decide], strategy: Strategy, rows: range
) -> TradedWindow:
    """Trade each portfolio over consecutive rows, starting from cash, in the order of names.

    Parameters
    ----------
    market : Market
        Covers the rows and one more.
    decisions : mapping of str to Decide
        Portfolio names and what decides for them.
    strategy : Strategy
        Costs, limits, rebalance rule, sizing and initial equity.
    rows : range
        Rows at whose close is decided.

    Raises
    ------
    DataError
        If a decision has another shape or is not finite.
    """
    names = sorted(decisions)
    limits = declared_limits(strategy.risk, strategy.policy, market.symbols)
    begins_week = ends_week(market.sessions)
    engine = EventEngine(market, strategy, len(names), rows.start)
    traded = empty_window(names, rows, len(market.symbols))
    for place, row in enumerate(rows):
        for account, name in enumerate(names):
            books = engine.books(account)
            run = _Run(name, decisions[name], market, strategy, limits, begins_week)
            weights, shares = _decide(run, row, books, engine.newest_target(account))
            traded.weights[place, account] = weights
            engine.place([Rebalance(account, shares[0])])
        engine.carry()
        traded.fills[place], traded.outcomes[place] = engine.fills, engine.outcome
        traded.positions[place], traded.cash[place] = engine.positions, engine.cash
    return traded


def decision_rows(market: Market, fold: Fold) -> range:
    """Return the market rows at whose close the test window is decided.

    One row for each test session: the session before it.

    Raises
    ------
    DataError
        If the market lacks test sessions or the session before the first one.
    """
    first = int(np.searchsorted(market.sessions, np.datetime64(fold.test_start, "D")))
    end = int(np.searchsorted(market.sessions, np.datetime64(fold.test_end, "D"), side="right"))
    if first == 0 or first == end:
        msg = (
            f"the market covers {market.sessions[0]} to {market.sessions[-1]}; expected sessions"
            f" from {fold.test_start} to {fold.test_end} and the one before them"
        )
        raise DataError(msg)
    return range(first - 1, end - 1)


def fixed_targets(market: Market, fold: Fold, targets: Floats) -> Decide:
    """Return a decision function that replays precomputed target weights.

    Parameters
    ----------
    market : Market
        The market that is traded.
    fold : Fold
        The window that is traded.
    targets : float64 (n_test_sessions, N)
        Target weights, row by row as `decision_rows` lists the decisions.
    """
    rows = decision_rows(market, fold)
    if targets.shape != (len(rows), len(market.symbols)):
        msg = (
            f"targets were of shape {targets.shape}; expected one row for each of {len(rows)}"
            f" decisions and one column for each of {len(market.symbols)} symbols"
        )
        raise DataError(msg)
    return lambda row, _books: targets[row - rows.start]


@dataclass(frozen=True, slots=True)
class _Run:
    portfolio: str
    decide: Decide
    market: Market
    strategy: Strategy
    limits: WeightLimits
    begins_week: NDArray[np.bool_]


def _decide(run: _Run, row: int, books: Books, waiting: Floats | None) -> tuple[Floats, Floats]:
    """Return the target weights (N,) and the shares (1, N) they mean."""
    market, strategy = run.market, run.strategy
    sizing, notional = strategy.policy.sizing, strategy.backtest.initial_equity_usd
    raw = run.decide(row, books)
    if raw is None:
        # Shares that are on their way are kept, too, but for a symbol without a close, whose target
        # is always what it holds.
        has_close = np.isfinite(market.close[row])
        kept = books.quantity if waiting is None else np.where(has_close, waiting, books.quantity)
        base = notional if sizing == "constant_notional" else float(equity_of(books)[0])
        return (kept * books.price)[0] / base, kept
    if raw.shape != (len(market.symbols),) or not bool(np.isfinite(raw).all()):
        msg = (
            f"portfolio {run.portfolio} decided {raw.tolist()} on {_day(market, row)}; expected one"
            f" finite weight for each of {len(market.symbols)} symbols"
        )
        raise DataError(msg)
    held = held_weights(books, sizing, notional)[0]
    tradable = market.tradable[row]
    weights = project_weights(raw, run.limits, tradable, held)
    if not isinstance(run.decide, TradedAsDecided):
        weights = weights_to_trade(
            strategy.rebalance, weights, held, run.begins_week[row], run.limits, tradable
        )
    quantity = decide_quantities(books, weights[None], market.close[row], sizing, notional)
    return weights, quantity


def _day(market: Market, row: int) -> date:
    return market.sessions[row].astype(date)
