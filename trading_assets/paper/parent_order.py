"""A parent order that is worked over slots of time, and its exact division into child quantities.

Quantities are Decimal and children sum to their parent to the last decimal. This module knows no
broker, no price and no rule by which an order is spread.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

from trading_assets.errors import DataError
from trading_assets.paper.orders import QUANTITY_STEP, ZERO

MAX_SLOTS = 10_000
_LARGEST_QUANTITY = Decimal("1e15")
# Enough digits for the largest quantity with nine decimals, so that no sum is ever rounded.
_DIGITS = 40


@dataclass(frozen=True, slots=True)
class ParentOrder:
    """Shares of one symbol to be traded from a start to an end, in slots of equal length.

    Attributes
    ----------
    quantity : Decimal
        Shares to buy (+) or to sell (-), at most nine decimals.
    starts_at, ends_at : datetime
        When the first slot begins and the last one ends, aware.
    slots : int
        Number of slots, 1 to 10,000; one child order belongs to each.
    step_shares : Decimal
        Smallest tradable quantity, at most nine decimals. Children are multiples of it; what the
        parent has beyond such a multiple, as a split leaves it, goes with the last child.

    Raises
    ------
    DataError
        If a quantity or a time is not as above.
    """

    quantity: Decimal
    starts_at: datetime
    ends_at: datetime
    slots: int
    step_shares: Decimal = QUANTITY_STEP

    def __post_init__(self) -> None:
        _require_shares("quantity of the parent order", self.quantity)
        _require_shares("step_shares", self.step_shares)
        if self.step_shares < 0:
            msg = f"step_shares was {self.step_shares}; expected a positive number of shares"
            raise DataError(msg)
        if not 1 <= self.slots <= MAX_SLOTS:
            msg = f"slots was {self.slots}; expected 1 to {MAX_SLOTS}"
            raise DataError(msg)
        for name, moment in (("starts_at", self.starts_at), ("ends_at", self.ends_at)):
            if moment.tzinfo is None:
                msg = f"{name} was {moment} without a time zone; expected an aware time such as UTC"
                raise DataError(msg)
        if self.ends_at <= self.starts_at:
            msg = f"ends_at was {self.ends_at}; expected it after starts_at {self.starts_at}"
            raise DataError(msg)

    @property
    def sign(self) -> int:
        """1 for a purchase, -1 for a sale."""
        return 1 if self.quantity > 0 else -1

    def slot_start(self, slot: int) -> datetime:
        """Return when a slot begins, counted from 0; that of `slots` is the end.

        Raises
        ------
        DataError
            If there is no such slot.
        """
        if not 0 <= slot <= self.slots:
            msg = f"slot was {slot}; expected 0 to {self.slots}"
            raise DataError(msg)
        return self.starts_at + (self.ends_at - self.starts_at) * slot / self.slots


@dataclass(frozen=True, slots=True)
class ChildOrder:
    """What is sent as a slot begins.

    Attributes
    ----------
    slot : int
        Number of the slot, from 0.
    sends_at : datetime
        Beginning of the slot, aware.
    quantity : Decimal
        Shares to buy (+) or to sell (-); 0 where nothing is sent.
    """

    slot: int
    sends_at: datetime
    quantity: Decimal


def divide_order(parent: ParentOrder, weights: Sequence[float]) -> tuple[ChildOrder, ...]:
    """Return a child for each slot, in proportion to weights, that sum exactly to the parent.

    What is sent up to and with a slot is rounded to steps, not each child, so that it never is
    further than half a step from the exact proportion. No child trades against its parent.

    Parameters
    ----------
    parent : ParentOrder
        What is divided.
    weights : sequence of float
        One for each slot, finite and not negative, at least one above 0.

    Raises
    ------
    DataError
        If weights are not as above.
    """
    _require_weights(parent, weights)
    exact = [Fraction(weight) for weight in weights]
    whole, total = sum(exact), abs(parent.quantity)
    with localcontext(prec=_DIGITS):
        lots = int((total / parent.step_shares).to_integral_value(ROUND_FLOOR))
        rest = total - lots * parent.step_shares
        last = max(slot for slot, weight in enumerate(exact) if weight)
        children: list[ChildOrder] = []
        so_far, sent = Fraction(0), 0
        for slot, weight in enumerate(exact):
            so_far += weight
            due = round(so_far / whole * lots)
            shares = (due - sent) * parent.step_shares + (rest if slot == last else ZERO)
            children.append(
                ChildOrder(slot, parent.slot_start(slot), (parent.sign * shares) + ZERO)
            )
            sent = due
    return tuple(children)


def whole_steps(shares: Decimal, step_shares: Decimal) -> Decimal:
    """Return the largest multiple of the step that is not above positive shares."""
    with localcontext(prec=_DIGITS):
        return (shares / step_shares).to_integral_value(ROUND_FLOOR) * step_shares


def _require_shares(name: str, shares: Decimal) -> None:
    is_usable = shares.is_finite() and 0 < abs(shares) <= _LARGEST_QUANTITY
    if is_usable:
        with localcontext(prec=_DIGITS):
            is_usable = shares == shares.quantize(QUANTITY_STEP, ROUND_HALF_EVEN)
    if not is_usable:
        msg = (
            f"{name} was {shares}; expected a number of shares other than 0, of at most nine"
            f" decimals and at most {_LARGEST_QUANTITY:,.0f}"
        )
        raise DataError(msg)


def _require_weights(parent: ParentOrder, weights: Sequence[float]) -> None:
    if len(weights) != parent.slots:
        msg = f"{len(weights)} weights were given; expected one for each of {parent.slots} slots"
        raise DataError(msg)
    for slot, weight in enumerate(weights):
        if not (math.isfinite(weight) and weight >= 0.0):
            msg = f"the weight of slot {slot} was {weight}; expected a finite one of 0 or more"
            raise DataError(msg)
    if not any(weights):
        msg = f"all {parent.slots} weights were 0; expected one above 0"
        raise DataError(msg)
