"""Orders of the event-driven engine: what is asked for, and at which price a bar fills it."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trading_assets.errors import DataError

Floats = NDArray[np.float64]
OrderKind = Literal["market", "limit", "stop"]


@dataclass(frozen=True, slots=True)
class Order:
    """A wish to trade one symbol, placed at a close.

    Attributes
    ----------
    account : int
        Index of the account.
    symbol : int
        Column of the symbol.
    shares : float
        Shares to buy (+) or to sell (-).
    kind : {"market", "limit", "stop"}
        A market order fills at the first open it reaches. A limit order fills at its price or
        better, a stop order at its price or worse.
    price_usd : float
        Of a limit or stop order, per share of the day it is placed on; later splits change it.
    good_for_bars : int
        Bars that it lives for from the first one it reaches; what a cap of the volume leaves of a
        market order lapses with that bar.
    """

    account: int
    symbol: int
    shares: float
    kind: OrderKind = "market"
    price_usd: float = math.nan
    good_for_bars: int = 1

    def __post_init__(self) -> None:
        if not math.isfinite(self.shares) or self.shares == 0.0:
            msg = f"an order was for {self.shares} shares; expected a finite number other than 0"
            raise DataError(msg)
        has_price = math.isfinite(self.price_usd) and self.price_usd > 0.0
        if has_price is (self.kind == "market"):
            expected = "none" if self.kind == "market" else "a positive number of USD"
            msg = f"a {self.kind} order had the price {self.price_usd}; expected {expected}"
            raise DataError(msg)
        if self.good_for_bars < 1:
            msg = f"an order was good for {self.good_for_bars} bars; expected at least 1"
            raise DataError(msg)


@dataclass(frozen=True, slots=True)
class Rebalance:
    """A wish to hold so many shares of every symbol, at the first open it reaches.

    Attributes
    ----------
    account : int
        Index of the account.
    shares : float64 (N,)
        Shares to hold, in shares of the day it is placed on.
    """

    account: int
    shares: Floats


@dataclass(frozen=True, slots=True)
class BarPrices:
    """Prices of one bar, float64 (N,), USD; nan where a symbol has no bar."""

    open: Floats
    high: Floats
    low: Floats


def fill_price(order: Order, bar: BarPrices) -> tuple[float, bool]:
    """Return the price that a bar fills an order at, and whether at its open; nan if it does not.

    An open beyond the price fills at the open. Within the bar a limit has to be traded through, as
    the queue at its price is unknown; a stop is set off by a touch and fills at its price.
    """
    at_open = float(bar.open[order.symbol])
    if order.kind == "market" or math.isnan(at_open):
        return at_open, True
    price, is_buy = order.price_usd, order.shares > 0.0
    waits_below = is_buy == (order.kind == "limit")
    if (at_open <= price) if waits_below else (at_open >= price):
        return at_open, True
    extreme = float((bar.low if waits_below else bar.high)[order.symbol])
    reached = extreme < price if waits_below else extreme > price
    if order.kind == "stop":
        reached = reached or extreme == price
    return (price if reached else math.nan), False
