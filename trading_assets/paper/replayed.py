"""A paper session beside its replay: what both sides hold, traded and paid, and how far apart."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from trading_assets.paper.orders import ZERO

CENT = Decimal("0.01")
BPS = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Traded:
    """What a session did in one symbol.

    Attributes
    ----------
    quantity, worth_usd : Decimal
        Shares held at the close, negative when short, and what they are worth there, USD.
    trade : Decimal
        Shares bought (+) or sold (-).
    price_usd : Decimal or None
        Mean price of the fills, USD; None without one.
    value_usd, cost_usd : Decimal
        Signed value of the fills at their prices, and what was paid beyond it, USD.
    """

    quantity: Decimal = ZERO
    worth_usd: Decimal = ZERO
    trade: Decimal = ZERO
    price_usd: Decimal | None = None
    value_usd: Decimal = ZERO
    cost_usd: Decimal = ZERO

    @property
    def paid_usd(self) -> Decimal:
        """Cash that the fills took, negative where they brought some, USD."""
        return self.value_usd + self.cost_usd


@dataclass(frozen=True, slots=True)
class SymbolReplay:
    """One symbol as recorded and as replayed.

    Attributes
    ----------
    recorded, replayed : Traded
        Both sides.
    reason : str
        What became of its order; empty where it was filled or none was due.
    """

    symbol: str
    recorded: Traded
    replayed: Traded
    reason: str

    @property
    def difference_usd(self) -> Decimal:
        """What the symbol adds to recorded less replayed equity, USD."""
        one, other = self.recorded, self.replayed
        return (one.worth_usd - one.paid_usd) - (other.worth_usd - other.paid_usd)

    @property
    def differs(self) -> bool:
        """Whether shares at the close, fills or costs are apart by a cent or more."""
        one, other = self.recorded, self.replayed
        apart = (
            one.worth_usd - other.worth_usd,
            one.value_usd - other.value_usd,
            one.cost_usd - other.cost_usd,
        )
        return any(abs(amount) >= CENT for amount in apart)


@dataclass(frozen=True, slots=True)
class SessionReplay:
    """A session as recorded and as replayed.

    Attributes
    ----------
    receiver : str
        Its broker.
    recorded_equity_usd, replayed_equity_usd : Decimal
        Equity at the close, USD, positive.
    other_usd : Decimal
        Recorded less replayed cash that no fill moved, USD.
    symbols : tuple of SymbolReplay
        Every symbol that either side holds or trades, in the market's order.
    """

    session: date
    receiver: str
    recorded_equity_usd: Decimal
    replayed_equity_usd: Decimal
    other_usd: Decimal
    symbols: tuple[SymbolReplay, ...]

    @property
    def divergence_bps(self) -> float:
        """Recorded equity over replayed, less 1, basis points."""
        return float((self.recorded_equity_usd / self.replayed_equity_usd - 1) * BPS)
