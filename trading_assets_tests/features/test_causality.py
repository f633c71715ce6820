from datetime import date

import polars as pl
import pytest

from trading_assets.features.causality import find_leaks
from trading_assets.features.compute import compute_features
from trading_assets.strategy import FeaturesSpec
from trading_assets_tests.features.synthetic_bars import (
    make_actions,
    make_bars,
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
MOMENTS = [SESSIONS[k] for k in (500, 530, 539, 549, 555)]


def test_no_feature_of_the_catalogue_knows_the_future():
    spec = FeaturesSpec(names=(*_bar_features(), "signal"))

    def compute(bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
        return compute_features(bars, actions, series, spec, SESSIONS[490:])

    assert find_leaks(compute, BARS, ACTIONS, SERIES, MOMENTS) == []


def _bar_features() -> tuple[str, ...]:
    from trading_assets.features.catalogue import feature_names

    return feature_names(FeaturesSpec())


CLOSE = pl.col("close")
PLANTED = {
    "next bar": CLOSE.shift(-1),
    "centred window": CLOSE.rolling_mean(5, center=True),
    "full-sample scaler": (CLOSE - CLOSE.mean()) / CLOSE.std(),
    "back-fill": pl.when(pl.int_range(pl.len()) % 5 == 0).then(CLOSE).backward_fill(),
    "back-adjusted level": CLOSE / CLOSE.last(),
}


@pytest.mark.parametrize("leak", PLANTED)
def test_a_planted_leak_is_found(leak: str):
    def compute(bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
        del actions, series
        return bars.sort("symbol", "session").select(
            "symbol",
            "session",
            CLOSE.pct_change().over("symbol").alias("honest"),
            PLANTED[leak].over("symbol").alias("planted"),
        )

    leaks = find_leaks(compute, BARS, ACTIONS, SERIES, MOMENTS)
    assert leaks
    assert all(sentence.startswith("planted of ") for sentence in leaks)


def test_an_adjustment_that_runs_backwards_is_found():
    def compute(bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
        del series
        later = actions.group_by("symbol").agg(pl.col("split_ratio").product().alias("all"))
        return (
            bars.join(later, on="symbol", how="left")
            .sort("symbol", "session")
            .select("symbol", "session", (CLOSE / pl.col("all")).alias("adjusted"))
        )

    leaks = find_leaks(compute, BARS, ACTIONS, SERIES, MOMENTS[:1])
    assert any("adjusted of AAA" in sentence for sentence in leaks)


def test_rows_that_depend_on_the_future_are_found():
    def compute(bars: pl.DataFrame, actions: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
        del actions, series
        last = bars["session"].max()
        return bars.filter(pl.lit(last == SESSIONS[-1]) | (pl.col("symbol") == "AAA")).select(
            "symbol", "session", "close"
        )

    leaks = find_leaks(compute, BARS, ACTIONS, SERIES, MOMENTS[:1])
    assert leaks[0].startswith("rows or columns up to")
