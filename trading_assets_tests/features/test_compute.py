from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.adjustment import adjust_forward, list_actions
from trading_assets.features.catalogue import FEATURES, feature_names, warm_up_bars
from trading_assets.features.compute import compute_features, compute_month, require_history
from trading_assets.features.windows import LOOKBACK_MONTHS, VOLATILITY_COLUMN, shift_month
from trading_assets.schema import TABLES
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    NO_SERIES,
    make_actions,
    make_bars,
    make_context,
    make_signal,
    split_bars,
    weekdays,
)

SPEC = FeaturesSpec()
BARS = make_bars(count=720)
ACTIONS = make_actions(
    [
        ("AAA", date(2005, 6, 1), "split", 2.0, 0.0),
        ("BBB", date(2005, 9, 1), "dividend", 1.0, 0.4),
    ]
)
CONTEXT = make_context(BARS, sorted({name for f in FEATURES.values() for name in f.series}))
SESSIONS = weekdays(date(2004, 1, 1), 720)
LAST_MONTH = SESSIONS[-1].replace(day=1)


def test_a_month_has_the_same_bytes_alone_in_a_range_and_in_any_order():
    months = [shift_month(date(2005, 3, 1), k) for k in range(14)]
    in_range = compute_features(
        BARS, ACTIONS, NO_SERIES, SPEC, [s for s in SESSIONS if s >= date(2005, 3, 1)]
    )
    for index in np.random.default_rng(3).permutation(len(months)):
        month = months[index]
        end = shift_month(month, 1)
        only = BARS.filter(
            pl.col("session").is_between(shift_month(month, -LOOKBACK_MONTHS), end, "left")
        )
        shuffled = only.sample(fraction=1.0, shuffle=True, seed=int(index))
        alone = compute_month(shuffled, ACTIONS, NO_SERIES, SPEC, month)
        same = in_range.filter(pl.col("session").is_between(month, end, "left"))
        assert alone.equals(same)
        assert alone.height == same.height > 0


def test_the_decision_session_has_the_bytes_of_its_whole_month():
    session = SESSIONS[-8]
    month = compute_month(BARS, ACTIONS, NO_SERIES, SPEC, session.replace(day=1))
    known = BARS.filter(pl.col("session") <= session)
    alone = compute_features(known, ACTIONS, NO_SERIES, SPEC, [session])
    assert alone.equals(month.filter(pl.col("session") == session))


def test_columns_are_the_declared_ones_in_float32():
    table = compute_month(BARS, ACTIONS, NO_SERIES, SPEC, LAST_MONTH)
    keys = TABLES["features"].names
    assert table.columns == [*keys, VOLATILITY_COLUMN, *feature_names(SPEC)]
    assert set(table.drop(keys).dtypes) == {pl.Float32}
    assert table.select(["symbol", "session"]).is_unique().all()


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_is_null_exactly_until_its_warm_up(name: str):
    spec = FeaturesSpec(names=(name,))
    needed = warm_up_bars(name, spec)
    bars = BARS.filter(pl.col("symbol") == "AAA").sort("session").tail(needed + 2)
    sessions = bars["session"].to_list()
    table = compute_features(bars, NO_ACTIONS, CONTEXT, spec, sessions)
    is_known = table[name].is_not_null().to_list()
    # The window starts with the months before, so only its last month's rows see all bars.
    assert is_known[needed - 1 :] == [True] * 3
    if needed > 1:
        assert not any(is_known[: needed - 1])


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_ignores_bars_older_than_lookback_and_scaling(name: str):
    spec = FeaturesSpec(names=(name,), scale_bars=100)
    session = SESSIONS[-1]
    reach = FEATURES[name].lookback_bars + (99 if FEATURES[name].is_scaled else 0)
    long = BARS.filter(pl.col("symbol") == "BBB").sort("session")
    older = long.with_row_index("row").with_columns(
        pl.when(pl.col("row") < long.height - reach)
        .then(pl.col(column) * 3.7)
        .otherwise(pl.col(column))
        .alias(column)
        for column in ("open", "high", "low", "close", "volume")
    )
    short = long.tail(reach)
    values = [
        compute_features(bars, NO_ACTIONS, CONTEXT, spec, [session])[name].item()
        for bars in (long, older.drop("row"), short)
    ]
    assert values[1] == pytest.approx(values[0], abs=2e-5)
    assert values[2] == pytest.approx(values[0], abs=2e-5)


def test_a_later_action_changes_no_earlier_row():
    ex_date = SESSIONS[-10]
    later = pl.concat([ACTIONS, make_actions([("AAA", ex_date, "split", 3.0, 0.0)])])
    month = ex_date.replace(day=1)
    before = compute_month(BARS, ACTIONS, NO_SERIES, SPEC, month)
    after = compute_month(BARS, later, NO_SERIES, SPEC, month)
    is_earlier = pl.col("session") < ex_date
    assert after.filter(is_earlier).equals(before.filter(is_earlier))
    assert not after.equals(before)


def test_the_adjustment_keeps_every_earlier_price_to_the_last_bit():
    own = BARS.filter(pl.col("symbol") == "AAA").sort("session")
    first = ("AAA", SESSIONS[50], "dividend", 1.0, 0.37)
    later = ("AAA", SESSIONS[400], "dividend", 1.0, 0.91)
    one, both = (
        adjust_forward(own, list_actions(make_actions(rows))["AAA"])
        for rows in ([first], [first, later])
    )
    for name in ("open", "high", "low", "close", "volume", "log_return", "overnight_gap"):
        before, after = getattr(one, name), getattr(both, name)
        np.testing.assert_array_equal(before[:400], after[:400])
    np.testing.assert_array_equal(one.close[:50], own["close"].to_numpy()[:50])
    assert both.close[400] > one.close[400]


def test_a_split_leaves_every_feature_as_without_it():
    ex_date = SESSIONS[-30]
    split = split_bars(BARS, "AAA", ex_date, 4.0)
    actions = make_actions([("AAA", ex_date, "split", 4.0, 0.0)])
    spec = FeaturesSpec()
    plain = compute_month(BARS, NO_ACTIONS, NO_SERIES, spec, LAST_MONTH)
    adjusted = compute_month(split, actions, NO_SERIES, spec, LAST_MONTH)
    for name in set(feature_names(spec)) - {"bars_since_action"}:
        np.testing.assert_allclose(adjusted[name], plain[name], atol=1e-5, err_msg=name)


def test_a_dividend_counts_in_the_total_return():
    session = SESSIONS[-3]
    spec = FeaturesSpec(names=("log_return_1",))
    own = BARS.filter(pl.col("symbol") == "AAA").sort("session")
    closes = own["close"].to_numpy()
    row = own["session"].to_list().index(session)
    actions = make_actions([("AAA", session, "dividend", 1.0, 5.0)])
    bars = adjust_forward(own, list_actions(actions)["AAA"])
    assert bars.log_return[row] == pytest.approx(np.log((closes[row] + 5.0) / closes[row - 1]))
    assert np.diff(np.log(bars.close))[row - 1] == pytest.approx(bars.log_return[row])
    table = compute_features(BARS, actions, NO_SERIES, spec, [session])
    assert table.filter(pl.col("symbol") == "AAA")["log_return_1"].item() > 2.0


def test_a_dividend_and_a_split_of_one_day_are_both_per_old_share():
    own = BARS.filter(pl.col("symbol") == "AAA").sort("session")
    day = own["session"][5]
    actions = make_actions([("AAA", day, "split", 2.0, 0.0), ("AAA", day, "dividend", 1.0, 1.0)])
    bars = adjust_forward(own, list_actions(actions)["AAA"])
    closes = own["close"].to_numpy()
    assert bars.log_return[5] == pytest.approx(np.log((closes[5] * 2.0 + 1.0) / closes[4]))


def test_the_signal_is_the_newest_value_known_with_the_bar():
    rng = np.random.default_rng(0)
    first = make_signal(BARS, rng.normal(size=BARS.height))
    known_revision = first.head(BARS.height // 2).with_columns(
        pl.lit(1, pl.Int32).alias("revision"), pl.lit(7.0).alias("value")
    )
    late_revision = first.with_columns(
        pl.lit(2, pl.Int32).alias("revision"),
        pl.col("knowledge_time") + timedelta(seconds=1),
        pl.lit(-9.0).alias("value"),
    )
    series = pl.concat([late_revision, first, known_revision])
    spec = FeaturesSpec(names=("signal",))
    table = compute_month(BARS, NO_ACTIONS, series, spec, LAST_MONTH)
    # The first half of the rows is symbol AAA, which was revised in time.
    assert set(table.filter(pl.col("symbol") == "AAA")["signal"]) == {7.0}
    wanted = first.filter((pl.col("symbol") == "BBB") & (pl.col("session") >= LAST_MONTH)).sort(
        "session"
    )
    found = table.filter(pl.col("symbol") == "BBB")["signal"]
    np.testing.assert_allclose(found, wanted["value"], rtol=1e-6)


def test_the_signal_is_null_where_the_data_set_has_none():
    spec = FeaturesSpec(names=("signal", "log_return_1"))
    table = compute_month(BARS, NO_ACTIONS, NO_SERIES, spec, LAST_MONTH)
    assert table["signal"].is_null().all()
    assert table["log_return_1"].is_not_null().all()


def test_constant_prices_and_volumes_give_no_infinite_value():
    flat = BARS.with_columns(pl.lit(10.0).alias(c) for c in ("open", "high", "low", "close"))
    flat = flat.with_columns(pl.lit(1000.0).alias("volume"))
    table = compute_month(flat, NO_ACTIONS, NO_SERIES, SPEC, LAST_MONTH)
    for name in feature_names(SPEC):
        assert table[name].drop_nulls().is_finite().all()
    assert set(table["log_return_21"]) == {0.0}
    assert set(table["volume_z_63"]) == {0.0}


def test_scaled_values_stay_within_the_clip():
    is_last = pl.col("session") == SESSIONS[-1]
    crowded = BARS.with_columns(
        pl.when(is_last).then(1e9).otherwise(pl.col("volume")).alias("volume")
    )
    table = compute_month(crowded, ACTIONS, CONTEXT, SPEC, LAST_MONTH)
    largest = table.select(pl.col(feature_names(SPEC)).abs().max())
    assert largest.max_horizontal().item() == 5.0


def test_a_month_without_bars_is_an_empty_table_of_the_same_columns():
    table = compute_month(BARS, ACTIONS, NO_SERIES, SPEC, date(2030, 1, 1))
    full = compute_month(BARS, ACTIONS, NO_SERIES, SPEC, LAST_MONTH)
    assert table.height == 0
    assert table.schema == full.schema


def test_too_little_history_says_how_many_bars_are_needed_and_held():
    needed = max(warm_up_bars(name, SPEC) for name in feature_names(SPEC))
    require_history(BARS, SPEC, SESSIONS[-1])
    short = BARS.filter(pl.col("session") > SESSIONS[-200])
    with pytest.raises(DataError, match=f"AAA has 199 bars .* expected at least {needed}"):
        require_history(short, SPEC, SESSIONS[-1])


def test_two_bars_of_one_session_are_refused():
    twice = pl.concat([BARS, BARS.tail(1)])
    with pytest.raises(DataError, match="BBB hold a session twice"):
        compute_month(twice, ACTIONS, NO_SERIES, SPEC, LAST_MONTH)
