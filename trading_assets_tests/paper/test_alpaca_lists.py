import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from trading_assets.paper.gateways import BrokerError
from trading_assets_tests.paper.alpaca_double import NOON, AlpacaDouble, Fault, make_gateway
from trading_assets_tests.paper.fixtures import CALENDAR

FRIDAY, MONDAY = date(2024, 5, 3), date(2024, 5, 6)


@pytest.fixture
def double() -> AlpacaDouble:
    return AlpacaDouble()


def fill(number: int, order_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "activity_type": "FILL",
        "id": f"20240506093000{number:03d}::execution-{number}",
        "order_id": order_id,
        "qty": "1.5",
        "price": "101.2",
        "side": "buy",
        "symbol": "AAPL",
        "transaction_time": f"2024-05-06T13:30:00.{number:09d}Z",
    } | changes


def booked(kind: str, **changes: Any) -> dict[str, Any]:
    return {"activity_type": kind, "id": f"2024::{kind}", "date": "2024-05-06"} | changes


@pytest.mark.parametrize("goes_on_from_the_moment", [True, False])
@pytest.mark.parametrize("a_moment", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 999, 1000, 1001, 1250])
def test_all_orders_are_listed_once_however_many_share_a_moment(
    double: AlpacaDouble, count: int, a_moment: int, goes_on_from_the_moment: bool
) -> None:
    gateway, _ = make_gateway(double)
    double.goes_on_from_the_moment = goes_on_from_the_moment
    for number in range(count):
        moment = NOON + timedelta(seconds=number // a_moment)
        double.add_order(submitted_at=moment.isoformat())
    found = gateway.orders(None)
    assert [order.client_order_id for order in found] == list(double.orders)
    assert len(double.seen) <= count // 499 + 1


def test_orders_since_a_moment_include_that_moment(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    for _ in range(5):
        double.add_order()
    since = NOON + timedelta(milliseconds=3)
    assert [order.client_order_id for order in gateway.orders(since)] == ["id-3", "id-4"]


def test_the_exits_of_a_bracket_are_listed_and_open_after_its_entry_is_filled(
    double: AlpacaDouble,
) -> None:
    gateway, _ = make_gateway(double)
    legs = [
        AlpacaDouble().add_order(id="gain", client_order_id="g", type="limit", limit_price="9.5"),
        AlpacaDouble().add_order(id="loss", client_order_id="l", type="stop", status="held"),
    ]
    double.add_order(status="filled", filled_qty="10", legs=legs)
    double.add_order(status="filled", filled_qty="10")
    assert [order.client_order_id for order in gateway.orders(None)] == ["id-0", "g", "l", "id-1"]
    still_open = gateway.orders(None, is_open=True)
    assert [(order.client_order_id, order.limit_price_usd) for order in still_open] == [
        ("g", Decimal("9.5")),
        ("l", None),
    ]


def test_a_list_that_repeats_itself_is_an_error(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    page = json.dumps([double.add_order() for _ in range(500)])
    double.faults["GET"] = [Fault(200, page)] * 3
    with pytest.raises(BrokerError, match="orders repeats itself after 500"):
        gateway.orders(None)
    page = json.dumps([fill(number, "a") for number in range(100)])
    double.faults["GET"] = [Fault(200, page)] * 3
    with pytest.raises(BrokerError, match="repeat themselves after 100"):
        gateway.activities(FRIDAY, MONDAY)


@pytest.mark.parametrize("content", ["{}", "[1]", "null", '"a"'])
def test_a_list_that_is_none_is_an_error(double: AlpacaDouble, content: str) -> None:
    gateway, _ = make_gateway(double)
    double.faults["GET"] = [Fault(200, content)]
    with pytest.raises(BrokerError, match="expected a list of objects"):
        gateway.orders(None)


@pytest.mark.parametrize("count", [0, 99, 100, 101, 200, 250])
def test_all_activities_are_read(double: AlpacaDouble, count: int) -> None:
    gateway, _ = make_gateway(double)
    order = double.add_order(client_order_id="ours")
    double.activities = [fill(number, order["id"]) for number in range(count)]
    found = gateway.activities(FRIDAY, MONDAY)
    assert [one.execution_id for one in found.fills] == [f"execution-{n}" for n in range(count)]
    assert {one.client_order_id for one in found.fills} <= {"ours"}


def test_a_fill_is_exact_to_the_last_decimal(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    order = double.add_order(client_order_id="ours")
    changes = {"qty": "0.000000001", "price": "0.0001", "side": "sell_short"}
    double.activities = [fill(123456789, order["id"], **changes)]
    [one] = gateway.activities(FRIDAY, MONDAY).fills
    assert (one.quantity, one.price_usd, one.side) == (Decimal("1e-9"), Decimal("0.0001"), "sell")
    assert one.signed_quantity == Decimal("-0.000000001")
    assert one.filled_at == datetime.fromisoformat("2024-05-06T13:30:00.123456+00:00")


def test_fills_of_every_order_are_kept_under_the_best_id_known(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    old = double.add_order(client_order_id="old", submitted_at="2024-01-02T15:00:00Z")
    leg = AlpacaDouble().add_order(id="leg", client_order_id="made-by-alpaca")
    double.add_order(client_order_id="entry", legs=[leg])
    double.activities = [fill(1, old["id"]), fill(2, "leg"), fill(3, "vanished")]
    fills = gateway.activities(FRIDAY, MONDAY).fills
    assert [one.client_order_id for one in fills] == ["old", "made-by-alpaca", "vanished"]
    before = len(double.seen)
    gateway.activities(FRIDAY, MONDAY)
    asked = [path for _, path, _, _ in double.seen[before:]]
    assert [path.partition("?")[0] for path in asked] == [
        "/v2/account/activities",
        "/v2/orders",
        "/v2/orders/vanished",
    ]


def test_sessions_are_asked_for_without_a_gap_or_an_overlap(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    gateway.activities(None, FRIDAY)
    gateway.activities(FRIDAY, MONDAY)
    gateway.activities(None, MONDAY)
    asked = [path.partition("?")[2] for path in double.requests("GET")]
    edges = [
        "after=2024-05-02T20%3A10%3A00Z&until=2024-05-03T20%3A10%3A00Z",
        "after=2024-05-03T20%3A10%3A00Z&until=2024-05-06T20%3A10%3A00Z",
        "after=2024-05-03T20%3A10%3A00Z&until=2024-05-06T20%3A10%3A00Z",
    ]
    for query, edge in zip(asked, edges, strict=True):
        assert edge in query
    close = CALENDAR.close_time(FRIDAY)
    assert close.isoformat() == "2024-05-03T20:00:00+00:00"


@pytest.mark.parametrize(
    ("activity", "kind", "shares", "cash"),
    [
        (booked("DIV", net_amount="1.02", qty="10", symbol="AAPL"), "dividend", "0", "1.02"),
        (booked("DIVNRA", net_amount="-0.15", qty="10"), "dividend", "0", "-0.15"),
        (booked("DIV", activity_sub_type="SDIV", qty="0.5"), "dividend", "0.5", "0"),
        (booked("CGD", net_amount="3"), "dividend", "0", "3"),
        (booked("INT", net_amount="-2.5"), "financing", "0", "-2.5"),
        (booked("FEE", net_amount="-0.01", qty="5"), "fee", "0", "-0.01"),
        (booked("SPLIT", qty="-10", symbol="AAPL"), "split", "-10", "0"),
        (booked("SPLIT", qty="40", net_amount="0", symbol="AAPL"), "split", "40", "0"),
        (booked("SPIN", qty="2.123456789", symbol="NEW"), "spin", "2.123456789", "0"),
        (booked("SPLIT", net_amount="12.34", symbol="AAPL"), "split", "0", "12.34"),
        (booked("MA", qty="-3", net_amount="300"), "ma", "-3", "300"),
        (booked("CSD", net_amount="1000", date="2024-05-06T04:00:00Z"), "csd", "0", "1000"),
        (booked("WHATEVER", net_amount="1", qty="7", status="correct"), "whatever", "0", "1"),
    ],
)
def test_an_activity_changes_cash_or_shares(
    double: AlpacaDouble, activity: dict[str, Any], kind: str, shares: str, cash: str
) -> None:
    gateway, _ = make_gateway(double)
    double.activities = [activity]
    [event] = gateway.activities(FRIDAY, MONDAY).events
    assert (event.kind, event.session, event.event_id) == (kind, MONDAY, activity["id"])
    assert (event.quantity_change, event.cash_usd) == (Decimal(shares), Decimal(cash))
    assert event.symbol == activity.get("symbol", "")


def test_a_cancelled_activity_changes_nothing(double: AlpacaDouble) -> None:
    gateway, _ = make_gateway(double)
    double.activities = [booked("DIV", net_amount="1", status="canceled")]
    assert gateway.activities(FRIDAY, MONDAY).events == ()


@pytest.mark.parametrize(
    "activity",
    [
        booked("DIV", net_amount="many"),
        booked("DIV", date="tomorrow"),
        booked("SPLIT", qty="NaN"),
        booked("DIV", id=""),
        fill(1, "a", qty=None),
        fill(1, "a", price="-"),
        fill(1, "a", transaction_time="2024-05-06T13:30:00"),
        fill(1, "", qty="1"),
    ],
)
def test_an_activity_that_cannot_be_read_is_an_error(
    double: AlpacaDouble, activity: dict[str, Any]
) -> None:
    gateway, _ = make_gateway(double)
    double.activities = [activity]
    with pytest.raises(BrokerError, match="Alpaca"):
        gateway.activities(FRIDAY, MONDAY)
