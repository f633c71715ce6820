"""How an order of the simulated broker changes: splits, fills, exits of a bracket, the close.

Each function returns orders after the change; nothing is stored here.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from trading_assets.paper.fills import Fill
from trading_assets.paper.orders import (
    ZERO,
    Bracket,
    Order,
    round_to_tick,
    to_quantity,
)
from trading_assets.paper.simulated_broker.booked import (
    BookedOrder,
    Change,
    ExitRole,
    exit_order_id,
)


def exits_of(entry: Order) -> list[Order]:
    """Return the exits that an entry's bracket leaves, none without a bracket."""
    if entry.bracket is None:
        return []
    prices: list[tuple[ExitRole, Decimal]] = [
        ("stop_loss", entry.bracket.stop_loss_usd),
        ("take_profit", entry.bracket.take_profit_usd),
    ]
    return [
        Order(
            client_order_id=exit_order_id(entry.client_order_id, role),
            session=entry.session,
            symbol=entry.symbol,
            side="sell" if entry.side == "buy" else "buy",
            quantity=entry.quantity,
            order_type="stop" if role == "stop_loss" else "limit",
            time_in_force=entry.time_in_force,
            limit_price_usd=price if role == "take_profit" else None,
            stop_price_usd=price if role == "stop_loss" else None,
        )
        for role, price in prices
    ]


def restated(booked: BookedOrder, ratio: float, at: datetime) -> BookedOrder:
    """Return an order in shares after a split of `ratio` for 1; prices stay on the tick."""
    asked = to_quantity(float(booked.left) * ratio)
    if not asked:
        reason = f"nothing was left of {booked.left} shares after a split of {ratio:g} for 1"
        return replace(booked, status="canceled", reason=reason, updated_at=at)
    by = Decimal(repr(ratio))
    order = booked.order
    bracket = order.bracket
    if bracket is not None:
        bracket = Bracket(
            _restate(bracket.take_profit_usd, by), _restate(bracket.stop_loss_usd, by)
        )
    limit, stop = order.limit_price_usd, order.stop_price_usd
    order = replace(
        order,
        quantity=booked.filled_quantity + asked,
        limit_price_usd=None if limit is None else _restate(limit, by),
        stop_price_usd=None if stop is None else _restate(stop, by),
        bracket=bracket,
    )
    return replace(
        booked,
        order=order,
        split_ratio=booked.split_ratio * by,
        reason=f"the order was for {asked} shares after the split of {ratio:g} for 1",
        updated_at=at,
    )


def after_fill(booked: BookedOrder, fill: Fill, least_shares: Decimal) -> BookedOrder:
    """Return an order after an execution; filled once less than can be traded is left."""
    done = replace(
        booked,
        filled_quantity=booked.filled_quantity + fill.quantity,
        executions=booked.executions + 1,
        updated_at=fill.filled_at,
    )
    return replace(done, status="filled" if done.left < least_shares else "partially_filled")


def exits_after_fill(
    booked: BookedOrder, orders: Iterable[BookedOrder], at: datetime
) -> list[Change]:
    """Return what a fill does to the exits of its bracket.

    An entry that is filled whole sets its exits to work; an exit that is filled cancels the other,
    and one that is filled in part leaves the other for what is left.
    """
    if booked.order.bracket is not None:
        return [] if booked.is_open else exits_after_end(booked, orders, at)
    if not booked.entry:
        return []
    others = [
        other
        for other in orders
        if other.is_open and other.entry == booked.entry and other.order != booked.order
    ]
    if booked.is_open:
        return [
            Change("restated", _with_quantity(other, other.filled_quantity + booked.left, at))
            for other in others
        ]
    return [Change("canceled", cancelled(o, "the other exit was filled", at)) for o in others]


def exits_after_end(
    entry: BookedOrder, orders: Iterable[BookedOrder], at: datetime
) -> list[Change]:
    """Return what becomes of held exits once their entry is final: they work for what it filled."""
    held = [o for o in orders if o.entry == entry.client_order_id and o.status == "held"]
    if entry.filled_quantity == ZERO:
        return [Change("canceled", cancelled(o, "the entry was not filled", at)) for o in held]
    working = [_with_quantity(order, entry.filled_quantity, at) for order in held]
    return [Change("new", replace(order, status="accepted")) for order in working]


def cancelled(booked: BookedOrder, reason: str, at: datetime) -> BookedOrder:
    """Return an order after its cancellation."""
    return replace(booked, status="canceled", reason=reason, updated_at=at)


def ended_at_close(
    booked: BookedOrder, session: date, at: datetime, *, is_lapsing: bool
) -> BookedOrder | None:
    """Return an order after a session's close if that ends it, else None.

    Orders good till cancelled go on; of a market order, or a stop that was set off, what its first
    bar leaves lapses.
    """
    order = booked.order
    if not booked.is_open or booked.status == "held" or order.session > session:
        return None
    if order.time_in_force == "gtc" and not is_lapsing:
        return None
    reason = f"{booked.filled_quantity} of {order.quantity} shares filled"
    if order.order_type == "market":
        place = "close" if order.time_in_force == "cls" else "open"
        reason += f" at the {place}: no bar, or cash ran out"
    else:
        reason += ": its price was not reached, or cash ran out"
    status = "canceled" if order.time_in_force == "ioc" else "expired"
    return replace(booked, status=status, reason=reason, updated_at=at)


def changes_at_close(
    orders: Collection[BookedOrder], session: date, at: datetime, lapsing: Collection[str]
) -> list[Change]:
    """Return the orders that a session's close ends, and what becomes of their exits."""
    changes: list[Change] = []
    for booked in orders:
        is_lapsing = booked.client_order_id in lapsing
        ended = ended_at_close(booked, session, at, is_lapsing=is_lapsing)
        if ended is None:
            continue
        changes.append(Change(ended.status, ended))
        for change in exits_after_end(ended, orders, at):
            done = ended_at_close(change.order, session, at, is_lapsing=False)
            changes.append(change if done is None else Change(done.status, done))
    return changes


def _with_quantity(booked: BookedOrder, quantity: Decimal, at: datetime) -> BookedOrder:
    return replace(booked, order=replace(booked.order, quantity=quantity), updated_at=at)


def _restate(price_usd: Decimal, by: Decimal) -> Decimal:
    return round_to_tick(price_usd / by)
