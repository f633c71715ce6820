import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, getcontext
from itertools import product
from typing import Any

import pytest

from trading_assets.errors import DataError
from trading_assets.risk.account_facts import AccountFacts, OpenOrder
from trading_assets.risk.exposure_limits import EXPOSURE_RULES
from trading_assets.risk.order_form import FORM_RULES
from trading_assets.risk.order_limits import ORDER_RULES, OrderLimits
from trading_assets.risk.pretrade import check_batch, check_order
from trading_assets.risk.pretrade_state import PreTradeState
from trading_assets.risk.proposed_orders import ProposedOrder
from trading_assets.risk_specs import RiskSpec
from trading_assets_tests.risk.order_cases import Tally, draw_case, try_orders
from trading_assets_tests.risk.order_referee import only_reduces

D = Decimal
TICK = D("0.01")
STEP = D("1e-9")
WIDE = OrderLimits(D("1e12"), 1, permits_short=True)
FACTS = AccountFacts(
    held={"AAA": D(100), "BBB": D(-50)},
    equity_usd=D(10_000),
    price_usd={"AAA": D(10), "BBB": D(20)},
    average_volume_shares={"AAA": D(1_000)},
    sectors={"AAA": "tech", "BBB": "tech"},
    session_price_usd={"AAA": D(10)},
)
BUY = ProposedOrder("new-0", "AAA", "buy", D(10), reference_price_usd=D(10), data_age_sessions=1)
SELL = replace(BUY, side="sell")
EVERY_RULE = {rule.__name__ for rule in (*FORM_RULES, *ORDER_RULES, *EXPOSURE_RULES)}


def rules(
    order: ProposedOrder = BUY, facts: AccountFacts = FACTS, limits: OrderLimits = WIDE, **own: Any
) -> set[str]:
    breaches = check_order(order, PreTradeState(facts), replace(limits, **own))
    assert all(each.sentence.count("expected") == 1 for each in breaches)
    return {each.rule for each in breaches}


def assert_agrees(tally: Tally) -> None:
    assert not tally.breaches, tally.breaches[:2]
    assert not tally.unfounded, tally.unfounded[:2]
    assert 0.2 < tally.accepted / tally.orders < 0.8


def test_thousands_of_random_orders_are_judged_as_fractions_judge_them() -> None:
    tally = try_orders(5_000, seed=0)
    assert_agrees(tally)
    # Each rule is what alone stops an order now and then.
    assert {*tally.alone} == EVERY_RULE


@pytest.mark.slow
def test_no_order_of_a_hundred_thousand_passes_a_limit() -> None:
    tally = try_orders(100_000, seed=1)
    assert_agrees(tally)
    assert min(tally.alone[rule] for rule in EVERY_RULE) > 100


def test_no_mixture_of_fills_takes_a_position_or_the_gross_over_what_was_let_through() -> None:
    rng, tried = random.Random(8), 0
    for _ in range(4_000):
        facts, (order, *_), limits = draw_case(rng)
        most, gross = limits.max_position_notional_usd, limits.max_gross_notional_usd
        is_exempt = (
            most is None or gross is None or check_order(order, PreTradeState(facts), limits)
        )
        if is_exempt or only_reduces(order, facts, list(facts.open_orders)):
            continue
        tried += 1
        moves = [(own.symbol, own.side, own.remaining) for own in facts.open_orders]
        moves.append((order.symbol, order.side, order.quantity))
        for fills in product((D(0), D("0.5"), D(1)), repeat=len(moves)):
            held = dict(facts.held)
            for (symbol, side, shares), share in zip(moves, fills, strict=True):
                sign = 1 if side == "buy" else -1
                held[symbol] = held.get(symbol, D(0)) + sign * shares * share
            sizes = {s: abs(q) * facts.price_usd[s] for s, q in held.items() if q}
            assert sizes.get(order.symbol, D(0)) <= most
            assert sum(sizes.values(), D(0)) <= gross
    assert tried > 50


def test_an_order_within_no_limits_passes() -> None:
    assert rules() == set()


@pytest.mark.parametrize(
    ("at", "order", "limit"),
    [
        ("max_order_quantity_shares", BUY, D(10)),
        ("max_order_notional_usd", BUY, D(100)),
        ("max_order_volume_pct", BUY, D(1)),
        ("max_position_notional_usd", BUY, D(1_100)),
        ("max_sector_notional_usd", BUY, D(2_100)),
        ("max_gross_notional_usd", BUY, D(2_100)),
        ("max_net_notional_usd", BUY, D(100)),
        ("max_leverage", BUY, D("0.21")),
    ],
)
def test_a_number_at_its_limit_passes_and_one_step_above_is_refused(
    at: str, order: ProposedOrder, limit: Decimal
) -> None:
    assert rules(order, **{at: limit}) == set()
    assert rules(order, **{at: limit - STEP}) == {at}
    assert rules(replace(order, quantity=order.quantity + STEP), **{at: limit}) == {at}
    assert rules(replace(order, quantity=order.quantity - STEP), **{at: limit}) == set()


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(("limit", "beyond"), [(D("10.50"), TICK), (D("9.50"), -TICK)])
def test_a_limit_price_may_lie_on_the_collar_but_no_tick_beyond(
    side: Any, limit: Decimal, beyond: Decimal
) -> None:
    def found(price: Decimal) -> set[str]:
        order = replace(BUY, side=side, order_type="limit", limit_price_usd=price)
        return rules(order, price_collar_pct=D(5))

    assert found(limit) == set()
    assert found(limit - beyond) == set()
    assert found(limit + beyond) == {"price_collar_pct"}


def test_the_limit_of_a_stop_limit_order_is_measured_from_its_stop() -> None:
    order = replace(SELL, order_type="stop_limit", stop_price_usd=D(8), limit_price_usd=D("7.60"))
    assert rules(order, price_collar_pct=D(5)) == set()
    low = replace(order, limit_price_usd=D("7.59"))
    assert rules(low, price_collar_pct=D(5)) == {"price_collar_pct"}


@pytest.mark.parametrize(("reference", "beyond"), [(D("10.30"), TICK), (D("9.70"), -TICK)])
def test_a_reference_may_drift_from_the_first_of_the_session_to_the_collar(
    reference: Decimal, beyond: Decimal
) -> None:
    def found(price: Decimal) -> set[str]:
        order = replace(BUY, reference_price_usd=price)
        return rules(order, session_drift_collar_pct=D(3))

    assert found(reference) == set()
    assert found(reference + beyond) == {"session_drift_collar_pct"}


@pytest.mark.parametrize(
    "value",
    ["NaN", "sNaN", "Infinity", "-Infinity", "-1", "0", "1e15", "1e30", "1e999999", "1e-99"],
)
@pytest.mark.parametrize("field", ["quantity", "reference_price_usd", "limit_price_usd"])
def test_a_number_that_cannot_be_meant_is_refused_before_anything_is_computed(
    field: str, value: str
) -> None:
    order = replace(BUY, order_type="limit", limit_price_usd=D(10))
    assert rules(replace(order, **{field: D(value)})) == {field}


def test_ten_decimals_of_a_share_are_too_many_and_nine_are_not() -> None:
    assert rules(replace(BUY, quantity=D("0.0000000001"))) == {"quantity"}
    assert rules(replace(BUY, quantity=D("0.0000000010"))) == set()


def test_a_missing_reference_is_refused() -> None:
    assert rules(replace(BUY, reference_price_usd=None)) == {"reference_price_usd"}


@pytest.mark.parametrize(("age", "is_fresh"), [(0, True), (1, True), (2, False), (None, False)])
def test_stale_data_is_refused(age: int | None, is_fresh: bool) -> None:
    found = rules(replace(BUY, data_age_sessions=age))
    assert found == (set() if is_fresh else {"max_data_age_sessions"})


def test_prices_belong_to_the_type_of_an_order() -> None:
    for kind, limit, stop in product(
        ("market", "limit", "stop", "stop_limit"), (None, D(10)), (None, D(10))
    ):
        order = replace(BUY, order_type=kind, limit_price_usd=limit, stop_price_usd=stop)
        expected = {"limit_price_usd"} if ("limit" in kind) != (limit is not None) else set()
        if ("stop" in kind) != (stop is not None):
            expected.add("stop_price_usd")
        assert rules(order) == expected


def test_what_a_limit_needs_and_nobody_knows_is_a_refusal() -> None:
    other = replace(BUY, symbol="CCC")
    assert rules(other, max_order_volume_pct=D(100)) == {"max_order_volume_pct"}
    assert rules(other, session_drift_collar_pct=D(99)) == {"session_drift_collar_pct"}
    for name in ("position", "sector", "gross", "net"):
        limit = f"max_{name}_notional_usd"
        assert rules(other, **{limit: D("1e14")}) == {limit}
    for equity in (None, D(0), D(-1), D("NaN")):
        facts = replace(FACTS, equity_usd=equity)
        assert rules(facts=facts, max_leverage=D("1e9")) == {"max_leverage"}


def test_an_unpriced_holding_hides_its_sector_and_sums_but_no_other_position() -> None:
    facts = replace(FACTS, price_usd={"AAA": D(10)})
    assert rules(facts=facts, max_position_notional_usd=D(1_100)) == set()
    assert rules(facts=facts, max_gross_notional_usd=D("1e14")) == {"max_gross_notional_usd"}
    assert rules(facts=facts, max_sector_notional_usd=D("1e14")) == {"max_sector_notional_usd"}
    apart = replace(facts, sectors={})
    assert rules(facts=apart, max_sector_notional_usd=D("1e14")) == set()


TIGHT = replace(
    WIDE,
    max_position_notional_usd=D(1),
    max_sector_notional_usd=D(1),
    max_gross_notional_usd=D(1),
    max_net_notional_usd=D(1),
    max_leverage=D("0.0001"),
)


def test_an_order_that_only_reduces_is_held_against_no_exposure() -> None:
    cover = replace(BUY, symbol="BBB", quantity=D(50))
    close = replace(SELL, quantity=D(100))
    assert rules(close, limits=TIGHT) == set()
    assert rules(cover, limits=TIGHT) == set()
    assert "max_gross_notional_usd" in rules(replace(close, quantity=D(100) + STEP), limits=TIGHT)
    assert "max_gross_notional_usd" in rules(replace(cover, quantity=D(50) + STEP), limits=TIGHT)


def test_open_sales_are_part_of_what_may_be_sold() -> None:
    selling = OpenOrder("open-0", "AAA", "sell", D(60), D(60), D(11))
    facts = replace(FACTS, open_orders=(selling,))
    assert rules(replace(SELL, quantity=D(40)), facts, permits_short=False) == set()
    more = replace(SELL, quantity=D(40) + STEP)
    assert rules(more, facts, permits_short=False) == {"no_short_sale"}
    assert rules(more, facts) == set()


def test_only_what_may_still_fill_of_an_open_order_counts() -> None:
    buying = OpenOrder("open-0", "AAA", "buy", D(60), D(20), D(9))
    facts = replace(FACTS, open_orders=(buying,))
    assert rules(facts=facts, max_position_notional_usd=D(1_300)) == set()
    assert rules(facts=facts, max_position_notional_usd=D(1_299)) == {"max_position_notional_usd"}


def test_a_restricted_symbol_cannot_even_be_sold() -> None:
    named = frozenset({"AAA"})
    assert rules(SELL, restricted_symbols=named) == {"restricted_symbols"}
    assert rules(replace(SELL, symbol="BBB"), restricted_symbols=named) == set()


def test_an_id_or_an_open_intent_is_not_repeated() -> None:
    used = replace(FACTS, used_order_ids=("new-0",))
    assert rules(facts=used) == {"repeated_order_id"}
    twin = replace(FACTS, open_orders=(OpenOrder("open-0", "AAA", "buy", D("10.0"), D(1), D(9)),))
    assert rules(facts=twin) == {"repeated_intent"}
    assert rules(replace(BUY, quantity=D(11)), twin) == set()
    assert rules(replace(BUY, client_order_id="open-0", quantity=D(11)), twin) == {
        "repeated_order_id"
    }


@pytest.mark.parametrize(
    ("resting", "incoming", "crosses"),
    [
        (D(10), D(10), True),
        (D(10), D("9.99"), False),
        (D(10), None, True),
        (None, D("0.01"), True),
        (None, None, True),
    ],
)
def test_an_order_that_could_trade_with_an_own_one_is_refused(
    resting: Decimal | None, incoming: Decimal | None, crosses: bool
) -> None:
    facts = replace(FACTS, open_orders=(OpenOrder("open-0", "AAA", "sell", D(3), D(3), resting),))
    kind = "market" if incoming is None else "limit"
    order = replace(BUY, order_type=kind, limit_price_usd=incoming)
    assert rules(order, facts) == ({"self_cross"} if crosses else set())
    mirrored = replace(FACTS, open_orders=(replace(*facts.open_orders, side="buy"),))
    price = None if incoming is None else D(20) - incoming
    assert rules(replace(order, side="sell", limit_price_usd=price), mirrored) == (
        {"self_cross"} if crosses else set()
    )


def test_orders_of_a_batch_count_at_once() -> None:
    limits = replace(WIDE, max_position_notional_usd=D(1_200))
    orders = [
        replace(BUY, client_order_id=f"new-{n}", quantity=D(q)) for n, q in enumerate((9, 12, 11))
    ]
    checked = check_batch(orders, PreTradeState(FACTS), limits)
    assert checked.accepted == (orders[0], orders[2])
    assert [own.order for own in checked.refused] == [orders[1]]


def test_the_same_order_twice_in_a_batch_goes_once() -> None:
    checked = check_batch([BUY, BUY], PreTradeState(FACTS), WIDE)
    assert len(checked.accepted) == 1
    (refused,) = checked.refused
    assert {each.rule for each in refused.breaches} == {"repeated_order_id", "repeated_intent"}


def test_a_refused_order_does_not_count() -> None:
    limits = replace(WIDE, max_open_orders=1, max_order_quantity_shares=D(10))
    large = replace(BUY, quantity=D(11))
    checked = check_batch([large, replace(BUY, client_order_id="b")], PreTradeState(FACTS), limits)
    assert len(checked.accepted) == 1


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("max_open_orders", {"open_orders": (OpenOrder("o", "BBB", "buy", D(1), D(1), D(1)),)}),
        ("max_orders_per_session", {"used_order_ids": ("x",)}),
    ],
)
def test_orders_are_counted(name: str, facts: dict[str, Any]) -> None:
    given = replace(FACTS, **facts)
    assert rules(facts=given, **{name: 2}) == set()
    assert rules(facts=given, **{name: 1}) == {name}


def test_a_breach_says_what_was_found_and_what_is_allowed() -> None:
    state = PreTradeState(replace(FACTS, used_order_ids=("x",)))
    limits = replace(WIDE, max_orders_per_session=1, max_order_notional_usd=D("1E+1"))
    first, second = check_order(BUY, state, limits)
    assert (first.rule, first.limit, first.observed) == ("max_order_notional_usd", "10", "100")
    assert second.sentence == (
        "number of orders in the session was 2; expected at most max_orders_per_session 1"
    )


def test_nothing_is_rounded_to_the_precision_of_the_caller() -> None:
    getcontext().prec, before = 3, getcontext().prec
    try:
        order = replace(BUY, quantity=D("123456.000000001"))
        state = PreTradeState(replace(FACTS, held={"AAA": D("99999.999999999")}))
        limits = replace(WIDE, max_position_notional_usd=D("2234560"))
        assert check_order(order, state, limits) == ()
        assert state.exposure_with(order).position_usd == D("2234560")
        limits = replace(WIDE, max_position_notional_usd=D("2234559.999999999"))
        assert len(check_order(order, state, limits)) == 1
    finally:
        getcontext().prec = before


@pytest.mark.parametrize(
    "broken",
    [
        lambda: replace(FACTS, held={"AAA": D("NaN")}),
        lambda: replace(FACTS, open_orders=(OpenOrder("o", "A", "buy", D(1), D(2)),)),
        lambda: replace(FACTS, open_orders=(OpenOrder("o", "A", "buy", D("NaN"), D(2)),)),
        lambda: replace(FACTS, open_orders=(OpenOrder("o", "A", "buy", D(2), D(2), D(-1)),)),
    ],
)
def test_an_account_that_cannot_be_added_up_is_refused(broken: Callable[[], AccountFacts]) -> None:
    with pytest.raises(DataError, match="expected"):
        PreTradeState(broken())


def test_declared_limits_become_the_decimals_they_are_written_as() -> None:
    orders = {
        "price_collar_pct": 0.1,
        "max_leverage": 1.5,
        "max_open_orders": 7,
        "restricted_symbols": ["AAA"],
    }
    risk = RiskSpec.model_validate({"max_order_notional_usd": 0.3, "orders": orders})
    limits = OrderLimits.from_declared(risk, "long_only")
    assert limits == OrderLimits(
        D("0.3"),
        1,
        permits_short=False,
        price_collar_pct=D("0.1"),
        max_leverage=D("1.5"),
        max_open_orders=7,
        restricted_symbols=frozenset({"AAA"}),
    )
    assert OrderLimits.from_declared(risk, "long_short").permits_short
