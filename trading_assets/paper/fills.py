"""Executions as a broker reports them, and the changes by which it takes them back."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from trading_assets.paper.orders import MONEY_STEP, Side


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution, as the broker reports it.

    Attributes
    ----------
    execution_id : str
        The broker's id; a fill that arrives twice is booked once.
    quantity, price_usd, cost_usd : Decimal
        Shares (positive), price of a share, and what was paid beyond quantity times price.
    filled_at : datetime
        UTC.
    """

    execution_id: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price_usd: Decimal
    cost_usd: Decimal
    filled_at: datetime

    @property
    def signed_quantity(self) -> Decimal:
        """Shares, negative for a sale."""
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def cash_usd(self) -> Decimal:
        """Cash that the fill adds, six decimals; negative for a purchase."""
        amount = (self.signed_quantity * self.price_usd).quantize(MONEY_STEP, ROUND_HALF_EVEN)
        return -amount - self.cost_usd


@dataclass(frozen=True, slots=True)
class FillChange:
    """An execution that the broker undid, or replaced by another.

    Attributes
    ----------
    kind : {'bust', 'correction'}
        Undone, or replaced.
    execution_id : str
        The execution that no longer counts; it may be heard of before the execution itself.
    replacement : Fill or None
        What counts instead, under an execution id of its own; None for a bust.
    """

    kind: Literal["bust", "correction"]
    execution_id: str
    replacement: Fill | None = None
