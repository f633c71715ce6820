"""Which orders the simulated broker takes; codes and words of a refusal are Alpaca's."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from trading_assets.paper.orders import ZERO, Order
from trading_assets.paper.simulated_broker.booked import BookedOrder
from trading_assets.simulation.market import Market

NOT_UNIQUE, UNPROCESSABLE, FORBIDDEN, NOT_FOUND = 40010001, 42210000, 40310000, 40410000
_AUCTIONS = frozenset({"opg", "cls"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused.

    Attributes
    ----------
    http_status, code : int
        As Alpaca answers.
    message : str
        The rule in words.
    """

    http_status: int
    code: int
    message: str


def not_unique() -> Refusal:
    """Return the refusal of an id that an order had before, whatever became of it."""
    return Refusal(422, NOT_UNIQUE, "client_order_id must be unique")


def order_refusal(order: Order) -> Refusal | None:
    """Return why an order is refused for its own terms, or None."""
    kind, force = order.order_type, order.time_in_force
    if not order.is_whole and (kind, force) != ("market", "day"):
        return _unprocessable("fractional orders must be DAY orders of type market")
    if order.bracket is not None and force not in ("day", "gtc"):
        return _unprocessable("bracket orders must be DAY or GTC orders")
    if order.bracket is not None and not order.is_whole:
        return _unprocessable("fractional orders must be simple orders")
    if force in _AUCTIONS and kind not in ("market", "limit"):
        return _unprocessable(f"{kind} orders are not taken for an auction")
    if force == "ioc" and kind not in ("market", "limit"):
        return _unprocessable(f"{kind} orders are not taken as immediate or cancel")
    return None


def symbol_refusal(order: Order, market: Market, untradable: frozenset[str]) -> Refusal | None:
    """Return why a symbol is not traded, or None.

    Parameters
    ----------
    order : Order
        The order.
    market : Market
        Bars known now; a symbol is traded from its first bar until it is paid out.
    untradable : frozenset of str
        Symbols that the broker does not take orders for.
    """
    if order.symbol not in market.symbols:
        return Refusal(422, UNPROCESSABLE, f'asset "{order.symbol}" not found')
    column = market.symbols.index(order.symbol)
    before = market.sessions < np.datetime64(order.session, "D")
    has_traded = bool(np.isfinite(market.close[before, column]).any())
    payout = market.payout_per_share
    is_over = payout is not None and bool(np.isfinite(payout[before, column]).any())
    if order.symbol in untradable or is_over or not has_traded:
        return Refusal(422, UNPROCESSABLE, f'asset "{order.symbol}" is not tradable')
    return None


def holding_refusal(
    order: Order, held: Decimal, open_orders: Iterable[BookedOrder]
) -> Refusal | None:
    """Return why an account that may not go short cannot sell, or None.

    Parameters
    ----------
    order : Order
        The order.
    held : Decimal
        Shares held.
    open_orders : iterable of BookedOrder
        Orders whose shares are spoken for; two exits of one entry speak for them once.
    """
    if order.side == "buy":
        return None
    spoken_for: dict[str, Decimal] = {}
    for booked in open_orders:
        same = (booked.order.symbol, booked.order.side) == (order.symbol, "sell")
        if same and booked.status != "held":
            spoken_for[booked.entry or booked.client_order_id] = booked.left
    available = max(held - sum(spoken_for.values(), ZERO), ZERO)
    if order.quantity <= available:
        return None
    message = (
        f"insufficient qty available for order (requested: {order.quantity},"
        f" available: {available})"
    )
    return Refusal(403, FORBIDDEN, message)


def _unprocessable(message: str) -> Refusal:
    return Refusal(422, UNPROCESSABLE, message)
