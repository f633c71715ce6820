"""What a paper session needs of a broker, and which broker a declaration chooses.

A gateway accepts an order once: the client order id decides. What it reports is Decimal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from trading_assets.bars.calendars.calendar import ExchangeCalendar
from trading_assets.errors import DataError, UserError
from trading_assets.paper.ledger import AccountEvent, AccountState, Fill
from trading_assets.paper.orders import Order, Side
from trading_assets.simulation.market import Market
from trading_assets.strategy import Strategy

# Statuses after which an order does not change any more.
FINAL_STATUSES = frozenset({"filled", "canceled", "expired", "rejected", "replaced"})


class BrokerError(UserError):
    """A broker that could not be reached, refused to work, or left an order's fate unknown."""


class OrderConflictError(DataError):
    """A client order id that the broker knows with other fields."""


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker knows it.

    Attributes
    ----------
    status : str
        The broker's word; one of `FINAL_STATUSES` once nothing more can happen.
    reason : str
        Why it was rejected or not filled whole, or empty.
    """

    broker_order_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    status: str
    filled_quantity: Decimal
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What happened at the broker since the ledger was last closed, oldest first.

    Attributes
    ----------
    events : tuple of AccountEvent
        Dividends, splits, financing.
    fills : tuple of Fill
        Executions of the session's orders.
    orders : tuple of BrokerOrder
        The session's orders with their final statuses.
    """

    events: tuple[AccountEvent, ...]
    fills: tuple[Fill, ...]
    orders: tuple[BrokerOrder, ...]


class BrokerGateway(Protocol):
    """A broker that fills market-on-open orders."""

    @property
    def receiver(self) -> str:
        """Name for records, such as `simulated` or `alpaca-paper`."""
        ...

    @property
    def cash_tolerance_usd(self) -> Decimal:
        """Largest difference of cash that is rounding at the broker; 0 for an embedded one."""
        ...

    def refusal(self, session: date) -> str:
        """Return why orders for `session` cannot be sent now, or an empty string if they can."""
        ...

    def account(self) -> AccountState:
        """Return the broker's own cash and positions, without a date."""
        ...

    def submit(self, order: Order) -> BrokerOrder:
        """Send an order, or return the one that the broker already holds under its id.

        Raises
        ------
        OrderConflictError
            If the id is known with other fields.
        BrokerError
            If the order's fate could not be found out.
        """
        ...

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order with this id, or None if the broker has none."""
        ...

    def settle(
        self, session: date, since: date | None, client_order_ids: tuple[str, ...]
    ) -> Settlement | None:
        """Return what happened after the close of `since` up to that of `session`.

        None while it is not known: the session's bar is missing, or an order is still open.
        """
        ...

    def state(self) -> bytes:
        """Return what an embedded broker has to be restarted from; empty for a remote one."""
        ...


def require_same_order(order: Order, known: BrokerOrder) -> BrokerOrder:
    """Return `known` if it is the same order.

    Raises
    ------
    OrderConflictError
        If symbol, side or quantity differ.
    """
    asked = (order.symbol, order.side, order.quantity)
    if (known.symbol, known.side, known.quantity) != asked:
        msg = (
            f"order {order.client_order_id} is at the broker as {known.side} {known.quantity}"
            f" {known.symbol}, not {order.side} {order.quantity} {order.symbol};"
            " cancel it at the broker or leave the session as it is"
        )
        raise OrderConflictError(msg)
    return known


def build_gateway(
    strategy: Strategy,
    market: Market,
    calendar: ExchangeCalendar,
    broker_state: bytes,
    credentials: Mapping[str, str],
) -> BrokerGateway:
    """Return the gateway that the strategy declares.

    Parameters
    ----------
    strategy : Strategy
        Gateway, costs, sizing and initial cash.
    market : Market
        Bars known now; the embedded broker fills from them.
    calendar : ExchangeCalendar
        Opening times.
    broker_state : bytes
        `broker_state` of the latest record; empty for a new account.
    credentials : mapping
        `ALPACA_API_KEY` and `ALPACA_SECRET_KEY` for Alpaca.

    Raises
    ------
    MissingKeyError
        If a key that the gateway needs is absent.
    """
    if strategy.paper.gateway == "simulated":
        from trading_assets.paper.simulated import SimulatedBroker

        return SimulatedBroker(strategy, market, calendar, broker_state)
    # Only this gateway needs an HTTP library.
    from trading_assets.paper.alpaca import AlpacaBroker
    from trading_assets.paper.alpaca_client import AlpacaClient

    return AlpacaBroker(AlpacaClient(credentials), calendar, strategy.paper)
