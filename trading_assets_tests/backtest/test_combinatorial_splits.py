"""Groups, purge, embargo and paths: hand-written dates, a second library, and what always holds."""

from datetime import date
from itertools import pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from skfolio.model_selection import CombinatorialPurgedCV

from trading_assets.backtest.combinatorial_splits import (
    CombinatorialSplits,
    Gap,
    count_paths,
    split_sessions,
)
from trading_assets.bars.calendars.calendar import get_calendar
from trading_assets.cross_validation_specs import CrossValidationSpec
from trading_assets.errors import DataError

FOUR = CrossValidationSpec(groups=4, test_groups=2)


def days(text: str) -> tuple[date, ...]:
    """Return days of 2024 written as month and days: "1: 2 3 4, 2: 1"."""
    months = (part.split(":") for part in text.split(",") if part.strip())
    return tuple(date(2024, int(m), int(day)) for m, own in months for day in own.split())


# New York did not trade on 15 January, Martin Luther King's day, nor on weekends.
GROUPS = (
    days("1: 2 3 4 5 8 9"),
    days("1: 10 11 12 16 17 18"),
    days("1: 19 22 23 24 25 26"),
    days("1: 29 30 31, 2: 1 2 5"),
)
# Labels live one session and two are embargoed: without the last 2 sessions before a test group and
# the first 3 after it.
TRAIN = {
    (0, 1): days("1: 24 25 26 29 30 31, 2: 1 2 5"),
    (0, 2): days("1: 16, 2: 1 2 5"),
    (0, 3): days("1: 16 17 18 19 22 23 24"),
    (1, 2): days("1: 2 3 4 5, 2: 1 2 5"),
    (1, 3): days("1: 2 3 4 5 24"),
    (2, 3): days("1: 2 3 4 5 8 9 10 11 12 16"),
}


def sessions_of(first: date, last: date) -> list[date]:
    return get_calendar("XNYS").sessions(first, last)


def test_groups_and_train_sessions_of_an_exchange_are_those_written_down():
    sessions = sessions_of(date(2024, 1, 1), date(2024, 2, 5))
    found = split_sessions(sessions, FOUR, Gap(horizon_bars=1, embargo_sessions=2))
    assert found.groups == GROUPS
    assert {split.test_groups: split.train for split in found.splits} == TRAIN
    assert [split.number for split in found.splits] == list(range(6))


def test_a_longer_label_takes_twice_its_life_before_a_group_and_the_embargo_more_after_it():
    sessions = sessions_of(date(2024, 1, 1), date(2024, 12, 31))
    assert len(sessions) == 252
    found = split_sessions(sessions, CrossValidationSpec(groups=6), Gap(5, 8))
    split = next(split for split in found.splits if split.test_groups == (1, 3))
    # Groups of 42 sessions, closed for King, Presidents, Good Friday, Memorial day, Juneteenth and
    # Independence day.
    assert found.groups[1][0] == date(2024, 3, 4)
    assert found.groups[1][-1] == date(2024, 5, 1)
    assert found.groups[3][0] == date(2024, 7, 3)
    assert found.groups[3][-1] == date(2024, 8, 30)
    stretches = [
        (before, after) for before, after in pairwise(split.train) if (after - before).days > 5
    ]
    # Without the 10 sessions before a group, 16 February to 1 March and 18 June to 2 July, and the
    # 13 after it, 2 to 20 May and 3 to 19 September.
    assert split.train[0] == sessions[0]
    assert stretches == [
        (date(2024, 2, 15), date(2024, 5, 21)),
        (date(2024, 6, 17), date(2024, 9, 20)),
    ]
    assert split.train[-1] == sessions[-1]


def test_the_paths_of_four_groups_are_those_of_the_book():
    sessions = sessions_of(date(2024, 1, 1), date(2024, 2, 5))
    found = split_sessions(sessions, FOUR, Gap(1, 2))
    # Splits 0 to 5 test groups 01, 02, 03, 12, 13, 23; each group's n-th test is on path n.
    chained = [[found.tested_by(group)[path].number for group in range(4)] for path in range(3)]
    assert chained == [[0, 0, 1, 2], [1, 3, 3, 4], [2, 4, 5, 5]]
    assert found.path_of(found.splits[3], 1) == 1
    assert found.n_paths == count_paths(FOUR) == 3


def test_six_groups_of_which_two_are_tested_make_fifteen_splits_and_five_paths():
    spec = CrossValidationSpec()
    found = split_sessions(sessions_of(date(2020, 1, 1), date(2020, 12, 31)), spec, Gap(1, 1))
    assert (len(found.splits), found.n_paths) == (15, 5)


@pytest.mark.parametrize(("groups", "tested"), [(6, 2), (5, 3), (10, 2), (4, 2)])
def test_another_library_makes_the_same_splits_and_paths(groups: int, tested: int):
    sessions = sessions_of(date(2022, 1, 1), date(2023, 6, 30))[: 36 * groups]
    horizon, embargo = 2, 5
    found = split_sessions(
        sessions, CrossValidationSpec(groups=groups, test_groups=tested), Gap(horizon, embargo)
    )
    # It purges as many sessions on both sides, and embargoes further ones after a block.
    other = CombinatorialPurgedCV(groups, tested, 2 * horizon, embargo - horizon)
    for split, (train, _) in zip(
        found.splits, other.split(np.zeros((len(sessions), 1))), strict=True
    ):
        assert [sessions[place] for place in train] == list(split.train)
    paths = [[found.path_of(s, group) for group in s.test_groups] for s in found.splits]
    assert paths == other.get_path_ids().tolist()


@st.composite
def drawn_splits(draw: st.DrawFn) -> tuple[list[date], CrossValidationSpec, Gap]:
    groups = draw(st.integers(2, 7))
    spec = CrossValidationSpec(groups=groups, test_groups=draw(st.integers(1, groups - 1)))
    count = draw(st.integers(groups, 160))
    horizon = draw(st.integers(1, 6))
    sessions = sessions_of(date(2021, 1, 1), date(2021, 12, 31))[:count]
    return sessions, spec, Gap(horizon, draw(st.integers(horizon, 12)))


def split_or_none(
    drawn: tuple[list[date], CrossValidationSpec, Gap],
) -> CombinatorialSplits | None:
    try:
        return split_sessions(*drawn)
    except DataError:
        return None


@settings(max_examples=150, deadline=None)
@given(drawn=drawn_splits())
def test_each_path_covers_each_session_once_and_each_group_is_tested_alike(
    drawn: tuple[list[date], CrossValidationSpec, Gap],
):
    sessions, spec, _ = drawn
    found = split_or_none(drawn)
    if found is None:
        return
    assert [day for group in found.groups for day in group] == sessions
    sizes = [len(group) for group in found.groups]
    assert max(sizes) - min(sizes) <= 1
    assert len(found.splits) == comb(spec.groups, spec.test_groups)
    tested = [len(found.tested_by(group)) for group in range(spec.groups)]
    assert tested == [comb(spec.groups - 1, spec.test_groups - 1)] * spec.groups
    assert found.n_paths == tested[0] == count_paths(spec)
    # Every test of every split is on one path, and no path has a group twice.
    places = [
        (found.path_of(split, group), group)
        for split in found.splits
        for group in split.test_groups
    ]
    expected = [(path, group) for path in range(found.n_paths) for group in range(spec.groups)]
    assert sorted(places) == expected


@settings(max_examples=150, deadline=None)
@given(drawn=drawn_splits())
def test_no_train_label_reaches_into_a_group_and_nothing_else_is_left_out(
    drawn: tuple[list[date], CrossValidationSpec, Gap],
):
    sessions, _, gap = drawn
    found = split_or_none(drawn)
    if found is None:
        return
    lives = {
        day: {*sessions[place : place + gap.horizon_bars + 1]} for place, day in enumerate(sessions)
    }
    for split in found.splits:
        left_out: set[date] = set()
        for group in split.test_groups:
            first, last = (sessions.index(found.groups[group][end]) for end in (0, -1))
            # No label may live in the horizon before the group, or in the group.
            barred = {*sessions[max(0, first - gap.horizon_bars) : last + 1]}
            left_out |= {day for day in sessions if lives[day] & barred}
            end = last + gap.horizon_bars + gap.embargo_sessions
            left_out |= {*sessions[last : end + 1]}
        assert {*split.train} == {*sessions} - left_out


@settings(max_examples=60, deadline=None)
@given(drawn=drawn_splits(), extra=st.integers(1, 30))
def test_a_wider_gap_never_lets_more_be_fitted_on(
    drawn: tuple[list[date], CrossValidationSpec, Gap], extra: int
):
    sessions, spec, gap = drawn
    narrow = split_or_none(drawn)
    wide = split_or_none((sessions, spec, Gap(gap.horizon_bars, gap.embargo_sessions + extra)))
    if narrow is None or wide is None:
        assert wide is None
        return
    for one, other in zip(wide.splits, narrow.splits, strict=True):
        assert {*one.train} <= {*other.train}


def test_sessions_that_are_too_few_or_not_ascending_are_refused():
    sessions = sessions_of(date(2024, 1, 1), date(2024, 2, 5))
    with pytest.raises(DataError, match=r"^3 sessions were to be cut into 4 groups; expected at"):
        split_sessions(sessions[:3], FOUR, Gap(1, 2))
    with pytest.raises(DataError, match=r"leave none to fit on where 1 and 3 are tested, with 6"):
        split_sessions(sessions, FOUR, Gap(3, 3))
    with pytest.raises(DataError, match=r"^session 2024-01-02 followed 2024-02-05; expected asc"):
        split_sessions([*sessions, sessions[0]], FOUR, Gap(1, 2))
    with pytest.raises(DataError, match=r"^session 2024-01-02 followed 2024-01-02; expected asc"):
        split_sessions([sessions[0], *sessions], FOUR, Gap(1, 2))


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"groups": 4, "test_groups": 4}, "test_groups was 4 with groups 4; expected fewer"),
        ({"groups": 10, "test_groups": 3}, "with groups 10, 120 splits; expected at most 45"),
        ({"groups": 1, "test_groups": 1}, "greater than or equal to 2"),
        ({"test_groups": 0}, "greater than or equal to 1"),
        ({"policies": []}, "at least 1 item"),
        ({"policies": ["direct"]}, "'garleanu_pedersen' or 'logistic_rule'"),
        ({"policies": ["logistic_rule", "logistic_rule"]}, "expected each of them once"),
        ({"folds": 3}, "Extra inputs are not permitted"),
    ],
)
def test_a_declaration_that_cannot_be_fitted_is_refused(declared: dict[str, object], message: str):
    with pytest.raises(ValidationError, match=message):
        CrossValidationSpec.model_validate(declared)


def test_ten_groups_of_which_two_are_tested_are_as_many_splits_as_may_be():
    spec = CrossValidationSpec(groups=10, test_groups=2)
    assert comb(spec.groups, spec.test_groups) == 45
