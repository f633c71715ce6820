"""How a simulated broker misbehaves, drawn from a seed: rejects, halts, fills in pieces and parts.

A draw depends on the seed, the order's id and the session alone, so that a replayed day repeats it.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

import numpy as np

from trading_assets.paper.fills import Fill
from trading_assets.paper.orders import MONEY_STEP, QUANTITY_STEP, ZERO, Order

# Largest difference of a piece's price from the whole fill's, as a share of it.
_PRICE_SPREAD = 1e-4


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What goes wrong at the broker; nothing unless declared.

    Attributes
    ----------
    seed : int
        Seed of all draws.
    max_pieces : int
        Most executions that one fill arrives in.
    partial_share : float
        Probability that a bar fills only a drawn part of what it could.
    reject_share : float
        Probability that an order is rejected after it was taken.
    ack_seconds : float
        How long an order is shown as `pending_new`, by the broker's clock.
    halts : frozenset of (str, date)
        Symbols that are not traded in a session although there is a bar.
    untradable : frozenset of str
        Symbols for which no order is taken.
    """

    seed: int = 0
    max_pieces: int = 1
    partial_share: float = 0.0
    reject_share: float = 0.0
    ack_seconds: float = 0.0
    halts: frozenset[tuple[str, date]] = frozenset()
    untradable: frozenset[str] = frozenset()

    def is_rejected(self, order: Order) -> bool:
        """Return whether an order that was taken is rejected afterwards."""
        return self.reject_share > 0 and self._draws("reject", order).random() < self.reject_share

    def part_of(self, order: Order, left: Decimal, session: date) -> Decimal:
        """Return how much of what is left of an order a session may fill; whole shares stay so."""
        if self.partial_share <= 0:
            return left
        draws = self._draws(f"part-{session}", order)
        if draws.random() >= self.partial_share:
            return left
        step = Decimal(1) if left == left.to_integral_value() else QUANTITY_STEP
        return (left * Decimal(repr(draws.random()))).quantize(step, ROUND_DOWN)

    def pieces(self, fill: Fill, order: Order, session: date) -> list[Fill]:
        """Split a fill into executions at different prices that cost the same to the last decimal.

        The ids number on from the fill's own.
        """
        if self.max_pieces <= 1:
            return [fill]
        draws = self._draws(f"pieces-{session}-{fill.execution_id}", order)
        quantities = _cut(fill.quantity, int(draws.integers(1, self.max_pieces + 1)), draws)
        stem, _, number = fill.execution_id.rpartition("-")
        done: list[Fill] = []
        for place, quantity in enumerate(quantities[:-1]):
            off = Decimal(repr(_PRICE_SPREAD * float(draws.uniform(-1, 1))))
            price = (fill.price_usd * (1 + off)).quantize(MONEY_STEP, ROUND_HALF_EVEN)
            cost = (fill.cost_usd * quantity / fill.quantity).quantize(MONEY_STEP, ROUND_HALF_EVEN)
            execution_id = f"{stem}-{int(number) + place}"
            done.append(replace(fill, execution_id=execution_id, quantity=quantity, cost_usd=cost))
            done[-1] = replace(done[-1], price_usd=price)
        last_id = f"{stem}-{int(number) + len(done)}"
        done.append(_remainder(replace(fill, execution_id=last_id), done))
        return done

    def _draws(self, purpose: str, order: Order) -> np.random.Generator:
        text = f"{self.seed}/{purpose}/{order.client_order_id}"
        return np.random.default_rng([*hashlib.sha256(text.encode()).digest()])


def _cut(quantity: Decimal, count: int, draws: np.random.Generator) -> list[Decimal]:
    """Cut shares into at most `count` positive parts that add up to them."""
    step = Decimal(1) if quantity == quantity.to_integral_value() else QUANTITY_STEP
    parts: list[Decimal] = []
    left = quantity
    for _ in range(count - 1):
        part = (left * Decimal(repr(float(draws.random())))).quantize(step, ROUND_DOWN)
        if ZERO < part < left:
            parts.append(part)
            left -= part
    # The last and largest makes up for the others' prices, so that its own stays near them.
    return sorted([*parts, left])


def _remainder(whole: Fill, done: list[Fill]) -> Fill:
    """Return the execution that makes others up to the whole fill, in shares and in cash."""
    quantity = whole.quantity - sum((fill.quantity for fill in done), ZERO)
    cash = whole.cash_usd - sum((fill.cash_usd for fill in done), ZERO)
    cost = whole.cost_usd - sum((fill.cost_usd for fill in done), ZERO)
    sign = 1 if whole.side == "buy" else -1
    amount = -(cash + cost) * sign
    # Rounded in the trader's favour, so that the remainder is a cost and never a gain.
    rounding = ROUND_FLOOR if sign > 0 else ROUND_CEILING
    price = (amount / quantity).quantize(MONEY_STEP, rounding)
    last = replace(whole, quantity=quantity, price_usd=price, cost_usd=ZERO)
    return replace(last, cost_usd=last.cash_usd - cash)
