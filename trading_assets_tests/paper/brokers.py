"""Old and new simulated broker over the same sessions, and small markets with extremes."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np

from trading_assets.paper.ledger import AccountState, Ledger
from trading_assets.paper.orders import Order, TimeInForce, client_order_id, to_quantity
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.gateway import SimulatedGateway
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy
from trading_assets_tests.paper.fixtures import CALENDAR, make_strategy, session_at


def open_gateway(
    market: Market,
    strategy: Strategy | None = None,
    book: Book | None = None,
    behaviour: Behaviour | None = None,
) -> SimulatedGateway:
    strategy = strategy or make_strategy()
    broker = SimulatedBroker(book or Book(), strategy, market, CALENDAR, behaviour)
    return SimulatedGateway(broker)


def with_extremes(market: Market, seed: int = 0) -> Market:
    """The market with highs and lows around open and close, to the cent."""
    rng = np.random.default_rng(seed)
    above = np.maximum(market.open, market.close) * (1 + 0.02 * rng.random(market.open.shape))
    below = np.minimum(market.open, market.close) * (1 - 0.02 * rng.random(market.open.shape))
    return replace(market, high=np.ceil(above * 100) / 100, low=np.floor(below * 100) / 100)


def market_order(
    session: date, symbol: str, shares: Decimal, number: int = 0, force: TimeInForce | None = None
) -> Order:
    whole = shares == shares.to_integral_value()
    return Order(
        client_order_id("tested", session, symbol, number),
        session,
        symbol,
        "buy" if shares > 0 else "sell",
        abs(shares),
        time_in_force=force or ("opg" if whole else "day"),
    )


def drawn_orders(
    rng: np.random.Generator, market: Market, row: int, held: AccountState, *, is_long_only: bool
) -> list[Order]:
    """Random market orders for a row's session, a symbol at most once."""
    orders: list[Order] = []
    for column, symbol in enumerate(market.symbols):
        if rng.random() < 0.3 or not np.isfinite(market.close[:row, column]).any():
            continue
        have = held.quantity.get(symbol, Decimal(0))
        size = to_quantity(rng.uniform(0, 9000))
        if rng.random() < 0.5:
            size = size.to_integral_value()
        side = rng.random()
        shares = size if side < 0.55 else -size
        if side > 0.9:
            shares = -have
        if is_long_only:
            shares = max(shares, -have)
        if shares:
            orders.append(market_order(session_at(market, row), symbol, shares))
    return orders


def booked(ledger: Ledger, gateway: SimulatedGateway, since: date | None, until: date) -> None:
    """Book what the gateway tells of a session."""
    told = gateway.activities(since, until)
    for event in told.events:
        ledger.book_event(event)
    for fill in told.fills:
        ledger.book_fill(fill)
