"""At which price a bar fills an order of the simulated broker: at the open, within, at the close.

Prices are those of the event-driven engine: an open beyond the price fills at the open, a limit
within the bar has to be traded through, a stop is set off by a touch.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import cast

import numpy as np

from trading_assets.backtest.orders import BarPrices, OrderKind, fill_price
from trading_assets.backtest.orders import Order as EngineOrder
from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.paper.orders import Order
from trading_assets.paper.simulated_broker.booked import BookedOrder
from trading_assets.simulation.market import Market

# Times in force of orders that do not wait within the bar.
AT_OPEN_ONLY = frozenset({"opg", "ioc"})


@dataclass(frozen=True, slots=True)
class SessionBar:
    """The bar of one session, and when the session opens and closes.

    Attributes
    ----------
    market : Market
        The market.
    row : int
        Row of the session; the row before it is known when its orders are sent.
    session : date
        The session.
    opens_at, closes_at : datetime
        UTC.
    """

    market: Market
    row: int
    session: date
    opens_at: datetime
    closes_at: datetime

    @classmethod
    def at(cls, market: Market, row: int, calendar: ExchangeCalendar) -> "SessionBar":
        """Return the bar of a row."""
        session = cast("date", market.sessions[row].astype(object))
        return cls(market, row, session, calendar.open_time(session), calendar.close_time(session))

    def column(self, symbol: str) -> int:
        """Return the column of a symbol."""
        return self.market.symbols.index(symbol)

    def split_ratio(self, symbol: str) -> float:
        """Return new shares for one old on this session."""
        return float(self.market.split_ratio[self.row, self.column(symbol)])

    def close(self, symbol: str) -> float:
        """Return the close, USD; nan without a bar."""
        return float(self.market.close[self.row, self.column(symbol)])

    def within(self, place: int) -> datetime:
        """Return a time inside the session, the later the higher `place`, from 1."""
        span: timedelta = self.closes_at - self.opens_at
        return self.opens_at + span * place / (place + 1)

    def prices(self) -> BarPrices:
        """Return open, high and low; the open alone where the market has no extremes."""
        market, row = self.market, self.row
        opens = market.open[row]
        return BarPrices(
            opens,
            opens if market.high is None else market.high[row],
            opens if market.low is None else market.low[row],
        )


def open_price(booked: BookedOrder, bar: SessionBar) -> float:
    """Return the price at which the open fills an order, or nan."""
    order = booked.order
    if order.time_in_force == "cls":
        return float("nan")
    if order.order_type == "market":
        return float(bar.market.open[bar.row, bar.column(order.symbol)])
    if order.order_type == "stop_limit" and not booked.is_triggered:
        if not is_triggered_at_open(booked, bar):
            return float("nan")
        return _at_open(order, "limit", order.limit_price_usd, bar)
    kind = _kind(booked)
    return _at_open(order, kind, _price(order, kind), bar)


def is_triggered_at_open(booked: BookedOrder, bar: SessionBar) -> bool:
    """Return whether the open is beyond the stop price of a stop-limit order."""
    order = booked.order
    return bool(np.isfinite(_at_open(order, "stop", order.stop_price_usd, bar)))


def range_price(booked: BookedOrder, bar: SessionBar) -> float:
    """Return the price at which the bar's range fills an order that waits in it, or nan.

    A stop-limit order that the range sets off fills at its stop price if its limit allows that;
    else it waits, as the path within the bar is unknown.
    """
    order = booked.order
    if order.time_in_force in AT_OPEN_ONLY or order.time_in_force == "cls":
        return float("nan")
    if order.order_type == "market":
        return float("nan")
    if order.order_type == "stop_limit" and not booked.is_triggered:
        price = _reached(order, "stop", order.stop_price_usd, bar)
        return price if _limit_allows(order, price) else float("nan")
    kind = _kind(booked)
    return _reached(order, kind, _price(order, kind), bar)


def is_triggered_within(booked: BookedOrder, bar: SessionBar) -> bool:
    """Return whether the bar's range reaches the stop price of a stop-limit order."""
    order = booked.order
    return bool(np.isfinite(_reached(order, "stop", order.stop_price_usd, bar)))


def close_price(booked: BookedOrder, bar: SessionBar) -> float:
    """Return the price at which the closing auction fills an order, or nan."""
    order = booked.order
    price = bar.close(order.symbol)
    if order.time_in_force != "cls" or order.order_type not in ("market", "limit"):
        return float("nan")
    return price if order.order_type == "market" or _limit_allows(order, price) else float("nan")


def _kind(booked: BookedOrder) -> OrderKind:
    return "stop" if booked.order.order_type == "stop" else "limit"


def _price(order: Order, kind: OrderKind) -> Decimal | None:
    return order.stop_price_usd if kind == "stop" else order.limit_price_usd


def _matched(
    order: Order, kind: OrderKind, price: Decimal | None, bar: SessionBar
) -> tuple[float, bool]:
    assert price is not None
    shares = 1.0 if order.side == "buy" else -1.0
    asked = EngineOrder(0, bar.column(order.symbol), shares, kind, float(price))
    return fill_price(asked, bar.prices())


def _at_open(order: Order, kind: OrderKind, price: Decimal | None, bar: SessionBar) -> float:
    found, is_at_open = _matched(order, kind, price, bar)
    return found if is_at_open else float("nan")


def _reached(order: Order, kind: OrderKind, price: Decimal | None, bar: SessionBar) -> float:
    return _matched(order, kind, price, bar)[0]


def _limit_allows(order: Order, price: float) -> bool:
    assert order.limit_price_usd is not None
    limit = float(order.limit_price_usd)
    return price <= limit if order.side == "buy" else price >= limit
