"""D2: splits, spin-offs and renames change no return, no feature and nothing that came before."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.bars.actions.companies import actions_by_company, bars_by_company
from trading_assets.bars.actions.total_returns import total_returns
from trading_assets.feature_specs import FeaturesSpec
from trading_assets.features.catalogue import feature_names
from trading_assets.features.causality import find_leaks
from trading_assets.features.compute import compute_features, compute_month
from trading_assets.schema import TABLES
from trading_assets_tests.features.synthetic_bars import (
    NO_ACTIONS,
    NO_SERIES,
    close_time,
    make_actions,
    make_bars,
    split_bars,
    weekdays,
)

SPEC = FeaturesSpec()
BARS = make_bars(("AAA", "META"), count=620)
SESSIONS = weekdays(date(2004, 1, 1), 620)
MONTH = SESSIONS[-30].replace(day=1)
DAY = next(day for day in SESSIONS if day > MONTH and day.day >= 10)
PRICES = ("open", "high", "low", "close")
NAMES = feature_names(SPEC)
Tables = tuple[pl.DataFrame, pl.DataFrame]


def split(ratio: float) -> Tables:
    actions = make_actions([("META", DAY, "split", ratio, 0.0)])
    return split_bars(BARS, "META", DAY, ratio), actions


def spin_off(share: float) -> Tables:
    """A part of each share's worth is handed out on the ex date: prices are lower from then on."""
    is_after = (pl.col("symbol") == "META") & (pl.col("session") >= DAY)
    close = BARS.filter((pl.col("session") == DAY) & (pl.col("symbol") == "META"))["close"].item()
    bars = BARS.with_columns(
        pl.when(is_after).then(pl.col(name) * (1 - share)).otherwise(name).alias(name)
        for name in PRICES
    )
    return bars, make_actions([("META", DAY, "spin_off", 1.0, share * close)])


def rename() -> Tables:
    is_old = (pl.col("symbol") == "META") & (pl.col("session") < DAY)
    bars = BARS.with_columns(pl.when(is_old).then(pl.lit("FB")).otherwise("symbol").alias("symbol"))
    row = ("FB", DAY, "rename", 1.0, 0.0, "META", close_time(DAY), "test")
    schema = TABLES["corporate_actions"].empty().schema
    actions = pl.DataFrame([row], schema=schema, orient="row")
    return bars_by_company(bars.sort("symbol", "event_time"), actions), actions_by_company(actions)


HAPPENED = {
    "2 for 1": split(2.0),
    "1 for 10": split(0.1),
    "spin-off": spin_off(0.2),
    "FB becomes META": rename(),
}


@pytest.mark.parametrize("what", HAPPENED)
def test_returns_are_those_without_the_action(what: str) -> None:
    bars, actions = HAPPENED[what]
    plain, found = (total_returns(b, a) for b, a in ((BARS, NO_ACTIONS), (bars, actions)))
    np.testing.assert_allclose(found["total_return"], plain["total_return"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("what", HAPPENED)
def test_no_feature_straddles_prices_before_and_after_the_action(what: str) -> None:
    """All windows that reach over the action see one scale: features are those without it."""
    bars, actions = HAPPENED[what]
    plain = compute_month(BARS, NO_ACTIONS, NO_SERIES, SPEC, MONTH)
    found = compute_month(bars, actions, NO_SERIES, SPEC, MONTH)
    # What is spun off is no volume, so dollars traded are fewer afterwards; and its worth is that
    # of the close, so the gap at the open of the ex date is measured with that.
    other = {"bars_since_action"}
    if what == "spin-off":
        other |= {"dollar_volume_z_63", "amihud_21", "kyle_lambda_21"}
        other |= {"overnight_gap", "yang_zhang_21"}
    for name in NAMES:
        if name not in other:
            np.testing.assert_allclose(found[name], plain[name], atol=2e-5, err_msg=name)
    if what == "FB becomes META":
        assert found.equals(plain)


@pytest.mark.parametrize("what", HAPPENED)
def test_rows_before_an_action_are_the_same_floats_with_and_without_it(what: str) -> None:
    bars, actions = HAPPENED[what]
    before = pl.col("session") < DAY
    known = compute_month(bars.filter(before), actions.clear(), NO_SERIES, SPEC, MONTH)
    later = compute_month(bars, actions, NO_SERIES, SPEC, MONTH)
    assert later.filter(before).equals(known)
    assert known.height > 0


def test_a_rename_that_becomes_known_later_changes_labels_only() -> None:
    ticker = rename()[0].with_columns(
        pl.when((pl.col("symbol") == "META") & (pl.col("session") < DAY))
        .then(pl.lit("FB"))
        .otherwise("symbol")
        .alias("symbol")
    )
    before = pl.col("session") < DAY
    unaware = compute_month(ticker.filter(before), NO_ACTIONS, NO_SERIES, SPEC, MONTH)
    aware = compute_month(*HAPPENED["FB becomes META"], NO_SERIES, SPEC, MONTH)
    renamed = unaware.with_columns(pl.col("symbol").replace("FB", "META"))
    assert aware.filter(before).equals(renamed.sort("symbol", "session"))
    assert set(unaware["symbol"]) == {"AAA", "FB"}


def test_no_feature_knows_the_future_around_a_rename() -> None:
    bars, actions = HAPPENED["FB becomes META"]
    asked = SESSIONS[-60:]

    def compute(b: pl.DataFrame, a: pl.DataFrame, s: pl.DataFrame) -> pl.DataFrame:
        return compute_features(b, a, s, SPEC, asked)

    place = SESSIONS.index(DAY)
    moments = [SESSIONS[place + step] for step in (-2, -1, 0, 3)]
    assert find_leaks(compute, bars, actions, NO_SERIES, moments) == []
