import math
from datetime import date
from decimal import Decimal

import pytest

from trading_assets.errors import DataError
from trading_assets.paper import order_plan
from trading_assets.paper.order_plan import OrderPlan, PlanRequest
from trading_assets.paper.orders import Order, client_order_id
from trading_assets.risk.account_facts import AccountFacts
from trading_assets.risk.order_limits import OrderLimits
from trading_assets.risk_specs import RiskSpec

SESSION = date(2020, 3, 3)
LIMITS = RiskSpec(max_order_notional_usd=10_000)


def plan_orders(asked: PlanRequest, risk: RiskSpec) -> OrderPlan:
    limits = OrderLimits.from_declared(risk, "long_only")
    return order_plan.plan_orders(asked, limits, AccountFacts(held=asked.held))


def request(
    held: dict[str, str], target: dict[str, float], price: float = 100.0, **changes: object
) -> PlanRequest:
    symbols = {*held, *target}
    values: dict[str, object] = {
        "strategy": "tested",
        "session": SESSION,
        "held": {symbol: Decimal(shares) for symbol, shares in held.items()},
        "target": target,
        "reference_price_usd": dict.fromkeys(symbols, price),
        "data_age_sessions": dict.fromkeys(symbols, 1),
        **changes,
    }
    return PlanRequest(**values)  # type: ignore[arg-type]


def test_orders_are_the_difference_between_target_and_holding() -> None:
    plan = plan_orders(request({"AAA": "10"}, {"AAA": 4.5, "BBB": 3.25}), LIMITS)
    assert [(o.symbol, o.side, o.quantity) for o in plan.orders] == [
        ("AAA", "sell", Decimal("5.5")),
        ("BBB", "buy", Decimal("3.25")),
    ]
    assert plan.refusals == ()


def test_sales_come_first_then_symbols_in_order() -> None:
    plan = plan_orders(
        request({"DDD": "5", "CCC": "5"}, {"BBB": 1.0, "AAA": 1.0, "CCC": 0.0, "DDD": 0.0}), LIMITS
    )
    assert [(o.side, o.symbol) for o in plan.orders] == [
        ("sell", "CCC"),
        ("sell", "DDD"),
        ("buy", "AAA"),
        ("buy", "BBB"),
    ]


def test_a_holding_without_a_target_is_sold() -> None:
    plan = plan_orders(request({"AAA": "5"}, {}), LIMITS)
    assert [o.signed_quantity for o in plan.orders] == [Decimal(-5)]


def test_a_difference_below_nine_decimals_is_no_order() -> None:
    assert plan_orders(request({"AAA": "5"}, {"AAA": 5.0000000001}), LIMITS).orders == ()


def test_a_repeated_plan_has_the_same_ids() -> None:
    one = plan_orders(request({}, {"AAA": 1.0}), LIMITS)
    again = plan_orders(request({}, {"AAA": 1.0}), LIMITS)
    assert one == again
    assert one.orders[0].client_order_id == "tested-2020-03-03-AAA-0"


def test_the_longest_id_fits_the_broker() -> None:
    order_id = client_order_id("s" * 40, SESSION, "A" * 16, 99)
    assert len(order_id) <= 128


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": math.nan}, "reference price of AAA was NaN"),
        ({"price": 0.0}, "reference price of AAA was 0.0"),
        ({"price": -1.0}, "reference price of AAA was -1.0"),
        ({"data_age_sessions": {"AAA": 2}}, "2 sessions old"),
        ({"data_age_sessions": {}}, "is not a symbol of the data set"),
        ({"price": 10_000.01}, "expected at most max_order_notional_usd"),
    ],
)
def test_an_order_that_fails_a_check_is_refused_with_its_reason(
    changes: dict[str, object], reason: str
) -> None:
    plan = plan_orders(request({}, {"AAA": 1.0}, **changes), LIMITS)  # type: ignore[arg-type]
    assert plan.orders == ()
    assert reason in plan.refusals[0].reason


def test_an_order_at_the_limit_passes() -> None:
    assert len(plan_orders(request({}, {"AAA": 1.0}, price=10_000.0), LIMITS).orders) == 1


@pytest.mark.parametrize("target", [math.nan, math.inf, -math.inf])
def test_a_target_that_is_no_number_is_refused(target: float) -> None:
    plan = plan_orders(request({"AAA": "1"}, {"AAA": target, "BBB": 1.0}), LIMITS)
    assert [o.symbol for o in plan.orders] == ["BBB"]
    assert "expected a finite number" in plan.refusals[0].reason


def test_lots_are_rounded_toward_zero_and_a_closed_position_is_sold_whole() -> None:
    lots = request({"AAA": "0", "BBB": "7.5"}, {"AAA": 2.9, "BBB": 0.0}, lot_shares=1.0)
    plan = plan_orders(lots, LIMITS)
    assert [(o.symbol, o.quantity) for o in plan.orders] == [
        ("BBB", Decimal("7.5")),
        ("AAA", Decimal(2)),
    ]


@pytest.mark.parametrize(
    "symbol", ["../x", "a", "", "A" * 17, "A\0B", "A'); DROP TABLE--", "/etc/x", "ÄÖ"]
)
def test_a_hostile_symbol_never_becomes_an_order(symbol: str) -> None:
    plan = plan_orders(request({}, {symbol: 1.0}), LIMITS)
    assert plan.orders == ()
    assert len(plan.refusals) == 1
    with pytest.raises(DataError):
        Order("id-0", SESSION, symbol, "buy", Decimal(1))


@pytest.mark.parametrize("quantity", ["0", "-1", "NaN", "Infinity", "1e-10"])
def test_an_order_needs_a_positive_quantity_of_nine_decimals(quantity: str) -> None:
    with pytest.raises(DataError, match="expected a positive number"):
        Order("id-0", SESSION, "AAA", "buy", Decimal(quantity))


@pytest.mark.parametrize("order_id", ["", "x" * 129, "a b", "a\n", "ä"])
def test_an_id_outside_the_allow_list_is_refused(order_id: str) -> None:
    with pytest.raises(DataError, match="client order id"):
        Order(order_id, SESSION, "AAA", "buy", Decimal(1))
