"""Trade a fold's test window with the market core and record what happened.

Every portfolio, learned or baseline, is a function that is asked for target weights at each close
and sees its own books. The engine applies the declared limits, lets the core fill at the next open,
and writes the tables `weights`, `trades` and `equity`. It knows no model and fits nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl

from trading_assets.backtest.folds import Fold
from trading_assets.errors import DataError
from trading_assets.risk.limits import declared_limits
from trading_assets.risk.projection import project_weights
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.core import (
    Books,
    Floats,
    StepResult,
    decide_quantities,
    equity_of,
    held_weights,
    open_books,
    step,
)
from trading_assets.simulation.market import Market, bar_after
from trading_assets.simulation.target_queue import TargetQueue
from trading_assets.strategy import Strategy

Decide = Callable[[int, Books], Floats | None]
"""Target weights, float64 (N,), asked at the close of a market row with the portfolio's one book.

`None` keeps all shares as they are, or as they will be when what is on its way has arrived. The
function must use nothing later than the given row.
"""


@dataclass(frozen=True, slots=True)
class BacktestTables:
    """Tables `weights`, `trades` and `equity` of every portfolio of a fold."""

    weights: pl.DataFrame
    trades: pl.DataFrame
    equity: pl.DataFrame


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
        here. Shares that are kept are not projected; the weight recorded is the one held.
    strategy : Strategy
        Costs, limits, sizing and initial equity.
    fold : Fold
        Window that is traded.

    Raises
    ------
    DataError
        If the market does not cover the window, a decision has another shape or is not finite, or
        a portfolio loses all its equity.
    """
    rows = decision_rows(market, fold)
    records = [
        _trade_window(_Run(portfolio, decide, market, strategy), rows)
        for portfolio, decide in sorted(decisions.items())
    ]
    return BacktestTables(
        weights=_concatenate("weights", [record.weights for record in records]),
        trades=_concatenate("trades", [record.trades for record in records]),
        equity=_concatenate("equity", [record.equity for record in records]),
    )


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


@dataclass(slots=True)
class _Record:
    weights: list[tuple[object, ...]] = field(default_factory=list)
    trades: list[tuple[object, ...]] = field(default_factory=list)
    equity: list[tuple[object, ...]] = field(default_factory=list)


def _trade_window(run: _Run, rows: range) -> _Record:
    market, strategy = run.market, run.strategy
    initial = strategy.backtest.initial_equity_usd
    is_constant = strategy.policy.sizing == "constant_notional"
    record = _Record()
    books = open_books(1, initial, market.close[rows.start])
    queue = TargetQueue(strategy.costs.latency_bars)
    for row in rows:
        weights, decided = _decide(run, row, books, queue.newest)
        due = queue.swap(decided, market.split_ratio[row + 1])
        result = step(
            books,
            books.quantity if due is None else due,
            bar_after(market, row),
            strategy.costs,
            is_long_only=strategy.policy.position == "long_only",
            notional_usd=initial if is_constant else None,
        )
        decided, filled = _day(market, row), _day(market, row + 1)
        record.weights.extend(
            (run.portfolio, decided, symbol, float(weight))
            for symbol, weight in zip(market.symbols, weights, strict=True)
        )
        record.trades.extend(_trade_rows(run, filled, result))
        record.equity.append((run.portfolio, filled, *_equity_row(result)))
        books = result.books
    return record


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
    limits = declared_limits(strategy.risk, strategy.policy, market.symbols)
    held = held_weights(books, sizing, notional)[0]
    weights = project_weights(raw, limits, market.tradable[row], held)
    quantity = decide_quantities(books, weights[None], market.close[row], sizing, notional)
    return weights, quantity


def _trade_rows(run: _Run, session: date, result: StepResult) -> list[tuple[object, ...]]:
    # A quadratic cost is due on a change of weight even where rounding leaves no share to trade.
    is_booked = (result.trade[0] != 0.0) | (result.trade_cost[0] != 0.0)
    return [
        (
            run.portfolio,
            session,
            run.market.symbols[column],
            float(result.trade[0, column]),
            float(result.fill_price[0, column]),
            float(result.trade_cost[0, column]),
        )
        for column in np.flatnonzero(is_booked)
    ]


def _equity_row(result: StepResult) -> tuple[float, ...]:
    books, equity = result.books, float(equity_of(result.books)[0])
    held_usd = float(np.abs(books.quantity[0] * books.price[0]).sum())
    traded_usd = float(np.abs(result.trade[0] * result.fill_price[0]).sum())
    before = float(result.equity_before[0])
    if equity <= 0.0 or before <= 0.0:
        msg = (
            f"equity fell to {min(equity, before):.2f} USD; expected it to stay positive: lower"
            " max_gross or max_weight of the risk limits"
        )
        raise DataError(msg)
    return (
        equity,
        float(books.cash[0]),
        float(result.pnl[0]),
        float(result.dividends[0]),
        float(result.costs[0]),
        float(result.financing[0]),
        held_usd / equity,
        traded_usd / before,
    )


def _day(market: Market, row: int) -> date:
    return market.sessions[row].astype(date)


def _concatenate(table: str, parts: list[list[tuple[object, ...]]]) -> pl.DataFrame:
    schema = {column.name: column.dtype for column in TABLES[table].columns}
    rows = [row for part in parts for row in part]
    return conform(table, pl.DataFrame(rows, schema=schema, orient="row"))
