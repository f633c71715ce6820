from collections.abc import Iterator
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trading_assets.forecast import purging
from trading_assets.forecast.dataset import Rows
from trading_assets.forecast.parts import Part, cross_fit_part, expanding_part
from trading_assets.forecast.purging import (
    SplitRows,
    count_embargoed,
    keep_labelled,
    split_at_validation,
)
from trading_assets_tests.forecast.random_panels import RandomPanel, lives, pairs, random_panels


@pytest.fixture
def any_number_of_rows() -> Iterator[None]:
    """Let splits of any size through, so that properties are held on empty sets as well."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LEAST_TRAIN_ROWS", "LEAST_STOPPING_ROWS", "LEAST_JUDGING_ROWS"):
            patch.setattr(purging, name, 0)
        yield


ANY_FIXTURES = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def draw_block(data: st.DataObject, drawn: RandomPanel) -> np.ndarray:
    first = data.draw(st.integers(0, drawn.n_sessions - 1))
    return np.arange(first, data.draw(st.integers(first, drawn.n_sessions - 1)) + 1)


def require_order(drawn: RandomPanel, split: SplitRows) -> None:
    """Assert that no label of a set lives on into a session of a later set."""
    sets = (split.train, split.stopping, split.judging)
    assert all(pairs(rows) <= pairs(keep_labelled(drawn.labels, rows)) for rows in sets)
    for older, newer in ((0, 1), (1, 2), (0, 2)):
        ends, sessions = lives(drawn, sets[older])[1], sets[newer].session
        assert np.max(ends, initial=-1) < np.min(sessions, initial=drawn.n_sessions)


def split_reasons(drawn: RandomPanel, rows: Rows, held_out: np.ndarray) -> set[tuple[int, int]]:
    """Return which labelled rows a split at these sessions has a reason to leave out."""
    middle = held_out[len(held_out) // 2]
    sessions, ends = lives(drawn, rows)
    reaches_stopping = (sessions < held_out[0]) & (ends >= held_out[0])
    reaches_judging = (sessions < middle) & (ends >= middle)
    return pairs(rows.where(reaches_stopping | reaches_judging))


@ANY_FIXTURES
@given(drawn=random_panels(), data=st.data())
@pytest.mark.usefixtures("any_number_of_rows")
def test_a_fold_keeps_each_row_whose_label_meets_no_later_set(
    drawn: RandomPanel, data: st.DataObject
):
    window = draw_block(data, drawn)
    days = drawn.panel.sessions[window].astype(date).tolist()
    rows = keep_labelled(drawn.labels, drawn.rows)
    split = split_at_validation(drawn.panel, drawn.labels, rows, days)
    require_order(drawn, split)
    assert np.max(lives(drawn, split.seen)[1], initial=-1) <= window[-1]
    held_out = np.concatenate((split.stopping.session, split.judging.session))
    assert np.isin(held_out, window).all()
    assert (split.train.session < window[0]).all()
    asked = rows.where(rows.session <= window[-1])
    left_out = pairs(asked) - pairs(split.seen)
    reaches_out = pairs(asked.where(lives(drawn, asked)[1] > window[-1]))
    assert left_out == split_reasons(drawn, asked, window) | reaches_out
    assert split.purged_rows == len(left_out)


def require_apart(drawn: RandomPanel, part: Part, embargo: int) -> None:
    """Assert that no label used meets the life of a predicted row, and the distances from it."""
    sessions, ends = lives(drawn, part.split.seen)
    first = int(part.predicted.session.min())
    own_ends = lives(drawn, keep_labelled(drawn.labels, part.predicted))[1]
    last_end = int(np.max(own_ends, initial=part.predicted.session.max()))
    is_before = sessions < first
    assert (ends[is_before] + drawn.horizon < first).all()
    assert (sessions[~is_before] > last_end + embargo).all()
    assert (~is_before).sum() == 0 or embargo >= drawn.horizon
    days = drawn.panel.sessions.astype(date)
    stretches = [
        (int(np.searchsorted(days, one)), int(np.searchsorted(days, other)))
        for one, other in part.trained
    ]
    for start, end in stretches:
        assert end < first or start > last_end
    covered = [
        any(a <= s and e <= b for a, b in stretches) for s, e in zip(sessions, ends, strict=True)
    ]
    assert all(covered)


def require_reasons(drawn: RandomPanel, part: Part, candidates: Rows, is_near: np.ndarray) -> None:
    """Assert that only near rows, and those whose label meets a later set, were left out."""
    usable = candidates.where(~is_near)
    positions = np.unique(usable.session)
    held_out = positions[len(positions) * 4 // 5 :]
    left_out = pairs(candidates) - pairs(part.split.seen)
    purged = split_reasons(drawn, usable, held_out) if len(held_out) else set()
    assert left_out == pairs(candidates.where(is_near)) | purged
    assert part.split.purged_rows == len(left_out)
    kept_out = np.concatenate((part.split.stopping.session, part.split.judging.session))
    assert np.isin(kept_out, held_out).all()
    half = len(held_out) // 2
    assert np.isin(part.split.stopping.session, held_out[:half]).all()
    assert set(part.split.judging.session.tolist()) == set(held_out[half:].tolist())


@ANY_FIXTURES
@given(drawn=random_panels(), data=st.data(), share=st.sampled_from((0.0, 0.01, 0.1, 0.2)))
@pytest.mark.usefixtures("any_number_of_rows")
def test_a_part_keeps_each_row_whose_label_meets_neither_its_block_nor_a_later_set(
    drawn: RandomPanel, data: st.DataObject, share: float
):
    block = draw_block(data, drawn)
    if not np.isin(drawn.rows.session, block).any():
        return  # nobody asks for a block without rows
    embargo = count_embargoed(drawn.horizon, share, drawn.n_sessions)
    part = cross_fit_part(drawn.panel, drawn.labels, drawn.rows, block, drawn.horizon, embargo)
    require_order(drawn, part.split)
    require_apart(drawn, part, embargo)
    is_predicted = np.isin(drawn.rows.session, block)
    assert pairs(part.predicted) == pairs(drawn.rows.where(is_predicted))
    candidates = keep_labelled(drawn.labels, drawn.rows.where(~is_predicted))
    sessions, ends = lives(drawn, candidates)
    exits = drawn.labels.label_end[part.predicted.symbol, part.predicted.session]
    exits = np.searchsorted(drawn.panel.sessions, exits[~np.isnat(exits)])
    last_end = int(np.max(exits, initial=block[-1] + drawn.horizon))
    is_near = np.where(
        sessions < block[0], ends + drawn.horizon >= block[0], sessions <= last_end + embargo
    )
    require_reasons(drawn, part, candidates, is_near)


@ANY_FIXTURES
@given(drawn=random_panels(), data=st.data())
@pytest.mark.usefixtures("any_number_of_rows")
def test_an_expanding_part_keeps_each_earlier_row_whose_label_meets_no_later_one(
    drawn: RandomPanel, data: st.DataObject
):
    block = draw_block(data, drawn)
    if not np.isin(drawn.rows.session, block).any():
        return  # nobody asks for a block without rows
    part = expanding_part(drawn.panel, drawn.labels, drawn.rows, block, drawn.horizon)
    require_order(drawn, part.split)
    require_apart(drawn, part, drawn.n_sessions)
    assert pairs(part.predicted) == pairs(drawn.rows.where(np.isin(drawn.rows.session, block)))
    candidates = keep_labelled(drawn.labels, drawn.rows.where(drawn.rows.session < block[0]))
    is_near = lives(drawn, candidates)[1] + drawn.horizon >= block[0]
    require_reasons(drawn, part, candidates, is_near)
