from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.errors import DataError
from trading_assets.paper.ledger import Fill, Ledger
from trading_assets.paper.transaction_costs import (
    CostedFill,
    CostedOrder,
    order_shortfall,
    sum_shortfalls,
)

D = Decimal
AT = datetime(2020, 3, 3, 14, 30, tzinfo=UTC)
MICRO = Fraction(1, 10**6)

prices = st.decimals("0.01", "5000", places=6)
amounts = st.decimals("-500", "500", places=6)


def filled(quantity, price, benchmark, half_spread_bps="0", cost="0", fee="0") -> CostedFill:
    return CostedFill(*map(D, (quantity, price, benchmark, half_spread_bps, cost, fee)))


@st.composite
def orders(draw):
    quantity = draw(st.decimals("0.001", "1000000", places=9))
    ratio = draw(st.sampled_from([D(1), D(2), D("0.05"), D("1.5"), D(7) / D(3)]))
    left = (quantity * ratio).quantize(D("1e-9"))
    fills = []
    for share in draw(st.lists(st.decimals("0", "1", places=3), max_size=4)):
        bought = (left * share).quantize(D("1e-9"), "ROUND_DOWN")
        if bought > 0:
            spread = draw(st.decimals("0", "50", places=2))
            fills.append(
                CostedFill(bought, draw(prices), draw(prices), spread, draw(amounts), draw(amounts))
            )
            left -= bought
    return CostedOrder(
        symbol="AAA",
        side=draw(st.sampled_from(["buy", "sell"])),
        quantity=quantity,
        decision_usd=draw(prices),
        fills=tuple(fills),
        arrival_usd=draw(st.none() | prices),
        end_usd=draw(st.none() | prices),
        split_ratio=ratio,
        cash_per_share_usd=draw(st.decimals("0", "5", places=6)),
    )


@given(orders())
def test_the_parts_sum_to_the_shortfall_to_the_last_decimal(order):
    found = order_shortfall(order)
    parts = sum(map(Fraction, found.parts_usd.values()))
    assert parts == Fraction(found.total_usd)
    assert len(found.parts_usd) == 6


@given(orders())
def test_the_shortfall_is_the_paper_gain_less_the_real_one_in_exact_fractions(order):
    found = order_shortfall(order)
    sign = 1 if order.side == "buy" else -1
    ratio = Fraction(order.split_ratio)
    decided = (Fraction(order.decision_usd) - Fraction(order.cash_per_share_usd)) / ratio
    end = decided if order.end_usd is None else Fraction(order.end_usd)
    wanted = Fraction((order.quantity * order.split_ratio).quantize(D("1e-9")))
    paper = sign * wanted * (end - decided)
    real = sum(
        (
            sign * Fraction(fill.quantity) * (end - Fraction(fill.price_usd))
            - Fraction(fill.cost_usd)
            for fill in order.fills
        ),
        Fraction(0),
    )
    # Each fill, the decision and the end are rounded to a micro-dollar once.
    assert abs(Fraction(found.total_usd) - (paper - real)) <= (len(order.fills) + 3) * MICRO / 2


@given(orders())
def test_what_was_paid_is_what_the_ledger_booked(order):
    ledger = Ledger(D(0), {})
    for number, fill in enumerate(order.fills):
        ledger.book_fill(
            Fill(
                str(number),
                "id",
                "AAA",
                order.side,
                fill.quantity,
                fill.price_usd,
                fill.cost_usd,
                AT,
            )
        )
    # Without a price since the decision the paper portfolio has gained nothing.
    found = order_shortfall(replace(order, end_usd=None))
    held = abs(ledger.quantity.get("AAA", D(0)))
    price = Fraction(order.decision_usd) - Fraction(order.cash_per_share_usd)
    worth = round(Fraction(held) * price / Fraction(order.split_ratio) * 10**6)
    sign = 1 if order.side == "buy" else -1
    assert Fraction(found.total_usd) == -sign * worth * MICRO - Fraction(ledger.cash_usd)


def test_a_purchase_by_hand():
    order = CostedOrder(
        "AAA",
        "buy",
        D(100),
        D("50"),
        (
            filled(60, "50.50", "50.40", "2", "1.20", "1.20"),
            filled(20, "50.70", "50.60", "2", "0.40", "0.40"),
        ),
        arrival_usd=D("50.10"),
        end_usd=D("51"),
    )
    found = order_shortfall(order)
    assert found.delay_usd == D("8")  # 80 x 0.10
    assert found.timing_usd == D("28")  # 60 x 0.30 + 20 x 0.50
    assert found.spread_usd == D("0.8072")  # 2 bps of 3,024 and of 1,012
    assert found.impact_usd == D("7.1928")  # 60 x 0.10 + 20 x 0.10 less the spread
    assert found.opportunity_usd == D("20")  # 20 not bought, which rose by 1
    assert found.fees_usd == D("1.6")
    assert found.total_usd == D("65.6")
    # Paper gains 100; the account 60 x 0.50 + 20 x 0.30 less 1.60.
    assert found.total_usd == D(100) - (D(30) + D(6) - D("1.6"))
    assert found.decided_usd == D(5000)
    assert found.in_bps(found.total_usd) == pytest.approx(131.2)


def test_a_sale_by_hand_loses_where_the_price_falls_before_it():
    order = CostedOrder(
        "AAA", "sell", D(10), D(20), (filled(4, "18.9", "19", "10", "0.1", "0.05"),), None, D(17)
    )
    found = order_shortfall(order)
    assert found.delay_usd == 0
    assert found.timing_usd == D(4)
    assert found.spread_usd == D("0.076")
    assert found.impact_usd == D("0.4") + D("0.05") - D("0.076")
    assert found.opportunity_usd == D(18)
    assert found.fees_usd == D("0.05")
    assert found.total_usd == D("22.5")


def test_a_fill_better_than_the_middle_has_negative_impact():
    found = order_shortfall(
        CostedOrder("AAA", "buy", D(1), D(10), (filled(1, "9.99", "10", "5"),), None, D(10))
    )
    assert found.spread_usd == D("0.005")
    assert found.impact_usd == D("-0.015")
    assert found.total_usd == D("-0.01")


def test_slippage_that_is_booked_as_a_cost_is_spread_and_impact():
    found = order_shortfall(
        CostedOrder(
            "AAA", "buy", D(100), D(10), (filled(100, "10", "10", "2", "0.9", "0.1"),), None, D(10)
        )
    )
    assert (found.fees_usd, found.spread_usd, found.impact_usd) == (D("0.1"), D("0.2"), D("0.6"))


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_split_between_decision_and_fill_costs_nothing(side):
    whole = CostedOrder("AAA", side, D(10), D(90), (filled(10, 91, 91),), None, D(92))
    # Three for one: a price of a third that no Decimal holds.
    split = CostedOrder(
        "AAA",
        side,
        D(10),
        D(90),
        (filled(30, D(91) / 3, D(91) / 3),),
        None,
        D(92) / 3,
        split_ratio=D(3),
    )
    assert order_shortfall(split) == order_shortfall(whole)


def test_a_dividend_between_decision_and_fill_is_the_paper_portfolios():
    order = CostedOrder(
        "AAA", "buy", D(10), D(50), (filled(10, 49, 49),), None, D(49), cash_per_share_usd=D(1)
    )
    assert order_shortfall(order).total_usd == 0
    without = replace(order, cash_per_share_usd=D(0))
    assert order_shortfall(without).timing_usd == D(-10)


def test_the_largest_orders_keep_their_last_decimal():
    quantity, price, end = "123456789012.123456789", "98765.432109", "98766.543217"
    found = order_shortfall(
        CostedOrder("AAA", "buy", D(quantity), D(price), (filled("1e-9", 1, 1),), None, D(end))
    )
    unfilled = Fraction(quantity) - Fraction("1e-9")
    exact = unfilled * (Fraction(end) - Fraction(price))
    assert abs(Fraction(found.opportunity_usd) - exact) <= 2 * MICRO
    assert sum(map(Fraction, found.parts_usd.values())) == Fraction(found.total_usd)


def test_an_order_that_was_not_filled_has_only_an_opportunity_cost():
    found = order_shortfall(CostedOrder("AAA", "sell", D(10), D(50), (), D(49), D(47)))
    assert found.opportunity_usd == found.total_usd == D(30)
    assert sum(abs(part) for part in found.parts_usd.values()) == D(30)
    unknown = order_shortfall(CostedOrder("AAA", "sell", D(10), D(50)))
    assert unknown.total_usd == 0


@given(st.lists(orders(), max_size=5))
def test_several_orders_sum_exactly(several):
    found = [order_shortfall(order) for order in several]
    together = sum_shortfalls(found)
    assert sum(map(Fraction, together.parts_usd.values())) == Fraction(together.total_usd)
    assert Fraction(together.total_usd) == sum(Fraction(each.total_usd) for each in found)
    assert Fraction(together.decided_usd) == sum(Fraction(each.decided_usd) for each in found)


def test_without_orders_nothing_was_lost():
    none = sum_shortfalls([])
    assert none.total_usd == none.decided_usd == 0
    assert none.in_bps(none.total_usd) == 0.0


GOOD = CostedOrder("AAA", "buy", D(10), D(50), (filled(10, 50, 50),), D(50), D(50))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantity": D(0)}, "quantity of the order in AAA was 0; expected a number above 0"),
        ({"decision_usd": D("NaN")}, "decision_usd of the order in AAA was NaN"),
        ({"arrival_usd": D(-1)}, "arrival_usd of the order in AAA was -1"),
        ({"end_usd": D("Infinity")}, "end_usd of the order in AAA was Infinity"),
        ({"split_ratio": D(0)}, "split_ratio of the order in AAA was 0"),
        ({"cash_per_share_usd": D(-1)}, "cash_per_share_usd of the order in AAA was -1"),
        ({"fills": (filled(0, 1, 1),)}, "quantity of fill 0 of the order in AAA was 0"),
        ({"fills": (filled(1, 0, 1),)}, "price_usd of fill 0"),
        ({"fills": (filled(1, 1, 0),)}, "benchmark_usd of fill 0"),
        ({"fills": (filled(1, 1, 1, -1),)}, "half_spread_bps of fill 0"),
        ({"fills": (filled(1, 1, 1, 0, "NaN"),)}, "cost_usd of fill 0"),
        ({"fills": (filled(1, 1, 1, 0, 0, "NaN"),)}, "fee_usd of fill 0"),
        ({"fills": (filled(11, 1, 1),)}, "11 shares of AAA were filled of 10"),
    ],
)
def test_an_order_that_cannot_be_is_refused(changes, said):
    with pytest.raises(DataError, match=said):
        order_shortfall(replace(GOOD, **changes))
