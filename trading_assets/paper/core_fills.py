"""One step of the market core as fills and account events in Decimal.

The core works in float64 and rounds shares to nine and cash to six decimals; each of its results
becomes a Decimal here, once.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

import numpy as np

from trading_assets.paper.fills import Fill
from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import MONEY_STEP, ZERO, Order, to_money, to_quantity
from trading_assets.simulation.core import Bar, Books, StepResult
from trading_assets.simulation.terms import SHARE_DECIMALS, USD_DECIMALS


@dataclass(frozen=True, slots=True)
class SessionOpen:
    """A session, when it opens, and the symbols in the core's column order."""

    session: date
    opens_at: datetime
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Happened:
    """What one step did, in the order a ledger books it: events first."""

    events: list[AccountEvent]
    fills: list[Fill]


def translate_step(
    moment: SessionOpen, before: Books, bar: Bar, result: StepResult, orders: dict[str, Order]
) -> Happened:
    """Turn one step of the core into Decimals that add up to the core's change of cash.

    Parameters
    ----------
    moment : SessionOpen
        Session that was traded.
    before : Books
        One book at the close before.
    bar : Bar
        The bar that was stepped over.
    result : StepResult
        What the core returned.
    orders : dict of symbol to Order
        The order behind each trade.
    """
    happened = Happened([], [])
    for column, symbol in enumerate(moment.symbols):
        happened.events.extend(_corporate_events(moment, symbol, column, before, bar))
        trade = float(result.trade[0, column])
        cost = core_money(result.trade_cost[0, column])
        if trade:
            price = float(result.fill_price[0, column])
            happened.fills.append(_fill(moment, orders[symbol], trade, price, cost))
        elif cost:
            happened.events.append(_event(moment, "trading_cost", symbol, ZERO, -cost))
    financing = core_money(result.financing[0])
    if financing:
        happened.events.append(_event(moment, "financing", "", ZERO, -financing))
    return happened


def _corporate_events(
    moment: SessionOpen, symbol: str, column: int, before: Books, bar: Bar
) -> list[AccountEvent]:
    held = float(before.quantity[0, column])
    events: list[AccountEvent] = []
    dividend = core_money(held * float(bar.cash_per_share[column]))
    if dividend:
        events.append(_event(moment, "dividend", symbol, ZERO, dividend))
    change = core_shares(held * float(bar.split_ratio[column])) - to_quantity(held)
    if change:
        events.append(_event(moment, "split", symbol, change, ZERO))
    payouts = bar.payout_per_share
    if payouts is not None and np.isfinite(payouts[column]):
        shares = core_shares(held * float(bar.split_ratio[column]))
        paid = core_money(float(shares) * float(payouts[column]))
        if shares:
            events.append(_event(moment, "delisting", symbol, -shares, paid))
    return events


def _event(
    moment: SessionOpen, kind: str, symbol: str, shares: Decimal, cash: Decimal
) -> AccountEvent:
    event_id = f"sim-{kind}-{moment.session}-{symbol}"
    return AccountEvent(event_id, kind, moment.session, symbol, shares, cash)


def core_money(amount: float) -> Decimal:
    """Return USD rounded as the core rounds them, whose ties are those of the float."""
    return to_money(np.round(amount, USD_DECIMALS))


def core_shares(shares: float) -> Decimal:
    """Return shares rounded as the core rounds them, whose ties are those of the float."""
    return to_quantity(np.round(shares, SHARE_DECIMALS))


def fill_terms(trade: float, price: float, cost: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """Return a trade of the core as shares, price and cost of a fill.

    The cost makes up for what six decimals of the price leave out.

    Parameters
    ----------
    trade : float
        Shares, negative for a sale.
    price : float
        Price before costs, USD.
    cost : Decimal
        Cost of the trade, USD.

    Returns
    -------
    quantity, price_usd, cost_usd : Decimal
        Shares (positive), price of a share, and what is paid beyond quantity times price.
    """
    quantity = to_quantity(abs(trade))
    spent = core_money(trade * price)
    # Rounded in the trader's favour, so that the remainder is a cost and never a gain.
    rounding = ROUND_FLOOR if trade > 0 else ROUND_CEILING
    price_usd = Decimal(repr(price)).quantize(MONEY_STEP, rounding)
    signed = quantity if trade > 0 else -quantity
    amount = (signed * price_usd).quantize(MONEY_STEP, ROUND_HALF_EVEN)
    return quantity, price_usd, spent - amount + cost


def _fill(moment: SessionOpen, order: Order, trade: float, price: float, cost: Decimal) -> Fill:
    quantity, price_usd, cost_usd = fill_terms(trade, price, cost)
    return Fill(
        execution_id=f"sim-{order.client_order_id}-1",
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side="buy" if trade > 0 else "sell",
        quantity=quantity,
        price_usd=price_usd,
        cost_usd=cost_usd,
        filled_at=moment.opens_at,
    )
