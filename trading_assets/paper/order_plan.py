"""From target quantities to orders: what to buy and sell, and what is refused unsent.

A float of the sizing function becomes a Decimal once. This module knows no broker, no clock and no
storage.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_DOWN, Decimal

import numpy as np

from trading_assets.paper.orders import ZERO, Order, Side, client_order_id, to_quantity
from trading_assets.risk_specs import RiskSpec
from trading_assets.simulation.terms import SHARE_DECIMALS
from trading_assets.symbols import normalize_symbol


@dataclass(frozen=True, slots=True)
class Refusal:
    """An order that was not sent, and why."""

    client_order_id: str
    session: date
    symbol: str
    side: Side
    quantity: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What an order plan is made from, all known before the session's open.

    Attributes
    ----------
    held : mapping of symbol to Decimal
        Shares held now, negative when short.
    target : mapping of symbol to float
        Shares wanted, as the sizing function of the market core gives them.
    reference_price_usd : mapping of symbol to float
        Last close known, unadjusted USD; absent or nan where there is none.
    data_age_sessions : mapping of symbol to int
        Sessions from the symbol's newest bar to `session`; 1 when the bar is the session before's.
    lot_shares : float
        Smallest tradable quantity; 0 allows 1e-9 shares.
    """

    strategy: str
    session: date
    held: Mapping[str, Decimal]
    target: Mapping[str, float]
    reference_price_usd: Mapping[str, float]
    data_age_sessions: Mapping[str, int]
    lot_shares: float = 0.0


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """Orders in the order of sending (sales first, then by symbol), and the refused ones."""

    orders: tuple[Order, ...]
    refusals: tuple[Refusal, ...]


def plan_orders(request: PlanRequest, limits: RiskSpec) -> OrderPlan:
    """Return the orders that move `held` to `target`, after the pre-trade checks.

    A symbol that fails a check gets no order and keeps its position; the others are unaffected.

    Parameters
    ----------
    request : PlanRequest
        Holdings, targets and what is known of prices before the session's open.
    limits : RiskSpec
        Largest order notional and oldest data allowed.
    """
    orders: list[Order] = []
    refusals: list[Refusal] = []
    for symbol in sorted({*request.held, *request.target}):
        draft = _draft(request, symbol)
        if draft is None:
            continue
        reason = _refusal_reason(draft, request, limits)
        if reason:
            refusals.append(replace(draft, reason=reason))
        else:
            order = Order(draft.client_order_id, draft.session, symbol, draft.side, draft.quantity)
            # The opening auction takes whole shares; a fraction waits for the open as a day order.
            orders.append(order if order.is_whole else replace(order, time_in_force="day"))
    orders.sort(key=lambda order: (order.side != "sell", order.symbol))
    return OrderPlan(tuple(orders), tuple(refusals))


def _draft(request: PlanRequest, symbol: str) -> Refusal | None:
    """Return the order a symbol needs, not yet checked, or None when it needs none."""
    held = request.held.get(symbol, ZERO)
    target = request.target.get(symbol, 0.0)
    order_id = client_order_id(request.strategy, request.session, symbol, 0)
    if not math.isfinite(target):
        reason = f"target quantity of {symbol} was {target}; expected a finite number of shares"
        return Refusal(order_id, request.session, symbol, "buy", ZERO, reason)
    # Rounded as the market core rounds a trade, so that both name the same shares.
    difference = np.round(target - float(held), SHARE_DECIMALS)
    delta = _whole_lots(to_quantity(difference), target, held, request.lot_shares)
    if not delta:
        return None
    side: Side = "buy" if delta > 0 else "sell"
    return Refusal(order_id, request.session, symbol, side, abs(delta), "")


def _whole_lots(delta: Decimal, target: float, held: Decimal, lot_shares: float) -> Decimal:
    """Round toward zero to lots; closing a position sells a fraction that a split left, too."""
    if lot_shares == 0.0:
        return delta
    if target == 0.0:
        return -held
    lot = to_quantity(lot_shares)
    return (delta / lot).to_integral_value(ROUND_DOWN) * lot


def _refusal_reason(draft: Refusal, request: PlanRequest, limits: RiskSpec) -> str:
    symbol = draft.symbol
    price = request.reference_price_usd.get(symbol, math.nan)
    age = request.data_age_sessions.get(symbol)
    notional = float(draft.quantity) * price
    if draft.reason:
        return draft.reason
    if normalize_symbol(symbol) != symbol or age is None:
        return f"{symbol[:40]!r} is not a symbol of the data set; expected one that has bars"
    if not (math.isfinite(price) and price > 0):
        return f"reference price of {symbol} was {price}; expected a positive close"
    if age > limits.max_data_age_sessions:
        return (
            f"newest bar of {symbol} is {age} sessions old;"
            f" expected at most max_data_age_sessions {limits.max_data_age_sessions}"
        )
    if notional > limits.max_order_notional_usd:
        return (
            f"notional was {notional:,.2f} USD; expected at most"
            f" max_order_notional_usd {limits.max_order_notional_usd:,.2f}"
        )
    return ""
