"""Bars one session after the other give the features of the whole table, to the last bit."""

from collections.abc import Iterable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from trading_assets.errors import DataError
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.catalogue import FEATURES
from trading_assets.features.compute import compute_features
from trading_assets.features.online import OnlineFeatures
from trading_assets.features.scrambling import FeatureInputs
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    NO_SERIES,
    make_actions,
    make_bars,
    make_context,
    weekdays,
)

SPEC = FeaturesSpec.model_validate(
    {
        "names": [*FEATURES, {"name": "rsi", "bars": 9}, "ta_kama", "ta_obv", "close_in_range"],
        "module": "trading_assets_tests.features.own_examples",
    }
)
SESSIONS = weekdays(date(2004, 1, 1), 660)
FIRST = date(2006, 5, 22)
ASKED = [day for day in SESSIONS if day >= FIRST]


def make_hostile_bars() -> pl.DataFrame:
    """Bars with holes, a symbol that is listed in June, one that ends in June, and halts."""
    bars = make_bars(("AAA", "BBB", "CCC", "LATE", "OLD"), 660)
    rng = np.random.default_rng(8)
    symbol, session = pl.col("symbol"), pl.col("session")
    is_hole = pl.Series("hole", rng.random(bars.height) < 0.05)
    return bars.filter(
        ~((symbol == "CCC") & is_hole)
        & ~((symbol == "LATE") & (session < date(2006, 6, 7)))
        & ~((symbol == "OLD") & (session > date(2006, 6, 13)))
    ).with_columns(
        pl.when((symbol == "BBB") & (session.dt.day() < 9))
        .then(0.0)
        .otherwise("volume")
        .alias("volume")
    )


def make_hostile_series(bars: pl.DataFrame) -> pl.DataFrame:
    """Series of every feature: of symbols and market-wide, with late, revised and missing ones."""
    names = sorted({name for feature in FEATURES.values() for name in feature.series})
    series = make_context(bars, names)
    rng = np.random.default_rng(9)
    kept = series.filter(pl.Series(rng.random(series.height) < 0.9))
    kept = kept.filter((pl.col("series") != "news_count") | (pl.col("session") > date(2005, 12, 9)))
    market = kept.filter((pl.col("symbol") == "AAA") & (pl.col("series") == "term_spread"))
    late = kept.filter(pl.Series(rng.random(kept.height) < 0.1)).with_columns(
        pl.col("knowledge_time") + timedelta(hours=5), value=pl.lit(1.25)
    )
    revised = late.with_columns(pl.lit(1, pl.Int32).alias("revision"), value=pl.lit(0.75))
    kept = kept.join(late, on=["series", "symbol", "event_time"], how="anti")
    return pl.concat([kept, market.with_columns(symbol=pl.lit("*")), late, revised])


BARS = make_hostile_bars()
SERIES = make_hostile_series(BARS)
ACTIONS = make_actions(
    [
        ("AAA", SESSIONS[300], "split", 2.0, 0.0),
        ("BBB", date(2006, 6, 6), "dividend", 1.0, 0.4),
        ("BBB", date(2006, 6, 6), "split", 3.0, 0.0),
        ("CCC", date(2006, 6, 10), "dividend", 1.0, 0.7),
        ("LATE", date(2006, 6, 7), "split", 2.0, 0.0),
        ("AAA", date(2006, 7, 3), "split", 0.5, 0.0),
    ]
)


def before(day: date) -> FeatureInputs:
    return FeatureInputs(
        BARS.filter(pl.col("session") < day),
        ACTIONS.filter(pl.col("ex_date") < day),
        SERIES.filter(pl.col("session") < day),
    )


def on(day: date, last: date) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    news = pl.col("session").is_between(last, day, closed="right")
    return (
        BARS.filter(pl.col("session") == day).sample(fraction=1.0, shuffle=True, seed=1),
        ACTIONS.filter(pl.col("ex_date").is_between(last, day, closed="right")),
        SERIES.filter(news),
    )


def begin(inputs: FeatureInputs, day: date) -> OnlineFeatures:
    return OnlineFeatures(inputs.bars, inputs.actions, inputs.series, SPEC, day)


def go_on(online: OnlineFeatures, days: Iterable[date], last: date) -> list[pl.DataFrame]:
    frames: list[pl.DataFrame] = []
    for day in days:
        frames.append(online.update(*on(day, last)))
        last = day
    return frames


@pytest.fixture(scope="module")
def batch() -> pl.DataFrame:
    return compute_features(BARS, ACTIONS, SERIES, SPEC, ASKED)


@pytest.fixture(scope="module")
def one_by_one() -> pl.DataFrame:
    last = FIRST - timedelta(days=1)
    return pl.concat(go_on(begin(before(FIRST), FIRST), ASKED, last)).sort("symbol", "session")


def test_sessions_one_by_one_are_the_bytes_of_the_batch(batch, one_by_one) -> None:
    assert len(ASKED) > 30
    assert {day.month for day in ASKED} >= {5, 6, 7}
    assert one_by_one.columns == batch.columns
    for name in batch.columns:
        assert one_by_one[name].equals(batch[name]), name


def test_the_comparison_sees_every_kind_of_row(batch) -> None:
    # Features that are null throughout would agree by nothing.
    known = [name for name in batch.columns if batch[name].null_count() < batch.height]
    assert set(batch.columns) == set(known)
    listed = batch.filter(pl.col("symbol") == "LATE")
    assert listed["log_return_1"].null_count() == listed.height
    assert listed["weekday_sin"].null_count() == 0
    assert batch.filter(symbol="OLD")["session"].max() == date(2006, 6, 13)


@pytest.mark.parametrize("place", [1, 8, 12, 20, 29])
def test_what_was_held_goes_on_where_it_stood(batch, place: int) -> None:
    stop = ASKED[place]
    online = begin(before(FIRST), FIRST)
    go_on(online, ASKED[:place], FIRST - timedelta(days=1))
    held = online.held()
    frames = go_on(begin(held, stop), ASKED[place : place + 4], ASKED[place - 1])
    found = pl.concat(frames).sort("symbol", "session")
    assert found.equals(batch.filter(pl.col("session").is_in(ASKED[place : place + 4])))


def test_a_month_that_is_prepared_gives_the_same_rows(batch) -> None:
    place = next(k for k, day in enumerate(ASKED) if day.month == 6)
    online = begin(before(ASKED[place - 2]), ASKED[place - 2])
    go_on(online, ASKED[place - 2 : place], ASKED[place - 3])
    for _ in range(2):
        online.prepare(ASKED[place])
    found = pl.concat(go_on(online, ASKED[place : place + 2], ASKED[place - 1]))
    wanted = batch.filter(pl.col("session").is_in(ASKED[place : place + 2]))
    assert found.sort("symbol", "session").equals(wanted)


def test_what_is_held_does_not_grow_over_the_months() -> None:
    online = begin(before(FIRST), FIRST)
    go_on(online, ASKED, FIRST - timedelta(days=1))
    held = online.held().bars
    assert held["session"].min() == date(2004, 6, 1)
    assert held["session"].max() == ASKED[-1]


def test_it_may_start_from_nothing() -> None:
    nothing = FeatureInputs(BARS.clear(), NO_ACTIONS, NO_SERIES)
    online = begin(nothing, SESSIONS[0])
    table = pl.concat(go_on(online, SESSIONS[:30], SESSIONS[0] - timedelta(days=1)))
    wanted = compute_features(BARS, ACTIONS, SERIES, SPEC, SESSIONS[:30])
    assert table.sort("symbol", "session").equals(wanted)


def test_five_hundred_sessions_from_the_first_on_are_the_bytes_of_the_batch() -> None:
    bars = make_bars(("AAA", "BBB"), 520)
    names = [name for name in FEATURES if not FEATURES[name].series]
    spec = FeaturesSpec(names=tuple(names))
    online = OnlineFeatures(bars.clear(), NO_ACTIONS, NO_SERIES, spec, SESSIONS[0])
    frames = [
        online.update(bars.filter(pl.col("session") == day), NO_ACTIONS, NO_SERIES)
        for day in SESSIONS[:520]
    ]
    batch = compute_features(bars, NO_ACTIONS, NO_SERIES, spec, SESSIONS[:520])
    assert pl.concat(frames).sort("symbol", "session").equals(batch)
    assert batch.tail(1).select(pl.col(names).is_not_null().all()).row(0) == (True,) * len(names)


@pytest.mark.parametrize(
    ("bars", "sentence"),
    [
        (BARS.filter(pl.col("session") == ASKED[0]), f"bars of {ASKED[0]} came after"),
        (BARS.filter(pl.col("session") == SESSIONS[3]), f"bars of {SESSIONS[3]} came after"),
        (BARS.filter(pl.col("session") >= ASKED[1]), "sessions came at once"),
        (BARS.clear(), "bars of 0 sessions"),
        (
            pl.concat([BARS.filter(pl.col("session") == ASKED[1])] * 2),
            f"bars of {ASKED[1]} name a symbol twice",
        ),
    ],
)
def test_bars_out_of_order_are_refused_and_change_nothing(bars, sentence: str, batch) -> None:
    online = begin(before(FIRST), FIRST)
    go_on(online, ASKED[:1], FIRST - timedelta(days=1))
    with pytest.raises(DataError, match=sentence):
        online.update(bars, NO_ACTIONS, NO_SERIES)
    (found,) = go_on(online, ASKED[1:2], ASKED[0])
    assert found.equals(batch.filter(pl.col("session") == ASKED[1]))
