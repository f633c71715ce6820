"""Orders: what may be sent to a broker, under an id of our own.

Quantities and prices are Decimal from here on: a float becomes a Decimal once. This module knows no
broker, no clock and no storage.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from trading_assets.errors import DataError
from trading_assets.symbols import normalize_symbol

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit"]
# In the opening auction, for the session, in the closing auction, at once or not at all, until
# cancelled.
TimeInForce = Literal["opg", "day", "cls", "ioc", "gtc"]

QUANTITY_STEP = Decimal("1e-9")
MONEY_STEP = Decimal("1e-6")
ZERO = Decimal(0)

# Prices of one dollar and more have two decimals, lower ones four (SEC Rule 612).
TICK_USD, SUB_DOLLAR_TICK_USD = Decimal("0.01"), Decimal("0.0001")

_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_.\-/]{1,128}")
_PRICES = {
    "market": (False, False),
    "limit": (True, False),
    "stop": (False, True),
    "stop_limit": (True, True),
}


@dataclass(frozen=True, slots=True)
class Bracket:
    """Two exits that a filled entry leaves at the broker; when one fills, the other is cancelled.

    Attributes
    ----------
    take_profit_usd : Decimal
        Limit price of the exit with a gain.
    stop_loss_usd : Decimal
        Stop price of the exit with a loss.
    """

    take_profit_usd: Decimal
    stop_loss_usd: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """One order.

    Attributes
    ----------
    client_order_id : str
        Our own id; the same decision always gives the same id, so a broker can tell a repeat.
    session : date
        Session in which the order is to work first.
    quantity : Decimal
        Shares, positive, at most nine decimals; fractions only as market orders for the session.
    order_type, time_in_force : str
        A market order in the opening auction unless said otherwise.
    limit_price_usd, stop_price_usd : Decimal or None
        Prices that the type needs, on the tick; None where it has none.
    bracket : Bracket or None
        Exits to leave behind, on either side of the entry.

    Raises
    ------
    DataError
        If the id or symbol has a character outside the allow-list, the quantity is not positive, or
        a price is missing, superfluous or off the tick.
    """

    client_order_id: str
    session: date
    symbol: str
    side: Side
    quantity: Decimal
    order_type: OrderType = "market"
    time_in_force: TimeInForce = "opg"
    limit_price_usd: Decimal | None = None
    stop_price_usd: Decimal | None = None
    bracket: Bracket | None = None

    def __post_init__(self) -> None:
        if not _CLIENT_ORDER_ID.fullmatch(self.client_order_id):
            msg = (
                f"client order id was {self.client_order_id[:140]!r}; expected 1 to 128 letters,"
                " digits or _ . - /"
            )
            raise DataError(msg)
        if normalize_symbol(self.symbol) != self.symbol:
            msg = f"symbol was {self.symbol[:40]!r}; expected a ticker such as AAPL or BRK.B"
            raise DataError(msg)
        is_positive = self.quantity.is_finite() and self.quantity > 0
        if not is_positive or self.quantity != self.quantity.quantize(QUANTITY_STEP):
            msg = (
                f"quantity of {self.client_order_id} was {self.quantity};"
                " expected a positive number of at most nine decimals"
            )
            raise DataError(msg)
        self._check_prices()
        self._check_bracket()

    @property
    def signed_quantity(self) -> Decimal:
        """Shares, negative for a sale."""
        return self.quantity if self.side == "buy" else -self.quantity

    @property
    def is_whole(self) -> bool:
        """Whether the quantity has no fraction of a share."""
        return self.quantity == self.quantity.to_integral_value()

    def _check_prices(self) -> None:
        needed = _PRICES[self.order_type]
        prices = (self.limit_price_usd, self.stop_price_usd)
        for name, price, is_needed in zip(("limit", "stop"), prices, needed, strict=True):
            if (price is not None) != is_needed:
                rule = f"a {name} price" if is_needed else f"no {name} price"
                msg = (
                    f"{name} price of {self.client_order_id} was {price};"
                    f" expected {rule} for an order of type {self.order_type}"
                )
                raise DataError(msg)
            if price is not None:
                self._require_on_tick(f"{name} price", price)

    def _check_bracket(self) -> None:
        if self.bracket is None:
            return
        gain, loss = self.bracket.take_profit_usd, self.bracket.stop_loss_usd
        self._require_on_tick("take profit", gain)
        self._require_on_tick("stop loss", loss)
        if (gain > loss) != (self.side == "buy") or gain == loss:
            msg = (
                f"bracket of {self.client_order_id} takes profit at {gain} and stops at {loss};"
                " expected the profit above the stop for a purchase and below it for a sale"
            )
            raise DataError(msg)

    def _require_on_tick(self, name: str, price: Decimal) -> None:
        if not (price.is_finite() and price > 0) or price != price.quantize(tick_of(price)):
            msg = (
                f"{name} of {self.client_order_id} was {price}; expected a positive price of at"
                " most two decimals, or four below one dollar: round it with `round_to_tick`"
            )
            raise DataError(msg)


def tick_of(price_usd: Decimal) -> Decimal:
    """Return the smallest step of a price, USD."""
    return TICK_USD if price_usd >= 1 else SUB_DOLLAR_TICK_USD


def round_to_tick(price_usd: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """Return a price on the tick; `rounding` is a mode of the decimal module."""
    return price_usd.quantize(tick_of(price_usd), rounding)


def client_order_id(strategy: str, session: date, symbol: str, number: int) -> str:
    """Return the id `{strategy}-{session}-{symbol}-{number}` that the same decision always gets."""
    return f"{strategy}-{session.isoformat()}-{symbol}-{number}"


def to_quantity(value: float) -> Decimal:
    """Return a finite float as shares with nine decimals."""
    return Decimal(repr(float(value))).quantize(QUANTITY_STEP, ROUND_HALF_EVEN)


def to_money(value: float) -> Decimal:
    """Return a finite float as USD with six decimals."""
    return Decimal(repr(float(value))).quantize(MONEY_STEP, ROUND_HALF_EVEN)
