"""Conditions are known before the bars they are about, and their edges before the test window."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.conditions import condition_rows
from trading_assets.backtest.crisis_windows import CRISIS_WINDOWS
from trading_assets.backtest.folds import Fold
from trading_assets.backtest.market_regimes import (
    market_volatility,
    regimes_at,
    volatility_terciles,
)
from trading_assets.backtest.stress_rows import Earned
from trading_assets.errors import DataError
from trading_assets_tests.backtest.markets import market_of
from trading_assets_tests.backtest.stressed_fold import stressed

START = date(2018, 1, 1)
FOLD = Fold(
    "2018-07-01", START, date(2018, 6, 30), date(2018, 5, 1), date(2018, 7, 1), date(2018, 12, 31)
)
BARS = 365


def market(seed: int = 0, from_row: int = 0, size: float = 1.0):
    """Two symbols whose volatility changes every month; from a row on it is another by a factor."""
    rng = np.random.default_rng(seed)
    sizes = np.repeat([0.005, 0.01, 0.02, 0.03], 30)[np.arange(BARS) % 120]
    returns = rng.normal(0.0, 1.0, (BARS, 2)) * sizes[:, None]
    returns[from_row:] *= size if from_row else 1.0
    return market_of(50.0 * np.exp(np.cumsum(returns, axis=0)), first_day=START)


def earned(n_bars: int) -> dict[str, Earned]:
    values = np.random.default_rng(5).normal(0.0, 0.01, n_bars)
    ones = np.ones(n_bars)
    return {"ppo/ensemble": Earned(values, values, ones, ones)}


def features(calm, stressed_, days) -> pl.DataFrame:
    frames = [
        pl.DataFrame({"symbol": symbol, "session": days, "regime_calm": calm,
                      "regime_stressed": stressed_})
        for symbol in ("A", "B")
    ]  # fmt: skip
    return pl.concat(frames)


def days_of(given) -> list[date]:
    return given.sessions.tolist()


def test_volatility_is_that_of_the_mean_return_at_the_markets_decay():
    given = market()
    returns = (given.close[1:] / given.close[:-1] - 1.0).mean(axis=1)
    weights = 0.94 ** np.arange(50)[::-1]
    expected = np.sqrt((weights * returns[:50] ** 2).sum() / weights.sum())
    assert market_volatility(given)[50] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(market_volatility(given)[0])


def test_each_tercile_holds_a_third_of_the_train_window():
    given = market()
    terciles = volatility_terciles(given, FOLD)
    assert terciles[0] == 0
    trained = terciles[1 : days_of(given).index(FOLD.test_start)]
    counts = np.bincount(trained)[1:]
    assert counts.sum() == len(trained)
    assert (np.abs(counts - len(trained) / 3) <= 1).all()
    volatility = market_volatility(given)
    assert volatility[terciles == 1].max() <= volatility[terciles == 2].min()
    assert volatility[terciles == 2].max() <= volatility[terciles == 3].min()


def test_test_bars_change_no_edge():
    first = days_of(market()).index(FOLD.test_start)
    calm, wild = market(), market(from_row=first, size=10.0)
    one, other = volatility_terciles(calm, FOLD), volatility_terciles(wild, FOLD)
    np.testing.assert_array_equal(one[:first], other[:first])
    # By edges of the train window alone nearly all of a test window ten times as wild is wild.
    assert (other[first + 5 :] == 3).mean() > 0.9


def test_bars_belong_to_what_was_known_at_the_close_before():
    given = market()
    days = days_of(given)
    first = days.index(FOLD.test_start)
    n_bars = days.index(FOLD.test_end) - first + 1
    calm = [0.8 if place % 3 == 0 else 0.1 for place in range(BARS)]
    wild = [0.7 if place % 3 == 1 else 0.1 for place in range(BARS)]
    own = earned(n_bars)
    rows = condition_rows(own, given, features(calm, wild, days), FOLD)
    returns = own["ppo/ensemble"].returns
    places = first + np.arange(n_bars) - 1
    expected = {1: places % 3 == 0, 3: places % 3 == 1, 2: places % 3 == 2}
    for level, where in expected.items():
        row = next(r for r in rows if r["scenario"] == "regime" and r["level"] == level)
        assert row["bars"] == where.sum()
        assert row["sum_return"] == pytest.approx(returns[where].sum())
        assert row["worst_drawdown"] is None
    terciles = volatility_terciles(given, FOLD)[places]
    for level in (1, 2, 3):
        row = next(
            (r for r in rows if r["scenario"] == "volatility_tercile" and r["level"] == level), None
        )
        assert (0 if row is None else row["bars"]) == (terciles == level).sum()


def test_the_likeliest_regime_counts_and_an_unknown_one_is_none():
    days = [date(2018, 7, day) for day in range(1, 5)]
    known = features([0.5, 0.2, None, 0.3], [0.3, 0.5, None, 0.1], days)
    sessions = np.array([*days, date(2018, 7, 9)], dtype="datetime64[D]")
    assert regimes_at(known, sessions).tolist() == [1, 3, 0, 2, 0]


def test_regimes_are_left_out_where_features_do_not_say_them():
    given = market()
    days = days_of(given)
    bare = features([0.5] * BARS, [0.2] * BARS, days).drop("regime_calm")
    n_bars = days.index(FOLD.test_end) - days.index(FOLD.test_start) + 1
    rows = condition_rows(earned(n_bars), given, bare, FOLD)
    assert {row["scenario"].split("/")[0] for row in rows} == {"volatility_tercile", "crisis"}


def test_only_crises_within_the_window_are_listed_with_their_drawdown():
    given = market()
    days = days_of(given)
    first = days.index(FOLD.test_start)
    n_bars = days.index(FOLD.test_end) - first + 1
    own = earned(n_bars)
    rows = [
        row
        for row in condition_rows(own, given, features([0.5] * BARS, [0.2] * BARS, days), FOLD)
        if row["scenario"].startswith("crisis/")
    ]
    assert [row["scenario"] for row in rows] == ["crisis/December 2018"]
    assert rows[0]["bars"] == 31
    returns = own["ppo/ensemble"].returns[days.index(date(2018, 12, 1)) - first :]
    assert rows[0]["sum_return"] == pytest.approx(returns.sum())
    assert rows[0]["worst_drawdown"] > 0.0


def test_conditions_of_a_fold_add_up_to_its_record():
    table = stressed().table
    of = pl.col("scenario") == "volatility_tercile"
    for portfolio in ("buy_and_hold", "equal_weight", "ppo/ensemble"):
        own = table.filter(pl.col("portfolio") == portfolio)
        total = own.filter(pl.col("scenario") == "recorded")
        parts = own.filter(of)
        for name in ("bars", "sum_return", "sum_squared_return", "costs_usd", "traded_usd"):
            assert parts[name].sum() == pytest.approx(total[name].item(), rel=1e-9)


def test_crises_have_names_of_their_own_and_whole_months():
    assert len({crisis.name for crisis in CRISIS_WINDOWS}) == len(CRISIS_WINDOWS)
    for crisis in CRISIS_WINDOWS:
        assert crisis.first.day == 1
        after = date.fromordinal(crisis.last.toordinal() + 1)
        assert after.day == 1
        assert crisis.first < crisis.last


def test_a_market_without_a_train_window_is_refused():
    early = replace(FOLD, train_start=date(2010, 1, 1), train_end=date(2010, 6, 30))
    with pytest.raises(DataError, match="expected bars of the train window, which sets the edges"):
        volatility_terciles(market(), early)
