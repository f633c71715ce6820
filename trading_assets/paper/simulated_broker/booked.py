"""What the simulated broker's book holds: orders, executions, what was undone, and messages."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from trading_assets.paper.fills import Fill
from trading_assets.paper.gateways import FINAL_STATUSES, BrokerOrder
from trading_assets.paper.orders import ZERO, Order

# Ids of the HTTP face are derived from ours, so that a replayed day has the same ones.
_NAMESPACE = uuid.UUID("6f1d1c2e-5a9d-4b52-9a0e-3f6f0a7c5e11")

ExitRole = Literal["take_profit", "stop_loss"]


@dataclass(frozen=True, slots=True)
class BookedOrder:
    """An order and what became of it.

    Attributes
    ----------
    order : Order
        As asked for; quantity and prices restated by the splits that came since.
    status : str
        A word of Alpaca's: `pending_new`, `accepted`, `held`, `partially_filled` or a final one.
    created_at, updated_at : datetime
        UTC.
    filled_quantity : Decimal
        Shares of all executions that stand.
    reason : str
        Why it ended as it did, or empty.
    split_ratio : Decimal
        By how much splits have multiplied the quantity.
    is_triggered : bool
        Whether the stop price of a stop-limit order was reached.
    entry : str
        Client order id of the entry that this order is an exit of, or empty.
    executions : int
        Executions so far, undone ones among them; they number the next.
    """

    order: Order
    status: str
    created_at: datetime
    updated_at: datetime
    filled_quantity: Decimal = ZERO
    reason: str = ""
    split_ratio: Decimal = Decimal(1)
    is_triggered: bool = False
    entry: str = ""
    executions: int = 0

    @property
    def client_order_id(self) -> str:
        """Id by which the order is known once."""
        return self.order.client_order_id

    @property
    def left(self) -> Decimal:
        """Shares that are not filled."""
        return self.order.quantity - self.filled_quantity

    @property
    def is_open(self) -> bool:
        """Whether something may still happen to it."""
        return self.status not in FINAL_STATUSES

    def shown(self) -> BrokerOrder:
        """Return the order as a gateway shows it."""
        return BrokerOrder(
            broker_order_id=f"sim-{self.client_order_id}",
            client_order_id=self.client_order_id,
            symbol=self.order.symbol,
            side=self.order.side,
            quantity=self.order.quantity,
            status=self.status,
            filled_quantity=self.filled_quantity,
            reason=self.reason,
            order_type=self.order.order_type,
            time_in_force=self.order.time_in_force,
            limit_price_usd=self.order.limit_price_usd,
            stop_price_usd=self.order.stop_price_usd,
            split_ratio=self.split_ratio,
        )


@dataclass(frozen=True, slots=True)
class Execution:
    """A fill in the book.

    Attributes
    ----------
    fill : Fill
        The fill as it was reported first.
    session : date
        Session it happened in; of a replacement, the session of the correction.
    replaces : str
        Execution that it replaces, or empty.
    undone_in : date or None
        Session in which it was busted or corrected; None while it stands.
    replaced_by : str
        Execution that counts instead, or empty.
    """

    fill: Fill
    session: date
    replaces: str = ""
    undone_in: date | None = None
    replaced_by: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to an order, as the stream tells it.

    Attributes
    ----------
    event : str
        Word of the stream: `new`, `fill`, `canceled`, ...
    order : BookedOrder
        The order afterwards.
    fill : Fill or None
        The execution, for fills and for the replacement of a correction.
    undone : str
        Execution that a `trade_bust` or `trade_correct` takes back, or empty.
    """

    event: str
    order: BookedOrder
    fill: Fill | None = None
    undone: str = ""


@dataclass(frozen=True, slots=True)
class BookedUpdate:
    """A message of the stream with its place in it.

    Attributes
    ----------
    number : int
        Ascending, never used twice.
    at : datetime
        UTC.
    held : Decimal
        Shares of the symbol that the account holds afterwards.
    """

    number: int
    at: datetime
    change: Change
    held: Decimal


@dataclass(frozen=True, slots=True)
class BookedAccount:
    """The account after everything up to the close of `as_of`, and interventions since.

    Attributes
    ----------
    as_of : date or None
        Last session carried; None for an account that has not seen one.
    cash_usd : Decimal
        Cash, six decimals.
    quantity : mapping of str to Decimal
        Shares held, nine decimals; symbols without a holding are absent.
    price_usd, target_weight : mapping of str to float
        Last known close, and last filled target as a fraction of its base, as the core has them.
    """

    as_of: date | None
    cash_usd: Decimal
    quantity: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    price_usd: Mapping[str, float] = field(default_factory=dict[str, float])
    target_weight: Mapping[str, float] = field(default_factory=dict[str, float])


def exit_order_id(client_order_id: str, role: ExitRole) -> str:
    """Return the client order id of an exit that a bracket leaves; at most 128 characters."""
    whole = f"{client_order_id}-{role}"
    return whole if len(whole) <= 128 else f"{uuid_of(whole)}-{role}"


def uuid_of(name: str) -> str:
    """Return the id that the HTTP face gives an order, execution, event or symbol."""
    return str(uuid.uuid5(_NAMESPACE, name))
