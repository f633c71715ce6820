from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.errors import DataError
from trading_assets.forecast.dataset import (
    LabelGrid,
    Panel,
    Rows,
    build_panel,
    find_usable,
    place_labels,
)
from trading_assets.forecast.labels import compute_labels
from trading_assets.forecast.purging import (
    cross_fit_part,
    keep_labelled,
    label_ends,
    split_at_validation,
)
from trading_assets_tests.features.synthetic_bars import NO_ACTIONS
from trading_assets_tests.forecast.planted_market import NAMES, make_market

MARKET = make_market(0.3)
EVERY_FEATURE = np.ones(len(NAMES), np.bool_)


def grid(horizon: int) -> tuple[Panel, LabelGrid, Rows]:
    panel = build_panel(MARKET.features, NAMES)
    labels = place_labels(panel, compute_labels(MARKET.bars, NO_ACTIONS, horizon), horizon)
    session, symbol = np.nonzero(find_usable(panel, EVERY_FEATURE).T)
    return panel, labels, Rows(symbol, session)


def test_no_train_label_reaches_validation_and_no_validation_label_the_test_window():
    panel, labels, rows = grid(5)
    split = split_at_validation(panel, labels, keep_labelled(labels, rows), MARKET.validation)
    first, last = np.datetime64(MARKET.validation[0]), np.datetime64(MARKET.validation[-1])
    assert label_ends(labels, split.train).max() == np.datetime64(MARKET.train[-1])
    assert panel.sessions[split.validation.session].min() == first
    assert label_ends(labels, split.validation).max() == last
    # The last five train sessions of three symbols have labels that end in validation.
    assert split.purged_rows == 15


@settings(max_examples=60, deadline=None)
@given(
    horizon=st.integers(1, 21),
    bounds=st.lists(st.integers(0, 499), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_no_label_of_a_part_meets_the_block_it_predicts(horizon: int, bounds: list[int]):
    panel, labels, rows = grid(horizon)
    block = np.arange(bounds[0], bounds[1] + 1)
    try:
        part = cross_fit_part(panel, labels, rows, block, horizon)
    except DataError:
        return  # too little is left to train on
    life_end = bounds[1] + horizon
    for used in (part.split.train, part.split.validation):
        ends = np.searchsorted(panel.sessions, label_ends(labels, used))
        is_before = ends < bounds[0] - horizon
        is_after = used.session > life_end + horizon
        assert (is_before | is_after).all()
        assert not np.isin(used.session, block).any()
    train_ends = label_ends(labels, part.split.train)
    assert train_ends.max() < panel.sessions[part.split.validation.session.min()]


def test_the_part_in_the_middle_lists_both_stretches_it_was_trained_on():
    panel, labels, rows = grid(5)
    part = cross_fit_part(panel, labels, rows, np.arange(200, 300), 5)
    days = panel.sessions.astype(date)
    assert len(part.trained) == 2
    assert part.trained[0] == (days[0], days[194])
    assert part.trained[1] == (days[310], days[499])
    assert sorted(set(part.predicted.session.tolist())) == list(range(200, 300))


def test_too_few_windows_say_how_many_there_are_and_what_to_change():
    panel, labels, rows = grid(5)
    few = keep_labelled(labels, rows).where(rows.session[: 3 * 495] > 290)
    with pytest.raises(DataError, match=r"12 train windows .* at least 50: raise folds.train_mon"):
        split_at_validation(panel, labels, few, MARKET.validation)


def test_a_symbol_with_missing_bars_is_purged_by_the_session_its_label_ends_on():
    is_gap = (pl.col("symbol") == "AAA") & pl.col("session").is_between(
        MARKET.train[-3], MARKET.validation[4]
    )
    bars = MARKET.bars.filter(~is_gap)
    panel = build_panel(MARKET.features.filter(~is_gap), NAMES)
    labels = place_labels(panel, compute_labels(bars, NO_ACTIONS, 5), 5)
    session, symbol = np.nonzero(find_usable(panel, EVERY_FEATURE).T)
    rows = keep_labelled(labels, Rows(symbol, session))
    split = split_at_validation(panel, labels, rows, MARKET.validation)
    own = split.train.where(split.train.symbol == 0)
    assert label_ends(labels, own).max() < np.datetime64(MARKET.train[-3])
