"""The second half of a session: book what the broker reports, reconcile, and mark at the close."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np
import polars as pl

from trading_assets.paper.account_memory import memory_after
from trading_assets.paper.audit_log import AuditLog
from trading_assets.paper.gateways import BrokerGateway, Settlement
from trading_assets.paper.inputs import SessionInputs
from trading_assets.paper.ledger import AccountEvent, AccountState, Ledger, reconcile
from trading_assets.paper.marks import market_values
from trading_assets.paper.orders import MONEY_STEP, ZERO
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.tables import fills_table, final_orders, positions_table
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.market import Market, row_of


def settle_session(inputs: SessionInputs, record: SessionRecord) -> SessionRecord:
    """Settle a session that was decided: its own, or the one before that is still open.

    Parameters
    ----------
    inputs : SessionInputs
        Market, broker, clock and log folder; everything else comes from the record.
    record : SessionRecord
        A record with status `awaiting_fill`.

    Returns
    -------
    SessionRecord
        With status `settled`; `record` itself while the session's bar or a fill is not known.
    """
    if np.datetime64(record.session, "D") > inputs.market.sessions[-1]:
        return record
    row = row_of(inputs.market, record.session)
    with inputs.audit_log(record.session, record.audit) as log:
        settlement = inputs.gateway.settle(
            record.session, record.opening.as_of, _sent_order_ids(record)
        )
        if settlement is None:
            return record
        ledger = Ledger.opened(record.opening)
        _book(log, ledger, settlement)
        differences = _reconcile(log, ledger, inputs.gateway, record.session)
        closing = ledger.state(record.session)
        books = _Closed(closing, settlement, differences)
        tables = {**record.tables, **_tables(record, books, inputs.market, row)}
        figures = _figures(tables, books)
        log.append_once("ACCOUNT", **{name: str(value) for name, value in figures.items()})
        log.append_once("STOP", session=record.session.isoformat(), status="settled")
        return replace(
            record,
            status="settled",
            closing=closing,
            tables=tables,
            audit=log.content(),
            broker_state=inputs.gateway.state(),
            summary={
                **record.summary,
                **figures,
                **_memory(inputs, record, books, Decimal(figures["equity_usd"])),
                "differences": differences,
                "audit": {"count": log.head.count, "hash": log.head.hash},
            },
        )


def _memory(
    inputs: SessionInputs, record: SessionRecord, books: "_Closed", equity_usd: Decimal
) -> dict[str, Any]:
    """Return what policies remember of the account after the session."""
    market, opening = inputs.market, record.opening
    before = opening.cash_usd
    if opening.as_of is not None:
        held = market_values(opening, market, row_of(market, opening.as_of))
        before += sum(held.values(), ZERO)
    strategy = inputs.strategy
    is_constant = strategy.policy.sizing == "constant_notional"
    base = Decimal(repr(strategy.paper.initial_cash_usd)) if is_constant else before
    fills = books.settlement.fills
    traded = sum((fill.quantity * fill.price_usd for fill in fills), ZERO)
    return memory_after(record.summary, float((equity_usd - before) / base), float(traded / base))


@dataclass(frozen=True, slots=True)
class _Closed:
    closing: AccountState
    settlement: Settlement
    differences: list[str]


def _sent_order_ids(record: SessionRecord) -> tuple[str, ...]:
    """Return the ids that the broker has: neither refused here nor rejected there."""
    orders = record.tables["orders"]
    sent = orders.filter(~pl.col("status").is_in(["refused", "rejected"]))
    return tuple(sent["client_order_id"].to_list())


def _book(log: AuditLog, ledger: Ledger, settlement: Settlement) -> None:
    for event in settlement.events:
        if ledger.book_event(event):
            _log_event(log, event)
    for fill in settlement.fills:
        if ledger.book_fill(fill):
            log.append_once(
                "FILL",
                execution_id=fill.execution_id,
                client_order_id=fill.client_order_id,
                symbol=fill.symbol,
                side=fill.side,
                quantity=str(fill.quantity),
                price_usd=str(fill.price_usd),
                cost_usd=str(fill.cost_usd),
                filled_at=fill.filled_at.isoformat(),
            )
    for order in settlement.orders:
        log.append_once(
            "DONE",
            client_order_id=order.client_order_id,
            status=order.status,
            filled_quantity=str(order.filled_quantity),
            reason=order.reason,
        )


def _log_event(log: AuditLog, event: AccountEvent) -> None:
    log.append_once(
        "ACCOUNT_EVENT",
        event_id=event.event_id,
        kind=event.kind,
        session=event.session.isoformat(),
        symbol=event.symbol,
        quantity_change=str(event.quantity_change),
        cash_usd=str(event.cash_usd),
    )


def _reconcile(log: AuditLog, ledger: Ledger, gateway: BrokerGateway, session: date) -> list[str]:
    """Compare with the broker; its rounding of cash, and nothing else, is booked."""
    broker = gateway.account()
    rounding = broker.cash_usd - ledger.cash_usd
    if rounding and abs(rounding) <= gateway.cash_tolerance_usd:
        event = AccountEvent(f"rounding-{session}", "rounding", session, "", ZERO, rounding)
        ledger.book_event(event)
        _log_event(log, event)
    differences = reconcile(ledger.state(session), broker)
    log.append_once(
        "RECONCILE",
        ledger_cash_usd=str(ledger.cash_usd),
        broker_cash_usd=str(broker.cash_usd),
        differences="; ".join(differences),
    )
    return differences


def _tables(
    record: SessionRecord, books: _Closed, market: Market, row: int
) -> dict[str, pl.DataFrame]:
    values = market_values(books.closing, market, row)
    # Rounded once, as the market core sums: the positions' own values are rounded one by one.
    equity = books.closing.cash_usd + sum(values.values(), ZERO)
    account = {
        "session": [record.session],
        "cash_usd": [books.closing.cash_usd],
        "equity_usd": [equity.quantize(MONEY_STEP, ROUND_HALF_EVEN)],
        "fees_usd": [sum((fill.cost_usd for fill in books.settlement.fills), ZERO)],
        "dividends_usd": [_cash_of(books, "dividend")],
    }
    schema = TABLES["account"].empty().schema
    return {
        "orders": final_orders(record.tables["orders"], books.settlement.orders),
        "fills": fills_table(record.session, books.settlement.fills),
        "positions": positions_table(record.session, books.closing, market, row),
        "account": conform("account", pl.DataFrame(account, schema=schema)),
    }


def _figures(tables: dict[str, pl.DataFrame], books: _Closed) -> dict[str, str | int]:
    account = tables["account"].row(0, named=True)
    kinds = sorted({event.kind for event in books.settlement.events} - {"dividend", "split"})
    return {
        **{name: str(account[name]) for name in ("cash_usd", "equity_usd", "fees_usd")},
        "dividends_usd": str(account["dividends_usd"]),
        # Booked in cash, and in no column of the account table.
        **{f"{kind}_usd": str(_cash_of(books, kind)) for kind in kinds},
        "fills": len(books.settlement.fills),
        "positions": len(books.closing.quantity),
    }


def _cash_of(books: _Closed, kind: str) -> Decimal:
    return sum((e.cash_usd for e in books.settlement.events if e.kind == kind), ZERO)
