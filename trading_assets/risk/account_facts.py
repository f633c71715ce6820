"""What is known of an account before an order: its ledger, its open orders and last prices."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from trading_assets.risk.proposed_orders import Side


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that may still fill, or whose fate is unknown.

    Attributes
    ----------
    quantity : Decimal
        Shares that were ordered, positive.
    remaining : Decimal
        Shares that may still fill, at most `quantity`.
    limit_price_usd : Decimal or None
        Limit; None for an order that fills at any price, at once or once its stop is reached.
    """

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    remaining: Decimal
    limit_price_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account before an order, as its ledger and its open orders have it.

    Attributes
    ----------
    held : mapping of symbol to Decimal
        Shares filled, negative when short.
    open_orders : collection of OpenOrder
        Whatever may still fill, orders of unknown fate included.
    equity_usd : Decimal or None
        Equity now; None where it is not known.
    price_usd : mapping of symbol to Decimal
        Last known price, by which positions are valued; absent where there is none.
    average_volume_shares : mapping of symbol to Decimal
        Average daily volume known at the last close; absent where there is none.
    sectors : mapping of symbol to str
        Sector; a symbol that is left out is a sector of its own.
    session_price_usd : mapping of symbol to Decimal
        First reference price of the session; absent where there is none.
    used_order_ids : collection of str
        Client order ids of all orders sent in the session, whatever became of them.
    """

    held: Mapping[str, Decimal]
    open_orders: Collection[OpenOrder] = ()
    equity_usd: Decimal | None = None
    price_usd: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    average_volume_shares: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    sectors: Mapping[str, str] = field(default_factory=dict[str, str])
    session_price_usd: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    used_order_ids: Collection[str] = ()
