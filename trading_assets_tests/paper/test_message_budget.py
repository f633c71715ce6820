import random
from bisect import bisect_right
from math import ceil, inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.errors import DataError
from trading_assets.paper.message_budget import MessageBudget
from trading_assets.risk_specs import OrderLimitsSpec

SECOND = 10**9
MINUTE = 60 * SECOND
# A pause, whether cancels follow, and how many requests are tried.
BURSTS = st.tuples(st.integers(0, 20 * SECOND), st.booleans(), st.integers(1, 60))


class Clock:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


def budget(clock: Clock, most: int = 10, reserve: int = 3, already_sent: int = 0) -> MessageBudget:
    limits = OrderLimitsSpec(max_messages_per_minute=most, cancel_reserve_messages=reserve)
    return MessageBudget(limits, clock, already_sent)


def most_in_a_minute(times: list[int]) -> int:
    """Return the most times in any window of sixty seconds, both ends included."""
    return max((bisect_right(times, t + MINUTE) - i for i, t in enumerate(times)), default=0)


def sent_by(own: MessageBudget, message: str, tries: int) -> int:
    return sum(own.take(message) == 0.0 for _ in range(tries))  # type: ignore[arg-type]


@settings(deadline=None)
@given(
    st.integers(1, 199),
    st.integers(0, 50),
    st.lists(
        st.tuples(st.integers(0, 20 * SECOND), st.booleans(), st.integers(1, 60)), max_size=80
    ),
)
def test_no_minute_ever_holds_more_than_the_limit_nor_others_the_reserve(
    most: int, reserve: int, bursts: list[tuple[int, bool, int]]
) -> None:
    reserve = min(reserve, most - 1)
    clock = Clock()
    own = budget(clock, most, reserve)
    sent: list[int] = []
    others: list[int] = []
    for pause, is_cancel, tries in bursts:
        clock.ns += pause
        count = sent_by(own, "cancel" if is_cancel else "submit", tries)
        sent += [clock.ns] * count
        others += [] if is_cancel else [clock.ns] * count
    assert most_in_a_minute(sent) <= most
    assert most_in_a_minute(others) <= most - reserve


def test_whoever_waits_as_told_keeps_the_limit_and_uses_it_up() -> None:
    rng, clock = random.Random(3), Clock()
    own = budget(clock, 180, 20)
    sent: list[int] = []
    while clock.ns < 30 * MINUTE:
        clock.ns += rng.choice((0, 0, 1, SECOND // 7, rng.randint(0, SECOND)))
        seconds = own.take("submit")
        if seconds:
            clock.ns += ceil(seconds * SECOND)
            assert own.take("submit") == 0.0
        sent.append(clock.ns)
    assert most_in_a_minute(sent) == 160
    assert len(sent) > 29 * 160


def test_a_token_returns_after_more_than_sixty_seconds_and_not_at_sixty() -> None:
    clock = Clock()
    own = budget(clock, 1, 0)
    assert own.take("submit") == 0.0
    clock.ns = MINUTE
    assert own.take("submit") == 1e-9
    clock.ns += 1
    assert own.take("submit") == 0.0


@pytest.mark.parametrize("message", ["submit", "modify", "read"])
def test_only_cancels_take_the_reserve(message: str) -> None:
    own = budget(Clock())
    assert sent_by(own, message, 20) == 7
    assert sent_by(own, "cancel", 20) == 3
    assert own.seconds_until("cancel") > 0.0


def test_cancels_take_common_tokens_too() -> None:
    own = budget(Clock())
    assert sent_by(own, "cancel", 20) == 10
    assert sent_by(own, "submit", 20) == 0


def test_a_wait_lasts_until_enough_tokens_have_returned() -> None:
    clock = Clock()
    own = budget(clock)
    for _ in range(10):
        assert own.take("cancel") == 0.0
        clock.ns += SECOND
    # The fourth of them was taken at 3 s, and three stay in reserve.
    seconds = own.seconds_until("submit")
    assert seconds == pytest.approx(53.0)
    clock.ns += ceil(seconds * SECOND)
    assert sent_by(own, "submit", 20) == 1


def test_asking_takes_no_token() -> None:
    own = budget(Clock())
    for _ in range(50):
        assert own.seconds_until("submit") == 0.0
    assert sent_by(own, "submit", 20) == 7


def test_a_broker_that_has_less_left_lowers_the_budget_until_it_resets() -> None:
    clock = Clock()
    own = budget(clock)
    own.observe(remaining=5, reset_seconds=12.5)
    assert sent_by(own, "submit", 20) == 2
    assert sent_by(own, "cancel", 20) == 3
    assert own.seconds_until("cancel") == 12.5
    clock.ns += ceil(12.5 * SECOND)
    assert sent_by(own, "cancel", 20) == 5


def test_a_broker_that_has_more_left_raises_nothing() -> None:
    own = budget(Clock())
    own.observe(remaining=1_000, reset_seconds=30)
    assert sent_by(own, "submit", 20) == 7
    own.observe(remaining=0, reset_seconds=30)
    own.observe(remaining=100, reset_seconds=30)
    assert own.seconds_until("cancel") == 30.0


def test_an_old_answer_does_not_shorten_a_wait() -> None:
    clock = Clock()
    own = budget(clock)
    own.observe(remaining=0, reset_seconds=40)
    own.observe(remaining=0, reset_seconds=1)
    clock.ns += 2 * SECOND
    assert own.seconds_until("cancel") == 38.0


@pytest.mark.parametrize(
    ("reset", "seconds"), [(nan, 60.0), (inf, 60.0), (1e12, 60.0), (-5.0, 0.0)]
)
def test_a_reset_that_cannot_be_meant_delays_a_minute_at_most(reset: float, seconds: float) -> None:
    own = budget(Clock())
    own.observe(remaining=-1, reset_seconds=reset)
    assert own.seconds_until("cancel") == seconds


def test_requests_of_a_process_before_count_for_a_minute() -> None:
    clock = Clock()
    own = budget(clock, already_sent=6)
    assert sent_by(own, "submit", 20) == 1
    clock.ns += MINUTE + 1
    assert sent_by(own, "submit", 20) == 7
    full = budget(clock, already_sent=500)
    assert full.seconds_until("cancel") == pytest.approx(60.0)


def test_a_clock_that_goes_back_gives_no_token_back() -> None:
    clock = Clock()
    clock.ns = 10 * MINUTE
    own = budget(clock, 1, 0)
    assert own.take("submit") == 0.0
    clock.ns = 0
    assert own.seconds_until("submit") == pytest.approx(60.0)


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(DataError, match="already_sent was -1"):
        budget(Clock(), already_sent=-1)
