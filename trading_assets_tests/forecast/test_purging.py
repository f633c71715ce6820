from collections.abc import Iterable
from datetime import date

import numpy as np
import polars as pl
import pytest

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
from trading_assets.forecast.parts import cross_fit_part, expanding_part
from trading_assets.forecast.purging import (
    count_embargoed,
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


def test_no_label_reaches_into_what_stops_or_judges_or_into_the_test_window():
    panel, labels, rows = grid(5)
    split = split_at_validation(panel, labels, keep_labelled(labels, rows), MARKET.validation)
    first, last = np.datetime64(MARKET.validation[0]), np.datetime64(MARKET.validation[-1])
    middle = np.datetime64(MARKET.validation[50])
    assert label_ends(labels, split.train).max() == np.datetime64(MARKET.train[-1])
    assert panel.sessions[split.stopping.session.min()] == first
    assert label_ends(labels, split.stopping).max() == np.datetime64(MARKET.validation[49])
    assert panel.sessions[split.judging.session.min()] == middle
    assert label_ends(labels, split.judging).max() == last
    # The last five sessions of each of the three sets, of three symbols.
    assert split.purged_rows == 45


def test_the_odd_session_of_a_validation_window_judges():
    panel, labels, rows = grid(2)
    split = split_at_validation(panel, labels, keep_labelled(labels, rows), MARKET.validation[:41])
    stopping, judging = (np.unique(s.session) - 300 for s in (split.stopping, split.judging))
    assert stopping.tolist() == list(range(18))
    assert judging.tolist() == list(range(20, 39))


def test_the_part_in_the_middle_lists_both_stretches_it_was_trained_on():
    panel, labels, rows = grid(5)
    part = cross_fit_part(panel, labels, rows, np.arange(200, 300), 5, 8)
    days = panel.sessions.astype(date)
    # The last label of the block ends on session 304; eight more are embargoed.
    assert part.trained == [(days[0], days[194]), (days[313], days[499])]
    assert sorted(set(part.predicted.session.tolist())) == list(range(200, 300))
    # Labels end before session 195 and by the last one: 190 and 182 sessions are used.
    held_out = np.concatenate((np.arange(190), np.arange(313, 495)))[int(0.8 * 372) :]
    sets = [
        sorted(set(rows.session.tolist())) for rows in (part.split.stopping, part.split.judging)
    ]
    assert sets == [held_out[: 37 - 5].tolist(), held_out[37:].tolist()]
    assert len(part.split.train) == 3 * (372 - 75 - 5)
    assert part.split.purged_rows == 3 * (10 + 13 + 5 + 5)


def test_an_expanding_part_is_trained_on_earlier_rows_only():
    panel, labels, rows = grid(5)
    part = expanding_part(panel, labels, rows, np.arange(200, 300), 5)
    days = panel.sessions.astype(date)
    assert part.trained == [(days[0], days[194])]
    assert sorted(set(part.predicted.session.tolist())) == list(range(200, 300))
    assert part.split.seen.session.max() == 189
    with pytest.raises(DataError, match=r"^0 train windows have .* raise folds.train_months"):
        expanding_part(panel, labels, rows, np.arange(100), 5)


@pytest.mark.parametrize(
    ("horizon", "share", "expected"), [(5, 0.01, 5), (5, 0.01001, 6), (5, 0.05, 25), (63, 0.01, 63)]
)
def test_the_embargo_is_a_share_of_the_window_but_at_least_the_horizon(
    horizon: int, share: float, expected: int
):
    assert count_embargoed(horizon, share, 500) == expected


@pytest.mark.parametrize(
    ("sessions", "message"),
    [
        (
            range(291, 400),
            r"^12 train windows .* at least 50: raise folds.train_months .*challenger_sessions",
        ),
        ([*range(250), *range(346, 400)], r"^0 stopping windows .* 5: raise folds.validation_m"),
        (
            [*range(338)],
            r"^0 judging windows .* least 5: raise folds.validation_months .*, or lower",
        ),
    ],
)
def test_too_few_windows_say_of_which_set_how_many_and_what_to_change(
    sessions: Iterable[int], message: str
):
    panel, labels, rows = grid(5)
    few = keep_labelled(labels, rows.where(np.isin(rows.session, list(sessions))))
    with pytest.raises(DataError, match=message):
        split_at_validation(panel, labels, few, MARKET.validation)


def test_too_few_windows_of_a_part_ask_for_a_longer_train_window():
    panel, labels, rows = grid(5)
    few = rows.where(rows.session < 60)
    with pytest.raises(DataError, match=r"^0 stopping windows .* least 5: raise folds.train_mon"):
        cross_fit_part(panel, labels, few, np.arange(25, 30), 5, 5)


def test_no_validation_sessions_are_refused():
    panel, labels, rows = grid(5)
    with pytest.raises(DataError, match="validation sessions were empty"):
        split_at_validation(panel, labels, rows, [])


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
