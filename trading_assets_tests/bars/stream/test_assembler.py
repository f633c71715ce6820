"""What becomes of streamed messages in any order, number and delay; no socket, no clock."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl
import pytest

from trading_assets.bars.ingest import merge_revisions
from trading_assets.bars.stream.assembler import BarAssembler
from trading_assets.bars.stream.messages import BarKind, BarMessage
from trading_assets.bars.stream.rows import FinalBar, to_raw_bars
from trading_assets.bars.stream.times import BarTimes
from trading_assets.errors import DataError, UserError
from trading_assets_tests.bars.example_bars import CALENDAR
from trading_assets_tests.bars.stream.stream_truth import MINUTE, at

SESSION = date(2024, 3, 4)
MINUTES = BarTimes(CALENDAR, [SESSION], "1m")
DAYS = BarTimes(CALENDAR, [SESSION], "1d")
START, END = at(10, 0), at(10, 1)


def bar(
    close: float, volume: float, kind: BarKind = "b", start: datetime = START, symbol: str = "IBM"
) -> BarMessage:
    return BarMessage(kind, symbol, start, 10.0, 20.0, 5.0, close, volume, int(volume))


def make_assembler(times: BarTimes = MINUTES, window_s: float = 60) -> BarAssembler:
    return BarAssembler(["AAPL", "IBM"], times, window_s)


def values(rows: list[FinalBar]) -> list[tuple[float, int, datetime]]:
    return [(row.close, row.revision, row.knowledge_time) for row in rows]


def test_a_bar_is_final_after_its_correction_window() -> None:
    assembler = make_assembler()
    assert assembler.feed([bar(11, 100)], at(10, 1, 0.1)) == []
    assert assembler.next_release() == at(10, 2)
    assert assembler.advance(at(10, 1, 59)) == []
    (row,) = assembler.advance(at(10, 2, 0.5))
    assert (row.symbol, row.session, row.event_time) == ("IBM", SESSION, END)
    assert (row.knowledge_time, row.ingest_time) == (at(10, 2, 0.5), at(10, 2, 0.5))
    assert (row.close, row.volume, row.revision) == (11, 100, 0)
    assert (assembler.advance(at(10, 5)), assembler.next_release()) == ([], None)


def test_an_update_within_the_window_replaces_the_bar() -> None:
    assembler = make_assembler()
    assembler.feed([bar(11, 100)], at(10, 1, 0.1))
    assembler.feed([bar(12, 110, "u")], at(10, 1, 30))
    assert values(assembler.advance(at(10, 2))) == [(12, 0, at(10, 2))]


def test_an_update_after_the_window_is_a_revision_known_from_its_arrival() -> None:
    assembler = make_assembler()
    assembler.feed([bar(11, 100)], at(10, 1, 0.1))
    assembler.advance(at(10, 2))
    late = assembler.feed([bar(12, 110, "u")], at(10, 3, 7))
    assert values(late) == [(12, 1, at(10, 3, 7))]
    assert assembler.feed([bar(12, 110, "u")], at(10, 3, 8)) == []


def test_a_bar_that_arrives_after_its_window_is_known_from_its_arrival() -> None:
    rows = make_assembler().feed([bar(11, 100)], at(10, 7))
    assert values(rows) == [(11, 0, at(10, 7))]


def test_an_update_whose_first_bar_was_lost_is_the_bar() -> None:
    assembler = make_assembler()
    assembler.feed([bar(12, 110, "u")], at(10, 1, 30))
    assert values(assembler.advance(at(10, 2))) == [(12, 0, at(10, 2))]


def test_a_first_bar_after_its_update_changes_nothing() -> None:
    assembler = make_assembler()
    assembler.feed([bar(12, 110, "u")], at(10, 1, 30))
    assert values(assembler.feed([bar(11, 100)], at(10, 4))) == [(12, 0, at(10, 4))]
    assert assembler.counts["superseded"] == 1


def test_two_versions_of_one_volume_do_not_alternate() -> None:
    assembler = make_assembler(window_s=0)
    assembler.feed([bar(11, 100, "u")], at(10, 2))
    assert values(assembler.feed([bar(12, 100, "u")], at(10, 3))) == [(12, 1, at(10, 3))]
    assert assembler.feed([bar(11, 100, "u")], at(10, 4)) == []


def test_an_update_that_changes_no_price_and_no_volume_is_no_revision() -> None:
    assembler = make_assembler()
    assembler.feed([bar(11, 100)], at(10, 3))
    assert assembler.feed([replace(bar(11, 100, "u"), trades=101)], at(10, 4)) == []


def test_corrections_that_arrive_together_are_one_revision() -> None:
    assembler = make_assembler()
    assembler.feed([bar(11, 100)], at(10, 3))
    rows = assembler.feed([bar(12, 110, "u"), bar(13, 120, "u")], at(10, 4))
    assert values(rows) == [(13, 1, at(10, 4))]


def test_a_correction_of_the_same_moment_waits_for_the_next() -> None:
    assembler = make_assembler()
    first = assembler.feed([bar(11, 100)], at(10, 3))
    assert assembler.feed([bar(12, 110, "u")], at(10, 3)) == []
    (row,) = assembler.advance(at(10, 3, 1))
    stored = merge_revisions(None, to_raw_bars(first, "iex", "1m"))
    merged = merge_revisions(stored, to_raw_bars([row], "iex", "1m"))
    assert merged["revision"].to_list() == [0, 1]


def test_a_clock_that_is_set_back_makes_nothing_known_earlier() -> None:
    assembler = make_assembler()
    assembler.feed([bar(11, 100)], at(10, 5))
    rows = assembler.feed([bar(12, 110, symbol="AAPL")], at(10, 4))
    assert values(rows) == [(12, 0, at(10, 5))]


def test_a_minute_that_arrives_a_moment_before_its_end_is_not_lost() -> None:
    assembler = make_assembler()
    assembler.feed([bar(11, 100)], END - timedelta(milliseconds=30))
    assert values(assembler.advance(at(10, 2))) == [(11, 0, at(10, 2))]


@pytest.mark.parametrize(
    ("message", "count"),
    [
        (bar(11, 100, symbol="ZZZ"), "not_asked_for"),
        (bar(11, 100, "d"), "not_asked_for"),
        (bar(11, 100, start=at(8, 0)), "outside_session"),
        (bar(11, 100, start=START + timedelta(seconds=1)), "outside_session"),
        (bar(11, 100, start=at(15, 0)), "before_open"),
    ],
)
def test_a_message_about_another_bar_is_counted_and_dropped(
    message: BarMessage, count: str
) -> None:
    assembler = make_assembler()
    assert assembler.feed([message], at(10, 30)) == []
    assert assembler.advance(at(17, 0)) == []
    assert assembler.counts[count] == 1


def test_a_day_is_final_after_its_close_and_window() -> None:
    assembler = make_assembler(DAYS)
    label = at(0, 0)
    for minute in range(3):
        assembler.feed([bar(11 + minute, 100 + minute, "d", label)], at(15, 58 + minute, 1))
    assert assembler.advance(at(16, 0, 59)) == []
    (row,) = assembler.advance(at(16, 1))
    assert (row.event_time, row.close, row.volume) == (at(16, 0), 13, 102)


def test_a_day_whose_last_message_is_from_before_the_close_is_missing() -> None:
    assembler = make_assembler(DAYS)
    assembler.feed([bar(11, 100, "d", at(0, 0))], at(15, 58))
    assert assembler.advance(at(17, 0)) == []
    missing = assembler.missing(at(9, 0), at(17, 0))
    assert [symbol for symbol, _ in missing] == ["AAPL", "IBM"]


def test_a_day_that_did_not_change_after_the_close_is_the_whole_day() -> None:
    assembler = make_assembler(DAYS)
    assembler.feed([bar(11, 100, "d", at(0, 0))], at(15, 58))
    assembler.feed([bar(11, 100, "d", at(0, 0))], at(16, 0, 1))
    assert values(assembler.advance(at(16, 1))) == [(11, 0, at(16, 1))]


def test_trades_after_hours_do_not_revise_a_day_minute_by_minute() -> None:
    assembler = make_assembler(DAYS)
    assembler.feed([bar(11, 100, "d", at(0, 0))], at(16, 0, 1))
    assembler.advance(at(16, 1))
    assert assembler.feed([bar(11, 105, "d", at(0, 0))], at(16, 30)) == []
    assert assembler.counts["after_final"] == 1


def historical(close: float, volume: float, **changes: str) -> pl.DataFrame:
    row = FinalBar("IBM", SESSION, END, END, at(10, 6), 0, 10, 20, 5, close, volume)
    return to_raw_bars([row], "iex", "1m").with_columns(
        **{name: pl.lit(value) for name, value in changes.items()}
    )


def test_a_refilled_bar_is_known_from_the_answer_on() -> None:
    rows = make_assembler().adopt(historical(11, 100), at(10, 6))
    assert values(rows) == [(11, 0, at(10, 6))]


def test_a_refilled_bar_that_differs_is_a_revision() -> None:
    assembler = make_assembler()
    assembler.feed([bar(11, 100)], at(10, 3))
    assert assembler.adopt(historical(11, 100), at(10, 6)) == []
    assert values(assembler.adopt(historical(12, 130), at(10, 7))) == [(12, 1, at(10, 7))]
    assert assembler.feed([bar(13, 120, "u")], at(10, 8)) == []
    assert values(assembler.feed([bar(14, 140, "u")], at(10, 9))) == [(14, 2, at(10, 9))]


def test_a_bar_that_was_asked_for_while_it_ran_is_not_final() -> None:
    assembler = make_assembler()
    assert assembler.adopt(historical(11, 50), at(10, 0, 30)) == []
    assert assembler.advance(at(10, 5)) == []
    assert values(assembler.feed([bar(12, 100)], at(10, 5))) == [(12, 0, at(10, 5))]


def test_a_refilled_row_without_a_price_is_left_to_the_regular_fetch() -> None:
    rows = historical(11, 100).with_columns(close=pl.lit(float("nan")))
    assert make_assembler().adopt(rows, at(10, 6)) == []


@pytest.mark.parametrize("change", [{"bar_length": "1d"}, {"adjustment": "split"}])
def test_refilled_rows_of_another_kind_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(DataError, match="expected raw bars of length 1m"):
        make_assembler().adopt(historical(11, 100, **change), at(10, 6))


def test_what_is_missing_is_named_by_symbol_and_time() -> None:
    assembler = make_assembler()
    assembler.feed([bar(11, 100)], at(10, 1, 0.1))
    missing = assembler.missing(at(10, 0), at(10, 2))
    assert [(symbol, time.event_time) for symbol, time in missing] == [
        ("AAPL", END),
        ("AAPL", END + MINUTE),
        ("IBM", END + MINUTE),
    ]


def test_an_arrival_without_a_time_zone_is_refused() -> None:
    with pytest.raises(UserError, match="without a time zone"):
        make_assembler().advance(START.replace(tzinfo=None))


@pytest.mark.parametrize("window_s", [-1, float("nan")])
def test_a_window_that_is_no_duration_is_refused(window_s: float) -> None:
    with pytest.raises(UserError, match="expected 0 or more"):
        make_assembler(window_s=window_s)
