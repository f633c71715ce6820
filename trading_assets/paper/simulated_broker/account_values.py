"""What the simulated broker's positions are worth and were bought at."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from trading_assets.paper.ledger import AccountEvent
from trading_assets.paper.orders import MONEY_STEP, ZERO
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.booked import Execution


@dataclass(frozen=True, slots=True)
class Holding:
    """One position at the last known close.

    Attributes
    ----------
    quantity : Decimal
        Shares, negative when short.
    price_usd, entry_price_usd : Decimal
        Last known close, and the mean price that the position was entered at.
    """

    symbol: str
    quantity: Decimal
    price_usd: Decimal
    entry_price_usd: Decimal

    @property
    def value_usd(self) -> Decimal:
        """Market value, negative when short."""
        return (self.quantity * self.price_usd).quantize(MONEY_STEP, ROUND_HALF_EVEN)

    @property
    def cost_usd(self) -> Decimal:
        """Shares times entry price, negative when short."""
        return (self.quantity * self.entry_price_usd).quantize(MONEY_STEP, ROUND_HALF_EVEN)


def holdings_of(book: Book) -> list[Holding]:
    """Return the account's positions, by symbol."""
    account = book.account()
    if not account.quantity:
        return []
    entries = entry_prices(book.executions(), book.events())
    found: list[Holding] = []
    for symbol, quantity in sorted(account.quantity.items()):
        entered = entries.get(symbol, ZERO)
        last = Decimal(repr(account.price_usd.get(symbol, 0.0)))
        found.append(Holding(symbol, quantity, last or entered, entered or last))
    return found


def entry_prices(executions: list[Execution], events: list[AccountEvent]) -> Mapping[str, Decimal]:
    """Return the mean entry price of each symbol held, USD, six decimals.

    A fill that adds to a position moves the mean, one that reduces it does not, and one that turns
    it starts anew; a split keeps what was paid in all.
    """
    held: dict[str, Decimal] = {}
    paid: dict[str, Decimal] = {}
    # Corporate actions of a session come before its fills.
    splits = [(event.session, 0, event) for event in events if event.quantity_change]
    fills = [(e.session, 1, e) for e in executions if e.undone_in is None]
    for _, _, entry in sorted([*splits, *fills], key=lambda entry: entry[:2]):
        if isinstance(entry, AccountEvent):
            held[entry.symbol] = held.get(entry.symbol, ZERO) + entry.quantity_change
            continue
        fill = entry.fill
        before = held.get(fill.symbol, ZERO)
        after = before + fill.signed_quantity
        cost = paid.get(fill.symbol, ZERO)
        if before * fill.signed_quantity >= 0:
            paid[fill.symbol] = cost + fill.signed_quantity * fill.price_usd
        elif before * after >= 0:
            paid[fill.symbol] = cost * after / before
        else:
            paid[fill.symbol] = after * fill.price_usd
        held[fill.symbol] = after
    return {
        symbol: (paid.get(symbol, ZERO) / shares).quantize(MONEY_STEP, ROUND_HALF_EVEN)
        for symbol, shares in held.items()
        if shares
    }
