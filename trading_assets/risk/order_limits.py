"""What one order may be: each limit of a strategy on orders, and the function that keeps it.

A function returns what an order breaks, or None. A limit that is not declared is not broken; one
that cannot be held against anything, since a price or a volume is missing, is.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Context, Decimal
from typing import Any, Literal

from trading_assets.risk.pretrade_state import PreTradeState
from trading_assets.risk.proposed_orders import ProposedOrder, is_price
from trading_assets.risk_specs import OrderLimitsSpec, RiskSpec

PERCENT = Decimal(100)
# For what is shown only.
_ROUNDED = Context(prec=28)


@dataclass(frozen=True, slots=True)
class Breach:
    """A limit that an order breaks, for the audit log and for a person.

    Attributes
    ----------
    rule : str
        Name of the limit, as declared where it is.
    limit, observed : str
        What was allowed and what was found.
    sentence : str
        Both in words.
    """

    rule: str
    limit: str
    observed: str
    sentence: str


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """The limits of a strategy on its orders; None where there is none.

    Attributes are those of `OrderLimitsSpec`, numbers as the Decimals they are declared as, and:

    Attributes
    ----------
    max_order_notional_usd : Decimal
        Largest notional of one order.
    max_data_age_sessions : int
        Sessions after which the newest bar is too old to trade on.
    permits_short : bool
        Whether a position may become negative.
    """

    max_order_notional_usd: Decimal
    max_data_age_sessions: int
    permits_short: bool
    max_order_quantity_shares: Decimal | None = None
    max_order_volume_pct: Decimal | None = None
    price_collar_pct: Decimal | None = None
    session_drift_collar_pct: Decimal | None = None
    max_position_notional_usd: Decimal | None = None
    max_sector_notional_usd: Decimal | None = None
    max_gross_notional_usd: Decimal | None = None
    max_net_notional_usd: Decimal | None = None
    max_leverage: Decimal | None = None
    max_open_orders: int | None = None
    max_orders_per_session: int | None = None
    restricted_symbols: frozenset[str] = frozenset()

    @classmethod
    def from_declared(
        cls, risk: RiskSpec, position: Literal["long_only", "long_short"]
    ) -> "OrderLimits":
        """Return the limits that a strategy declares, for the positions it may take."""
        shared = {field.name for field in fields(cls)} & {*OrderLimitsSpec.model_fields}
        declared: dict[str, Any] = {name: _exact(getattr(risk.orders, name)) for name in shared}
        declared["restricted_symbols"] = frozenset(risk.orders.restricted_symbols)
        return cls(
            max_order_notional_usd=Decimal(repr(risk.max_order_notional_usd)),
            max_data_age_sessions=risk.max_data_age_sessions,
            permits_short=position == "long_short",
            **declared,
        )


Rule = Callable[[ProposedOrder, PreTradeState, OrderLimits], Breach | None]


def restricted_symbols(
    order: ProposedOrder, _state: PreTradeState, limits: OrderLimits
) -> Breach | None:
    """Refuse any order in a restricted symbol, even one that closes a position."""
    if order.symbol not in limits.restricted_symbols:
        return None
    sentence = f"{order.symbol} is among restricted_symbols; expected no order in it"
    named = ", ".join(sorted(limits.restricted_symbols))
    return Breach("restricted_symbols", named, order.symbol, sentence)


def repeated_order_id(
    order: ProposedOrder, state: PreTradeState, _limits: OrderLimits
) -> Breach | None:
    """Refuse a client order id that was used before."""
    if order.client_order_id not in state.order_ids:
        return None
    sentence = f"client order id {order.client_order_id} was used before; expected a new one"
    return Breach("repeated_order_id", "1", "2", sentence)


def repeated_intent(
    order: ProposedOrder, state: PreTradeState, _limits: OrderLimits
) -> Breach | None:
    """Refuse symbol, side and quantity of an order that is open."""
    if not state.has_intent(order):
        return None
    intent = f"{order.side} {order.quantity} {order.symbol}"
    sentence = f"an order to {intent} is open already; expected it filled or cancelled before"
    return Breach("repeated_intent", "1", "2", sentence)


def self_cross(order: ProposedOrder, state: PreTradeState, _limits: OrderLimits) -> Breach | None:
    """Refuse an order that could trade with an open one of the same account."""
    if not state.crosses(order):
        return None
    facing = "sale" if order.side == "buy" else "purchase"
    sentence = (
        f"an open {facing} of {order.symbol} could trade with this {order.side} order;"
        " expected it filled or cancelled before"
    )
    return Breach("self_cross", "0", "1", sentence)


def max_order_quantity_shares(
    order: ProposedOrder, _state: PreTradeState, limits: OrderLimits
) -> Breach | None:
    """Refuse an order of more shares."""
    name = "max_order_quantity_shares"
    return above(name, "quantity", order.quantity, limits.max_order_quantity_shares)


def max_order_notional_usd(
    order: ProposedOrder, _state: PreTradeState, limits: OrderLimits
) -> Breach | None:
    """Refuse more of quantity times the highest of reference, limit and stop price."""
    prices = (order.reference_price_usd, order.limit_price_usd, order.stop_price_usd)
    notional = order.quantity * max(price for price in prices if price is not None)
    name = "max_order_notional_usd"
    return above(name, "notional in USD", notional, limits.max_order_notional_usd)


def max_order_volume_pct(
    order: ProposedOrder, state: PreTradeState, limits: OrderLimits
) -> Breach | None:
    """Refuse an order of more percent of the average daily volume known."""
    name, limit = "max_order_volume_pct", limits.max_order_volume_pct
    if limit is None:
        return None
    volume = state.facts.average_volume_shares.get(order.symbol)
    if volume is None or not is_price(volume):
        return unknown(name, f"average daily volume of {order.symbol}", volume, limit)
    return _share_above(name, "percent of average volume", order.quantity, volume, limit)


def price_collar_pct(
    order: ProposedOrder, _state: PreTradeState, limits: OrderLimits
) -> Breach | None:
    """Refuse a limit further from the reference, or in a stop limit order from the stop.

    Until its stop is reached such an order does nothing, and then the stop is where the market is.
    """
    anchor = order.reference_price_usd if order.stop_price_usd is None else order.stop_price_usd
    limit, collar = order.limit_price_usd, limits.price_collar_pct
    if collar is None or limit is None or anchor is None:
        return None
    what = "percent between limit and reference price"
    return _share_above("price_collar_pct", what, abs(limit - anchor), anchor, collar)


def session_drift_collar_pct(
    order: ProposedOrder, state: PreTradeState, limits: OrderLimits
) -> Breach | None:
    """Refuse a reference further from the first one of the session."""
    name, collar = "session_drift_collar_pct", limits.session_drift_collar_pct
    reference = order.reference_price_usd
    if collar is None or reference is None:
        return None
    first = state.facts.session_price_usd.get(order.symbol)
    if first is None or not is_price(first):
        return unknown(name, f"first price of {order.symbol} in the session", first, collar)
    what = "percent between reference and the session's first"
    return _share_above(name, what, abs(reference - first), first, collar)


def max_open_orders(
    _order: ProposedOrder, state: PreTradeState, limits: OrderLimits
) -> Breach | None:
    """Refuse one more open order, those of unknown fate counted."""
    return above(
        "max_open_orders", "number of open orders", state.open_count + 1, limits.max_open_orders
    )


def max_orders_per_session(
    _order: ProposedOrder, state: PreTradeState, limits: OrderLimits
) -> Breach | None:
    """Refuse one more order in the session."""
    name, count = "max_orders_per_session", state.order_count + 1
    return above(name, "number of orders in the session", count, limits.max_orders_per_session)


ORDER_RULES: tuple[Rule, ...] = (
    restricted_symbols,
    repeated_order_id,
    repeated_intent,
    self_cross,
    max_order_quantity_shares,
    max_order_notional_usd,
    max_order_volume_pct,
    price_collar_pct,
    session_drift_collar_pct,
    max_open_orders,
    max_orders_per_session,
)


def above(
    rule: str, what: str, observed: Decimal | int, limit: Decimal | int | None
) -> Breach | None:
    """Return the breach of a limit that a number is above."""
    if limit is None or observed <= limit:
        return None
    # Without exponents, of which audit records know nothing.
    found, allowed = f"{Decimal(observed):f}", f"{Decimal(limit):f}"
    sentence = f"{what} was {found}; expected at most {rule} {allowed}"
    return Breach(rule, allowed, found, sentence)


def unknown(rule: str, what: str, observed: Decimal | None, limit: Decimal) -> Breach:
    """Return the breach of a limit that cannot be held against anything."""
    sentence = f"{what} was {observed}; expected a positive number to hold against {rule} {limit:f}"
    return Breach(rule, f"{limit:f}", str(observed), sentence)


def _share_above(
    rule: str, what: str, part: Decimal, whole: Decimal, limit_pct: Decimal
) -> Breach | None:
    """Hold a share against a limit without dividing, which would round."""
    if part * PERCENT <= limit_pct * whole:
        return None
    observed = _ROUNDED.divide(part * PERCENT, whole)
    sentence = f"{what} was {observed:f}; expected at most {rule} {limit_pct:f}"
    return Breach(rule, f"{limit_pct:f}", f"{observed:f}", sentence)


def _exact(value: float | int | None) -> Decimal | int | None:
    return Decimal(repr(value)) if isinstance(value, float) else value
