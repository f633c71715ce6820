"""A settled paper session traded again by the backtest's market core, and held against its record.

The session's opening account, its decided weights and its bar are given to the core once, as an
engine of the backtest does with a bar. What the session recorded at its close less what comes out
is the divergence: nothing with the embedded broker, which steps the same core, and what live fills
cost beyond the simulation with a broker elsewhere. An order that was refused or rejected, or sent
in lots that a split changed, diverges with both, as a backtest knows none of these.
"""

from dataclasses import dataclass

import polars as pl

from trading_assets.errors import DataError
from trading_assets.market_data import MarketDataSpec
from trading_assets.paper.orders import ZERO, to_money
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.renamed import Renaming
from trading_assets.paper.replay_opening import (
    book_before,
    decided_weights,
    last_targets,
    notional_of,
)
from trading_assets.paper.replay_sides import order_reasons, recorded_trades, replayed_trade
from trading_assets.paper.replayed import SessionReplay, SymbolReplay, Traded
from trading_assets.paper.trading import market_until
from trading_assets.simulation.core import StepResult, decide_quantities, step
from trading_assets.simulation.market import Market, bar_after, row_of
from trading_assets.simulation.terms import Floats
from trading_assets.strategy import Strategy


@dataclass(frozen=True, slots=True)
class ReplayData:
    """What replays read: the declaration, and tables of bars and actions by company.

    Bars reach back as far as those that the session was decided on, so that volatilities and
    volumes are the same; later ones are left out.
    """

    strategy: Strategy
    market_data: MarketDataSpec
    bars: pl.DataFrame
    actions: pl.DataFrame


def why_not_replayed(record: SessionRecord, strategy: Strategy) -> str:
    """Return why a session has no replay, or an empty string if it has one.

    Parameters
    ----------
    record : SessionRecord
        The session as stored.
    strategy : Strategy
        Its costs.
    """
    if record.status == "awaiting_fill":
        return "it is not settled yet: its fills or its close are not known"
    if record.status != "settled":
        return f"it was {record.status} and nothing was decided: {record.summary.get('reason')}"
    if record.differences:
        return f"its ledger and its broker differ: {record.differences[0]}"
    if strategy.costs.quadratic_lambda and not record.summary.get("last_targets"):
        return (
            f"costs.quadratic_lambda is {strategy.costs.quadratic_lambda:g} and"
            f" {record.summary.get('receiver')} keeps no targets whose change it charges"
        )
    return ""


def replay_session(
    record: SessionRecord, previous: SessionRecord | None, data: ReplayData
) -> SessionReplay:
    """Trade a settled session again on stored bars and compare.

    Parameters
    ----------
    record : SessionRecord
        The session; it is replayed under the tickers that it was decided under.
    previous : SessionRecord or None
        The settled session that its account comes from; read where a quadratic cost is declared.
    data : ReplayData
        Declaration, bars and actions.

    Raises
    ------
    DataError
        If the session has no replay (see `why_not_replayed`), its record is incomplete, or the bars
        do not cover it and the account before it.
    """
    strategy = data.strategy
    refused = why_not_replayed(record, strategy)
    if refused:
        msg = f"the session of {record.session} has no replay, as {refused}; expected a settled one"
        raise DataError(msg)
    renaming = Renaming.since(record, data.market_data.universe, data.actions)
    found = market_until(record.session, data.bars, data.actions, data.market_data)
    market = renaming.market_as_recorded(found)
    targets = None
    if strategy.costs.quadratic_lambda:
        targets = last_targets(record, previous, market, data.market_data, data.actions)
    return trade_again(record, market, strategy, targets)


def trade_again(
    record: SessionRecord, market: Market, strategy: Strategy, targets: Floats | None
) -> SessionReplay:
    """Step the market core over a session once and compare with what was recorded.

    It is filled at its own open, as a session's orders are.

    Parameters
    ----------
    record : SessionRecord
        A settled session.
    market : Market
        Under the tickers of the record.
    strategy : Strategy
        Costs, position, sizing and initial cash.
    targets : float64 (N,) or None
        Last filled targets of the account, as `last_targets` returns them.

    Raises
    ------
    DataError
        If the record is incomplete, or the market does not cover it and the account before it.
    """
    books = book_before(record, market, strategy, targets)
    row = row_of(market, record.session)
    weights = decided_weights(record, market.symbols)
    sizing, notional = strategy.policy.sizing, strategy.paper.initial_cash_usd
    result = step(
        books,
        decide_quantities(books, weights[None], market.close[row - 1], sizing, notional),
        bar_after(market, row - 1),
        strategy.costs,
        is_long_only=strategy.policy.position == "long_only",
        notional_usd=notional_of(strategy),
    )
    return _compare(record, market, result)


def _compare(record: SessionRecord, market: Market, result: StepResult) -> SessionReplay:
    account = record.tables["account"].rows(named=True)
    if len(account) != 1:
        msg = (
            f"the session of {record.session} has {len(account)} rows of account; expected one:"
            " restore its stored files"
        )
        raise DataError(msg)
    recorded, replayed = account[0]["equity_usd"], to_money(result.equity[0])
    if recorded <= 0 or replayed <= 0:
        msg = (
            f"equity at the close of {record.session} was {recorded} USD and {replayed} USD"
            " replayed; expected both above 0, as their ratio says nothing otherwise: the account"
            " is lost, so start a new one"
        )
        raise DataError(msg)
    symbols = tuple(_symbols(record, market, result))
    # What fills did not move: both accounts began with the same cash.
    paid = sum((s.recorded.paid_usd - s.replayed.paid_usd for s in symbols), ZERO)
    cash = account[0]["cash_usd"] - to_money(result.books.cash[0])
    return SessionReplay(
        session=record.session,
        receiver=str(record.summary["receiver"]),
        recorded_equity_usd=recorded,
        replayed_equity_usd=replayed,
        other_usd=cash + paid,
        symbols=symbols,
    )


def _symbols(record: SessionRecord, market: Market, result: StepResult) -> list[SymbolReplay]:
    recorded, reasons = recorded_trades(record), order_reasons(record)
    strangers = sorted({*recorded} - {*market.symbols})
    if strangers:
        msg = (
            f"the session of {record.session} holds or traded {', '.join(strangers)}; expected"
            " symbols of the data set: declare them again"
        )
        raise DataError(msg)
    rows: list[SymbolReplay] = []
    for column, symbol in enumerate(market.symbols):
        own, other = recorded.get(symbol, Traded()), replayed_trade(result, column)
        if own == other == Traded():
            continue
        reason = reasons.get(symbol, "no order was sent" if other.trade else "")
        rows.append(SymbolReplay(symbol, own, other, reason))
    return rows
