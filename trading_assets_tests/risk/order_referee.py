"""The referee of pre-trade checks: the sentences of the limits said once more, in fractions.

Every number is looked up and added anew for each order; no sum is carried along.
"""

import string
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TypeVar

from trading_assets.risk.account_facts import AccountFacts, OpenOrder
from trading_assets.risk.order_limits import OrderLimits
from trading_assets.risk.proposed_orders import ProposedOrder

T = TypeVar("T")
ID_LETTERS = string.ascii_letters + string.digits + "_.-/"
MOST = 10**15
LIMITED = (
    "max_order_quantity_shares",
    "max_order_notional_usd",
    "max_order_volume_pct",
    "price_collar_pct",
    "session_drift_collar_pct",
    "max_open_orders",
    "max_orders_per_session",
    "max_position_notional_usd",
    "max_sector_notional_usd",
    "max_gross_notional_usd",
    "max_net_notional_usd",
    "max_leverage",
)
EXPOSURES = LIMITED[-5:]


def broken(
    order: ProposedOrder,
    facts: AccountFacts,
    sent: Sequence[ProposedOrder],
    limits: OrderLimits,
) -> set[str]:
    """Return the names of all that an order breaks after others were sent."""
    unfit = _unfit(order, limits)
    if unfit:
        return unfit
    still_open = _still_open(facts, sent)
    found = _clashes(order, facts, still_open)
    if order.symbol in limits.restricted_symbols:
        found.add("restricted_symbols")
    reduces = only_reduces(order, facts, still_open)
    lowest, _ = _ends(order, facts, still_open)[order.symbol]
    if not limits.permits_short and order.side == "sell" and lowest < 0:
        found.add("no_short_sale")
    for name, value in measured(order, facts, sent).items():
        limit = getattr(limits, name)
        if limit is None or (name in EXPOSURES and reduces):
            continue
        if value is None or value > Fraction(limit):
            found.add(name)
    return found


def _clashes(
    order: ProposedOrder, facts: AccountFacts, still_open: Sequence[OpenOrder]
) -> set[str]:
    found = set[str]()
    if order.client_order_id in {*facts.used_order_ids, *(o.client_order_id for o in still_open)}:
        found.add("repeated_order_id")
    for own in still_open:
        if own.symbol != order.symbol:
            continue
        if (own.side, Fraction(own.quantity)) == (order.side, Fraction(order.quantity)):
            found.add("repeated_intent")
        if own.side != order.side and _could_trade(order, own):
            found.add("self_cross")
    return found


def measured(
    order: ProposedOrder, facts: AccountFacts, sent: Sequence[ProposedOrder]
) -> dict[str, Fraction | None]:
    """Return what each limit is held against; None where it cannot be known."""
    still_open = _still_open(facts, sent)
    shares, reference = Fraction(order.quantity), Fraction(_some(order.reference_price_usd))
    named = [order.reference_price_usd, order.limit_price_usd, order.stop_price_usd]
    volume = _known(facts.average_volume_shares.get(order.symbol))
    first = _known(facts.session_price_usd.get(order.symbol))
    found: dict[str, Fraction | None] = {
        "max_order_quantity_shares": shares,
        "max_order_notional_usd": shares * max(Fraction(p) for p in named if p is not None),
        "max_order_volume_pct": None if volume is None else 100 * shares / volume,
        "price_collar_pct": Fraction(0),
        "session_drift_collar_pct": None if first is None else 100 * abs(reference / first - 1),
        "max_open_orders": Fraction(len(still_open) + 1),
        "max_orders_per_session": Fraction(len({*facts.used_order_ids}) + len(sent) + 1),
    }
    if order.limit_price_usd is not None:
        anchor = reference if order.stop_price_usd is None else Fraction(order.stop_price_usd)
        found["price_collar_pct"] = 100 * abs(Fraction(order.limit_price_usd) / anchor - 1)
    return found | _exposures(order, facts, still_open)


def _exposures(
    order: ProposedOrder, facts: AccountFacts, still_open: Sequence[OpenOrder]
) -> dict[str, Fraction | None]:
    ends = _ends(order, facts, still_open)
    prices = {symbol: _known(facts.price_usd.get(symbol)) for symbol in ends}
    at_stake = {symbol for symbol, pair in ends.items() if any(pair)} | {order.symbol}

    def worst(symbols: set[str]) -> Fraction | None:
        # Every mixture of fills lies between the ends, and the largest size at one of them.
        if any(prices[symbol] is None for symbol in symbols | {order.symbol}):
            return None
        sizes = (max(map(abs, ends[symbol])) * _some(prices[symbol]) for symbol in symbols)
        return sum(sizes, Fraction(0))

    sector = _sector(order.symbol, facts.sectors)
    together = {symbol for symbol in at_stake if _sector(symbol, facts.sectors) == sector}
    gross = worst(at_stake)
    net = None
    if gross is not None:
        nets = (
            sum((ends[symbol][end] * _some(prices[symbol]) for symbol in at_stake), Fraction(0))
            for end in (0, 1)
        )
        net = max(map(abs, nets))
    equity = _known(facts.equity_usd)
    return {
        "max_position_notional_usd": worst({order.symbol}),
        "max_sector_notional_usd": worst(together),
        "max_gross_notional_usd": gross,
        "max_net_notional_usd": net,
        "max_leverage": None if gross is None or equity is None else gross / equity,
    }


def only_reduces(
    order: ProposedOrder, facts: AccountFacts, still_open: Sequence[OpenOrder]
) -> bool:
    """Whether each mixture of fills of this side leaves a position nearer zero, on its side."""
    held = Fraction(facts.held.get(order.symbol, Decimal(0)))
    sign = 1 if order.side == "buy" else -1
    same = [
        Fraction(own.remaining)
        for own in still_open
        if (own.symbol, own.side) == (order.symbol, order.side)
    ]
    after = held + sign * (sum(same, Fraction(0)) + Fraction(order.quantity))
    return held * sign < 0 and after * sign <= 0


def _ends(
    order: ProposedOrder, facts: AccountFacts, still_open: Sequence[OpenOrder]
) -> dict[str, tuple[Fraction, Fraction]]:
    """Return the least and most shares of each symbol, however much of what is open fills."""
    moves = [(own.symbol, own.side, own.remaining) for own in still_open]
    moves.append((order.symbol, order.side, order.quantity))
    symbols = {*facts.held} | {symbol for symbol, _, _ in moves}
    found: dict[str, tuple[Fraction, Fraction]] = {}
    for symbol in symbols:
        least = most = Fraction(facts.held.get(symbol, Decimal(0)))
        for moved, side, shares in moves:
            if moved == symbol and side == "buy":
                most += Fraction(shares)
            elif moved == symbol:
                least -= Fraction(shares)
        found[symbol] = (least, most)
    return found


def _still_open(facts: AccountFacts, sent: Sequence[ProposedOrder]) -> list[OpenOrder]:
    new = [
        OpenOrder(o.client_order_id, o.symbol, o.side, o.quantity, o.quantity, o.limit_price_usd)
        for o in sent
    ]
    return [*facts.open_orders, *new]


def _could_trade(order: ProposedOrder, own: OpenOrder) -> bool:
    if order.limit_price_usd is None or own.limit_price_usd is None:
        return True
    pays, asks = order.limit_price_usd, own.limit_price_usd
    return pays >= asks if order.side == "buy" else asks >= pays


def _unfit(order: ProposedOrder, limits: OrderLimits) -> set[str]:
    found = set[str]()
    text = order.client_order_id
    if not 1 <= len(text) <= 128 or any(letter not in ID_LETTERS for letter in text):
        found.add("client_order_id")
    capitals = string.ascii_uppercase + string.digits
    name = order.symbol
    if not 1 <= len(name) <= 16 or name[0] not in capitals or set(name) - {*capitals, *".-/"}:
        found.add("symbol")
    shares = _known(order.quantity)
    if shares is None or (shares * 10**9).denominator != 1:
        found.add("quantity")
    for field, kinds in (("limit_price_usd", ("limit", "stop_limit")),
                         ("stop_price_usd", ("stop", "stop_limit"))):  # fmt: skip
        price = getattr(order, field)
        is_good = _known(price) is not None if order.order_type in kinds else price is None
        if not is_good:
            found.add(field)
    if _known(order.reference_price_usd) is None:
        found.add("reference_price_usd")
    age = order.data_age_sessions
    if age is None or age < 0 or age > limits.max_data_age_sessions:
        found.add("max_data_age_sessions")
    return found


def _known(value: Decimal | None) -> Fraction | None:
    """Return a number in use: positive, below 1e15, of at most thirty decimals."""
    if value is None or not value.is_finite() or value <= 0 or abs(value.adjusted()) > 40:
        return None
    exact = Fraction(value)
    return exact if exact < MOST and (exact * 10**30).denominator == 1 else None


def _some(value: T | None) -> T:
    assert value is not None
    return value


def _sector(symbol: str, sectors: Mapping[str, str]) -> tuple[str, str]:
    return ("named", sectors[symbol]) if symbol in sectors else ("alone", symbol)
