"""A fold under stress: which scenarios are traded, and what is said of the unshocked one."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest.stress import FoldStress, find_incomplete, shocks_of, stress_fold
from trading_assets.backtest.stress_rows import recorded_by
from trading_assets.schema import TABLES
from trading_assets_tests.backtest.panels import make_panel
from trading_assets_tests.backtest.stressed_fold import (
    adjusted,
    recorded,
    redecided_fold,
    stressed,
)

SHOCKS = {
    "as_it_was": [0],
    "volatility": [3],
    "gap": [-3, 3],
    "stale_feed": [5],
    "correlation": [0.9],
    "halts": [5],
    "path": [0, 1, 2],
}


def test_each_scenario_is_traded_by_ensembles_and_two_baselines():
    table = stressed().table
    for scenario, levels in SHOCKS.items():
        own = table.filter(pl.col("scenario") == scenario)
        assert own["level"].unique().sort().to_list() == levels
        for level in levels:
            names = own.filter(pl.col("level") == level)["portfolio"].to_list()
            assert names == ["buy_and_hold", "equal_weight", "ppo/ensemble"]
    assert set(own["bars"]) == {adjusted().window_bars}
    key = list(TABLES["stress"].key)
    assert not table.select(key).is_duplicated().any()


def test_the_record_is_among_the_rows():
    found = stressed().table.filter(pl.col("scenario") == "recorded")
    every = recorded_by(recorded().tables.equity, 1e6)
    for row in found.iter_rows(named=True):
        assert row["sum_return"] == pytest.approx(every[row["portfolio"]].returns.sum(), rel=1e-12)


def test_the_unshocked_path_earns_what_was_recorded():
    found = stressed()
    assert set(found.apart_bps) == {"buy_and_hold", "equal_weight", "ppo/ensemble"}
    assert abs(found.apart_bps["ppo/ensemble"]) < 0.01
    assert found.problems == []


@pytest.mark.parametrize("apart", [0.6, -0.6, float("nan")])
def test_a_path_that_earns_otherwise_is_told(apart: float):
    found = FoldStress(stressed().table, {"ppo/ensemble": apart, "equal_weight": 0.4})
    assert len(found.problems) == 1
    assert found.problems[0].startswith(f"ppo/ensemble earns {apart:.3f} bps a bar more")


def test_wilder_prices_have_deeper_drawdowns():
    table = stressed().table.filter(pl.col("portfolio") == "equal_weight")
    worst = dict(table.select("scenario", "worst_drawdown").iter_rows())
    assert worst["volatility"] > 1.5 * worst["as_it_was"]


def test_the_same_fold_gives_the_same_table():
    tables = recorded().tables
    again = stress_fold(redecided_fold(), tables.weights, tables.equity)
    assert again.table.equals(stressed().table)


def test_paths_differ_from_each_other_and_are_those_of_their_fold():
    given = redecided_fold()
    closes = [s.bars.close for s in shocks_of(given, adjusted()) if s.scenario == "path"]
    assert len(closes) == 3
    assert not np.array_equal(closes[0], closes[1], equal_nan=True)
    again = [s.bars.close for s in shocks_of(given, adjusted()) if s.scenario == "path"]
    np.testing.assert_array_equal(closes[2], again[2])
    later = replace(
        given, fold=replace(given.fold, test_start=given.fold.test_start.replace(day=2))
    )
    other = [s.bars.close for s in shocks_of(later, adjusted()) if s.scenario == "path"]
    assert not np.array_equal(closes[0], other[0], equal_nan=True)


def test_one_symbol_is_neither_correlated_nor_halted():
    alone = make_panel(symbols=1)
    given = redecided_fold()
    quiet = given.strategy.model_copy(
        update={"backtest": given.strategy.backtest.model_copy(update={"stress_paths": 0})}
    )
    found = [shock.scenario for shock in shocks_of(replace(given, strategy=quiet), alone)]
    assert found == ["as_it_was", "volatility", "gap", "gap", "stale_feed"]


def test_the_first_symbol_by_name_that_trades_most_is_halted():
    halted = next(s for s in shocks_of(redecided_fold(), adjusted()) if s.scenario == "halts")
    gone = np.isnan(halted.bars.close) & np.isfinite(adjusted().close)
    assert gone.any(axis=0).tolist() == [True, False, False]


def test_a_whole_table_is_complete():
    assert find_incomplete(stressed().table) == []


def test_what_lacks_a_portfolio_a_bar_or_a_figure_is_named():
    table = stressed().table
    at = (pl.col("scenario") == "path") & (pl.col("level") == 1.0)
    own = pl.col("portfolio") == "ppo/ensemble"
    assert find_incomplete(table.filter(~(at & own))) == ["path 1 lacks ppo/ensemble"]
    shorter = table.with_columns(bars=pl.when(at & own).then(7).otherwise("bars"))
    bars = table["bars"].max()
    assert find_incomplete(shorter) == [f"path 1 has 7 bars; expected {bars}"]
    broken = table.with_columns(
        sum_return=pl.when(at & own).then(float("nan")).otherwise("sum_return")
    )
    assert find_incomplete(broken) == ["path has figures that are not finite"]
    # Buy and hold has no recorded weights to be traded again; conditions have fewer bars.
    assert "buy_and_hold" not in table.filter(pl.col("scenario") == "latency_bars")["portfolio"]
