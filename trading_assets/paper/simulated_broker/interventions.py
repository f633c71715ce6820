"""What happens at a broker without our order: busts, corrections, trades of others, blocks.

For tests and drills; a session never calls this.
"""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from trading_assets.errors import DataError
from trading_assets.paper.fills import Fill
from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import ZERO, Order
from trading_assets.paper.simulated_broker.booked import BookedOrder, Change, Execution
from trading_assets.paper.simulated_broker.broker import SimulatedBroker


def bust(broker: SimulatedBroker, execution_id: str, session: date | None = None) -> None:
    """Undo an execution.

    Parameters
    ----------
    broker : SimulatedBroker
        The broker.
    execution_id : str
        An execution that stands.
    session : date, optional
        Session whose activities tell of it; by default the last that was carried.
    """
    execution, order = _standing(broker, execution_id)
    taken = order.filled_quantity - execution.fill.quantity
    change = Change("trade_bust", replace(order, filled_quantity=taken), undone=execution_id)
    _apply(broker, change, session, [_negative(execution.fill)])


def correct(
    broker: SimulatedBroker,
    execution_id: str,
    quantity: Decimal,
    price_usd: Decimal,
    session: date | None = None,
) -> Fill:
    """Replace an execution by one of other shares or price, under an id of its own.

    Returns
    -------
    Fill
        The execution that counts now.
    """
    execution, order = _standing(broker, execution_id)
    replacement = replace(
        execution.fill,
        execution_id=f"sim-{order.client_order_id}-{order.executions + 1}",
        quantity=quantity,
        price_usd=price_usd,
    )
    filled = order.filled_quantity - execution.fill.quantity + quantity
    corrected = replace(order, filled_quantity=filled, executions=order.executions + 1)
    change = Change("trade_correct", corrected, replacement, execution_id)
    _apply(broker, change, session, [_negative(execution.fill), replacement])
    return replacement


def trade_elsewhere(
    broker: SimulatedBroker, order: Order, price_usd: Decimal, session: date | None = None
) -> Fill:
    """Fill an order at once that did not come from the session: someone traded by hand."""
    at = broker.now(session)
    fill = Fill(
        execution_id=f"sim-{order.client_order_id}-1",
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        price_usd=price_usd,
        cost_usd=ZERO,
        filled_at=at,
    )
    booked = BookedOrder(order, "filled", at, at, filled_quantity=order.quantity, executions=1)
    _apply(broker, Change("fill", booked, fill), session, [fill])
    return fill


def move(
    broker: SimulatedBroker,
    symbol: str,
    quantity_change: Decimal,
    cash_usd: Decimal,
    *,
    is_told: bool,
) -> None:
    """Change cash and shares without a trade.

    Parameters
    ----------
    broker : SimulatedBroker
        The broker.
    symbol : str
        Whose shares change.
    quantity_change, cash_usd : Decimal
        What is added.
    is_told : bool
        Whether the account's activities show it, as kind `journal`.
    """
    book = broker.book
    with book.transaction():
        account = book.account()
        if is_told:
            session = _session(broker, None)
            number = len(book.events()) + 1
            event_id = f"sim-journal-{session}-{number}"
            book.add_events(
                [AccountEvent(event_id, "journal", session, symbol, quantity_change, cash_usd)]
            )
        held = dict(account.quantity)
        held[symbol] = held.get(symbol, ZERO) + quantity_change
        book.write_account(replace(account, cash_usd=account.cash_usd + cash_usd, quantity=held))


def _standing(broker: SimulatedBroker, execution_id: str) -> tuple[Execution, BookedOrder]:
    execution = broker.book.execution(execution_id)
    if execution is None or execution.undone_in is not None:
        msg = f"execution {execution_id} is unknown or undone; expected one that stands"
        raise DataError(msg)
    order = broker.book.order(execution.fill.client_order_id)
    assert order is not None
    return execution, order


def _negative(fill: Fill) -> Fill:
    side = "sell" if fill.side == "buy" else "buy"
    return replace(fill, side=side, cost_usd=-fill.cost_usd)


def _session(broker: SimulatedBroker, session: date | None) -> date:
    if session is not None:
        return session
    as_of = broker.book.account().as_of
    if as_of is None:
        msg = "the account has seen no session; name the one to which the change belongs"
        raise DataError(msg)
    return as_of


def _apply(
    broker: SimulatedBroker, change: Change, session: date | None, fills: list[Fill]
) -> None:
    book = broker.book
    with book.transaction():
        account = book.account()
        at = broker.now(session)
        day = _session(broker, session)
        book.record([change], at, day, account.quantity)
        held = dict(account.quantity)
        cash = account.cash_usd
        for fill in fills:
            held[fill.symbol] = held.get(fill.symbol, ZERO) + fill.signed_quantity
            cash += fill.cash_usd
        book.write_account(replace(account, cash_usd=cash, quantity=held))
