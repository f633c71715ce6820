from datetime import UTC, datetime

import pytest

from trading_assets.errors import DataError, UserError
from trading_assets.risk.throttle import Throttle

NOW = datetime(2026, 1, 5, 15, tzinfo=UTC)


def executed(throttle: Throttle, times: int, limit: int = 3, name: str = "own") -> Throttle:
    for _ in range(times):
        throttle, is_permitted = throttle.execute(name, limit)
        assert is_permitted
        # As after a kill: only what was stored is known.
        throttle = Throttle.from_texts(throttle.to_texts())
    return throttle


def test_one_execution_more_than_permitted_is_blocked_after_restarts_too() -> None:
    throttle = executed(Throttle(), 3)
    for _ in range(5):
        throttle, is_permitted = throttle.execute("own", 3)
        assert not is_permitted
        throttle = Throttle.from_texts(throttle.to_texts())
    assert throttle.of("own").count == 3


def test_a_higher_limit_does_not_re_arm_what_has_tripped() -> None:
    throttle, _ = executed(Throttle(), 3).execute("own", 3)
    _, is_permitted = throttle.execute("own", 1_000)
    assert not is_permitted


def test_a_named_person_re_arms_and_the_count_begins_anew() -> None:
    throttle, _ = executed(Throttle(), 3).execute("own", 3)
    throttle = throttle.rearm("own", "Ada", "looked at every order", NOW)
    own = executed(throttle, 3).of("own")
    assert own.rearmed is not None
    assert (own.rearmed.by, own.rearmed.reason, own.rearmed.at) == (
        "Ada",
        "looked at every order",
        NOW,
    )
    assert not executed(throttle, 3).execute("own", 3)[1]


def test_strategies_are_counted_apart() -> None:
    throttle, _ = executed(Throttle(), 3).execute("own", 3)
    throttle = executed(throttle, 2, name="other")
    throttle = throttle.rearm("other", "Ada", "why", NOW)
    assert not throttle.execute("own", 3)[1]


@pytest.mark.parametrize(("by", "reason"), [("", "why"), (" ", "why"), ("Ada", ""), ("12", "why")])
def test_nobody_re_arms_without_a_name_and_a_reason(by: str, reason: str) -> None:
    with pytest.raises(UserError, match="expected"):
        executed(Throttle(), 1).rearm("own", by, reason, NOW)


def test_a_strategy_that_never_acted_cannot_be_re_armed() -> None:
    with pytest.raises(UserError, match="strategy was 'onw'; expected one of own"):
        executed(Throttle(), 1).rearm("onw", "Ada", "why", NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"own.count": "-1"},
        {"own.count": "many"},
        {"own.count": "03"},
        {"own.is_tripped": "yes"},
        {"own.by": ""},
        {"own.at": "yesterday"},
        {"own.at": "2026-01-05T15:00:00"},
        {"own.more": "1"},
        {"other.count": "1"},
    ],
)
def test_a_stored_count_that_is_damaged_is_refused(changes: dict[str, str]) -> None:
    texts = executed(Throttle(), 2).rearm("own", "Ada", "why", NOW).to_texts()
    with pytest.raises(DataError, match="state of the throttle"):
        Throttle.from_texts({**texts, **changes})


def test_a_stored_count_without_a_part_is_refused() -> None:
    texts = executed(Throttle(), 2).rearm("own", "Ada", "why", NOW).to_texts()
    for key in texts:
        with pytest.raises(DataError, match="state of the throttle"):
            Throttle.from_texts({name: text for name, text in texts.items() if name != key})
