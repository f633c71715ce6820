"""The transaction costs of a settled session as its record keeps them: a table and its sums.

Costs are told about a session and decide nothing in it: where one cannot be computed, the session
is settled all the same and says why.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import polars as pl

from trading_assets.errors import DataError
from trading_assets.paper.orders import MONEY_STEP, ZERO
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.session_costs import SessionCosts, session_costs
from trading_assets.schema import TABLES, conform
from trading_assets.simulation.market import Market
from trading_assets.strategy import CostsSpec

# In a settled record's summary: the sums, or why there are none.
COSTS = "costs"
# Columns of `order_costs` that sum to its `shortfall_usd`.
COST_PARTS = (
    "delay_usd",
    "spread_usd",
    "impact_usd",
    "timing_usd",
    "opportunity_usd",
    "fees_usd",
)


def with_costs(record: SessionRecord, market: Market, costs: CostsSpec) -> SessionRecord:
    """Return a settled record with table `order_costs` and the session's sums in its summary.

    Parameters
    ----------
    record : SessionRecord
        Settled; its table `order_costs` is replaced.
    market : Market
        Covers the session, under the tickers of the record.
    costs : CostsSpec
        Declared spread and fee.
    """
    try:
        found = session_costs(record, market, costs)
    except DataError as error:
        kept: dict[str, Any] = {"missing": str(error)}
        return replace(record, summary={**record.summary, COSTS: kept})
    kept = {**found.summary(), "unpriced": list(found.unpriced)}
    return replace(
        record,
        tables={**record.tables, "order_costs": order_costs_table(record, found)},
        summary={**record.summary, COSTS: kept},
    )


def order_costs_table(record: SessionRecord, costs: SessionCosts) -> pl.DataFrame:
    """Return the table `order_costs`: every order that has a shortfall, in the order of sending."""
    decided = dict(record.tables["decisions"]["symbol", "reference_price_usd"].iter_rows())
    paid = _mean_prices(record.tables["fills"])
    schema = TABLES["order_costs"].empty().schema
    rows: list[Mapping[str, Any]] = []
    for order in record.tables["orders"].iter_rows(named=True):
        shortfall = costs.by_order.get(order["client_order_id"])
        if shortfall is None:
            continue
        price = Decimal(repr(decided[order["symbol"]])).quantize(MONEY_STEP, ROUND_HALF_EVEN)
        rows.append(
            {
                **{name: order[name] for name in schema if name in order},
                "decision_price_usd": price,
                # An order on the open is sent before anything trades again.
                "arrival_price_usd": price,
                "fill_price_usd": paid.get(order["client_order_id"]),
                "decided_usd": shortfall.decided_usd,
                **shortfall.parts_usd,
                "shortfall_usd": shortfall.total_usd,
            }
        )
    return conform("order_costs", pl.DataFrame(rows, schema=schema))


def _mean_prices(fills: pl.DataFrame) -> dict[str, Decimal]:
    shares: dict[str, Decimal] = {}
    notional: dict[str, Decimal] = {}
    for fill in fills.iter_rows(named=True):
        key, quantity = fill["client_order_id"], fill["quantity"]
        shares[key] = shares.get(key, ZERO) + quantity
        notional[key] = notional.get(key, ZERO) + quantity * fill["price_usd"]
    return {
        key: (notional[key] / shares[key]).quantize(MONEY_STEP, ROUND_HALF_EVEN) for key in shares
    }
