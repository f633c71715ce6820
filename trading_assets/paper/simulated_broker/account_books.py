"""The simulated broker's account as a book of the market core, and back."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np

from trading_assets.errors import DataError
from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import ZERO, to_money, to_quantity
from trading_assets.paper.simulated_broker.bar_prices import SessionBar
from trading_assets.paper.simulated_broker.booked import BookedAccount
from trading_assets.paper.simulated_broker.matching import Carried
from trading_assets.simulation.core import Books, open_books
from trading_assets.simulation.market import Market


def books_of(account: BookedAccount, market: Market, row: int) -> Books:
    """Return the account before the session of `row` as one book.

    Raises
    ------
    DataError
        If the account holds a symbol that the market has not.
    """
    symbols = market.symbols
    strangers = sorted({*account.quantity} - {*symbols})
    if strangers:
        msg = f"the account holds {', '.join(strangers)}; expected only symbols of the market"
        raise DataError(msg)
    quantity = [[float(account.quantity.get(symbol, ZERO)) for symbol in symbols]]
    if account.as_of is None:
        new = open_books(1, float(account.cash_usd), market.close[row - 1])
        return replace(new, quantity=np.array(quantity))
    return Books(
        cash=np.array([float(account.cash_usd)]),
        quantity=np.array(quantity),
        price=np.array([[account.price_usd.get(symbol, 0.0) for symbol in symbols]]),
        target_weight=np.array([[account.target_weight.get(s, 0.0) for s in symbols]]),
    )


def account_after(books: Books, bar: SessionBar) -> BookedAccount:
    """Return the account at the close of a session."""
    symbols = bar.market.symbols
    shares = {s: to_quantity(value) for s, value in zip(symbols, books.quantity[0], strict=True)}
    price = [float(value) for value in books.price[0]]
    weight = [float(value) for value in books.target_weight[0]]
    return BookedAccount(
        as_of=bar.session,
        cash_usd=to_money(books.cash[0]),
        quantity={symbol: value for symbol, value in shares.items() if value},
        price_usd=dict(zip(symbols, price, strict=True)),
        target_weight=dict(zip(symbols, weight, strict=True)),
    )


def rounding(
    before: BookedAccount, after: BookedAccount, carried: Carried, session: date
) -> list[AccountEvent]:
    """Return what the core's cash differs by from the Decimals that it became, as an event.

    None as long as float64 holds a micro-dollar of the account's size exactly.
    """
    booked = before.cash_usd + sum((event.cash_usd for event in carried.events), Decimal(0))
    booked += sum((c.fill.cash_usd for c in carried.changes if c.fill is not None), Decimal(0))
    left = after.cash_usd - booked
    if not left:
        return []
    return [AccountEvent(f"sim-rounding-{session}-", "rounding", session, "", ZERO, left)]
