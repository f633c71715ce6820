from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from trading_assets.paper.ledger import Ledger
from trading_assets.paper.simulated import SimulatedBroker as BrokerBefore
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.simulation.market import Market
from trading_assets_tests.paper.brokers import drawn_orders, open_gateway
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    cut,
    make_market,
    make_strategy,
    session_at,
)

COSTS = {"fee_bps": 1.0, "half_spread_bps": 2.0, "impact_coefficient": 0.5}
SHORT = {"position": "long_short", "sizing": "constant_notional", "agents": {"ppo": {}}}
DECLARED = {
    "long only": {"costs": COSTS},
    "cash runs out": {"costs": COSTS, "paper": {"initial_cash_usd": 300_000.0}},
    "lots": {"costs": {**COSTS, "lot_shares": 1.0, "tick_usd": 0.01}},
    "volume capped": {"costs": {**COSTS, "max_participation": 0.002}},
    "financed": {
        "costs": {**COSTS, "financing_bps_per_year": 500, "borrow_bps_per_year": 300},
        "policy": SHORT,
    },
    "quadratic": {
        "costs": {"fee_bps": 0, "half_spread_bps": 0, "quadratic_lambda": 250},
        "policy": SHORT,
    },
}


def paid_out(market: Market, row: int) -> Market:
    """The market with its second symbol delisted and paid out at a row."""
    payout = np.full(market.open.shape, np.nan)
    payout[row, 1] = 3.1234565
    gone = {name: getattr(market, name).copy() for name in ("open", "close", "volume")}
    for values in gone.values():
        values[row:, 1] = np.nan
    return replace(market, payout_per_share=payout, **gone)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("declared", DECLARED)
def test_market_orders_fill_as_the_embedded_broker_before_filled_them(
    declared: str, seed: int, tmp_path: Path
) -> None:
    strategy = make_strategy(**DECLARED[declared])
    market = make_market(30, seed, decimals=2 if seed % 2 else None)
    if seed == 3:
        market = paid_out(market, 20)
    book = Book(tmp_path / "book.sqlite") if seed == 0 else Book()
    is_long_only = strategy.policy.position == "long_only"
    rng = np.random.default_rng(seed)
    state, since = b"", None
    ledger = None
    for row in range(6, 30):
        if rng.random() < 0.15:
            continue
        session = session_at(market, row)
        known = market if seed != 1 or row == 29 else cut(market, row)
        before = BrokerBefore(strategy, known, CALENDAR, state)
        now = open_gateway(known, strategy, book)
        ledger = ledger or Ledger.opened(now.account())
        assert now.refusal(session) == ""
        orders = [
            order
            for order in drawn_orders(rng, market, row, before.account(), is_long_only=is_long_only)
            if seed != 3 or row <= 20 or order.symbol != "BBB"
        ]
        for order in orders:
            assert before.submit(order).status == "accepted"
            answer = now.send(order)
            assert answer.outcome == "taken", answer.reason
        settled = before.settle(session, since, tuple(o.client_order_id for o in orders))
        assert settled is not None
        assert now.has_closed(session)
        told = now.activities(since, session)
        assert told.events == settled.events
        assert told.fills == settled.fills
        assert now.account().cash_usd == before.account().cash_usd
        assert now.account().quantity == before.account().quantity
        for was in settled.orders:
            order = now.look_up(was.client_order_id)
            assert order is not None
            assert order.filled_quantity == was.filled_quantity
            if order.quantity - order.filled_quantity != Decimal(1):
                assert order.status == was.status
        for entry in (*told.events, *told.fills):
            ledger.book_event(entry) if entry in told.events else ledger.book_fill(entry)
        assert ledger.cash_usd == now.account().cash_usd
        assert ledger.quantity == dict(now.account().quantity)
        state, since = before.state(), session
        if row % 7 == 0 and seed == 0:
            now.close()
            book = Book(tmp_path / "book.sqlite")
    assert not any(event.kind == "rounding" for event in book.events())
