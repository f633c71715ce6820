"""Who is a member when, what those who left returned, and what a report says of it."""

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.bars.universe import (
    delisting_returns,
    members_at,
    membership_table,
    survivorship,
)
from trading_assets.delistings import delisting_cause
from trading_assets.graph import market_data_graph
from trading_assets.market_data import MarketDataSpec
from trading_assets_tests.bars.example_bars import CALENDAR, make_rows, make_spec

FIRST, LAST = date(2010, 1, 4), date(2010, 3, 31)
SESSIONS = CALENDAR.sessions(FIRST, LAST)


def spec_of(*members: dict[str, Any]) -> MarketDataSpec:
    return make_spec(universe=list(members), start=FIRST, end=LAST)


def test_a_member_belongs_to_both_ends_of_its_stint() -> None:
    spec = spec_of(
        {"symbol": "A", "first_session": date(2010, 1, 11), "last_session": date(2010, 2, 1)},
        {"symbol": "B"},
    )
    days = [date(2010, 1, 8), date(2010, 1, 11), date(2010, 2, 1), date(2010, 2, 2)]
    assert [members_at(spec, day) for day in days] == [("B",), ("A", "B"), ("A", "B"), ("B",)]


def test_a_symbol_can_leave_and_come_back() -> None:
    spec = spec_of(
        {"symbol": "A", "first_session": date(2010, 3, 1)},
        {"symbol": "A", "last_session": date(2010, 1, 29)},
    )
    assert spec.universe == ("A",)
    assert members_at(spec, date(2010, 1, 29)) == ("A",)
    assert members_at(spec, date(2010, 2, 15)) == ()
    assert members_at(spec, date(2010, 3, 1)) == ("A",)


def test_without_members_every_symbol_belongs_to_every_session() -> None:
    spec = make_spec(universe=("B", "A"))
    assert members_at(spec, FIRST) == ("A", "B")
    assert membership_table(spec, SESSIONS).height == 2 * len(SESSIONS)


def test_members_of_a_day_do_not_depend_on_later_departures() -> None:
    staying = {"symbol": "A", "first_session": date(2010, 1, 11)}
    leaving = {**staying, "last_session": date(2010, 2, 1), "delisting_reason": "bankruptcy"}
    early = [day for day in SESSIONS if day <= date(2010, 2, 1)]
    tables = [membership_table(spec_of(member), early) for member in (staying, leaving)]
    assert tables[0].equals(tables[1])


days = st.one_of(st.none(), st.sampled_from(SESSIONS))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(stints=st.lists(st.tuples(st.sampled_from("ABC"), days, days), min_size=1, max_size=6))
def test_the_table_lists_the_members_of_each_session(
    stints: list[tuple[str, date | None, date | None]],
) -> None:
    members = [{"symbol": s, "first_session": f, "last_session": t} for s, f, t in stints]
    spans = [(s, f or date.min, t or date.max) for s, f, t in stints]
    is_wrong = any(t < f for _, f, t in spans) or any(
        a[0] == b[0] and a[1] <= b[2] and b[1] <= a[2]
        for n, a in enumerate(spans)
        for b in spans[:n]
    )
    if is_wrong:
        with pytest.raises(ValidationError, match=r"do not overlap|expected it on or after"):
            spec_of(*members)
        return
    spec = spec_of(*members)
    table = membership_table(spec, SESSIONS)
    for session in (SESSIONS[0], SESSIONS[20], SESSIONS[-1]):
        listed = table.filter(session=session)["symbol"].to_list()
        assert tuple(listed) == members_at(spec, session)
    assert table.equals(table.unique().sort("symbol", "session"))


def test_members_in_another_order_are_the_same_declaration() -> None:
    one = {"symbol": "A", "last_session": date(2010, 1, 29)}
    two = {"symbol": "A", "first_session": date(2010, 3, 1)}
    assert spec_of(one, two) == spec_of(two, one)


def test_another_membership_is_another_declaration_of_every_bar() -> None:
    one = spec_of({"symbol": "A", "last_session": date(2010, 1, 29)})
    two = spec_of({"symbol": "A", "last_session": date(2010, 1, 28)})
    graphs = [market_data_graph("mine", spec) for spec in (one, two)]
    for name in ("raw_bars", "validated_bars"):
        digests = {graph.node(f"mine/{name}").declaration_digest for graph in graphs}
        assert len(digests) == 2


LEFT = {"symbol": "A", "last_session": date(2010, 2, 1)}


@pytest.mark.parametrize(
    ("more", "expected", "is_assumed"),
    [
        ({"delisting_reason": "bankruptcy"}, -0.30, True),
        ({"delisting_reason": "Liquidation"}, -0.30, True),
        ({"delisting_reason": "merger out of Chapter 11"}, -0.30, True),
        ({"delisting_reason": "merger"}, 0.0, True),
        ({"delisting_reason": "voluntary delisting"}, 0.0, True),
        ({"delisting_reason": "bankruptcy", "delisting_return": -0.93}, -0.93, False),
        ({"delisting_reason": "merger", "delisting_return": 0.12}, 0.12, False),
        ({"delisting_reason": "eaten by a bear", "delisting_return": -1}, -1.0, False),
        ({"delisting_return": -0.5}, -0.5, False),
    ],
)
def test_a_delisting_has_its_declared_or_an_assumed_return(
    more: dict[str, Any], expected: float, is_assumed: bool
) -> None:
    spec = spec_of({**LEFT, **more}, {"symbol": "B"})
    bars = make_rows(spec, FIRST, LAST)
    day, reason = date(2010, 2, 1), more.get("delisting_reason")
    assert delisting_returns(spec, bars).rows() == [("A", day, day, reason, expected, is_assumed)]


@pytest.mark.parametrize("more", [{}, {"delisting_reason": "left the index"}])
def test_a_member_that_trades_on_has_no_delisting_return(more: dict[str, Any]) -> None:
    spec = spec_of({**LEFT, **more})
    assert delisting_returns(spec, make_rows(spec, FIRST, LAST)).is_empty()


def test_a_delisting_is_unknown_until_bars_reach_it() -> None:
    spec = spec_of({**LEFT, "delisting_reason": "bankruptcy"}, {"symbol": "B"})
    bars = make_rows(spec, FIRST, LAST)
    early = bars.filter(pl.col("session") < date(2010, 2, 1))
    assert delisting_returns(spec, early).is_empty()
    assert delisting_returns(spec, early).schema == delisting_returns(spec, bars).schema
    assert len(delisting_returns(spec, bars.filter(pl.col("session") <= date(2010, 2, 1)))) == 1
    assert delisting_returns(spec, bars.clear()).is_empty()


def test_a_halted_member_is_held_from_its_last_bar_to_its_delisting() -> None:
    spec = spec_of({**LEFT, "delisting_reason": "bankruptcy"}, {"symbol": "B"})
    bars = make_rows(spec, FIRST, LAST)
    halted = bars.filter((pl.col("symbol") == "B") | (pl.col("session") <= date(2010, 1, 15)))
    row = delisting_returns(spec, halted).row(0, named=True)
    assert (row["session"], row["last_bar_session"]) == (date(2010, 2, 1), date(2010, 1, 15))


def test_bars_of_another_stint_do_not_date_a_delisting() -> None:
    spec = spec_of(
        {**LEFT, "delisting_reason": "bankruptcy", "first_session": date(2010, 1, 11)},
        {"symbol": "A", "first_session": date(2010, 3, 1)},
        {"symbol": "B"},
    )
    bars = make_rows(spec, FIRST, LAST)
    in_stint = pl.col("session").is_between(date(2010, 1, 11), date(2010, 2, 1))
    outside = bars.filter((pl.col("symbol") == "B") | ~in_stint)
    assert delisting_returns(spec, outside).is_empty()


def test_a_report_does_not_know_survivorship_without_dates() -> None:
    assert survivorship(make_spec()) == "unknown"
    assert survivorship(spec_of({"symbol": "A"}, {"symbol": "B"})) == "unknown"


def test_a_report_says_how_many_left_and_why() -> None:
    spec = spec_of(
        {**LEFT, "delisting_reason": "bankruptcy"},
        {**LEFT, "symbol": "B", "delisting_reason": "merger"},
        {**LEFT, "symbol": "C", "delisting_reason": "bankruptcy", "delisting_return": -1},
        {**LEFT, "symbol": "D"},
        {"symbol": "E", "first_session": FIRST},
    )
    assert survivorship(spec) == (
        "5 members declared with dates, 4 stints ended (bankruptcy 2, merger 1,"
        " no reason declared 1); return of 1 assumed -30%"
    )


def test_a_universe_nobody_left_says_so() -> None:
    spec = spec_of({"symbol": "A", "first_session": FIRST})
    assert survivorship(spec) == "1 members declared with dates, 0 stints ended"


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"first_session": LAST, "last_session": FIRST}, "expected it on or after"),
        ({"delisting_reason": "merger"}, "last_session is absent; expected its last day"),
        ({"delisting_return": -0.3}, "last_session is absent; expected its last day"),
        ({**LEFT, "delisting_reason": "?"}, "says nothing of the return after the last bar"),
        ({**LEFT, "delisting_return": float("nan")}, "finite number"),
        ({**LEFT, "delisting_return": float("inf")}, "finite number"),
        ({**LEFT, "delisting_return": -1.01}, "greater than or equal to -1"),
        ({**LEFT, "delisting_reason": ""}, "at least 1 character"),
    ],
)
def test_a_member_that_cannot_be_is_refused(member: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec_of({"symbol": "A", **member})


def test_a_stint_that_ends_when_the_next_begins_is_an_overlap() -> None:
    day = date(2010, 2, 1)
    with pytest.raises(ValidationError, match=r"A is a member from the start to 2010-02-01 and"):
        spec_of({"symbol": "A", "last_session": day}, {"symbol": "A", "first_session": day})


def test_reasons_are_read_whatever_their_case() -> None:
    assert delisting_cause("ACQUIRED by Z") == "fair_value"
    assert delisting_cause("removed from index") == "still_listed"
    assert delisting_cause("price below minimum") == "performance"
    assert delisting_cause("") is None
