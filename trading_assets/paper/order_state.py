"""What is known of one order: states only move forward, and executions count once.

Messages about an order may come late, twice, in any order, or not at all. What is known after
several of them does not depend on the order they came in: the status is the furthest one heard of,
and executions are a set from which busted ones are taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from trading_assets.errors import DataError
from trading_assets.paper.fills import Fill, FillChange
from trading_assets.paper.orders import ZERO, Order

OrderStatus = Literal[
    "intended",
    "unknown",
    "not_sent",
    "accepted",
    "rejected",
    "expired",
    "canceled",
    "replaced",
    "filled",
]

# From the first to the furthest. An order that was taken for not sent may still turn up at the
# broker; an order that filled whole while it was cancelled has filled.
_FORWARD: tuple[OrderStatus, ...] = (
    "intended",
    "unknown",
    "not_sent",
    "accepted",
    "rejected",
    "expired",
    "canceled",
    "replaced",
    "filled",
)
RANK: Mapping[str, int] = {status: rank for rank, status in enumerate(_FORWARD)}
FINAL: frozenset[str] = frozenset({"rejected", "expired", "canceled", "replaced", "filled"})


def status_of_word(word: str) -> OrderStatus:
    """Return the status that a broker's word stands for.

    Words that do not end an order, and words never heard of, mean that the broker has it.
    """
    return word if word in FINAL else "accepted"  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class OrderState:
    """One order and everything heard of it.

    Attributes
    ----------
    order : Order
        As it was intended.
    status : OrderStatus
        The furthest status heard of.
    broker_order_id, reason : str
        The broker's id, and why the order ended, as far as known.
    split_ratio : Decimal
        By how much a split before the fill has multiplied the quantity.
    executions : mapping of str to Fill
        By execution id, whether or not they still count.
    undone : frozenset of str
        Executions that were busted or replaced, some perhaps not heard of yet.
    """

    order: Order
    status: OrderStatus = "intended"
    broker_order_id: str = ""
    reason: str = ""
    split_ratio: Decimal = Decimal(1)
    executions: Mapping[str, Fill] = field(default_factory=dict[str, Fill])
    undone: frozenset[str] = frozenset()

    @property
    def quantity(self) -> Decimal:
        """Shares asked for, in today's shares."""
        return self.order.quantity * self.split_ratio

    @property
    def filled_quantity(self) -> Decimal:
        """Shares that executions which count have filled."""
        counting = (f for key, f in self.executions.items() if key not in self.undone)
        return sum((fill.quantity for fill in counting), ZERO)

    @property
    def is_final(self) -> bool:
        """Whether the broker has said its last word."""
        return self.status in FINAL

    @property
    def may_be_open(self) -> bool:
        """Whether the order may be working, or come to work, at the broker."""
        return self.status in ("intended", "unknown", "accepted")

    def hear(
        self,
        status: OrderStatus,
        *,
        broker_order_id: str = "",
        reason: str = "",
        split_ratio: Decimal = Decimal(1),
    ) -> "OrderState":
        """Return what is known after a message about the status."""
        is_further = RANK[status] > RANK[self.status]
        # Two reasons for one status: the greater text, so that neither order of messages matters.
        is_same = status == self.status
        words = max(self.reason, reason) if is_same else (reason if is_further else self.reason)
        return replace(
            self,
            status=status if is_further else self.status,
            broker_order_id=max(self.broker_order_id, broker_order_id),
            reason=words,
            split_ratio=max(self.split_ratio, split_ratio, key=_distance_from_one),
        )

    def execute(self, fill: Fill) -> "OrderState":
        """Return what is known after an execution; one heard of before changes nothing.

        Raises
        ------
        DataError
            If the execution id is known with other terms, or the fill is of another order.
        """
        known = self.executions.get(fill.execution_id)
        if known is not None and known != fill:
            msg = (
                f"execution {fill.execution_id} was {known.quantity} at {known.price_usd} and is"
                f" reported as {fill.quantity} at {fill.price_usd}; expected a correction under an"
                " id of its own: compare with the broker's statement"
            )
            raise DataError(msg)
        own = (self.order.client_order_id, self.order.symbol, self.order.side)
        if (fill.client_order_id, fill.symbol, fill.side) != own:
            msg = (
                f"execution {fill.execution_id} is a {fill.side} of {fill.symbol} for"
                f" {fill.client_order_id}; expected a {self.order.side} of {self.order.symbol} for"
                f" {self.order.client_order_id}: compare with the broker's statement"
            )
            raise DataError(msg)
        return replace(self, executions={**self.executions, fill.execution_id: fill})

    def change(self, change: FillChange) -> "OrderState":
        """Return what is known after an execution was undone or replaced."""
        state = replace(self, undone=self.undone | {change.execution_id})
        return state if change.replacement is None else state.execute(change.replacement)


def _distance_from_one(ratio: Decimal) -> tuple[Decimal, Decimal]:
    # Ties between a ratio and its inverse go to the greater one, whichever was heard first.
    return (max(ratio, 1 / ratio), ratio)
