"""An order that is not sent yet, as the pre-trade checks see it.

Nothing is refused when one is made: whatever is wrong with it is what the checks are there to say.
"""

from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from typing import Literal

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit"]

ZERO = Decimal(0)
# A broker takes nine decimals of a share. What comes of floats has more; a number with yet more, or
# beyond the largest, is a mistake, and without it every product below has few digits.
QUANTITY_DECIMALS, MOST_DECIMALS = 9, 30
LARGEST = Decimal(10) ** 15
# Products and sums of such numbers are exact here, or an error: no limit is passed by rounding.
EXACT = Context(prec=200, traps=[InvalidOperation, DivisionByZero, Overflow, Inexact])


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """One order as it would be sent.

    Attributes
    ----------
    client_order_id : str
        Our own id; one that was used before is a repeat.
    symbol : str
        Ticker.
    side : Side
        `buy` or `sell`.
    quantity : Decimal
        Shares, positive.
    order_type : OrderType
        Market, limit, stop or stop limit.
    limit_price_usd, stop_price_usd : Decimal or None
        Prices that the type needs, USD; None where it has none.
    reference_price_usd : Decimal or None
        Last price known at the decision, USD; None where there is none.
    data_age_sessions : int or None
        Sessions from the symbol's newest bar to the order's session; None where it has no bar.
    """

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType = "market"
    limit_price_usd: Decimal | None = None
    stop_price_usd: Decimal | None = None
    reference_price_usd: Decimal | None = None
    data_age_sessions: int | None = None


def is_workable(value: Decimal | None) -> bool:
    """Return whether a number is finite, below 1e15 and has at most thirty decimals."""
    return (
        value is not None
        and value.is_finite()
        and _decimals(value) <= MOST_DECIMALS
        and value.copy_abs() < LARGEST
    )


def is_price(value: Decimal | None) -> bool:
    """Return whether a number is a price: workable and positive."""
    return value is not None and is_workable(value) and value > 0


def is_quantity(value: Decimal) -> bool:
    """Return whether a number is one of shares: workable, with at most nine decimals."""
    return is_workable(value) and _decimals(value.normalize(EXACT)) <= QUANTITY_DECIMALS


def _decimals(value: Decimal) -> int:
    """Return the decimals of a finite number."""
    exponent = value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else MOST_DECIMALS + 1
