from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from trading_assets.errors import DataError
from trading_assets.governance.champion import (
    ChampionRecord,
    Decider,
    champion_problems,
    decide_champion,
    roll_back_champion,
)
from trading_assets.governance.promotion import GateResult

PASSED = GateResult("beats_champion", passed=True, figure=0.01, threshold=0.1, sentence="Better.")
FAILED = replace(PASSED, name="seeds_agree", passed=False)


def decider(day: int = 2) -> Decider:
    return Decider(
        date(2024, 5, day), "equal_weight", datetime(2024, 5, day, 5, tzinfo=UTC), "nightly"
    )


def promoted(digest: str = "a" * 64, previous: ChampionRecord | None = None) -> ChampionRecord:
    return decide_champion(previous, digest, [PASSED], decider())


def test_the_fallback_trades_until_a_challenger_has_passed() -> None:
    record = decide_champion(None, "a" * 64, [PASSED, FAILED], decider())
    assert (record.status, record.champion, record.is_fallback) == (
        "fallback",
        "equal_weight",
        True,
    )
    assert record.reason == "The challenger failed seeds_agree."
    assert record.evidence == (PASSED, FAILED)


def test_a_challenger_that_passed_every_gate_is_promoted() -> None:
    record = promoted()
    assert (record.status, record.champion, record.previous) == ("promoted", "a" * 64, None)
    second = promoted("b" * 64, record)
    assert (second.champion, second.previous) == ("b" * 64, "a" * 64)


def test_a_challenger_that_failed_leaves_the_champion() -> None:
    record = decide_champion(promoted(), "b" * 64, [FAILED], decider(3))
    assert (record.status, record.champion) == ("kept", "a" * 64)


def test_a_challenger_without_a_verdict_is_not_promoted() -> None:
    assert decide_champion(None, "a" * 64, [], decider()).status == "fallback"


def test_the_champion_is_not_promoted_again() -> None:
    record = decide_champion(promoted(), "a" * 64, [PASSED], decider(3))
    assert (record.status, record.previous) == ("kept", None)


def test_a_night_without_a_challenger_keeps_who_trades() -> None:
    record = decide_champion(promoted("b" * 64, promoted()), None, [], decider(3))
    assert (record.status, record.champion, record.previous) == ("kept", "b" * 64, "a" * 64)


def test_a_rollback_restores_the_one_before_and_then_the_fallback() -> None:
    second = promoted("b" * 64, promoted())
    back = roll_back_champion(second, decider(4), "Drawdown beyond the limit.")
    assert (back.status, back.champion, back.challenger) == ("rolled_back", "a" * 64, "b" * 64)
    further = roll_back_champion(back, decider(5), "Again.")
    assert (further.champion, further.is_fallback) == ("equal_weight", True)


def test_a_record_is_read_back_as_it_was_written() -> None:
    record = decide_champion(promoted(), "b" * 64, [PASSED, FAILED], decider(3))
    assert ChampionRecord.from_json(record.to_json()) == record
    assert ChampionRecord.from_json(record.to_json()).to_json() == record.to_json()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"session": "x"}'])
def test_content_that_is_no_record_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="could not be read"):
        ChampionRecord.from_json(content)


def test_the_fallback_with_stored_files_is_a_second_champion() -> None:
    record = decide_champion(None, None, [], decider())
    assert champion_problems(record, {}) == []
    assert "exactly one champion" in champion_problems(record, {"bundle.json": b"{}"})[0]


def test_files_that_are_not_the_champions_are_a_problem() -> None:
    assert "bundle.json" in champion_problems(promoted(), {})[0]
    assert "digest" in champion_problems(promoted(), {"bundle.json": b"{}"})[0]
