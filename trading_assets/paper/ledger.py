"""Our own books of a paper account: Decimal cash and quantities, each execution booked once.

The broker keeps its own; `reconcile` says where the two differ. This module knows no broker's API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from trading_assets.paper.fills import Fill
from trading_assets.paper.orders import ZERO


@dataclass(frozen=True, slots=True)
class AccountState:
    """Cash and holdings after everything up to the close of `as_of` was booked.

    Attributes
    ----------
    as_of : date or None
        Session; None for an account that has not seen one.
    cash_usd : Decimal
        Cash, six decimals.
    quantity : mapping of symbol to Decimal
        Shares held, nine decimals, negative when short; symbols without a holding are absent.
    """

    as_of: date | None
    cash_usd: Decimal
    quantity: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """A change of cash or shares that is no fill: a dividend, a split, financing.

    Attributes
    ----------
    event_id : str
        Id by which it is booked once.
    kind : str
        `dividend`, `split`, `financing` or the broker's own word.
    session : date
        When it took effect.
    quantity_change, cash_usd : Decimal
        Shares and cash added, negative when taken.
    """

    event_id: str
    kind: str
    session: date
    symbol: str
    quantity_change: Decimal
    cash_usd: Decimal


@dataclass(slots=True)
class Ledger:
    """Cash and quantities that change only by fills and account events.

    Attributes
    ----------
    cash_usd : Decimal
        Cash now.
    quantity : dict of symbol to Decimal
        Shares held now; symbols without a holding are absent.
    """

    cash_usd: Decimal
    quantity: dict[str, Decimal]
    _booked: set[str] = field(default_factory=set[str])

    @staticmethod
    def opened(state: AccountState) -> "Ledger":
        """Return a ledger that starts from a state."""
        return Ledger(state.cash_usd, dict(state.quantity))

    def book_fill(self, fill: Fill) -> bool:
        """Book an execution; return False if it was booked before."""
        return self._book(fill.execution_id, fill.symbol, fill.signed_quantity, fill.cash_usd)

    def book_event(self, event: AccountEvent) -> bool:
        """Book an account event; return False if it was booked before."""
        return self._book(event.event_id, event.symbol, event.quantity_change, event.cash_usd)

    def undo(self, execution_id: str, fill: Fill | None) -> bool:
        """Take back an execution; return False if it was taken back before.

        Parameters
        ----------
        execution_id : str
            The execution; if it is heard of later, it is not booked.
        fill : Fill or None
            What was booked under it; None if it was not.
        """
        key = f"undone {execution_id}"
        if key in self._booked:
            return False
        self._booked |= {key, execution_id}
        if fill is not None:
            self._change(fill.symbol, -fill.signed_quantity, -fill.cash_usd)
        return True

    def has_booked(self, key: str) -> bool:
        """Return whether an execution or event was booked or taken back."""
        return key in self._booked

    def state(self, as_of: date | None) -> AccountState:
        """Return what is held now."""
        return AccountState(as_of, self.cash_usd, dict(sorted(self.quantity.items())))

    def _book(self, key: str, symbol: str, shares: Decimal, cash: Decimal) -> bool:
        if key in self._booked:
            return False
        self._booked.add(key)
        self._change(symbol, shares, cash)
        return True

    def _change(self, symbol: str, shares: Decimal, cash: Decimal) -> None:
        self.cash_usd += cash
        held = self.quantity.get(symbol, ZERO) + shares
        if held:
            self.quantity[symbol] = held
        else:
            self.quantity.pop(symbol, None)


def reconcile(ledger: AccountState, broker: AccountState) -> list[str]:
    """Return where ledger and broker differ, one sentence each; none if they agree exactly.

    Parameters
    ----------
    ledger, broker : AccountState
        Our books and the broker's; compared to the last decimal.
    """
    differences: list[str] = []
    if ledger.cash_usd != broker.cash_usd:
        differences.append(
            f"cash is {ledger.cash_usd} USD in the ledger and {broker.cash_usd} USD at the broker"
        )
    for symbol in sorted({*ledger.quantity, *broker.quantity}):
        ours, theirs = ledger.quantity.get(symbol, ZERO), broker.quantity.get(symbol, ZERO)
        if ours != theirs:
            differences.append(
                f"{symbol} is {ours} shares in the ledger and {theirs} at the broker"
            )
    return differences
