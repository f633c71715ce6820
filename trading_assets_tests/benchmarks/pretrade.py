"""Figures of the pre-trade check: its latency, and what a referee finds that it lets through."""

import time
from dataclasses import replace
from decimal import Decimal

import numpy as np

from trading_assets.risk.account_facts import AccountFacts, OpenOrder
from trading_assets.risk.order_limits import OrderLimits
from trading_assets.risk.pretrade import check_order
from trading_assets.risk.pretrade_state import PreTradeState
from trading_assets.risk.proposed_orders import ProposedOrder
from trading_assets_tests.benchmarks.figures import Figure, keep
from trading_assets_tests.risk.order_cases import try_orders

SYMBOLS = tuple(f"S{number:02d}" for number in range(50))
ROUNDS = 400
JUDGED = 100_000
PRICE = Decimal("101.37")
# Every limit is declared and none is near: an order is held against all of them and passes.
LIMITS = OrderLimits(
    max_order_notional_usd=Decimal(1_000_000),
    max_data_age_sessions=1,
    permits_short=False,
    max_order_quantity_shares=Decimal(10_000),
    max_order_volume_pct=Decimal(5),
    price_collar_pct=Decimal(5),
    session_drift_collar_pct=Decimal(10),
    max_position_notional_usd=Decimal(1_000_000),
    max_sector_notional_usd=Decimal(10_000_000),
    max_gross_notional_usd=Decimal(50_000_000),
    max_net_notional_usd=Decimal(50_000_000),
    max_leverage=Decimal(2),
    max_open_orders=500,
    max_orders_per_session=1_000,
    restricted_symbols=frozenset({"X"}),
)


def make_facts() -> AccountFacts:
    """Return an account that holds fifty symbols and has an order open in each."""
    shares = Decimal("12.345678901")
    each = dict.fromkeys(SYMBOLS, PRICE)
    return AccountFacts(
        held=dict.fromkeys(SYMBOLS, 100 * shares),
        open_orders=tuple(
            OpenOrder(f"open-{symbol}", symbol, "buy", shares, shares, PRICE) for symbol in SYMBOLS
        ),
        equity_usd=Decimal(25_000_000),
        price_usd=each,
        average_volume_shares=dict.fromkeys(SYMBOLS, Decimal(1_000_000)),
        sectors={symbol: symbol[-1] for symbol in SYMBOLS},
        session_price_usd=each,
    )


def measure_pretrade() -> None:
    """Check fifty orders after another against fifty that are open, many times."""
    facts = make_facts()
    first = ProposedOrder("new", SYMBOLS[0], "buy", Decimal("7.5"), "limit", PRICE, None, PRICE, 1)
    orders = [replace(first, client_order_id=f"new-{s}", symbol=s) for s in SYMBOLS]
    checks: list[int] = []
    states: list[int] = []
    for _ in range(ROUNDS):
        started = time.perf_counter_ns()
        state = PreTradeState(facts)
        states.append(time.perf_counter_ns() - started)
        for order in orders:
            started = time.perf_counter_ns()
            breaches = check_order(order, state, LIMITS)
            if not breaches:
                state.count(order)
            checks.append(time.perf_counter_ns() - started)
            if breaches:
                msg = f"an order was refused: {breaches}; expected all limits to be held against"
                raise RuntimeError(msg)
    keep(Figure("paper.pretrade_p99_ms", float(np.quantile(checks, 0.99)) / 1e6, "ms", limit=1))
    keep(Figure("paper.pretrade_state_p99_ms", float(np.quantile(states, 0.99)) / 1e6, "ms"))


def measure_limit_breaches() -> None:
    """Count the random orders that pass a limit by the referee's fractions."""
    tally = try_orders(JUDGED, seed=1)
    if tally.unfounded:
        msg = f"an order was refused without reason: {tally.unfounded[0]}"
        raise RuntimeError(msg)
    keep(Figure("paper.limit_breaches", float(len(tally.breaches)), "orders", limit=0))


STAGES = {"pretrade": measure_pretrade, "limits": measure_limit_breaches}
