import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from trading_assets.errors import DataError
from trading_assets.paper.fills import FillChange
from trading_assets.paper.gateways import Gateway
from trading_assets.paper.ledger import Ledger
from trading_assets.paper.orders import Bracket, Order
from trading_assets.paper.simulated_broker import interventions
from trading_assets.paper.simulated_broker.behaviour import Behaviour
from trading_assets.paper.simulated_broker.book import Book
from trading_assets.paper.simulated_broker.broker import SimulatedBroker
from trading_assets.paper.simulated_broker.gateway import SimulatedGateway
from trading_assets.simulation.market import Market
from trading_assets_tests.paper.brokers import market_order, open_gateway, with_extremes
from trading_assets_tests.paper.fixtures import (
    CALENDAR,
    cut,
    make_market,
    make_strategy,
    session_at,
)

MARKET = make_market(30)
FIRST, NEXT = session_at(MARKET, 6), session_at(MARKET, 7)
SHORT = {"agents": {"ppo": {}}, "position": "long_short"}


def buy(shares: str = "10", symbol: str = "AAA", number: int = 0, day: date = FIRST) -> Order:
    return market_order(day, symbol, Decimal(shares), number)


def with_broker(
    market: Market = MARKET, behaviour: Behaviour | None = None, **declared: object
) -> tuple[SimulatedBroker, SimulatedGateway]:
    broker = SimulatedBroker(Book(), make_strategy(**declared), market, CALENDAR, behaviour)
    return broker, SimulatedGateway(broker)


def test_the_gateway_keeps_the_protocol() -> None:
    gateway: Gateway = open_gateway(MARKET)
    assert (gateway.receiver, gateway.is_simulated) == ("simulated", True)
    assert gateway.cash_tolerance_usd == 0
    account = gateway.account()
    assert (account.as_of, account.cash_usd, account.quantity) == (None, 1_000_000, {})


def test_an_id_is_taken_once_whatever_became_of_it() -> None:
    gateway = open_gateway(MARKET)
    order = buy()
    assert gateway.send(order).outcome == "taken"
    again = gateway.send(order)
    assert (again.outcome, again.reason) == ("refused", "client_order_id must be unique")
    assert gateway.cancel(order.client_order_id).outcome == "taken"
    assert gateway.send(order).outcome == "refused"
    assert gateway.send(replace(order, quantity=Decimal(3))).outcome == "refused"
    assert gateway.has_closed(FIRST)
    assert gateway.account().quantity == {}


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (buy(symbol="ZZZ"), "not found"),
        (replace(buy(), time_in_force="day", quantity=Decimal("1.5")), ""),
        (replace(buy(), quantity=Decimal("1.5")), "fractional"),
        (replace(buy(), time_in_force="gtc", quantity=Decimal("1.5")), "fractional"),
        (
            replace(
                buy(),
                quantity=Decimal("1.5"),
                time_in_force="day",
                order_type="limit",
                limit_price_usd=Decimal(90),
            ),
            "fractional",
        ),
        (replace(buy(), bracket=Bracket(Decimal(120), Decimal(80))), "DAY or GTC"),
        (replace(buy(), order_type="stop", stop_price_usd=Decimal(120)), "auction"),
        (buy("-10"), "insufficient qty"),
        (buy(symbol="CCC", day=session_at(MARKET, 3)), "not tradable"),
        (buy(symbol="CCC", day=FIRST), ""),
    ],
)
def test_what_the_broker_does_not_trade_is_refused_and_leaves_no_trace(
    order: Order, reason: str
) -> None:
    gateway = open_gateway(MARKET)
    answer = gateway.send(order)
    assert answer.outcome == ("refused" if reason else "taken")
    assert reason in answer.reason
    assert (gateway.look_up(order.client_order_id) is None) == bool(reason)


def test_a_delisted_symbol_and_one_declared_untradable_are_refused() -> None:
    payout = np.full(MARKET.open.shape, np.nan)
    payout[5, 1] = 12.5
    broker, gateway = with_broker(
        replace(MARKET, payout_per_share=payout), Behaviour(untradable=frozenset({"AAA"}))
    )
    for symbol in ("AAA", "BBB"):
        assert "not tradable" in gateway.send(buy(symbol=symbol)).reason
    assert broker.book.orders() == []


def test_shares_that_an_open_order_sells_cannot_be_sold_again() -> None:
    gateway = open_gateway(MARKET)
    gateway.send(buy("10"))
    gateway.has_closed(FIRST)
    assert gateway.send(buy("-6", day=NEXT)).outcome == "taken"
    assert "available: 4" in gateway.send(buy("-6", number=1, day=NEXT)).reason
    assert gateway.send(buy("-4", number=2, day=NEXT)).outcome == "taken"
    gateway.has_closed(NEXT)
    assert gateway.account().quantity == {}


def test_exits_that_wait_for_their_entry_speak_for_no_shares() -> None:
    gateway = open_gateway(MARKET)
    gateway.send(buy("10"))
    gateway.has_closed(FIRST)
    entry = replace(buy("10", number=1, day=NEXT), time_in_force="gtc", bracket=BRACKET)
    assert gateway.send(entry).outcome == "taken"
    assert gateway.send(buy("-10", number=2, day=NEXT)).outcome == "taken"
    gateway.has_closed(NEXT)
    third = session_at(MARKET, 8)
    assert gateway.account().quantity == {"AAA": 10}
    assert "available: 0" in gateway.send(buy("-1", day=third)).reason
    gateway.cancel(f"{entry.client_order_id}-stop_loss")
    assert gateway.send(buy("-10", day=third)).outcome == "taken"


def test_an_order_for_a_session_that_is_over_is_refused() -> None:
    gateway = open_gateway(MARKET)
    gateway.send(buy())
    assert gateway.refusal(FIRST) == ""
    assert gateway.has_closed(FIRST)
    assert "already seen" in gateway.refusal(FIRST)
    assert "already seen" in gateway.send(buy(number=1)).reason


def test_a_session_is_not_carried_before_it_is_asked_for() -> None:
    broker, gateway = with_broker()
    gateway.refusal(FIRST)
    gateway.send(buy())
    gateway.refusal(FIRST)
    order = gateway.look_up(buy().client_order_id)
    assert order is not None
    assert order.status == "accepted"
    assert broker.book.account().as_of is None


def test_a_session_left_behind_is_filled_with_its_own_bar() -> None:
    straight, left = open_gateway(MARKET), open_gateway(MARKET)
    for gateway in (straight, left):
        gateway.send(buy())
    straight.has_closed(FIRST)
    day = session_at(MARKET, 10)
    assert left.refusal(day) == ""
    straight.refusal(day)
    assert left.account() == straight.account()
    assert left.activities(None, FIRST) == straight.activities(None, FIRST)
    assert left.activities(None, FIRST).fills != ()


def test_a_session_without_a_bar_yet_has_not_closed() -> None:
    known = cut(MARKET, 5)
    book = Book()
    gateway = open_gateway(known, book=book)
    gateway.send(buy())
    assert not gateway.has_closed(FIRST)
    later = open_gateway(cut(MARKET, 6), book=book)
    assert later.has_closed(FIRST)
    assert later.has_closed(FIRST)
    assert later.account().quantity == {"AAA": 10}


def test_a_final_or_unknown_order_cannot_be_cancelled() -> None:
    gateway = open_gateway(MARKET)
    gateway.send(buy())
    gateway.has_closed(FIRST)
    assert 'already in "filled"' in gateway.cancel(buy().client_order_id).reason
    assert "not found" in gateway.cancel("nobody").reason


def test_cancel_all_leaves_nothing_open() -> None:
    gateway = open_gateway(MARKET)
    for number in range(5):
        gateway.send(buy(number=number))
    assert len(gateway.orders(None, is_open=True)) == 5
    assert gateway.cancel_all().outcome == "taken"
    assert gateway.orders(None, is_open=True) == ()
    gateway.has_closed(FIRST)
    assert gateway.account().cash_usd == 1_000_000


def test_a_suspended_or_blocked_account_takes_no_orders_and_remembers(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    gateway = open_gateway(MARKET, book=Book(path))
    gateway.suspend()
    gateway.close()
    again = open_gateway(MARKET, book=Book(path))
    assert again.blocked() == "trading is suspended at the broker"
    assert "user request" in again.send(buy()).reason
    again.resume()
    assert again.blocked() == ""
    Book(path).block("margin call")
    assert again.blocked() == "the account is blocked: margin call"
    assert "margin call" in again.send(buy()).reason
    Book(path).block("")
    assert again.send(buy()).outcome == "taken"
    again.close()


def test_the_stream_tells_what_happened_since_it_was_connected() -> None:
    broker, gateway = with_broker()
    gateway.send(buy())
    assert [update.event for update in gateway.updates()] == ["new"]
    assert gateway.updates() == ()
    late = SimulatedGateway(broker)
    gateway.send(buy("5", symbol="BBB"))
    gateway.cancel(buy("5", symbol="BBB").client_order_id)
    gateway.has_closed(FIRST)
    seen = [(u.event, u.order.symbol, u.order.status) for u in late.updates()]
    assert seen == [
        ("new", "BBB", "accepted"),
        ("canceled", "BBB", "canceled"),
        ("fill", "AAA", "filled"),
    ]
    assert len(gateway.updates()) == 3


def test_pieces_are_told_as_partial_fills_and_a_last_one() -> None:
    _, gateway = with_broker(behaviour=Behaviour(seed=1, max_pieces=6))
    gateway.send(buy("1000"))
    gateway.has_closed(FIRST)
    updates = gateway.updates()
    assert [u.event for u in updates[1:-1]] == ["partial_fill"] * (len(updates) - 2)
    assert len(updates) > 3
    filled = [u.order.filled_quantity for u in updates]
    assert filled == sorted(filled)
    assert (updates[-1].event, filled[-1]) == ("fill", 1000)


def test_a_late_reject_comes_after_the_order_was_taken() -> None:
    _, gateway = with_broker(behaviour=Behaviour(reject_share=1.0))
    answer = gateway.send(replace(buy(), time_in_force="gtc", bracket=BRACKET))
    assert answer.outcome == "taken"
    assert answer.order is not None
    assert answer.order.status == "accepted"
    assert {order.status for order in gateway.orders(None)} == {"rejected", "canceled"}
    assert "rejected" in [update.event for update in gateway.updates()]


BRACKET = Bracket(Decimal(180), Decimal(20))


def booked_after(gateway: SimulatedGateway, until: date) -> Ledger:
    ledger = Ledger(Decimal(1_000_000), {})
    told = gateway.activities(date(2020, 1, 1), until)
    for event in told.events:
        ledger.book_event(event)
    undone = {change.execution_id for change in told.changes}
    for fill in told.fills:
        if fill.execution_id not in undone:
            ledger.book_fill(fill)
    for change in told.changes:
        if change.replacement is not None and change.replacement.execution_id not in undone:
            ledger.book_fill(change.replacement)
    return ledger


def test_a_bust_and_a_correction_change_the_account_and_are_told() -> None:
    broker, gateway = with_broker()
    gateway.send(buy("100"))
    gateway.send(buy("50", symbol="BBB"))
    gateway.has_closed(FIRST)
    a, b = gateway.activities(None, FIRST).fills
    gateway.updates()
    interventions.bust(broker, a.execution_id)
    better = interventions.correct(broker, b.execution_id, Decimal(40), b.price_usd + 1)
    assert gateway.account().quantity == {"BBB": 40}
    assert [(u.event, u.change) for u in gateway.updates()] == [
        ("trade_bust", FillChange("bust", a.execution_id)),
        ("trade_correct", FillChange("correction", b.execution_id, better)),
    ]
    ledger = booked_after(gateway, FIRST)
    account = gateway.account()
    assert (ledger.cash_usd, ledger.quantity) == (account.cash_usd, dict(account.quantity))
    order = gateway.look_up(b.client_order_id)
    assert order is not None
    assert order.filled_quantity == 40
    with pytest.raises(DataError, match="undone"):
        interventions.bust(broker, a.execution_id)
    interventions.bust(broker, better.execution_id, NEXT)
    assert gateway.activities(FIRST, NEXT).changes == (FillChange("bust", better.execution_id),)
    assert gateway.account().cash_usd == 1_000_000
    gateway.refusal(session_at(MARKET, 9))
    assert gateway.account().cash_usd == 1_000_000


def test_trades_of_others_are_listed_with_the_account() -> None:
    broker, gateway = with_broker()
    gateway.send(buy())
    gateway.has_closed(FIRST)
    by_hand = replace(buy("7", symbol="BBB"), client_order_id="by-hand")
    interventions.trade_elsewhere(broker, by_hand, Decimal("99.5"))
    interventions.move(broker, "AAA", Decimal(-4), Decimal(25), is_told=True)
    ledger = booked_after(gateway, FIRST)
    account = gateway.account()
    assert account.quantity == {"AAA": 6, "BBB": 7}
    assert (ledger.cash_usd, ledger.quantity) == (account.cash_usd, dict(account.quantity))
    interventions.move(broker, "AAA", Decimal(-6), Decimal(0), is_told=False)
    assert booked_after(gateway, FIRST).quantity != gateway.account().quantity


def test_the_book_finds_everything_again_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "book.sqlite"
    market = with_extremes(MARKET)
    kept, reopened = open_gateway(market), open_gateway(market, book=Book(path))
    rng = np.random.default_rng(5)
    for row in range(6, 16):
        day = session_at(market, row)
        for number in range(3):
            price = Decimal(str(round(float(market.close[row - 1, 0]), 2)))
            order = Order(
                f"o-{row}-{number}",
                day,
                "AAA",
                "buy",
                Decimal(int(rng.integers(1, 50))),
                "limit" if number else "market",
                "gtc",
                limit_price_usd=price - number if number else None,
                bracket=Bracket(price + 2, price - 2) if number == 0 else None,
            )
            assert kept.send(order).outcome == reopened.send(order).outcome == "taken"
        reopened.close()
        reopened = open_gateway(market, book=Book(path))
        assert kept.has_closed(day)
        assert reopened.has_closed(day)
        reopened.close()
        reopened = open_gateway(market, book=Book(path))
    everything = (date(2020, 1, 1), day)
    assert reopened.account() == kept.account()
    assert reopened.activities(*everything) == kept.activities(*everything)
    assert reopened.orders(None) == kept.orders(None)
    reopened.close()


def test_nothing_of_a_broken_transaction_stays() -> None:
    book = Book()
    book.open_account(Decimal(100))

    def broken() -> None:
        with book.transaction():
            book.block("half done")
            raise DataError

    with pytest.raises(DataError):
        broken()
    assert book.blocked() == ""


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database at all, but long enough to be read" * 9),
        lambda path: sqlite3.connect(path).execute("PRAGMA user_version = 99").close(),
    ],
)
def test_a_file_that_is_no_book_is_refused(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    path = tmp_path / "book.sqlite"
    spoil(path)
    with pytest.raises(DataError, match=r"book\.sqlite"):
        Book(path)


def test_a_holding_that_the_market_does_not_know_is_an_error() -> None:
    broker, gateway = with_broker()
    gateway.send(buy(symbol="BBB"))
    gateway.has_closed(FIRST)
    narrow = replace(MARKET, symbols=("AAA", "XXX", "CCC"))
    stranger = open_gateway(narrow, book=broker.book)
    with pytest.raises(DataError, match="BBB"):
        stranger.has_closed(NEXT)
    broker.book.rename_symbols({"BBB": "XXX"}, NEXT)
    assert stranger.has_closed(NEXT)
    assert stranger.account().quantity == {"XXX": 10}


def test_orders_since_a_moment_leave_out_older_ones() -> None:
    gateway = open_gateway(MARKET)
    gateway.send(buy())
    gateway.has_closed(FIRST)
    gateway.send(buy("5", day=NEXT))
    found = gateway.orders(CALENDAR.close_time(FIRST))
    assert [order.quantity for order in found] == [5]
    assert len(gateway.orders(None)) == 2
