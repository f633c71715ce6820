"""Whether both engines, the training environment and the referee agree on a portfolio's equity."""

import math
from datetime import date

import numpy as np
import polars as pl

from trading_assets.backtest.referee import referee_equity
from trading_assets.backtest.vectorised import trade_weights
from trading_assets.errors import DataError
from trading_assets.simulation.compiled.layout import EQUITY
from trading_assets.simulation.core import (
    Floats,
    decide_quantities,
    equity_of,
    open_books,
    step,
)
from trading_assets.simulation.market import Market, bar_after, row_of
from trading_assets.simulation.target_queue import TargetQueue
from trading_assets.strategy import Strategy

PARITY_TOLERANCE = 1e-9
"""Largest gap that counts as agreement, as a fraction of the initial equity."""

_TRAINING_BOOKS = 8


def parity_gap_usd(
    market: Market, weights: pl.DataFrame, equity: pl.DataFrame, strategy: Strategy
) -> float:
    """Return the largest difference between recorded and replayed equity, USD.

    The recorded targets are replayed twice: order by order by the referee, and by the core in the
    batched form that training steps, many books at once and a row of the market for each.

    Parameters
    ----------
    market : Market
        The market that was traded.
    weights, equity : DataFrame
        Rows of those tables of one portfolio and one fold.
    strategy : Strategy
        Costs, sizing and initial equity.

    Returns
    -------
    float
        `nan` if any equity is.

    Raises
    ------
    DataError
        If the rows are of no or of more than one portfolio, or the sessions do not match.
    """
    portfolios = sorted({*weights["portfolio"].to_list(), *equity["portfolio"].to_list()})
    if len(portfolios) != 1:
        msg = f"parity was asked for {len(portfolios)} portfolios; expected the rows of one"
        raise DataError(msg)
    recorded: dict[date, float] = dict(equity["session", "equity_usd"].iter_rows())
    refereed = referee_equity(market, weights, strategy)
    if recorded.keys() != refereed.keys():
        msg = (
            f"portfolio {portfolios[0]} has {len(recorded)} equity rows but its weights fill"
            f" {len(refereed)} sessions; expected one equity row for each decision"
        )
        raise DataError(msg)
    trained = _training_equity(market, weights, strategy)
    gaps = [abs(recorded[session] - float(value)) for session, value in refereed.items()]
    for session, values in zip(sorted(recorded), trained, strict=True):
        gaps.extend(np.abs(values - recorded[session]).tolist())
    # max() would drop a nan that does not come first.
    return math.nan if any(math.isnan(gap) for gap in gaps) else max(gaps)


def vectorised_gaps_usd(
    market: Market, weights: pl.DataFrame, equity: pl.DataFrame, strategy: Strategy
) -> dict[str, float]:
    """Return how far the vectorised engine's equity lies from the recorded one, USD, by portfolio.

    The recorded targets of all portfolios are traded at once.

    Parameters
    ----------
    market : Market
        The market that was traded.
    weights, equity : DataFrame
        Those tables of one fold, with the same portfolios and as many sessions in each.
    strategy : Strategy
        Costs, sizing and initial equity.

    Returns
    -------
    dict of str to float
        The largest difference of each portfolio; `nan` if an equity is.

    Raises
    ------
    DataError
        If a portfolio lacks a decision.
    """
    portfolios = equity["portfolio"].unique().sort().to_list()
    decided = weights["session"].unique().sort().to_list()
    rows = range(row_of(market, decided[0]), row_of(market, decided[-1]) + 1)
    order = pl.DataFrame({"symbol": market.symbols, "column": range(len(market.symbols))})
    placed = weights.join(order, on="symbol").sort("session", "portfolio", "column")
    shape = (len(rows), len(portfolios), len(market.symbols))
    if len(placed) != np.prod(shape):
        msg = (
            f"{len(placed)} weights were recorded; expected one for each of {shape} decisions,"
            " portfolios and symbols"
        )
        raise DataError(msg)
    targets = placed["weight"].to_numpy().reshape(shape)
    traded = trade_weights(market, portfolios, targets, rows, strategy)
    recorded = equity.sort("session", "portfolio")["equity_usd"].to_numpy()
    gaps = np.abs(traded.outcomes[..., EQUITY] - recorded.reshape(shape[:2])).max(axis=0)
    return dict(zip(portfolios, gaps.tolist(), strict=True))


def _training_equity(market: Market, weights: pl.DataFrame, strategy: Strategy) -> list[Floats]:
    """Return the equity of each of several equal books after each decision's bar."""
    initial, sizing = strategy.backtest.initial_equity_usd, strategy.policy.sizing
    columns = {symbol: column for column, symbol in enumerate(market.symbols)}
    targets: dict[int, Floats] = {}
    for session, symbol, weight in weights["session", "symbol", "weight"].iter_rows():
        row = row_of(market, session)
        targets.setdefault(row, np.zeros(len(columns)))[columns[symbol]] = weight
    books = open_books(_TRAINING_BOOKS, initial, market.close[min(targets)])
    equity: list[Floats] = []
    queue = TargetQueue(strategy.costs.latency_bars)
    for row in sorted(targets):
        rows = np.full(_TRAINING_BOOKS, row)
        wanted = np.tile(targets[row], (_TRAINING_BOOKS, 1))
        decided = decide_quantities(books, wanted, market.close[rows], sizing, initial)
        due = queue.swap(decided, market.split_ratio[row + 1])
        books = step(
            books,
            books.quantity if due is None else due,
            bar_after(market, rows),
            strategy.costs,
            is_long_only=strategy.policy.position == "long_only",
            notional_usd=initial if sizing == "constant_notional" else None,
        ).books
        equity.append(equity_of(books))
    return equity
