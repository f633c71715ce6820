"""What a broker tells is booked once, and what it takes back is taken back, however it says so."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from trading_assets.paper.fills import Fill, FillChange
from trading_assets.paper.gateways import Activities, Update
from trading_assets.paper.journal import Journal
from trading_assets.paper.order_records import fill_fields
from trading_assets.paper.orders import Order
from trading_assets.paper.reconciliation import Span, read_broker
from trading_assets_tests.paper.scripted import (
    SESSION,
    ScriptedGateway,
    broker_order,
    make_order,
    opened_journal,
)

AAA, EARLIER = make_order("AAA"), make_order("BBB")
SPAN = Span(None, SESSION, None)


def fill_of(order: Order, number: int, quantity: int = 10, price: str = "10") -> Fill:
    return Fill(
        f"x-{order.symbol}-{number}",
        order.client_order_id,
        order.symbol,
        order.side,
        Decimal(quantity),
        Decimal(price),
        Decimal(0),
        datetime(2024, 3, 8, 15, tzinfo=UTC),
    )


def gateway_with(
    filled: int, *fills: Fill, changes: tuple[FillChange, ...] = ()
) -> ScriptedGateway:
    known = {AAA.client_order_id: broker_order(AAA, "filled", filled)}
    return ScriptedGateway(known=known, told=Activities((), fills, changes))


def held(journal: Journal) -> dict[str, Decimal]:
    return dict(journal.account.state(None).quantity)


def test_a_bust_that_is_listed_with_its_execution_leaves_nothing_booked() -> None:
    journal, log = opened_journal(AAA)
    bust = FillChange("bust", "x-AAA-1")
    assert read_broker(journal, gateway_with(0, fill_of(AAA, 1), changes=(bust,)), SPAN) == []
    assert held(journal) == {}
    assert journal.account.orders[AAA.client_order_id].filled_quantity == 0
    [said] = [r for r in log.records() if r["event"] == "BUST"]
    assert said["client_order_id"] == AAA.client_order_id


def test_a_correction_of_a_correction_counts_alone() -> None:
    journal, _ = opened_journal(AAA)
    second, third = fill_of(AAA, 2, 6), fill_of(AAA, 3, 4, "11")
    changes = (
        FillChange("correction", "x-AAA-1", second),
        FillChange("correction", "x-AAA-2", third),
    )
    gateway = gateway_with(4, fill_of(AAA, 1), changes=changes)
    assert read_broker(journal, gateway, SPAN) == []
    assert held(journal) == {"AAA": Decimal(4)}
    assert journal.account.state(None).cash_usd == 1000 - 44


def test_a_correction_that_the_stream_repeats_in_a_later_session_is_not_booked_again() -> None:
    journal, log = opened_journal(AAA)
    order = broker_order(EARLIER, "filled", 5)
    change = FillChange("correction", "x-BBB-1", fill_of(EARLIER, 2, 5))
    gateway = gateway_with(0)
    gateway.messages = (Update("trade_correct", order, change),)
    assert read_broker(journal, gateway, SPAN) == []
    assert held(journal) == {}
    assert "CORRECT" not in {record["event"] for record in log.records()}


def test_an_execution_of_an_earlier_session_that_is_undone_is_named_and_not_booked() -> None:
    journal, _ = opened_journal(AAA)
    change = FillChange("correction", "x-BBB-1", fill_of(EARLIER, 2, 5))
    [stranger] = read_broker(journal, gateway_with(0, changes=(change,)), SPAN)
    assert "execution x-BBB-1 was undone at the broker (correction)" in stranger
    assert held(journal) == {}


def test_a_bust_that_nobody_tells_is_seen_by_the_orders_filled_quantity() -> None:
    journal, _ = opened_journal(AAA)
    kept, busted = fill_of(AAA, 1, 4), fill_of(AAA, 2, 6)
    for fill in (kept, busted):
        journal.tell("FILL", **fill_fields(fill))
    assert read_broker(journal, gateway_with(4, kept), SPAN) == []
    assert held(journal) == {"AAA": Decimal(4)}


def test_an_execution_that_is_not_listed_yet_but_counts_is_kept() -> None:
    journal, _ = opened_journal(AAA)
    journal.tell("FILL", **fill_fields(fill_of(AAA, 1)))
    assert read_broker(journal, gateway_with(10), SPAN) == []
    assert held(journal) == {"AAA": Decimal(10)}


def test_an_execution_told_by_stream_and_list_is_taken_back_once() -> None:
    journal, log = opened_journal(AAA)
    bust = FillChange("bust", "x-AAA-1")
    order = broker_order(AAA, "filled", 0)
    for _ in range(2):
        gateway = gateway_with(0, fill_of(AAA, 1), changes=(bust,))
        gateway.messages = (Update("trade_bust", replace(order), bust),) * 2
        read_broker(journal, gateway, SPAN)
    assert held(journal) == {}
    assert [r["event"] for r in log.records()].count("BUST") == 1
