"""What a replay starts from: the account at the close before the session, and its decision."""

import math
from datetime import date

import numpy as np
import polars as pl

from trading_assets.errors import DataError
from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.deciding import book_of_account
from trading_assets.paper.marks import last_known_closes
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.renamed import RENAMED_UNTIL, Renaming
from trading_assets.simulation.core import Books, Floats, step
from trading_assets.simulation.market import Market, bar_after, row_of
from trading_assets.strategy import Strategy


def book_before(
    record: SessionRecord, market: Market, strategy: Strategy, targets: Floats | None
) -> Books:
    """Return the account as one book at the close before the session.

    Sessions between the account's last one and this one are carried without trades, as a backtest
    carries a portfolio that keeps its shares.

    Parameters
    ----------
    record : SessionRecord
        The session; its opening account is what is carried.
    market : Market
        Covers the account's last session, or the one before the record's for a new account.
    strategy : Strategy
        Costs, position and sizing.
    targets : float64 (N,) or None
        Last filled targets of that account, which the quadratic cost reads; None where it has none.

    Raises
    ------
    DataError
        If the market lacks one of these sessions or a symbol that is held, or the account is newer
        than the session.
    """
    known = row_of(market, record.session) - 1
    if known < 0:
        msg = (
            f"the market begins on {record.session}; expected the session before it too, at whose"
            " close was decided: materialize earlier months"
        )
        raise DataError(msg)
    opening = record.opening
    row = known if opening.as_of is None else row_of(market, opening.as_of)
    if row > known:
        msg = (
            f"the session of {record.session} opened from the account of {opening.as_of};"
            " expected an earlier one: restore the session's record"
        )
        raise DataError(msg)
    books = book_of_account(opening, market.symbols, last_known_closes(market, row))
    if targets is not None:
        books.target_weight[0] = targets
    idle = strategy.costs.model_copy(update={"quadratic_lambda": 0.0})
    for carried in range(row, known):
        books = step(
            books,
            books.quantity.copy(),
            bar_after(market, carried),
            # Without a decision no target changes, so a cost on such a change must not arise.
            idle,
            is_long_only=strategy.policy.position == "long_only",
            notional_usd=notional_of(strategy),
        ).books
    return books


def last_targets(
    record: SessionRecord,
    previous: SessionRecord | None,
    market: Market,
    market_data: MarketDataSpec,
    actions: pl.DataFrame,
) -> Floats | None:
    """Return the targets last filled before a session, as its broker kept them, float64 (N,).

    Parameters
    ----------
    record : SessionRecord
        The session that is replayed.
    previous : SessionRecord or None
        The settled session that its account comes from.
    market : Market
        Under the tickers of `record`.
    market_data : MarketDataSpec
        Universe, whose tickers may have changed between the two.
    actions : DataFrame
        Table `corporate_actions`, by company.

    Returns
    -------
    float64 (N,) or None
        None for an account that had seen no session.

    Raises
    ------
    DataError
        If `previous` is not that session, or its broker kept no targets.
    """
    as_of = record.opening.as_of
    if as_of is None:
        return None
    if previous is None or previous.session != as_of:
        found = "no record" if previous is None else f"the record of {previous.session}"
        msg = (
            f"the session of {record.session} opened from the account of {as_of} and {found} was"
            f" given; expected the record of {as_of}, whose targets costs.quadratic_lambda charges"
            " changes of: restore it"
        )
        raise DataError(msg)
    renaming = Renaming.since(previous, market_data.universe, _known_to(record, actions))
    kept = renaming.carry(previous).summary.get("last_targets")
    if not kept:
        msg = (
            f"the record of {as_of} has no last_targets; expected the weights that its broker"
            " filled last: restore the session's record"
        )
        raise DataError(msg)
    return np.array([float(kept.get(symbol, "0")) for symbol in market.symbols])


def decided_weights(record: SessionRecord, symbols: tuple[str, ...]) -> Floats:
    """Return the target weights that a session decided, after limits, float64 (N,).

    Parameters
    ----------
    record : SessionRecord
        A session that decided.
    symbols : tuple of str
        Columns of the market; one that the session did not know and did not hold weighs nothing.

    Raises
    ------
    DataError
        If a symbol is decided twice, not finite or not of the market, or one that is held is not
        decided.
    """
    rows = record.tables["decisions"].select("symbol", "weight").rows()
    weights: dict[str, float] = dict(rows)
    held = record.opening.quantity
    problem = ""
    if len(weights) < len(rows) or not rows:
        problem = f"{len(rows)} decisions for {len(weights)} symbols"
    for symbol, weight in weights.items():
        if not math.isfinite(weight):
            problem = f"a weight of {weight} for {symbol}"
        elif weight and symbol not in symbols:
            problem = f"a weight of {weight:g} for {symbol}, which is no symbol of the data set"
    missing = sorted({*held} - {*weights})
    if missing:
        problem = f"no weight for {', '.join(missing)}, which the account held"
    if problem:
        msg = (
            f"the session of {record.session} recorded {problem}; expected one finite weight for"
            " each symbol of its data set: restore its record, or declare the symbol again"
        )
        raise DataError(msg)
    return np.array([weights.get(symbol, 0.0) for symbol in symbols])


def notional_of(strategy: Strategy) -> float | None:
    """Return the base of a session's weights under constant notional, USD; None under equity."""
    is_constant = strategy.policy.sizing == "constant_notional"
    return strategy.paper.initial_cash_usd if is_constant else None


def _known_to(record: SessionRecord, actions: pl.DataFrame) -> pl.DataFrame:
    """Return actions with the renames alone that the record's own data knew."""
    until = record.summary.get(RENAMED_UNTIL)
    newest = date.min if until is None else date.fromisoformat(until)
    return actions.filter((pl.col("kind") != "rename") | (pl.col("ex_date") <= newest))
