from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.forecast.labels import compute_labels
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    make_actions,
    make_bars,
    split_bars,
    weekdays,
)

BARS = make_bars(("AAA", "BBB"), 30)
DAYS = weekdays(date(2004, 1, 1), 30)


def own(labels: pl.DataFrame, row: int) -> dict[str, object]:
    return labels.filter((pl.col("symbol") == "AAA") & (pl.col("session") == DAYS[row])).row(
        0, named=True
    )


def test_a_label_enters_at_the_next_open_and_exits_at_the_close_of_the_horizon():
    label = own(compute_labels(BARS, NO_ACTIONS, 5), 10)
    rows = BARS.filter(pl.col("symbol") == "AAA")
    expected = rows["close"][15] / rows["open"][11] - 1.0
    assert label["forward_return"] == pytest.approx(expected, rel=1e-12)
    assert (label["label_start"], label["label_end"]) == (DAYS[11], DAYS[15])


def test_a_one_bar_label_lives_one_session():
    label = own(compute_labels(BARS, NO_ACTIONS, 1), 10)
    rows = BARS.filter(pl.col("symbol") == "AAA")
    assert label["forward_return"] == pytest.approx(rows["close"][11] / rows["open"][11] - 1.0)
    assert label["label_start"] == label["label_end"] == DAYS[11]


def test_rows_whose_exit_is_not_known_have_no_label():
    labels = compute_labels(BARS, NO_ACTIONS, 5)
    assert labels["session"].max() == DAYS[24]
    assert labels.height == 2 * 25


def test_a_split_during_the_holding_changes_no_label():
    plain = compute_labels(BARS, NO_ACTIONS, 5)
    split = split_bars(BARS, "AAA", DAYS[13], 2.0)
    actions = make_actions([("AAA", DAYS[13], "split", 2.0, 0.0)])
    adjusted = compute_labels(split, actions, 5)
    np.testing.assert_allclose(adjusted["forward_return"], plain["forward_return"], atol=1e-12)


@pytest.mark.parametrize(
    ("ex_row", "is_earned"), [(11, False), (12, True), (15, True), (16, False)]
)
def test_a_dividend_is_earned_after_the_entry_up_to_the_exit(ex_row: int, is_earned: bool):
    actions = make_actions([("AAA", DAYS[ex_row], "dividend", 1.0, 1.0)])
    plain = own(compute_labels(BARS, NO_ACTIONS, 5), 10)["forward_return"]
    paid = own(compute_labels(BARS, actions, 5), 10)["forward_return"]
    assert (paid > plain + 0.005) is is_earned
    if not is_earned:
        assert paid == pytest.approx(plain, abs=1e-12)


def test_a_series_shorter_than_the_horizon_has_no_labels():
    assert compute_labels(BARS.head(4), NO_ACTIONS, 5).height == 0
