from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.catalogue import FEATURES, feature_names
from trading_assets.features.causality import draw_moments, find_leaks, find_leaks_of_months
from trading_assets.features.compute import compute_features
from trading_assets.features.scrambling import FeatureInputs, scramble, truncate
from trading_assets.features.windows import month_of
from trading_assets.schema import column_problems
from trading_assets_tests.features.synthetic_bars import (
    make_actions,
    make_bars,
    make_context,
    make_signal,
    weekdays,
)

BARS = make_bars(count=560)
SESSIONS = weekdays(date(2004, 1, 1), 560)
ACTIONS = make_actions(
    [
        ("AAA", SESSIONS[300], "split", 2.0, 0.0),
        ("BBB", SESSIONS[540], "dividend", 1.0, 0.7),
        ("AAA", SESSIONS[550], "split", 3.0, 0.0),
    ]
)
SERIES = make_signal(BARS, [float(k % 7) for k in range(BARS.height)])
INPUTS = FeatureInputs(BARS, ACTIONS, SERIES)
MOMENTS = [SESSIONS[k] for k in (500, 530, 539, 549, 555)]
MONTHS = sorted({session.replace(day=1) for session in SESSIONS})


def test_no_feature_of_the_catalogue_knows_the_future():
    spec = FeaturesSpec.model_validate(
        {
            "names": [
                *FEATURES,
                "rsi_9",
                "ta_kama",
                "ta_dpo",
                "fractional_difference_40",
                "up_bars_5",
            ],
            "module": "trading_assets_tests.features.own_examples",
        }
    )
    declared = sorted({name for feature in FEATURES.values() for name in feature.series})
    context = make_context(BARS, declared)
    known: set[str] = set()

    def compute(bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
        table = compute_features(bars, actions, series, spec, SESSIONS[490:])
        known.update(name for name in table.columns if table[name].null_count() < table.height)
        return table

    assert find_leaks(compute, BARS, ACTIONS, context, MOMENTS) == []
    assert known >= set(feature_names(spec))


def test_rows_that_depend_on_the_future_are_found():
    def compute(bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
        del actions, series
        last = bars["session"].max()
        return bars.filter(pl.lit(last == SESSIONS[-1]) | (pl.col("symbol") == "AAA")).select(
            "symbol", "session", "close"
        )

    leaks = find_leaks(compute, BARS, ACTIONS, SERIES, MOMENTS[:1])
    assert leaks[0].startswith("rows or columns up to")


# What each column of the table becomes once it knows how many bars there are.
LEAKING_COLUMNS = {
    "event_time": pl.col("event_time") + pl.duration(seconds=pl.len()),
    "knowledge_time": pl.col("knowledge_time").max(),
    "value": pl.when(pl.len() % 2 == 0).then(0.0).otherwise(-0.0),
    "missing": pl.when(pl.len() == BARS.height).then(pl.lit(float("nan"))),
    "flag": pl.len() == BARS.height,
}


@pytest.mark.parametrize("name", LEAKING_COLUMNS)
def test_a_key_time_a_sign_of_zero_and_a_null_count_as_changes(name: str):
    # One bar less, so that removing an even number of bars changes the parity.
    bars = BARS.head(-1)

    def compute(bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
        del actions, series
        return bars.with_columns(LEAKING_COLUMNS[name].alias(name)).select(
            *{"symbol": 0, "session": 0, "event_time": 0, "knowledge_time": 0, name: 0}
        )

    whole = BARS if name in ("missing", "flag") else bars
    leaks = find_leaks(compute, whole, ACTIONS, SERIES, [SESSIONS[530]])
    assert leaks
    assert all(leak.startswith(f"{name} of AAA on {SESSIONS[0]}") for leak in leaks)


def test_a_column_whose_type_knows_the_future_is_found():
    def compute(bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
        del actions, series
        dtype = pl.Float64 if bars["session"].max() == SESSIONS[-1] else pl.Float32
        return bars.select("symbol", "session", pl.lit(1.0, dtype).alias("one"))

    leaks = find_leaks(compute, BARS, ACTIONS, SERIES, [SESSIONS[530]])
    assert leaks[0].startswith("rows or columns up to")


@pytest.mark.parametrize("is_known", [True, False])
def test_a_symbol_that_appears_later_must_not_show_earlier(is_known: bool):
    listed = SESSIONS[540]
    late = BARS.filter((pl.col("symbol") == "BBB") & (pl.col("session") >= listed))
    bars = pl.concat([BARS, late.with_columns(pl.lit("NEW").alias("symbol"))])

    def compute(bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
        del actions, series
        universe = pl.col("symbol").n_unique()
        return bars.select(
            "symbol", "session", (universe if is_known else universe.over("session")).alias("size")
        )

    leaks = find_leaks(compute, bars, ACTIONS, SERIES, [SESSIONS[530]])
    assert bool(leaks) == is_known
    assert all(leak.startswith("size of AAA") for leak in leaks)
    assert bool(find_leaks(compute, BARS, ACTIONS, SERIES, [SESSIONS[530]])) == is_known


def test_the_moments_are_three_in_the_newest_month_and_in_two_others():
    moments = draw_moments(SESSIONS, MONTHS)
    months = [month_of(moment) for moment in moments]
    assert len(set(moments)) == 9
    assert sorted({month: months.count(month) for month in months}.values()) == [3, 3, 3]
    assert max(months) == MONTHS[-1]
    assert max(moments) < SESSIONS[-1]
    assert draw_moments(reversed(SESSIONS), reversed(MONTHS)) == moments
    assert draw_moments(SESSIONS, MONTHS[1:]) != moments


@pytest.mark.parametrize("month", MONTHS[:-1])
def test_a_month_has_a_moment_where_a_week_or_month_ends_and_others_inside(month: date):
    moments = draw_moments(SESSIONS, [month])
    followers = [SESSIONS[SESSIONS.index(moment) + 1] for moment in moments]
    ends = [
        follower - moment > timedelta(days=1) or month_of(follower) != month
        for moment, follower in zip(moments, followers, strict=True)
    ]
    assert {month_of(moment) for moment in moments} == {month}
    assert len(set(moments)) == 3
    assert any(ends)


def test_moments_are_spread_over_sessions_and_months():
    alone = {moment.day for month in MONTHS for moment in draw_moments(SESSIONS, [month])}
    assert len(alone) >= 20
    ranges = [draw_moments(SESSIONS, MONTHS[place:]) for place in range(2, 20)]
    drawn = {month_of(moment) for moments in ranges for moment in moments}
    assert len(drawn) >= 12


def test_a_month_of_one_session_is_tried_by_the_month_before():
    first = max(day for day in SESSIONS if SESSIONS[SESSIONS.index(day) - 1].month != day.month)
    held = [day for day in SESSIONS if day <= first]
    moments = draw_moments(held, [month_of(first)])
    assert {month_of(moment) for moment in moments} == {MONTHS[-2]}
    assert draw_moments(SESSIONS[:1], [MONTHS[0]]) == []
    assert draw_moments([], [MONTHS[0]]) == []
    assert draw_moments(SESSIONS, []) == []


def test_a_month_is_computed_as_it_is_stored_with_a_future_to_misuse():
    asked: list[tuple[date, date, date, date]] = []

    def compute(bars, actions, series, sessions) -> pl.DataFrame:
        del actions, series
        held = bars["session"]
        asked.append((held.min(), held.max(), sessions[0], sessions[-1]))
        return bars.select("symbol", "session").filter(pl.col("session").is_in(sessions))

    month, moment = date(2005, 6, 1), date(2005, 6, 15)
    inputs = FeatureInputs(make_bars(count=900), ACTIONS, SERIES)
    assert find_leaks_of_months(compute, inputs, [moment]) == []
    whole, truncated, scrambled = asked
    assert whole == (date(2004, 1, 1), date(2005, 12, 30), month, date(2005, 6, 30))
    assert truncated == (date(2004, 1, 1), moment, month, moment)
    assert scrambled[1] > date(2005, 12, 1)
    assert scrambled[3] > moment


def test_a_scramble_changes_everything_later_and_nothing_earlier():
    moment = SESSIONS[500]
    after = pl.col("session") > moment
    other = scramble(INPUTS, moment, np.random.default_rng(3))
    assert truncate(other, moment).bars.equals(truncate(INPUTS, moment).bars)
    assert truncate(other, moment).actions.equals(truncate(INPUTS, moment).actions)
    assert truncate(other, moment).series.equals(truncate(INPUTS, moment).series)
    for name in ("validated_bars", "corporate_actions", "series"):
        table = {"validated_bars": other.bars, "series": other.series}.get(name, other.actions)
        assert column_problems(name, table) == []
    later, before = other.bars.filter(after), BARS.filter(after)
    pairs = later.join(before, on=["symbol", "session"], suffix="_was")
    for name in ("open", "high", "low", "close", "volume", "knowledge_time"):
        assert (pairs[name] != pairs[f"{name}_was"]).mean() > 0.99
    assert (later["low"] <= later[["open", "close"]].min_horizontal()).all()
    assert (later["high"] >= later[["open", "close"]].max_horizontal()).all()
    assert (later["knowledge_time"] >= later["event_time"]).all()
    assert 0 < pairs.height < before.height
    assert later["session"].n_unique() < before["session"].n_unique()
    assert len(set(later["symbol"]) - set(before["symbol"])) == 1


def test_a_scramble_has_other_actions_and_other_news():
    moment = SESSIONS[500]
    after = pl.col("session") > moment
    other = scramble(INPUTS, moment, np.random.default_rng(3))
    actions = other.actions.filter(pl.col("ex_date") > moment)
    assert set(actions["kind"]) == {"split", "dividend"}
    assert (actions.filter(pl.col("kind") == "dividend")["cash_usd"] > 0.0).all()
    assert set(actions["symbol"]) >= {"AAA", "BBB"}
    assert not set(actions.rows()) & set(ACTIONS.rows())
    news = other.series.filter(after)
    pairs = news.filter(pl.col("revision") == 0).join(
        SERIES, on=["symbol", "event_time"], suffix="_was"
    )
    assert 0 < pairs.height < SERIES.filter(after).height
    for name in ("value", "knowledge_time"):
        assert (pairs[name] != pairs[f"{name}_was"]).mean() > 0.99
    assert (pairs["session"] != pairs["session_was"]).mean() > 0.7
    revised = news.filter(pl.col("revision") > 0)
    assert revised.height > 0
    assert (revised["event_time"].dt.date() <= moment).all()
    assert (revised["knowledge_time"].dt.date() > moment).all()


def test_a_scramble_at_the_last_session_keeps_the_bars():
    other = scramble(INPUTS, SESSIONS[-1], np.random.default_rng(3))
    assert other.bars.equals(BARS)
    assert other.actions.equals(ACTIONS)
