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
from trading_assets.risk.account_facts import AccountFacts
from trading_assets.risk.order_limits import OrderLimits
from trading_assets.risk.pretrade import check_batch
from trading_assets.risk.pretrade_state import PreTradeState
from trading_assets.risk.proposed_orders import ProposedOrder
from trading_assets.simulation.terms import SHARE_DECIMALS
from trading_assets.symbols import normalize_symbol


@dataclass(frozen=True, slots=True)
class Refusal:
    """An order that was not sent, and why.

    Attributes
    ----------
    reason : str
        One sentence a limit.
    rule, limit, observed : str
        The first limit that it broke, what it allows and what was found.
    """

    client_order_id: str
    session: date
    symbol: str
    side: Side
    quantity: Decimal
    reason: str
    rule: str = ""
    limit: str = ""
    observed: str = ""


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
    is_reducing : bool
        Whether only orders that bring a position nearer to zero may be sent.
    """

    strategy: str
    session: date
    held: Mapping[str, Decimal]
    target: Mapping[str, float]
    reference_price_usd: Mapping[str, float]
    data_age_sessions: Mapping[str, int]
    lot_shares: float = 0.0
    is_reducing: bool = False


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """Orders in the order of sending (sales first, then by symbol), and the refused ones."""

    orders: tuple[Order, ...]
    refusals: tuple[Refusal, ...]


def plan_orders(request: PlanRequest, limits: OrderLimits, facts: AccountFacts) -> OrderPlan:
    """Return the orders that move `held` to `target`, after the pre-trade checks.

    A symbol that fails a check gets no order and keeps its position; the others are unaffected.
    Orders are checked in the order of sending, and each that passes counts at once.

    Parameters
    ----------
    request : PlanRequest
        Holdings, targets and what is known of prices before the session's open.
    limits : OrderLimits
        What is declared.
    facts : AccountFacts
        The account before the first of them, with all that is open.
    """
    drafts = [
        draft
        for symbol in sorted({*request.held, *request.target})
        if (draft := _draft(request, symbol)) is not None
    ]
    drafts.sort(key=lambda draft: (draft.side != "sell", draft.symbol))
    refusals = [draft for draft in drafts if draft.reason]
    judged = [draft for draft in drafts if not draft.reason]
    by_id = {draft.client_order_id: draft for draft in judged}
    checked = check_batch(
        [_proposed(draft, request) for draft in judged], PreTradeState(facts), limits
    )
    for refused in checked.refused:
        breach = refused.breaches[0]
        reason = "; ".join(breach.sentence for breach in refused.breaches)
        refusals.append(
            replace(
                by_id[refused.order.client_order_id],
                reason=reason,
                rule=breach.rule,
                limit=breach.limit,
                observed=breach.observed,
            )
        )
    refusals.sort(key=lambda refusal: refusal.symbol)
    return OrderPlan(
        tuple(_order(by_id[o.client_order_id]) for o in checked.accepted), tuple(refusals)
    )


def _proposed(draft: Refusal, request: PlanRequest) -> ProposedOrder:
    price = request.reference_price_usd.get(draft.symbol, math.nan)
    return ProposedOrder(
        draft.client_order_id,
        draft.symbol,
        draft.side,
        draft.quantity,
        reference_price_usd=Decimal(repr(price)),
        data_age_sessions=request.data_age_sessions.get(draft.symbol),
    )


def _order(draft: Refusal) -> Order:
    order = Order(draft.client_order_id, draft.session, draft.symbol, draft.side, draft.quantity)
    # The opening auction takes whole shares; a fraction waits for the open as a day order.
    return order if order.is_whole else replace(order, time_in_force="day")


def _draft(request: PlanRequest, symbol: str) -> Refusal | None:
    """Return the order a symbol needs, not yet checked, or None when it needs none."""
    held = request.held.get(symbol, ZERO)
    target = request.target.get(symbol, 0.0)
    order_id = client_order_id(request.strategy, request.session, symbol, 0)
    if not math.isfinite(target):
        reason = f"target quantity of {symbol} was {target}; expected a finite number of shares"
        return Refusal(order_id, request.session, symbol, "buy", ZERO, reason, "target_quantity")
    # Rounded as the market core rounds a trade, so that both name the same shares.
    difference = np.round(target - float(held), SHARE_DECIMALS)
    delta = _whole_lots(to_quantity(difference), target, held, request.lot_shares)
    if not delta:
        return None
    side: Side = "buy" if delta > 0 else "sell"
    reason = ""
    if normalize_symbol(symbol) != symbol or symbol not in request.data_age_sessions:
        reason = f"{symbol[:40]!r} is not a symbol of the data set; expected one that has bars"
    if request.is_reducing and not reason and not _is_reduction(held, delta):
        reason = (
            f"the account only reduces positions, and {side} {abs(delta)} of {symbol} would not;"
            " expected an order that brings it nearer to zero"
        )
        return Refusal(order_id, request.session, symbol, side, abs(delta), reason, "reducing")
    return Refusal(order_id, request.session, symbol, side, abs(delta), reason)


def _is_reduction(held: Decimal, delta: Decimal) -> bool:
    return held * delta < 0 and abs(delta) <= abs(held)


def _whole_lots(delta: Decimal, target: float, held: Decimal, lot_shares: float) -> Decimal:
    """Round toward zero to lots; closing a position sells a fraction that a split left, too."""
    if lot_shares == 0.0:
        return delta
    if target == 0.0:
        return -held
    lot = to_quantity(lot_shares)
    return (delta / lot).to_integral_value(ROUND_DOWN) * lot
