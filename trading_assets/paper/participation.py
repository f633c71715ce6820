"""The schedule that follows the market's volume: a child as each slot begins, by what was seen.

It knows at a slot's beginning only the volume of the slots before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from trading_assets.errors import DataError
from trading_assets.paper.orders import ZERO
from trading_assets.paper.parent_order import ChildOrder, ParentOrder, whole_steps

Finish = Literal["complete", "lapse"]


@dataclass(frozen=True, slots=True)
class ParticipationRule:
    """Which share of the volume is traded, and what becomes of the rest.

    Attributes
    ----------
    rate : float
        Shares sent over shares that the market traded, our own among them, above 0 and at most 1.
    finish : {"complete", "lapse"}
        Whether the last slot sends all that is left, however little was traded, or keeps to the
        rate and lets the rest lapse.

    Raises
    ------
    DataError
        If the rate is outside its range.
    """

    rate: float
    finish: Finish

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and 0.0 < self.rate <= 1.0):
            msg = f"participation rate was {self.rate}; expected one above 0 and at most 1"
            raise DataError(msg)


def next_child(
    parent: ParentOrder, rule: ParticipationRule, seen: Sequence[Decimal], sent: Decimal
) -> ChildOrder:
    """Return the child of the slot that begins now.

    The rate applies to all volume seen since the parent's start, so that what rounding or a slot
    without trades held back is sent later. What was sent in excess is waited for, never undone.

    Parameters
    ----------
    parent : ParentOrder
        What is traded.
    rule : ParticipationRule
        Rate and finishing rule.
    seen : sequence of Decimal
        Shares that the market traded in each slot that has ended; the slot that begins now is the
        one after them. None at the first slot, which therefore sends nothing unless it is the last.
    sent : Decimal
        Sum of the children so far, with the parent's sign.

    Raises
    ------
    DataError
        If all slots have ended, a volume is negative or not finite, or more was sent than the
        parent has.
    """
    slot = len(seen)
    if slot >= parent.slots:
        msg = f"{slot} slots have ended; expected fewer than the parent's {parent.slots}"
        raise DataError(msg)
    for place, volume in enumerate(seen):
        if not (volume.is_finite() and volume >= 0):
            msg = f"the volume of slot {place} was {volume}; expected 0 or more shares"
            raise DataError(msg)
    left = parent.sign * (parent.quantity - sent)
    if not 0 <= left <= abs(parent.quantity):
        msg = f"{sent} shares were sent; expected a part of the parent's {parent.quantity}"
        raise DataError(msg)
    due = left
    if slot < parent.slots - 1 or rule.finish == "lapse":
        # The float's shortest form, so that a rate of 0.1 is a tenth and not a little more.
        allowed = Decimal(repr(rule.rate)) * sum(seen, ZERO) - parent.sign * sent
        due = min(left, _whole(max(allowed, ZERO), left, parent.step_shares))
    return ChildOrder(slot, parent.slot_start(slot), parent.sign * due + ZERO)


def follow_volume(
    parent: ParentOrder, rule: ParticipationRule, volumes: Sequence[Decimal]
) -> tuple[ChildOrder, ...]:
    """Return the children that `next_child` sends while the market trades given volumes.

    With `complete` they sum exactly to the parent; with `lapse` they may fall short of it.

    Parameters
    ----------
    parent : ParentOrder
        What is traded.
    rule : ParticipationRule
        Rate and finishing rule.
    volumes : sequence of Decimal
        Shares that the market trades in each slot; that of the last slot is not read, since it is
        known when the parent has ended.

    Raises
    ------
    DataError
        If there is not one volume for each slot, or as `next_child` does.
    """
    if len(volumes) != parent.slots:
        msg = f"{len(volumes)} volumes were given; expected one for each of {parent.slots} slots"
        raise DataError(msg)
    children: list[ChildOrder] = []
    sent = ZERO
    for slot in range(parent.slots):
        child = next_child(parent, rule, volumes[:slot], sent)
        children.append(child)
        sent += child.quantity
    return tuple(children)


def _whole(allowed: Decimal, left: Decimal, step_shares: Decimal) -> Decimal:
    """Return whole steps of what is allowed, or all that is left where it is allowed."""
    return left if allowed >= left else whole_steps(allowed, step_shares)
