"""What a paper session needs of a broker, and which broker a declaration chooses.

A gateway accepts an order once: the client order id decides. What it reports is Decimal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from trading_assets.errors import DataError, UserError
from trading_assets.paper.fills import Fill, FillChange
from trading_assets.paper.ledger import AccountEvent, AccountState
from trading_assets.paper.orders import QUANTITY_STEP, Order, Side

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
    quantity : Decimal
        Shares asked for; a split that came before the fill has restated it.
    status : str
        The broker's word; one of `FINAL_STATUSES` once nothing more can happen.
    reason : str
        Why it was rejected or not filled whole, or empty.
    order_type, time_in_force, limit_price_usd, stop_price_usd
        As in `Order`; empty and None where the broker does not tell.
    split_ratio : Decimal
        By how much a split has multiplied the quantity since the order was taken.
    """

    broker_order_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    status: str
    filled_quantity: Decimal
    reason: str = ""
    order_type: str = ""
    time_in_force: str = ""
    limit_price_usd: Decimal | None = None
    stop_price_usd: Decimal | None = None
    split_ratio: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What came back with a broker's answer, as far as it was read; empty for an embedded one."""

    http_status: str = ""
    broker_code: str = ""
    x_request_id: str = ""
    response_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one request.

    Attributes
    ----------
    outcome : {'taken', 'refused', 'unclear'}
        The broker has done it; it has not and will not; or nobody knows: a time-out, a broken
        connection, a 5xx or an unreadable answer is never a refusal.
    order : BrokerOrder or None
        The order as the broker has it, where the answer told.
    reason : str
        Why it was refused or is unclear, or empty.
    """

    outcome: Literal["taken", "refused", "unclear"]
    order: BrokerOrder | None = None
    reason: str = ""
    evidence: Evidence = Evidence()


@dataclass(frozen=True, slots=True)
class Update:
    """A message of the broker's stream: a hint to read again, never the truth itself.

    Attributes
    ----------
    event : str
        The broker's word, such as `new`, `fill`, `canceled` or `trade_bust`.
    order : BrokerOrder
        The order as the message shows it.
    change : FillChange or None
        An execution that was undone or replaced, which reads may not tell.
    """

    event: str
    order: BrokerOrder
    change: FillChange | None = None


@dataclass(frozen=True, slots=True)
class Activities:
    """What moved cash or shares at the broker, oldest first.

    Attributes
    ----------
    events : tuple of AccountEvent
        Dividends, splits, financing, fees.
    fills : tuple of Fill
        Every execution, of whichever order.
    changes : tuple of FillChange
        Executions undone or replaced, as far as the broker lists them.
    """

    events: tuple[AccountEvent, ...] = ()
    fills: tuple[Fill, ...] = ()
    changes: tuple[FillChange, ...] = ()


class Gateway(Protocol):
    """A broker's account, reached by requests that are each sent once.

    Reads raise `BrokerError` when the broker gives no usable answer; they may repeat themselves.
    Writes answer `taken`, `refused` or `unclear` and are never repeated here.
    """

    @property
    def receiver(self) -> str:
        """Name for records, such as `simulated`, `alpaca-paper` or `alpaca-live`."""
        ...

    @property
    def is_simulated(self) -> bool:
        """Whether sessions of the past may be traded: only where no clock but the data's runs."""
        ...

    @property
    def cash_tolerance_usd(self) -> Decimal:
        """Largest difference of cash that is rounding at the broker; 0 for an embedded one."""
        ...

    def refusal(self, session: date) -> str:
        """Return why orders for `session` cannot be sent now, or an empty string if they can."""
        ...

    def blocked(self) -> str:
        """Return why the account may not trade at all, or an empty string if it may."""
        ...

    def account(self) -> AccountState:
        """Return the broker's own cash and positions, without a date."""
        ...

    def send(self, order: Order) -> Answer:
        """Send an order once; an id that the broker knows already is refused there, not filled."""
        ...

    def cancel(self, client_order_id: str) -> Answer:
        """Ask to cancel an order; `refused` when it can no longer be cancelled or is unknown."""
        ...

    def cancel_all(self) -> Answer:
        """Ask to cancel every open order of the account."""
        ...

    def suspend(self) -> Answer:
        """Ask the broker itself to take no more orders, whoever sends them."""
        ...

    def resume(self) -> Answer:
        """Undo `suspend`."""
        ...

    def look_up(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order with this id, or None if the broker says that it has none."""
        ...

    def orders(self, since: datetime | None, *, is_open: bool = False) -> tuple[BrokerOrder, ...]:
        """Return the account's orders of any status since a moment, or all that are open now."""
        ...

    def activities(self, since: date | None, until: date) -> Activities:
        """Return what happened after the close of `since` up to the close of session `until`.

        Without `since`, from the session before `until`. What has happened of a session that goes
        on is among it.
        """
        ...

    def updates(self) -> tuple[Update, ...]:
        """Return messages of the stream since the last call; none where there is no stream."""
        ...

    def has_closed(self, session: date) -> bool:
        """Return whether the session is over at the broker, so that its day orders are final."""
        ...

    def last_targets(self) -> dict[str, str]:
        """Return what an embedded broker's costs refer to: weights last filled, by symbol."""
        ...

    def rename(self, current: Mapping[str, str], until: date) -> None:
        """Tell an embedded broker what companies are called after the renames up to `until`.

        Said again, it changes nothing; a broker elsewhere renames its positions itself.
        """
        ...

    def close(self) -> None:
        """Release connections and files."""
        ...


def require_same_order(order: Order, known: BrokerOrder) -> BrokerOrder:
    """Return `known` if it is the same order.

    Raises
    ------
    OrderConflictError
        If symbol, side, quantity, type or prices differ.
    """
    # A split before the fill restates the quantity; nothing else may.
    restated = order.quantity * known.split_ratio
    asked = (order.symbol, order.side, restated.quantize(QUANTITY_STEP))
    prices = (known.limit_price_usd, known.stop_price_usd)
    is_same_type = known.order_type in ("", order.order_type)
    has_same_prices = known.split_ratio != 1 or prices in (
        (None, None),
        (order.limit_price_usd, order.stop_price_usd),
    )
    same = (known.symbol, known.side, known.quantity.quantize(QUANTITY_STEP)) == asked
    if not (same and is_same_type and has_same_prices):
        msg = (
            f"order {order.client_order_id} is at the broker as {known.side} {known.quantity}"
            f" {known.symbol}, not {order.side} {order.quantity} {order.symbol};"
            " cancel it at the broker or leave the session as it is"
        )
        raise OrderConflictError(msg)
    return known
