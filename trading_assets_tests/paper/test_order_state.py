"""Whatever order messages come in, and however often: the same is known in the end."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.errors import DataError
from trading_assets.paper.fills import Fill, FillChange
from trading_assets.paper.order_state import FINAL, RANK, OrderState, status_of_word
from trading_assets.paper.orders import Order

ORDER = Order("o-1", date(2024, 3, 8), "AAA", "buy", Decimal(10))


def fill(number: int, quantity: int = 3, price: str = "10.5") -> Fill:
    moment = datetime(2024, 3, 8, 14, 30, tzinfo=UTC)
    return Fill(
        f"x{number}", "o-1", "AAA", "buy", Decimal(quantity), Decimal(price), Decimal(0), moment
    )


def tell(state: OrderState, message: object) -> OrderState:
    if isinstance(message, Fill):
        return state.execute(message)
    if isinstance(message, FillChange):
        return state.change(message)
    status, broker_id, reason = message  # type: ignore[misc]
    return state.hear(status, broker_order_id=broker_id, reason=reason)


MESSAGES = [
    ("accepted", "b-1", ""),
    ("canceled", "b-1", "by us"),
    ("filled", "b-1", ""),
    fill(1),
    fill(2),
    FillChange("bust", "x1"),
    FillChange("correction", "x2", fill(9, price="10.4")),
]


def test_seven_messages_in_all_orders_lead_to_one_state() -> None:
    found = set()
    for order in permutations(MESSAGES):
        state = OrderState(ORDER)
        for message in order:
            state = tell(state, message)
        found.add(
            (state.status, state.broker_order_id, state.reason, state.undone, state.filled_quantity)
        )
    assert found == {("filled", "b-1", "", frozenset({"x1", "x2"}), Decimal(3))}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_late_and_repeated_messages_change_nothing(data: st.DataObject) -> None:
    words = st.tuples(
        st.sampled_from(sorted(RANK)), st.just("b-1"), st.sampled_from(["", "a", "b"])
    )
    numbers = st.integers(1, 4)
    fills = numbers.map(fill)
    busts = numbers.map(lambda number: FillChange("bust", f"x{number}"))
    said = data.draw(st.lists(st.one_of(words, fills, busts), max_size=8))
    shuffled = data.draw(st.permutations([*said, *data.draw(st.permutations(said))]))
    one, other = OrderState(ORDER), OrderState(ORDER)
    for message in said:
        one = tell(one, message)
    for message in shuffled:
        other = tell(other, message)
    assert one == other
    ranks = [RANK[m[0]] for m in said if isinstance(m, tuple)]
    assert RANK[one.status] == max(ranks, default=0)
    counting = {m.execution_id for m in said if isinstance(m, Fill)} - one.undone
    assert one.filled_quantity == 3 * len(counting)


def test_a_status_never_moves_back() -> None:
    rng = np.random.default_rng(4)
    names = sorted(RANK, key=RANK.__getitem__)
    for _ in range(500):
        state, reached = OrderState(ORDER), 0
        for _ in range(6):
            state = state.hear(names[rng.integers(len(names))])
            assert RANK[state.status] >= reached
            reached = RANK[state.status]


def test_an_order_taken_for_not_sent_may_turn_up() -> None:
    state = OrderState(ORDER).hear("not_sent", reason="404 twice").hear("accepted")
    assert (state.status, state.may_be_open) == ("accepted", True)


def test_words_never_heard_of_mean_that_the_broker_has_the_order() -> None:
    assert status_of_word("pending_review") == "accepted"
    assert status_of_word("a_word_of_2031") == "accepted"
    assert {status_of_word(word) for word in FINAL} == set(FINAL)


def test_an_execution_that_changes_under_its_id_is_refused() -> None:
    state = OrderState(ORDER).execute(fill(1))
    with pytest.raises(DataError, match=r"execution x1 was 3 at 10\.5 and is reported as 3 at 11"):
        state.execute(fill(1, price="11"))


def test_an_execution_of_another_order_is_refused() -> None:
    moment = datetime(2024, 3, 8, 14, 30, tzinfo=UTC)
    strange = Fill("x1", "o-1", "BBB", "buy", Decimal(1), Decimal(1), Decimal(0), moment)
    with pytest.raises(DataError, match="expected a buy of AAA for o-1"):
        OrderState(ORDER).execute(strange)


def test_unknown_and_intended_orders_count_as_open() -> None:
    status = {name: OrderState(ORDER).hear(name).may_be_open for name in RANK}
    assert [name for name, is_open in status.items() if is_open] == [
        "intended",
        "unknown",
        "accepted",
    ]
