from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.errors import DataError
from trading_assets.paper.parent_order import ParentOrder
from trading_assets.paper.participation import ParticipationRule, follow_volume, next_child

OPEN = datetime(2020, 3, 3, 14, 30, tzinfo=UTC)
CLOSE = OPEN + timedelta(hours=6)

volumes_strategy = st.lists(st.decimals(0, 1_000_000, places=3), min_size=1, max_size=20)
quantities = st.decimals("-1e6", "1e6", places=9).filter(lambda quantity: quantity != 0)


def parent(quantity="1000", slots=4, step="1") -> ParentOrder:
    return ParentOrder(Decimal(quantity), OPEN, CLOSE, slots, Decimal(step))


def worked(order, rule, volumes) -> list[Decimal]:
    return [child.quantity for child in follow_volume(order, rule, [Decimal(v) for v in volumes])]


def test_each_child_is_the_rate_of_what_was_seen_and_the_last_completes():
    rule = ParticipationRule(0.1, "complete")
    assert worked(parent(), rule, [2000, 1000, 55, 10**6]) == [0, 200, 100, 700]
    assert worked(parent("-1000"), rule, [2000, 1000, 55, 10**6]) == [0, -200, -100, -700]


def test_a_rest_may_lapse_instead():
    rule = ParticipationRule(0.1, "lapse")
    assert worked(parent(), rule, [2000, 1000, 55, 10**6]) == [0, 200, 100, 5]


def test_what_rounding_held_back_is_sent_later():
    rule = ParticipationRule(0.1, "lapse")
    assert worked(parent(slots=5), rule, [15, 15, 0, 12, 0]) == [0, 1, 2, 0, 1]


def test_nothing_is_sent_once_the_parent_is_done():
    rule = ParticipationRule(1.0, "complete")
    assert worked(parent("10.5"), rule, [10**9] * 4) == [0, Decimal("10.5"), 0, 0]


def test_the_volume_of_a_slot_is_not_known_as_it_begins():
    rule = ParticipationRule(0.5, "complete")
    low = follow_volume(parent(), rule, [Decimal(v) for v in (100, 200, 0, 0)])
    high = follow_volume(parent(), rule, [Decimal(v) for v in (100, 200, 900, 900)])
    assert low[:3] == high[:3]


@given(quantities, volumes_strategy, st.floats(0.001, 1.0), st.sampled_from(["1e-9", "0.7", "100"]))
def test_a_completed_order_sums_exactly_and_a_lapsing_one_never_exceeds_its_rate(
    quantity, volumes, rate, step
):
    order = ParentOrder(quantity, OPEN, CLOSE, len(volumes), Decimal(step))
    complete = follow_volume(order, ParticipationRule(rate, "complete"), volumes)
    assert sum(Fraction(child.quantity) for child in complete) == Fraction(quantity)
    lapsing = follow_volume(order, ParticipationRule(rate, "lapse"), volumes)
    sent = seen = Fraction(0)
    for child, volume in zip(lapsing, volumes, strict=True):
        assert child.quantity * quantity >= 0
        sent += abs(Fraction(child.quantity))
        assert sent <= min(Fraction(repr(rate)) * seen, abs(Fraction(quantity)))
        left = abs(Fraction(quantity)) - sent
        assert left == 0 or sent + Fraction(step) > Fraction(repr(rate)) * seen
        seen += Fraction(volume)


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, float("nan")])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(DataError, match="participation rate was"):
        ParticipationRule(rate, "complete")


@pytest.mark.parametrize(
    ("seen", "sent", "said"),
    [
        (["1"] * 4, "0", "4 slots have ended; expected fewer"),
        (["-1"], "0", "volume of slot 0 was -1"),
        (["NaN"], "0", "volume of slot 0 was NaN"),
        (["1"], "1001", "1001 shares were sent"),
        (["1"], "-1", "-1 shares were sent"),
    ],
)
def test_a_state_that_cannot_be_is_refused(seen, sent, said):
    with pytest.raises(DataError, match=said):
        next_child(
            parent(),
            ParticipationRule(0.1, "complete"),
            [Decimal(volume) for volume in seen],
            Decimal(sent),
        )


def test_volumes_are_one_for_each_slot():
    with pytest.raises(DataError, match="1 volumes were given; expected one for each of 4"):
        follow_volume(parent(), ParticipationRule(0.1, "lapse"), [Decimal(1)])
