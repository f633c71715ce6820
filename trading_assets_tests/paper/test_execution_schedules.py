from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.errors import DataError
from trading_assets.paper.almgren_chriss import LinearImpact
from trading_assets.paper.execution_schedules import (
    estimate_volume_profile,
    schedule_almgren_chriss,
    schedule_twap,
    schedule_vwap,
)
from trading_assets.paper.parent_order import ParentOrder, divide_order

OPEN = datetime(2020, 3, 3, 14, 30, tzinfo=UTC)
CLOSE = OPEN + timedelta(hours=6, minutes=30)

quantities = st.decimals("-1e8", "1e8", places=9, allow_nan=False, allow_infinity=False).filter(
    lambda quantity: quantity != 0
)
steps = st.sampled_from([Decimal(text) for text in ("1e-9", "0.001", "0.3", "1", "7", "100")])


def parent(quantity="1000", slots=4, step="1") -> ParentOrder:
    return ParentOrder(Decimal(quantity), OPEN, CLOSE, slots, Decimal(step))


def shares_of(children) -> list[Decimal]:
    return [child.quantity for child in children]


def exact_sum(children) -> Fraction:
    return sum((Fraction(child.quantity) for child in children), Fraction(0))


@given(quantities, steps, st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_children_sum_to_the_parent_and_never_trade_against_it(quantity, step, weights):
    weights = [*weights, 1.0]
    order = ParentOrder(quantity, OPEN, CLOSE, len(weights), step)
    children = divide_order(order, weights)
    assert exact_sum(children) == Fraction(quantity)
    assert all(child.quantity * quantity >= 0 for child in children)


@given(quantities, steps, st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
def test_what_is_sent_is_never_half_a_step_off_its_proportion_but_for_the_odd_rest(
    quantity, step, weights
):
    weights = [*weights, 1.0]
    children = divide_order(ParentOrder(quantity, OPEN, CLOSE, len(weights), step), weights)
    lots = abs(Fraction(quantity)) // Fraction(step)
    whole = sum(map(Fraction, weights))
    sent = due = Fraction(0)
    for child, weight in zip(children[:-1], weights[:-1], strict=True):
        sent += abs(Fraction(child.quantity))
        due += Fraction(weight)
        assert abs(sent - due / whole * lots * Fraction(step)) <= Fraction(step) / 2
        assert Fraction(child.quantity) % Fraction(step) == 0


def test_twap_spreads_what_does_not_divide():
    assert shares_of(schedule_twap(parent("10", 4))) == [2, 3, 3, 2]
    assert shares_of(schedule_twap(parent("-10", 4))) == [-2, -3, -3, -2]
    assert shares_of(schedule_twap(parent("1", 3, "1"))) == [0, 1, 0]


def test_the_largest_parents_keep_their_last_decimal():
    for text in ("123456789012345.123456789", "-999999999999999.999999999"):
        children = schedule_twap(parent(text, 3, "1e-9"))
        assert exact_sum(children) == Fraction(text)
        third = Fraction(text) / 3
        assert all(abs(Fraction(each.quantity) - third) < Fraction("1e-9") for each in children)


def test_a_fraction_beyond_whole_steps_goes_with_the_last_child():
    children = shares_of(schedule_twap(parent("10.25", 2, "1")))
    assert children == [Decimal(5), Decimal("5.25")]
    assert shares_of(divide_order(parent("10.25", 3, "1"), [1.0, 1.0, 0.0])) == [
        Decimal(5),
        Decimal("5.25"),
        Decimal(0),
    ]


def test_children_are_sent_as_their_slots_begin():
    sends = [child.sends_at for child in schedule_twap(parent(slots=3))]
    assert sends == [OPEN, OPEN + timedelta(minutes=130), OPEN + timedelta(minutes=260)]
    assert parent(slots=3).slot_start(3) == CLOSE


def test_vwap_follows_the_profile():
    profile = np.array([0.5, 0.125, 0.125, 0.25])
    assert shares_of(schedule_vwap(parent("800"), profile)) == [400, 100, 100, 200]


def test_the_profile_is_the_mean_of_each_sessions_shares():
    volumes = np.array([[30.0, 10.0, 60.0], [4.0, 4.0, 0.0]])
    np.testing.assert_allclose(estimate_volume_profile(volumes), [0.4, 0.3, 0.3], rtol=1e-15)


def test_almgren_chriss_without_risk_aversion_is_twap():
    impact = LinearImpact(0.95, 2.5e-7, 2.5e-6, 0.0625)
    order = parent("12345.678", 7, "1e-9")
    assert schedule_almgren_chriss(order, 1.0, impact, 0.0) == schedule_twap(order)


def first_of_five(cosh_kappa: Fraction) -> int:
    """Solve x_{j+1} = 2 cosh(kappa) x_j - x_{j-1} back from x_5 = 0 in exact fractions."""
    left = [Fraction(0), Fraction(1)]
    for _ in range(4):
        left.append(2 * cosh_kappa * left[-1] - left[-2])
    return -round(1_000_000 * (1 - left[4] / left[5]))


def test_almgren_chriss_sends_more_at_first_the_more_risk_is_disliked():
    impact = LinearImpact(0.95, 2.5e-7, 2.5e-6, 0.0625)
    first = [
        schedule_almgren_chriss(parent("-1000000", 5), 5.0, impact, aversion)[0].quantity
        for aversion in (0.0, 1e-6, 1e-5)
    ]
    # cosh(kappa) is 1 and half of lambda sigma^2 / eta~ = 0.38, or 3.8.
    assert first == [-200_000, first_of_five(Fraction("1.19")), first_of_five(Fraction("2.9"))]
    assert first == sorted(first, reverse=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantity": "0"}, "quantity of the parent order was 0; expected"),
        ({"quantity": "NaN"}, "quantity of the parent order was NaN; expected"),
        ({"quantity": "1e16"}, "at most 1,000,000,000,000,000"),
        ({"quantity": "1e-10"}, "at most nine decimals"),
        ({"step": "0"}, "step_shares was 0; expected"),
        ({"step": "-1"}, "step_shares was -1; expected a positive"),
        ({"slots": 0}, "slots was 0; expected 1 to 10000"),
    ],
)
def test_a_parent_that_cannot_be_worked_is_refused(changes, said):
    with pytest.raises(DataError, match=said):
        parent(**changes)


def test_times_without_a_zone_or_in_the_wrong_order_are_refused():
    with pytest.raises(DataError, match="without a time zone"):
        ParentOrder(Decimal(1), OPEN.replace(tzinfo=None), CLOSE, 1)
    with pytest.raises(DataError, match="expected it after starts_at"):
        ParentOrder(Decimal(1), CLOSE, OPEN, 1)
    with pytest.raises(DataError, match="slot was 5; expected 0 to 4"):
        parent().slot_start(5)


@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ([0.5, 0.5], "2 weights were given; expected one for each of 4 slots"),
        ([0.5, 0.5, 0.5, 0.5], "summed to 2"),
        ([1.5, -0.5, 0.0, 0.0], "weight of slot 1 was -0.5"),
        ([np.nan, 0.5, 0.25, 0.25], "summed to nan"),
        ([0.0] * 4, "summed to 0"),
    ],
)
def test_a_profile_that_is_none_is_refused(profile, said):
    with pytest.raises(DataError, match=said):
        schedule_vwap(parent(), np.array(profile))


def test_weights_that_are_all_zero_are_refused():
    with pytest.raises(DataError, match="all 4 weights were 0"):
        divide_order(parent(), [0.0] * 4)


@pytest.mark.parametrize(
    ("volumes", "said"),
    [
        (np.empty((0, 4)), "at least one past session"),
        (np.ones(4), "at least one past session"),
        (np.array([[1.0, -1.0]]), "negative or missing"),
        (np.array([[1.0, np.nan]]), "negative or missing"),
        (np.array([[1.0, 1.0], [0.0, 0.0]]), "nothing was traded in past session 1"),
    ],
)
def test_past_volumes_without_a_profile_are_refused(volumes, said):
    with pytest.raises(DataError, match=said):
        estimate_volume_profile(volumes)
