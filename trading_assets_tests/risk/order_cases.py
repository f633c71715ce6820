"""Random accounts, orders and limits, many of them exactly at a limit or a step beyond it."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from typing import Any

from trading_assets.risk.account_facts import AccountFacts, OpenOrder
from trading_assets.risk.order_limits import OrderLimits
from trading_assets.risk.pretrade import check_batch
from trading_assets.risk.pretrade_state import PreTradeState
from trading_assets.risk.proposed_orders import OrderType, ProposedOrder, Side
from trading_assets_tests.risk.order_referee import LIMITED, broken, measured

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
SIDES: tuple[Side, ...] = ("buy", "sell")
TYPES: tuple[OrderType, ...] = ("market", "limit", "stop", "stop_limit")
STEP, CENT = Decimal("1e-9"), Decimal("0.01")
COUNTS = ("max_open_orders", "max_orders_per_session")
HOSTILE = tuple(
    map(Decimal, ["NaN", "sNaN", "Infinity", "-Infinity", "0", "-1", "1e15", "1e30", "1e999"])
) + tuple(map(Decimal, ["1e-10", "1e-30", "1e-31", "1e-999", "999999999999999.9"]))
LOOSE = OrderLimits(Decimal("1e15"), 1, permits_short=True)


@dataclass
class Tally:
    """What came of many orders."""

    orders: int = 0
    accepted: int = 0
    # Let through although the referee names a limit, or refused by others than it names.
    breaches: list[str] = field(default_factory=list[str])
    unfounded: list[str] = field(default_factory=list[str])
    alone: Counter[str] = field(default_factory=Counter[str])


def try_orders(count: int, seed: int) -> Tally:
    """Check random batches until so many orders were judged, each by the referee too."""
    rng, tally = random.Random(seed), Tally()
    while tally.orders < count:
        facts, orders, limits = draw_case(rng)
        _judge(facts, orders, limits, tally)
    return tally


def _judge(
    facts: AccountFacts, orders: list[ProposedOrder], limits: OrderLimits, tally: Tally
) -> None:
    checked = check_batch(orders, PreTradeState(facts), limits)
    refused = {id(own.order): {each.rule for each in own.breaches} for own in checked.refused}
    sent: list[ProposedOrder] = []
    for order in orders:
        expected = broken(order, facts, sent, limits)
        found = refused.get(id(order), set())
        tally.orders += 1
        what = (
            f"{order} found {sorted(found)}, expected {sorted(expected)}; {facts} {sent} {limits}"
        )
        if expected - found:
            tally.breaches.append(what)
        if found - expected:
            tally.unfounded.append(what)
        if len(expected) == 1:
            tally.alone.update(expected)
        if not found:
            tally.accepted += 1
            sent.append(order)


def draw_case(rng: random.Random) -> tuple[AccountFacts, list[ProposedOrder], OrderLimits]:
    """Return an account, a batch of orders and limits that its first order is often exactly at."""
    price = {symbol: Decimal(rng.randint(1_000, 20_000)) / 100 for symbol in SYMBOLS}
    held = {symbol: _shares(rng, -40, 60) for symbol in SYMBOLS if rng.random() < 0.6}
    opened = tuple(_open_order(rng, number, price) for number in range(rng.randint(0, 5)))
    facts = AccountFacts(
        held=held,
        open_orders=opened,
        equity_usd=_rarely(rng, Decimal(rng.randint(1_000, 9_000)), (None, Decimal("NaN"), STEP)),
        price_usd=_with_gaps(rng, price),
        average_volume_shares=_with_gaps(rng, {s: _shares(rng, 50, 5_000) for s in SYMBOLS}),
        sectors={symbol: rng.choice("XY") for symbol in SYMBOLS if rng.random() < 0.8},
        session_price_usd=_with_gaps(
            rng, {s: p * rng.randint(95, 105) / 100 for s, p in price.items()}
        ),
        used_order_ids=tuple(f"used-{number}" for number in range(rng.randint(0, 3))),
    )
    orders = [_order(rng, number, price, facts) for number in range(rng.randint(1, 4))]
    return facts, orders, _limits(rng, orders[0], facts)


def _limits(rng: random.Random, first: ProposedOrder, facts: AccountFacts) -> OrderLimits:
    values: dict[str, Any] = {}
    # Only what can be judged can be measured.
    is_fit = not broken(first, facts, (), LOOSE) & {
        "quantity", "limit_price_usd", "stop_price_usd", "reference_price_usd"
    }  # fmt: skip
    found = measured(first, facts, ()) if is_fit else {}
    for name in LIMITED:
        value = found.get(name)
        if rng.random() < 0.45:
            values[name] = None
        elif name in COUNTS:
            values[name] = int(value or 5) + rng.choice((0, 0, 0, 1, 2, 5)) - (rng.random() < 0.05)
        else:
            values[name] = _near(rng, value)
    notional = values.pop("max_order_notional_usd")
    values["restricted_symbols"] = frozenset({"DDD"} if rng.random() < 0.1 else ())
    return OrderLimits(
        max_order_notional_usd=notional or Decimal(10_000),
        max_data_age_sessions=rng.choice((1, 1, 1, 2)),
        permits_short=rng.random() < 0.7,
        **values,
    )


def _near(rng: random.Random, value: Fraction | None) -> Decimal:
    """Return a limit above a value, at it, or the smallest step below."""
    if not value:
        return Decimal(rng.randint(1, 10_000))
    if rng.random() < 0.6:
        value *= Fraction(rng.randint(100, 600), 100)
    steps = -(-value * 10**9 // 1) - (rng.random() < 0.06)
    return (Decimal(int(steps)) * STEP).max(STEP)


def _order(
    rng: random.Random, number: int, price: dict[str, Decimal], facts: AccountFacts
) -> ProposedOrder:
    symbol, kind = rng.choice(SYMBOLS), rng.choice(TYPES)
    side, held = rng.choice(SIDES), facts.held.get(symbol, Decimal(0))
    shares = _shares(rng, 1, 40).copy_abs().max(STEP)
    if held and rng.random() < 0.3:
        # To close, in whole or in part.
        side = "sell" if held > 0 else "buy"
        shares = rng.choice((abs(held), abs(held) / 2, abs(held) + STEP)).quantize(
            STEP, ROUND_CEILING
        )
    if facts.open_orders and rng.random() < 0.1:
        twin = rng.choice(tuple(facts.open_orders))
        symbol, side, shares = twin.symbol, twin.side, twin.quantity
    reference = price[symbol] * rng.choice((1, 1, 1, Decimal("1.03"), Decimal("0.97")))
    drawn = ProposedOrder(
        client_order_id=_rarely(rng, f"new-{number}", ("used-0", "new-0", "open-0", "", "a b")),
        symbol=_rarely(rng, symbol, ("aaa", "", "EEE")),
        side=side,
        quantity=shares,
        order_type=kind,
        limit_price_usd=_tick(rng, reference) if kind in ("limit", "stop_limit") else None,
        stop_price_usd=_tick(rng, reference) if kind in ("stop", "stop_limit") else None,
        reference_price_usd=reference,
        data_age_sessions=_rarely(rng, 1, (None, 0, 2, 3, -1)),
    )
    if rng.random() < 0.04:
        name = rng.choice(("quantity", "limit_price_usd", "stop_price_usd", "reference_price_usd"))
        drawn = replace(drawn, **{name: rng.choice(HOSTILE)})
    return drawn


def _open_order(rng: random.Random, number: int, price: dict[str, Decimal]) -> OpenOrder:
    symbol, shares = rng.choice(SYMBOLS), _shares(rng, 1, 40).copy_abs().max(STEP)
    left = rng.choice((shares, shares, (shares / 2).quantize(STEP, ROUND_CEILING), Decimal(0)))
    side = rng.choice(SIDES)
    # Most rest beyond the price, where nothing trades with them.
    away = (-1 if side == "buy" else 1) * rng.randint(-50, 400)
    limit = None if rng.random() < 0.1 else (price[symbol] + Decimal(away) / 100).max(CENT)
    return OpenOrder(f"open-{number}", symbol, side, shares, left, limit)


def _shares(rng: random.Random, low: int, high: int) -> Decimal:
    whole = Decimal(rng.randint(low, high))
    return whole + rng.choice((Decimal(0), Decimal(0), Decimal("0.5"), Decimal("0.123456789")))


def _tick(rng: random.Random, price: Decimal) -> Decimal:
    return (price + Decimal(rng.randint(-200, 200)) / 100).max(CENT)


def _rarely(rng: random.Random, usual: Any, others: tuple[Any, ...]) -> Any:
    return rng.choice(others) if rng.random() < 0.05 else usual


def _with_gaps(rng: random.Random, values: dict[str, Decimal]) -> dict[str, Decimal]:
    """Return the values with, now and then, one missing or none at all."""
    found = dict(values)
    for symbol in values:
        draw = rng.random()
        if draw < 0.02:
            del found[symbol]
        elif draw < 0.04:
            found[symbol] = rng.choice((Decimal("NaN"), Decimal(0), Decimal(-1), Decimal("1e30")))
    return found
