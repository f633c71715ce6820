"""Which bars a stream may have missed, and when it asks for them."""

from datetime import date, datetime, timedelta

import pytest

from trading_assets.bars.stream.gaps import GapLedger
from trading_assets.bars.stream.settings import StreamSettings
from trading_assets.bars.stream.times import BarTime, BarTimes
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.bars.stream.stream_truth import at

MINUTES = BarTimes(CALENDAR, [date(2024, 3, 4)], "1m")
SETTINGS = StreamSettings(
    lookback_seconds=120,
    backfill_delay_seconds=30,
    audit_every_seconds=300,
    most_backfill_attempts=2,
)


def make_ledger(**changes: float) -> GapLedger:
    return GapLedger(MINUTES, SETTINGS.model_copy(update=changes), since=at(9, 30))


def nothing(after: datetime, until: datetime) -> list[tuple[str, BarTime]]:
    return []


def absent(*ends: datetime) -> list[tuple[str, BarTime]]:
    return [("IBM", BarTime(date(2024, 3, 4), end - timedelta(minutes=1), end)) for end in ends]


def test_an_outage_is_asked_about_once_its_bars_are_published() -> None:
    ledger = make_ledger()
    ledger.note_outage(at(10, 0), at(10, 5))
    assert ledger.next_due() == at(10, 5, 30)
    assert ledger.take_due(at(10, 5, 29)) is None
    gap = ledger.take_due(at(10, 5, 30))
    assert gap is not None
    assert (gap.after, gap.until) == (at(9, 58), at(10, 5))
    assert ledger.take_due(at(10, 6)) is None
    assert ledger.open == (gap,)
    ledger.answered(gap)
    assert ledger.open == ()


def test_an_outage_between_sessions_is_no_gap() -> None:
    ledger = make_ledger()
    ledger.note_outage(at(17, 0), at(18, 0))
    ledger.note_outage(at(5, 0), at(9, 30))
    assert ledger.open == ()


def test_outages_that_touch_are_one_gap() -> None:
    ledger = make_ledger()
    ledger.note_outage(at(10, 0), at(10, 5))
    ledger.note_outage(at(10, 6), at(10, 9))
    ledger.note_outage(at(12, 0), at(12, 1))
    assert [(gap.after, gap.until) for gap in ledger.open] == [
        (at(9, 58), at(10, 9)),
        (at(11, 58), at(12, 1)),
    ]


def test_a_failed_request_is_repeated_later_and_then_left_to_the_next_fetch() -> None:
    ledger = make_ledger()
    ledger.note_outage(at(10, 0), at(10, 5))
    gap = ledger.take_due(at(10, 6))
    assert gap is not None
    ledger.failed(gap, at(10, 6))
    assert ledger.next_due() == at(10, 6, 15)
    assert ledger.take_due(at(10, 6, 15)) is gap
    ledger.failed(gap, at(10, 7))
    assert ledger.next_due() is None
    assert ledger.take_due(at(12, 0)) is None
    assert ledger.open == (gap,)


def test_bars_that_did_not_come_are_asked_about_once() -> None:
    ledger = make_ledger()
    ledger.audit(at(9, 34), lambda *_: absent(at(9, 32)))
    assert ledger.open == ()
    ledger.audit(at(9, 36), lambda *_: absent(at(9, 32), at(9, 34)))
    (gap,) = ledger.open
    assert gap.after < at(9, 32)
    assert gap.until == at(9, 34)
    spans: list[tuple[datetime, datetime]] = []

    def look(after: datetime, until: datetime) -> list[tuple[str, BarTime]]:
        spans.append((after, until))
        return []

    ledger.audit(at(9, 41), look)
    # One minute of correction window: younger bars may still come.
    assert spans == [(at(9, 35), at(9, 40))]


def test_bars_that_are_being_asked_about_are_not_asked_about_twice() -> None:
    ledger = make_ledger()
    ledger.note_outage(at(9, 31), at(9, 36))
    assert ledger.take_due(at(9, 37)) is not None
    ledger.audit(at(9, 40), lambda *_: absent(at(9, 33)))
    assert len(ledger.open) == 1


def test_the_last_audit_does_not_wait_for_its_turn() -> None:
    ledger = make_ledger()
    ledger.audit(at(9, 34), lambda *_: absent(at(9, 32)), is_last=True)
    assert len(ledger.open) == 1


@pytest.mark.parametrize(
    ("moment", "is_trading"),
    [
        (at(9, 29, 59), False),
        (at(9, 30), True),
        (at(16, 0, 59), True),
        (at(16, 1), False),
        (at(3, 0), False),
    ],
)
def test_bars_are_due_from_the_open_to_the_window_after_the_close(
    moment: datetime, is_trading: bool
) -> None:
    assert MINUTES.is_trading(moment, timedelta(minutes=1)) is is_trading


def test_a_half_day_ends_early() -> None:
    times = BarTimes(CALENDAR, [date(2024, 7, 3)], "1m")
    assert len(times.all) == 210
    assert not times.is_trading(times.all[-1].event_time, timedelta(0))
