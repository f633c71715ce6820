"""What an account holds, has open and could come to hold: running sums that one order changes.

Every open order may fill or not, in any mixture. A position therefore lies between what is held
less all open sales and what is held plus all open purchases, and the limits are held against the
worse end. An order whose fate is unknown counts as open.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal, localcontext

from trading_assets.errors import DataError
from trading_assets.risk.account_facts import AccountFacts, OpenOrder
from trading_assets.risk.proposed_orders import (
    EXACT,
    ZERO,
    ProposedOrder,
    Side,
    is_price,
    is_quantity,
    is_workable,
)


@dataclass(frozen=True, slots=True)
class Exposure:
    """The worst that positions could come to with one more order; None where a price is missing.

    Attributes
    ----------
    is_reduction : bool
        Whether the order only brings its symbol's position nearer to zero, however much fills.
    least_shares : Decimal
        Shares of the symbol if all sales fill and no purchase does.
    equity_usd : Decimal or None
        Equity, where it is known.
    position_usd, sector_usd, gross_usd : Decimal or None
        Largest absolute position of the symbol, and their sum over its sector and over all.
    net_usd : Decimal or None
        Largest absolute sum of positions.
    """

    is_reduction: bool
    least_shares: Decimal
    equity_usd: Decimal | None = None
    position_usd: Decimal | None = None
    sector_usd: Decimal | None = None
    gross_usd: Decimal | None = None
    net_usd: Decimal | None = None


@dataclass(slots=True)
class _Line:
    """One symbol: filled shares, open shares of either side, and what was added for it to sums."""

    held: Decimal = ZERO
    buying: Decimal = ZERO
    selling: Decimal = ZERO
    # Open orders without a limit cross whatever comes from the other side.
    unlimited: Counter[Side] = field(default_factory=Counter[Side])
    highest_buy_usd: Decimal | None = None
    lowest_sell_usd: Decimal | None = None

    @property
    def most(self) -> Decimal:
        return self.held + self.buying

    @property
    def least(self) -> Decimal:
        return self.held - self.selling


class PreTradeState:
    """An account and its worst-case sums; `count` adds an order to them in constant time.

    Parameters
    ----------
    facts : AccountFacts
        The account before the first order.

    Raises
    ------
    DataError
        If a holding or an open order is not a number of shares.

    Attributes
    ----------
    order_ids : set of str
        Client order ids that may not be used again.
    order_count, open_count : int
        Orders sent in the session, and open now.
    """

    def __init__(self, facts: AccountFacts) -> None:
        self.facts = facts
        self.order_ids = {*facts.used_order_ids}
        self.order_count = len(self.order_ids)
        self.open_count = 0
        self._intents: set[tuple[str, Side, Decimal]] = set()
        self._lines: dict[str, _Line] = {}
        self._sector_usd: dict[str, Decimal] = {}
        self._unpriced: set[str] = set()
        self._gross_usd = self._most_net_usd = self._least_net_usd = ZERO
        equity = facts.equity_usd
        self._equity_usd = equity if equity is not None and is_workable(equity) else None
        with localcontext(EXACT):
            for symbol, shares in facts.held.items():
                _require_shares(f"held quantity of {symbol}", shares)
                self._lines[symbol] = _Line(shares)
                self._add(symbol, 1)
            for order in facts.open_orders:
                self._open(order)

    def count(self, order: ProposedOrder) -> None:
        """Count an order as sent and open from now on."""
        with localcontext(EXACT):
            self._open(
                OpenOrder(
                    order.client_order_id,
                    order.symbol,
                    order.side,
                    order.quantity,
                    order.quantity,
                    order.limit_price_usd,
                )
            )
        self.order_count += 1

    def has_intent(self, order: ProposedOrder) -> bool:
        """Return whether an open order has this symbol, side and quantity."""
        return (order.symbol, order.side, order.quantity) in self._intents

    def crosses(self, order: ProposedOrder) -> bool:
        """Return whether an open order of the other side could trade with this one."""
        line = self._lines.get(order.symbol)
        if line is None:
            return False
        is_buy = order.side == "buy"
        facing = line.lowest_sell_usd if is_buy else line.highest_buy_usd
        if line.unlimited["sell" if is_buy else "buy"]:
            return True
        if facing is None:
            return False
        limit = order.limit_price_usd
        return limit is None or (limit >= facing if is_buy else limit <= facing)

    def exposure_with(self, order: ProposedOrder) -> Exposure:
        """Return the worst that positions could come to if an order were open too."""
        line = self._lines.get(order.symbol) or _Line()
        bought, sold = (order.quantity, ZERO) if order.side == "buy" else (ZERO, order.quantity)
        with localcontext(EXACT):
            most, least = line.most + bought, line.least - sold
            is_reduction = (line.held > 0 and sold > 0 and least >= 0) or (
                line.held < 0 and bought > 0 and most <= 0
            )
            exposure = Exposure(is_reduction, least, equity_usd=self._equity_usd)
            price = self._price(order.symbol)
            if price is None:
                return exposure
            worst = max(abs(most), abs(least)) * price
            added = worst - max(abs(line.most), abs(line.least)) * price
            sector = self._sector(order.symbol)
            is_sector_priced = all(self._sector(symbol) != sector for symbol in self._unpriced)
            in_sector = self._sector_usd.get(sector, ZERO) + added
            exposure = replace(
                exposure, position_usd=worst, sector_usd=in_sector if is_sector_priced else None
            )
            if self._unpriced:
                return exposure
            highest, lowest = (
                self._most_net_usd + bought * price,
                self._least_net_usd - sold * price,
            )
            net = max(abs(highest), abs(lowest))
            return replace(exposure, gross_usd=self._gross_usd + added, net_usd=net)

    def _open(self, order: OpenOrder) -> None:
        _require_shares(f"quantity of {order.client_order_id}", order.quantity)
        _require_shares(f"open quantity of {order.client_order_id}", order.remaining)
        if not 0 <= order.remaining <= order.quantity:
            msg = (
                f"open quantity of {order.client_order_id} was {order.remaining}; expected one"
                f" from 0 to its quantity {order.quantity}"
            )
            raise DataError(msg)
        if order.limit_price_usd is not None and not is_price(order.limit_price_usd):
            msg = (
                f"limit of open order {order.client_order_id} was {order.limit_price_usd};"
                " expected a positive price"
            )
            raise DataError(msg)
        line = self._lines.setdefault(order.symbol, _Line())
        self._add(order.symbol, -1)
        _add_to_line(line, order)
        self._add(order.symbol, 1)
        self._intents.add((order.symbol, order.side, order.quantity))
        self.order_ids.add(order.client_order_id)
        self.open_count += 1

    def _add(self, symbol: str, sign: int) -> None:
        """Add a symbol's worst case to the sums, or take it out of them."""
        line, price = self._lines[symbol], self._price(symbol)
        worst = max(abs(line.most), abs(line.least))
        if price is None:
            if worst:
                self._unpriced.add(symbol)
            return
        sector = self._sector(symbol)
        self._gross_usd += sign * worst * price
        self._sector_usd[sector] = self._sector_usd.get(sector, ZERO) + sign * worst * price
        self._most_net_usd += sign * line.most * price
        self._least_net_usd += sign * line.least * price

    def _price(self, symbol: str) -> Decimal | None:
        price = self.facts.price_usd.get(symbol)
        return price if is_price(price) else None

    def _sector(self, symbol: str) -> str:
        named = self.facts.sectors.get(symbol)
        # A name begins with another letter than a symbol that has none.
        return f"+{symbol}" if named is None else f"-{named}"


def _add_to_line(line: _Line, order: OpenOrder) -> None:
    limit = order.limit_price_usd
    is_buy = order.side == "buy"
    if is_buy:
        line.buying += order.remaining
    else:
        line.selling += order.remaining
    if limit is None:
        line.unlimited[order.side] += 1
    elif is_buy:
        line.highest_buy_usd = max(limit, line.highest_buy_usd or limit)
    else:
        line.lowest_sell_usd = min(limit, line.lowest_sell_usd or limit)


def _require_shares(what: str, shares: Decimal) -> None:
    if not is_quantity(shares):
        msg = f"{what} was {shares}; expected a number of at most nine decimals, below 1e15"
        raise DataError(msg)
