"""The second half of a session: book what the broker reports, reconcile, and mark at the close."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np
import polars as pl

from trading_assets.paper.acceptance import strangers_left
from trading_assets.paper.account_memory import memory_after
from trading_assets.paper.cost_tables import with_costs
from trading_assets.paper.inputs import SessionInputs, orders_since
from trading_assets.paper.journal import Journal
from trading_assets.paper.ledger import AccountEvent, AccountState
from trading_assets.paper.marks import market_values
from trading_assets.paper.orders import MONEY_STEP, ZERO
from trading_assets.paper.reconciliation import Span, find_differences, read_broker, unfinished
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.recording import head_of
from trading_assets.paper.tables import fills_table, final_orders, positions_table
from trading_assets.risk.breakers import Counts, Observations
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
    if not inputs.gateway.has_closed(record.session):
        return record
    row = row_of(inputs.market, record.session)
    with inputs.open_log(record) as log:
        journal = Journal(log)
        differences = _differences(inputs, journal, record)
        if differences is None:
            return record
        closed = _Closed(journal, journal.account.state(record.session))
        tables = {**record.tables, **_tables(record, closed, inputs.market, row)}
        figures = _figures(tables, closed)
        journal.note_once("ACCOUNT", **{name: str(value) for name, value in figures.items()})
        inputs.guard.after_close(_observations(inputs, record, closed, figures))
        journal.note_once("STOP", session=record.session.isoformat(), status="settled")
        journal.flush()
        inputs.folder.checkpoint(record.session, journal.head, is_final=True)
        settled = replace(
            record,
            status="settled",
            closing=closed.state,
            tables=tables,
            audit=journal.content(),
            summary={
                **record.summary,
                **figures,
                **_memory(inputs, record, closed, Decimal(figures["equity_usd"])),
                "last_targets": inputs.gateway.last_targets(),
                "differences": differences,
                "audit": head_of(journal),
            },
        )
        return with_costs(settled, inputs.market, inputs.strategy.costs)


@dataclass(frozen=True, slots=True)
class _Closed:
    journal: Journal
    state: AccountState

    @property
    def events(self) -> list[AccountEvent]:
        return self.journal.account.events


def _differences(
    inputs: SessionInputs, journal: Journal, record: SessionRecord
) -> list[str] | None:
    """Book what the broker tells and return where it still differs; None while that is open.

    Where the log has ended and only its record was lost, nothing more is booked in it: what the
    broker has changed since is found by the next session.
    """
    if journal.has("STOP", session=record.session.isoformat(), status="settled"):
        return [halt["reason"] for halt in journal.records("HALT")]
    strangers = _catch_up(inputs, journal, record)
    if strangers is None:
        return None
    differences = [*strangers, *find_differences(journal, inputs.gateway, record.session)]
    if differences:
        reason = f"ledger and broker differ after {record.session}: {'; '.join(differences)}"
        inputs.switch.halt("reconciliation", reason)
        journal.note_once("HALT", session=record.session.isoformat(), reason=reason)
    return differences


def _catch_up(inputs: SessionInputs, journal: Journal, record: SessionRecord) -> list[str] | None:
    """Book what the broker tells; None while an order is open or an execution is not listed."""
    since = orders_since(inputs, record.opening.as_of, record.session)
    span = Span(record.opening.as_of, record.session, since)
    strangers = read_broker(journal, inputs.gateway, span)
    known = {order.client_order_id: order for order in inputs.gateway.orders(since)}
    return None if unfinished(journal, known) else strangers_left(journal, strangers)


def _observations(
    inputs: SessionInputs, record: SessionRecord, closed: _Closed, figures: Mapping[str, str | int]
) -> Observations:
    orders = closed.journal.account.orders.values()
    answered = [state for state in orders if state.status not in ("intended", "not_sent")]
    return Observations(
        at=inputs.clock.now(),
        equity_usd=Decimal(figures["equity_usd"]),
        session_equity_usd=_equity_before(inputs, record),
        counts=Counts(
            orders=len(answered),
            rejected=sum(state.status == "rejected" for state in answered),
        ),
    )


def _equity_before(inputs: SessionInputs, record: SessionRecord) -> Decimal:
    market, opening = inputs.market, record.opening
    if opening.as_of is None:
        return opening.cash_usd
    held = market_values(opening, market, row_of(market, opening.as_of))
    return opening.cash_usd + sum(held.values(), ZERO)


def _memory(
    inputs: SessionInputs, record: SessionRecord, closed: _Closed, equity_usd: Decimal
) -> dict[str, Any]:
    """Return what policies remember of the account after the session."""
    before = _equity_before(inputs, record)
    strategy = inputs.strategy
    is_constant = strategy.policy.sizing == "constant_notional"
    base = Decimal(repr(strategy.paper.initial_cash_usd)) if is_constant else before
    fills = closed.journal.account.fills
    traded = sum((fill.quantity * fill.price_usd for fill in fills), ZERO)
    return memory_after(record.summary, float((equity_usd - before) / base), float(traded / base))


def _tables(
    record: SessionRecord, closed: _Closed, market: Market, row: int
) -> dict[str, pl.DataFrame]:
    values = market_values(closed.state, market, row)
    # Rounded once, as the market core sums: the positions' own values are rounded one by one.
    equity = closed.state.cash_usd + sum(values.values(), ZERO)
    account = closed.journal.account
    row_values = {
        "session": [record.session],
        "cash_usd": [closed.state.cash_usd],
        "equity_usd": [equity.quantize(MONEY_STEP, ROUND_HALF_EVEN)],
        "fees_usd": [sum((fill.cost_usd for fill in account.fills), ZERO)],
        "dividends_usd": [_cash_of(closed, "dividend")],
    }
    schema = TABLES["account"].empty().schema
    return {
        "orders": final_orders(record.tables["orders"], list(account.orders.values())),
        "fills": fills_table(record.session, account.fills),
        "positions": positions_table(record.session, closed.state, market, row),
        "account": conform("account", pl.DataFrame(row_values, schema=schema)),
    }


def _figures(tables: dict[str, pl.DataFrame], closed: _Closed) -> dict[str, str | int]:
    account = tables["account"].row(0, named=True)
    kinds = sorted({event.kind for event in closed.events} - {"dividend", "split"})
    return {
        **{name: str(account[name]) for name in ("cash_usd", "equity_usd", "fees_usd")},
        "dividends_usd": str(account["dividends_usd"]),
        # Booked in cash, and in no column of the account table.
        **{f"{kind}_usd": str(_cash_of(closed, kind)) for kind in kinds},
        "fills": len(closed.journal.account.fills),
        "positions": len(closed.state.quantity),
    }


def _cash_of(closed: _Closed, kind: str) -> Decimal:
    return sum((event.cash_usd for event in closed.events if event.kind == kind), ZERO)
