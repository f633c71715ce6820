from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.features.windows import VOLATILITY_COLUMN
from trading_assets.forecast.barriers import label_panel
from trading_assets.forecast.class_rules import BarrierRule, classify_rows
from trading_assets.forecast.dataset import LabelGrid, Panel, Paths, Rows, build_panel
from trading_assets.forecast.purging import keep_labelled
from trading_assets.forecast_specs import ForecastSpec
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    make_actions,
    make_bars,
    split_bars,
    weekdays,
)

HORIZON = 5
SPEC = ForecastSpec(labels="triple_barrier", horizon_bars=HORIZON)
DAYS = weekdays(date(2004, 1, 1), 60)
BARS = make_bars(("AAA", "BBB"), 60)
PRICES = ("open", "high", "low", "close")


def panel_of(bars: pl.DataFrame, volatility: float = 0.01) -> Panel:
    features = bars.select(
        "symbol", "session", pl.lit(volatility, pl.Float64).alias(VOLATILITY_COLUMN)
    )
    return build_panel(features, (VOLATILITY_COLUMN,))


def label(
    bars: pl.DataFrame, actions: pl.DataFrame = NO_ACTIONS, panel: Panel | None = None
) -> LabelGrid:
    return label_panel(panel_of(bars) if panel is None else panel, bars, actions, SPEC)


def paths_of(labels: LabelGrid) -> Paths:
    assert labels.paths is not None
    return labels.paths


def scramble(bars: pl.DataFrame, is_changed: pl.Expr) -> pl.DataFrame:
    """Return the bars with other, possible prices where `is_changed` holds."""
    factor = pl.Series(np.random.default_rng(3).uniform(0.3, 3.0, bars.height))
    return bars.with_columns(
        pl.when(is_changed).then(pl.col(name) * factor).otherwise(pl.col(name)).alias(name)
        for name in PRICES
    )


def test_paths_are_the_farthest_moves_from_the_entry_in_volatilities_of_the_horizon():
    labels = label(BARS)
    rows = BARS.filter(pl.col("symbol") == "AAA")
    entry, unit = rows["open"][11], 0.01 * np.sqrt(HORIZON)
    for bar in range(HORIZON):
        high = rows["high"][11 : 12 + bar].max()
        low = rows["low"][11 : 12 + bar].min()
        found = paths_of(labels)
        assert found.high[0, 10, bar] == pytest.approx((high / entry - 1.0) / unit, rel=1e-12)
        assert found.low[0, 10, bar] == pytest.approx((low / entry - 1.0) / unit, rel=1e-12)


def test_the_return_at_the_horizon_lies_within_the_path():
    labels = label(BARS)
    paths, known = paths_of(labels), ~np.isnan(labels.scaled_return)
    assert known.sum() == 2 * 55
    assert (labels.scaled_return <= paths.high[:, :, -1] + 1e-12)[known].all()
    assert (labels.scaled_return >= paths.low[:, :, -1] - 1e-12)[known].all()
    assert (np.isnan(paths.high[:, :, 0]) == ~known).all()
    assert (np.isnan(paths.low[:, :, -1]) == ~known).all()


def test_a_label_ends_at_the_vertical_barrier_though_another_was_touched_first():
    labels = label(BARS)
    fixed = label_panel(
        panel_of(BARS), BARS, NO_ACTIONS, SPEC.model_copy(update={"labels": "fixed_horizon"})
    )
    assert fixed.paths is None
    np.testing.assert_array_equal(labels.label_end, fixed.label_end)
    np.testing.assert_array_equal(labels.scaled_return, fixed.scaled_return)
    rows = keep_labelled(labels, Rows(np.zeros(60, np.int64), np.arange(60)))
    found = classify_rows(BarrierRule(width=0.2), labels, rows, HORIZON)
    assert (found.life_bars < HORIZON).mean() > 0.5
    assert labels.label_end[0, 10] == np.datetime64(DAYS[15])


def test_a_row_that_is_not_over_has_no_label_however_far_it_went():
    is_last = pl.col("session") > DAYS[55]
    crash = BARS.with_columns(
        pl.when(is_last).then(pl.col("low") * 0.1).otherwise(pl.col("low")).alias("low")
    )
    labels = label(crash)
    rows = keep_labelled(labels, Rows(np.zeros(60, np.int64), np.arange(60)))
    assert rows.session.max() == 54
    assert np.isnan(paths_of(labels).low[:, 55:]).all()
    one_more = BARS.filter(pl.col("session") <= DAYS[58])
    assert np.isnan(paths_of(label(one_more)).high[:, 54]).all()


@pytest.mark.parametrize("row", [10, 30])
def test_bars_after_the_end_of_a_label_change_nothing(row: int):
    later = scramble(BARS, pl.col("session") > DAYS[row + HORIZON])
    before, after = label(BARS), label(later)
    for name in ("high", "low"):
        one, other = (getattr(paths_of(labels), name) for labels in (before, after))
        np.testing.assert_array_equal(one[:, : row + 1], other[:, : row + 1])
        assert (one[:, row + 1 : 55] != other[:, row + 1 : 55]).any()
    known = slice(0, row + 1)
    np.testing.assert_array_equal(before.scaled_return[:, known], after.scaled_return[:, known])
    np.testing.assert_array_equal(before.label_end, after.label_end)
    rows = Rows(np.repeat([0, 1], row + 1), np.tile(np.arange(row + 1), 2))
    one, other = (classify_rows(BarrierRule(width=0.7), g, rows, HORIZON) for g in (before, after))
    np.testing.assert_array_equal(one.classes, other.classes)
    np.testing.assert_array_equal(one.life_bars, other.life_bars)
    assert len(set(one.classes.tolist())) == 3


@pytest.mark.parametrize("row", [10, 30])
def test_bars_up_to_the_decision_change_nothing_but_through_volatility(row: int):
    earlier = scramble(BARS, pl.col("session") <= DAYS[row])
    panel = panel_of(BARS)
    before, after = label(BARS, panel=panel), label(earlier, panel=panel)
    for name in ("high", "low"):
        one, other = (getattr(paths_of(labels), name) for labels in (before, after))
        np.testing.assert_array_equal(one[:, row:], other[:, row:])
        assert (one[:, :row] != other[:, :row]).any()
    np.testing.assert_array_equal(before.scaled_return[:, row:], after.scaled_return[:, row:])


def test_every_bar_of_the_life_counts():
    for bar in range(1, HORIZON + 1):
        spike = BARS.with_columns(
            pl.when(pl.col("session") == DAYS[10 + bar])
            .then(pl.col("high") * 2.0)
            .otherwise(pl.col("high"))
            .alias("high")
        )
        rose = paths_of(label(spike)).high[0, 10] > 10.0
        assert rose.tolist() == [step >= bar for step in range(1, HORIZON + 1)]


def test_paths_are_in_units_of_the_volatility_at_the_decision():
    twice = paths_of(label(BARS, panel=panel_of(BARS, 0.02)))
    np.testing.assert_allclose(twice.high * 2.0, paths_of(label(BARS)).high, rtol=1e-12)
    panel = panel_of(BARS)
    panel.volatility[0, 10:12] = (0.0, np.nan)
    labels = label(BARS, panel=panel)
    assert np.isnan(paths_of(labels).high[0, 10:12]).all()
    assert np.isnan(labels.scaled_return[0, 10:12]).all()


def test_a_split_during_the_holding_changes_no_path():
    actions = make_actions([("AAA", DAYS[13], "split", 2.0, 0.0)])
    split = label(split_bars(BARS, "AAA", DAYS[13], 2.0), actions)
    np.testing.assert_allclose(paths_of(split).high, paths_of(label(BARS)).high, atol=1e-10)
    np.testing.assert_allclose(paths_of(split).low, paths_of(label(BARS)).low, atol=1e-10)


@pytest.mark.parametrize(
    ("ex_row", "is_earned"), [(10, False), (11, False), (12, True), (16, False)]
)
def test_a_dividend_lifts_the_path_after_the_entry_up_to_the_exit(ex_row: int, is_earned: bool):
    actions = make_actions([("AAA", DAYS[ex_row], "dividend", 1.0, 25.0)])
    plain, paid = paths_of(label(BARS)), paths_of(label(BARS, actions))
    assert bool(paid.high[0, 10, -1] > plain.high[0, 10, -1] + 1.0) is is_earned
    assert paid.high[0, 10, 0] == pytest.approx(plain.high[0, 10, 0])
    if not is_earned:
        np.testing.assert_allclose(paid.low[0, 10], plain.low[0, 10], atol=1e-10)
    np.testing.assert_allclose(paid.low[1], plain.low[1], atol=0)


def test_a_path_follows_the_symbols_own_bars():
    is_gap = (pl.col("symbol") == "AAA") & pl.col("session").is_between(DAYS[12], DAYS[20])
    panel = panel_of(BARS)
    found = paths_of(label(BARS.filter(~is_gap), panel=panel))
    rows = BARS.filter((pl.col("symbol") == "AAA") & ~is_gap)
    assert rows["session"][12] == DAYS[21]
    unit = 0.01 * np.sqrt(HORIZON)
    expected = (rows["high"][11:16].max() / rows["open"][11] - 1.0) / unit
    assert found.high[0, 10, -1] == pytest.approx(expected)
    assert np.isnan(found.high[0, 12:21]).all()
    short = label(BARS.filter((pl.col("symbol") == "BBB") | (pl.col("session") < DAYS[5])))
    assert np.isnan(paths_of(short).high[0]).all()
