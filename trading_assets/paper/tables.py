"""The tables of a paper session."""

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN

import polars as pl

from trading_assets.paper.deciding import DecidedSession
from trading_assets.paper.fills import Fill
from trading_assets.paper.inputs import SessionInputs
from trading_assets.paper.ledger import AccountState
from trading_assets.paper.marks import last_known_closes, market_values
from trading_assets.paper.order_plan import Refusal
from trading_assets.paper.order_state import OrderState
from trading_assets.paper.orders import MONEY_STEP, ZERO, to_money
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.market import Market


def decisions_table(inputs: SessionInputs, decided: DecidedSession) -> pl.DataFrame:
    """Return the table `decisions`."""
    rows = [
        (
            inputs.session,
            target.symbol,
            inputs.decision_time,
            target.reference_price_usd,
            target.raw_weight,
            target.weight,
            target.binding_limits,
            decided.decided_by,
        )
        for target in decided.targets
    ]
    schema = TABLES["decisions"].empty().schema
    return conform("decisions", pl.DataFrame(rows, schema=schema, orient="row"))


def orders_table(
    session: date, intended: Sequence[OrderState], refusals: Sequence[Refusal]
) -> pl.DataFrame:
    """Return the table `orders`: those intended, with what became of them, and those refused."""
    rows = [
        (
            session,
            state.order.client_order_id,
            state.order.symbol,
            state.order.side,
            state.order.quantity,
            state.order.order_type,
            state.order.time_in_force,
            state.order.limit_price_usd,
            state.order.stop_price_usd,
            state.status,
            state.filled_quantity,
            state.reason,
        )
        for state in intended
    ]
    rows += [
        (
            session,
            refusal.client_order_id,
            refusal.symbol,
            refusal.side,
            refusal.quantity,
            "market",
            "opg",
            None,
            None,
            "refused",
            ZERO,
            refusal.reason,
        )
        for refusal in refusals
    ]
    schema = TABLES["orders"].empty().schema
    return conform("orders", pl.DataFrame(rows, schema=schema, orient="row"))


def final_orders(orders: pl.DataFrame, final: Sequence[OrderState]) -> pl.DataFrame:
    """Return the table `orders` with the final statuses."""
    schema = orders.select("client_order_id", "status", "filled_quantity", "reason").schema
    rows = [(o.order.client_order_id, o.status, o.filled_quantity, o.reason) for o in final]
    changes = pl.DataFrame(rows, schema=schema, orient="row")
    return conform("orders", orders.update(changes, on="client_order_id"))


def fills_table(session: date, fills: Sequence[Fill]) -> pl.DataFrame:
    """Return the table `fills`."""
    rows = [
        (
            session,
            fill.execution_id,
            fill.client_order_id,
            fill.symbol,
            fill.side,
            fill.quantity,
            fill.price_usd,
            fill.cost_usd,
            fill.filled_at,
        )
        for fill in fills
    ]
    schema = TABLES["fills"].empty().schema
    return conform("fills", pl.DataFrame(rows, schema=schema, orient="row"))


def positions_table(session: date, closing: AccountState, market: Market, row: int) -> pl.DataFrame:
    """Return the table `positions`, marked at the last close known at `row`."""
    closes = dict(zip(market.symbols, last_known_closes(market, row).tolist(), strict=True))
    values = market_values(closing, market, row)
    rows = [
        (
            session,
            symbol,
            quantity,
            to_money(closes[symbol]),
            values[symbol].quantize(MONEY_STEP, ROUND_HALF_EVEN),
        )
        for symbol, quantity in sorted(closing.quantity.items())
    ]
    schema = TABLES["positions"].empty().schema
    return conform("positions", pl.DataFrame(rows, schema=schema, orient="row"))
