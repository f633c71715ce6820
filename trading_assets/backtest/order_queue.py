"""Orders on their way and open: which of them a bar fills, at which price and in which order."""

from dataclasses import dataclass

import numpy as np

from trading_assets.backtest.orders import BarPrices, Order, Rebalance, fill_price
from trading_assets.simulation.market import Market
from trading_assets.simulation.terms import Floats


@dataclass(slots=True)
class Waiting:
    """An order in terms of today's shares, and the rows of the bars that may fill it."""

    order: Order
    first_row: int
    last_row: int
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """A waiting order that a bar fills, and at which price, USD a share after the bar's splits."""

    waiting: Waiting
    price: float
    is_at_open: bool


class OrderQueue:
    """Everything that was placed and is neither filled, cancelled nor lapsed.

    Parameters
    ----------
    market : Market
        Its splits change shares and prices of what waits.
    """

    def __init__(self, market: Market) -> None:
        self._market = market
        self._waiting: list[Waiting] = []
        self._rebalances: list[tuple[int, Rebalance]] = []

    def place(self, order: Order | Rebalance, first_row: int) -> None:
        """Add an order that reaches the market at the bar of `first_row`."""
        if isinstance(order, Rebalance):
            self._rebalances.append((first_row, order))
        else:
            self._waiting.append(Waiting(order, first_row, first_row + order.good_for_bars - 1))

    @property
    def orders(self) -> list[Order]:
        """Single orders that wait, the oldest first."""
        return [waiting.order for waiting in self._waiting]

    def newest_target(self, account: int) -> Floats | None:
        """Return the shares of the account's rebalance that was placed last, float64 (N,)."""
        own = [rebalance for _, rebalance in self._rebalances if rebalance.account == account]
        return own[-1].shares if own else None

    def cancel(self, account: int, symbol: int) -> int:
        """Remove an account's orders of a symbol; return how many there were."""
        key = (account, symbol)
        kept = [w for w in self._waiting if (w.order.account, w.order.symbol) != key]
        removed = len(self._waiting) - len(kept)
        self._waiting = kept
        return removed

    def take_rebalances(self, bar: int) -> list[Rebalance]:
        """Return and remove the rebalances that reach the market at a bar."""
        due = [rebalance for first, rebalance in self._rebalances if first == bar]
        if due:
            self._rebalances = [pair for pair in self._rebalances if pair[0] != bar]
        return due

    def match(self, bar: int) -> list[Match]:
        """Return what a bar fills: at its open first, then stops, then limits."""
        if not self._waiting:
            return []
        market = self._market
        opens = market.open[bar]
        prices = BarPrices(
            opens,
            opens if market.high is None else market.high[bar],
            opens if market.low is None else market.low[bar],
        )
        found: list[Match] = []
        for waiting in self._waiting:
            if waiting.first_row <= bar:
                ratio = float(market.split_ratio[bar, waiting.order.symbol])
                price, is_at_open = fill_price(_after_split(waiting.order, ratio), prices)
                if not np.isnan(price):
                    found.append(Match(waiting, price, is_at_open))
        found.sort(key=lambda match: (not match.is_at_open, match.waiting.order.kind == "limit"))
        return found

    def fill(self, waiting: Waiting, shares: float) -> None:
        """Take from an order what a bar filled, in shares before the bar's split.

        Of a limit order the rest goes on waiting; of a market order, or a stop that was set off, it
        lapses.
        """
        order = waiting.order
        left = order.shares - shares
        waiting.is_done = order.kind != "limit" or abs(left) <= 1e-9
        if not waiting.is_done:
            waiting.order = _with(order, left, order.price_usd)

    def age(self, bar: int) -> None:
        """Drop what is done or has lived its bars; scale the rest by the bar's splits."""
        if not (self._waiting or self._rebalances):
            return
        ratio = self._market.split_ratio[bar]
        kept = [w for w in self._waiting if not w.is_done and w.last_row > bar]
        for waiting in kept:
            waiting.order = _after_split(waiting.order, float(ratio[waiting.order.symbol]))
        self._waiting = kept
        if self._rebalances and (ratio != 1.0).any():
            self._rebalances = [
                (first, Rebalance(rebalance.account, rebalance.shares * ratio))
                for first, rebalance in self._rebalances
            ]


def share_out(matches: list[Match], rebalanced: set[int]) -> list[list[Match]]:
    """Share what a bar fills out over steps: in each an account trades a symbol once.

    The first step is the open's. What the bar's range fills comes in steps of its own, after all of
    the open's, and so does what an account orders beside a rebalance.
    """
    steps: list[list[Match]] = [[]]
    taken: list[set[tuple[int, int]]] = [set()]
    first_within = 0
    for match in matches:
        key = (match.waiting.order.account, match.waiting.order.symbol)
        place = 1 if key[0] in rebalanced else 0
        if not match.is_at_open:
            first_within = first_within or len(steps)
            place = first_within
        earlier = [number for number, keys in enumerate(taken) if key in keys]
        place = max(place, earlier[-1] + 1 if earlier else 0)
        while len(steps) <= place:
            steps.append([])
            taken.append(set())
        steps[place].append(match)
        taken[place].add(key)
    return steps


def _after_split(order: Order, ratio: float) -> Order:
    return order if ratio == 1.0 else _with(order, order.shares * ratio, order.price_usd / ratio)


def _with(order: Order, shares: float, price_usd: float) -> Order:
    return Order(order.account, order.symbol, shares, order.kind, price_usd, order.good_for_bars)
