"""What a session recorded of each symbol, and what the market core did in it, in one form."""

from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal

from trading_assets.errors import DataError
from trading_assets.paper.core_fills import fill_terms
from trading_assets.paper.orders import MONEY_STEP, ZERO, to_money, to_quantity
from trading_assets.paper.record import SessionRecord
from trading_assets.paper.replayed import Traded
from trading_assets.simulation.core import StepResult


def replayed_trade(result: StepResult, column: int) -> Traded:
    """Return what the core did in one column, in the Decimals that its fills are booked in."""
    held = to_quantity(result.books.quantity[0, column])
    close = Decimal(repr(float(result.books.price[0, column])))
    worth = (held * close).quantize(MONEY_STEP, ROUND_HALF_EVEN)
    trade = float(result.trade[0, column])
    if not trade:
        return Traded(held, worth)
    price, cost = float(result.fill_price[0, column]), to_money(result.trade_cost[0, column])
    quantity, price_usd, cost_usd = fill_terms(trade, price, cost)
    signed = quantity if trade > 0 else -quantity
    return Traded(held, worth, signed, price_usd, _value(signed, price_usd), cost_usd)


def recorded_trades(record: SessionRecord) -> dict[str, Traded]:
    """Return what the session recorded of each symbol that it holds or traded.

    Raises
    ------
    DataError
        If a fill is of no shares or has no price.
    """
    held = {
        symbol: Traded(quantity, worth)
        for symbol, quantity, worth in record.tables["positions"]
        .select("symbol", "quantity", "market_value_usd")
        .iter_rows()
    }
    traded = dict(held)
    fills = record.tables["fills"].select("symbol", "side", "quantity", "price_usd", "cost_usd")
    for (name,), own in fills.group_by("symbol", maintain_order=True):
        symbol = str(name)
        trade = value = cost = shares = gross = ZERO
        for _, side, quantity, price, cost_usd in own.iter_rows():
            if quantity <= 0 or price <= 0:
                msg = (
                    f"the session of {record.session} has a fill of {quantity} {symbol} at {price}"
                    " USD; expected shares and a price above 0: restore its stored files"
                )
                raise DataError(msg)
            signed = quantity if side == "buy" else -quantity
            trade += signed
            value += _value(signed, price)
            cost += cost_usd
            shares += quantity
            gross += quantity * price
        mean = (gross / shares).quantize(MONEY_STEP, ROUND_HALF_EVEN)
        at_close = held.get(symbol, Traded())
        traded[symbol] = replace(
            at_close, trade=trade, price_usd=mean, value_usd=value, cost_usd=cost
        )
    return traded


def _value(signed: Decimal, price_usd: Decimal) -> Decimal:
    """Return what a fill is worth, rounded as the ledger books it, USD."""
    return (signed * price_usd).quantize(MONEY_STEP, ROUND_HALF_EVEN)


def order_reasons(record: SessionRecord) -> dict[str, str]:
    """Return what became of each order that was not simply filled."""
    said: dict[str, str] = {}
    for symbol, status, reason in record.tables["orders"]["symbol", "status", "reason"].iter_rows():
        if status != "filled":
            said[symbol] = f"{status}: {reason}" if reason else status
        else:
            said[symbol] = reason
    return said
