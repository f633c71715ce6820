"""The transaction costs of a settled paper session, order by order and together.

Orders on the open are decided on the last close and sent before the open, so that their arrival
price is the decision's: delay is 0 and the night is timing. The benchmark is the official open, the
spread is the declared one, and impact is whatever else the fill was worse than the open.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from trading_assets.errors import DataError
from trading_assets.paper.marks import last_known_closes
from trading_assets.paper.orders import MONEY_STEP
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.transaction_costs import (
    BPS,
    CostedFill,
    CostedOrder,
    Shortfall,
    order_shortfall,
    sum_shortfalls,
)
from trading_assets.simulation.market import Market, row_of
from trading_assets.strategy import CostsSpec


@dataclass(frozen=True, slots=True)
class SessionCosts:
    """What a session's orders cost against its decisions.

    Attributes
    ----------
    by_order : mapping of str to Shortfall
        By client order id, refused and rejected orders included.
    total : Shortfall
        All of them together; zeros where there was none.
    unpriced : tuple of str
        Ids of orders that were refused because no price or no quantity was known: they have no
        shortfall.
    """

    by_order: Mapping[str, Shortfall]
    total: Shortfall
    unpriced: tuple[str, ...]

    def summary(self) -> dict[str, str | float]:
        """Return the totals as a session's summary keeps them: USD as text, and basis points."""
        total = self.total
        amounts = {**total.parts_usd, "shortfall_usd": total.total_usd}
        found: dict[str, str | float] = {"decided_usd": str(total.decided_usd)}
        for name, amount in amounts.items():
            found[name] = str(amount)
            found[name.replace("_usd", "_bps")] = total.in_bps(amount)
        return found


def session_costs(record: SessionRecord, market: Market, costs: CostsSpec) -> SessionCosts:
    """Return the implementation shortfall of a settled session's orders.

    Parameters
    ----------
    record : SessionRecord
        A settled session.
    market : Market
        Covers the session, under the tickers of the record.
    costs : CostsSpec
        The declared spread; and the fee, which the embedded broker books together with its
        slippage. What a broker elsewhere books beside its prices is all fees.

    Raises
    ------
    DataError
        If the session is not settled, a symbol is not of the market, or a fill met no open.
    """
    if record.status != "settled":
        msg = f"the session of {record.session} was {record.status}; expected a settled one"
        raise DataError(msg)
    decided = dict(record.tables["decisions"]["symbol", "reference_price_usd"].iter_rows())
    session = _Session(market, row_of(market, record.session), costs, _books_slippage(record))
    fills: dict[str, list[dict[str, Any]]] = {}
    for row in record.tables["fills"].iter_rows(named=True):
        fills.setdefault(row["client_order_id"], []).append(row)
    by_order: dict[str, Shortfall] = {}
    unpriced: list[str] = []
    for order in record.tables["orders"].iter_rows(named=True):
        key, price = order["client_order_id"], decided.get(order["symbol"], math.nan)
        if not (math.isfinite(price) and price > 0.0 and order["quantity"] > 0):
            unpriced.append(key)
        else:
            costed = session.costed(order, Decimal(repr(price)), fills.get(key, []))
            by_order[key] = order_shortfall(costed)
    return SessionCosts(by_order, sum_shortfalls([*by_order.values()]), tuple(unpriced))


@dataclass(frozen=True, slots=True)
class _Session:
    market: Market
    row: int
    costs: CostsSpec
    books_slippage: bool

    def costed(
        self, order: Mapping[str, Any], decision_usd: Decimal, fills: list[dict[str, Any]]
    ) -> CostedOrder:
        """Return an order of the record with what the market says of it."""
        market, symbol = self.market, order["symbol"]
        if symbol not in market.symbols:
            msg = f"the session ordered {symbol}; expected a symbol of the market"
            raise DataError(msg)
        column = market.symbols.index(symbol)
        close = float(last_known_closes(market, self.row)[column])
        return CostedOrder(
            symbol=symbol,
            side=order["side"],
            quantity=order["quantity"],
            decision_usd=decision_usd,
            fills=tuple(self._fill(fill, column) for fill in fills),
            end_usd=_decimal(close) if math.isfinite(close) else None,
            split_ratio=_decimal(float(market.split_ratio[self.row, column])),
            cash_per_share_usd=_decimal(float(market.cash_per_share[self.row, column])),
        )

    def _fill(self, fill: Mapping[str, Any], column: int) -> CostedFill:
        opened = float(self.market.open[self.row, column])
        if not math.isfinite(opened):
            msg = (
                f"{fill['execution_id']} filled {fill['symbol']}, which has no open at"
                f" {self.market.sessions[self.row]}; expected a bar: materialize validated_bars"
            )
            raise DataError(msg)
        quantity, price, cost = fill["quantity"], fill["price_usd"], fill["cost_usd"]
        fee = cost
        if self.books_slippage:
            rate = _decimal(self.costs.fee_bps) / BPS
            fee = (quantity * price * rate).quantize(MONEY_STEP, ROUND_HALF_EVEN)
        return CostedFill(
            quantity=quantity,
            price_usd=price,
            benchmark_usd=_decimal(opened),
            half_spread_bps=_decimal(self.costs.half_spread_bps),
            cost_usd=cost,
            fee_usd=fee,
        )


def _books_slippage(record: SessionRecord) -> bool:
    """Return whether the broker books spread and impact beside the price and not in it."""
    return record.summary.get("receiver") == "simulated"


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))
