"""The certificate catches every planted leak, and raises no false alarm."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from trading_assets.features.causality import draw_moments, find_leaks, find_leaks_of_months
from trading_assets_tests.features.planted_leaks import (
    HONEST,
    LEAKS,
    MONTHS,
    SESSIONS,
    Judgement,
    judge,
    make_inputs,
    plant,
    render_table,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "leaks.md"
BEGIN, END = "<!-- leaks:begin -->", "<!-- leaks:end -->"


@pytest.fixture(scope="module")
def judged() -> list[Judgement]:
    return judge(LEAKS)


def test_the_catalogue_is_large_and_says_how_each_leaks() -> None:
    assert len(LEAKS) >= 40
    assert len(HONEST) >= 15
    assert not set(LEAKS) & set(HONEST)
    for column in [*LEAKS.values(), *HONEST.values()]:
        how = str(column.__doc__)
        assert how.endswith(".")
        assert "\n" not in how


def test_every_planted_leak_is_caught(judged: list[Judgement]) -> None:
    missed = [one.name for one in judged if not one.sentences]
    rate = 1.0 - len(missed) / len(LEAKS)
    assert len(judged) == len(LEAKS)
    assert missed == []
    assert rate == 1.0


def test_each_treatment_alone_catches_nearly_all(judged: list[Judgement]) -> None:
    for caught in ([one.by_truncation for one in judged], [one.by_scramble for one in judged]):
        assert sum(caught) / len(judged) >= 0.9


def test_no_honest_look_alike_is_reported() -> None:
    assert [one.sentences for one in judge(HONEST)] == [()] * len(HONEST)


def test_leaks_at_the_end_of_a_week_or_month_are_caught_by_any_month_alone() -> None:
    names = ("week_closed_on_monday", "weekly_bar_on_its_start", "last_of_month", "next_close")
    whole_months = MONTHS[:-1]
    for month in whole_months:
        found = judge({name: LEAKS[name] for name in names}, [month])
        assert [one.name for one in found if not one.sentences] == []


def test_one_row_of_one_symbol_is_caught_by_a_moment_before_what_it_knows() -> None:
    row, event = SESSIONS[500], SESSIONS[504]

    def compute(bars, actions, series) -> pl.DataFrame:
        del actions, series
        is_event = (pl.col("symbol") == "CCC") & (pl.col("session") == event)
        secret = bars.filter(is_event)["close"].sum()
        is_row = (pl.col("symbol") == "CCC") & (pl.col("session") == row)
        peeking = pl.when(is_row).then(secret).otherwise("close")
        return bars.select("symbol", "session", peeking.alias("planted"))

    inputs = make_inputs()
    tables = (inputs.bars, inputs.actions, inputs.series)
    for place in (500, 501, 503):
        leaks = find_leaks(compute, *tables, [SESSIONS[place]])
        assert len(leaks) == 2
        assert all(f"planted of CCC on {row} changed" in leak for leak in leaks)
        assert all("(1 rows in all)" in leak for leak in leaks)
    # Before the row there is nothing to compare, after the event nothing to hide.
    assert find_leaks(compute, *tables, [SESSIONS[499], SESSIONS[504]]) == []


def test_a_leak_of_one_whole_month_is_caught_whichever_month_it_is() -> None:
    inputs = make_inputs()
    for month in MONTHS[:-1]:

        def compute(bars, actions, series, sessions, month: date = month) -> pl.DataFrame:
            table = plant({"planted": LEAKS["next_close"]})(bars, actions, series, sessions)
            is_month = pl.col("session").dt.truncate("1mo") == month
            return table.with_columns(pl.when(is_month).then("planted"))

        moments = draw_moments(SESSIONS, [month])
        assert len(find_leaks_of_months(compute, inputs, moments)) == 6


def test_the_document_shows_the_catalogue_as_it_is_judged(judged: list[Judgement]) -> None:
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    table, _, _ = rest.partition(END)
    assert table.strip() == render_table(judged), "run `make bench ONLY=leaks`"
