"""Folds added up: figures of the chained bars, costs left, capacity and paths."""

import math

import numpy as np
import polars as pl
import pytest

from trading_assets.backtest import metrics
from trading_assets.backtest.break_even import break_even
from trading_assets.backtest.stress_pool import (
    capacity_usd,
    costs_left,
    curve_of,
    kinds_of_costs,
    paths_of,
    pool_stress,
)
from trading_assets.backtest.stress_rows import Earned, row_of, stress_table

FOLDS = [np.random.default_rng(seed).normal(0.0005, 0.01, 60 + 5 * seed) for seed in range(3)]


def earned(returns: np.ndarray) -> Earned:
    ones = np.ones(len(returns))
    return Earned(returns, 10.0 * returns, 2.0 * ones, 7.0 * ones)


def table_of(returns: np.ndarray, scenario: str = "recorded", level: float = 0.0) -> pl.DataFrame:
    return stress_table([row_of(scenario, level, "ppo/ensemble", earned(returns))])


def test_pooled_figures_are_those_of_the_chained_series():
    pooled = pool_stress([table_of(returns) for returns in FOLDS]).row(0, named=True)
    chained = np.concatenate(FOLDS)
    assert pooled["folds"] == 3
    assert pooled["bars"] == len(chained)
    assert pooled["return_annual"] == pytest.approx(252 * chained.mean(), rel=1e-12)
    assert pooled["sharpe_annual"] == pytest.approx(metrics.sharpe_annual(chained), rel=1e-10)
    assert pooled["worst_drawdown"] == max(metrics.max_drawdown(returns) for returns in FOLDS)
    assert pooled["gains_usd"] == pytest.approx(10.0 * chained.sum())
    assert pooled["costs_usd"] == 2.0 * len(chained)
    assert pooled["traded_usd"] == 7.0 * len(chained)


@pytest.mark.parametrize("returns", [np.zeros(40), np.full(40, 0.001), np.array([0.02])])
def test_without_variance_there_is_no_sharpe_ratio(returns):
    assert pool_stress([table_of(returns)])["sharpe_annual"].to_list() == [None]
    assert math.isnan(metrics.sharpe_annual(returns))


def test_a_condition_that_only_one_fold_met_is_pooled_from_it():
    tables = [table_of(FOLDS[0], "crisis/x"), table_of(FOLDS[1])]
    pooled = pool_stress(tables).filter(pl.col("scenario") == "crisis/x")
    assert pooled["folds"].to_list() == [1]
    assert pooled["bars"].to_list() == [60]


def test_a_curve_is_by_level_and_nan_where_there_is_no_figure():
    tables = [table_of(FOLDS[0], "latency_bars", level) for level in (3, 1, 2)]
    tables.append(table_of(np.zeros(4), "latency_bars", 5))
    curve = curve_of(pool_stress(tables), "latency_bars", "ppo/ensemble", "sharpe_annual")
    assert list(curve) == [1.0, 2.0, 3.0, 5.0]
    assert math.isnan(curve[5.0])
    assert curve_of(pool_stress(tables), "latency_bars", "other", "sharpe_annual") == {}


FACTORS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
# Gains and costs of a bar in two folds of unequal length; nothing is left where their sums are 0.
GAINS, COSTS, BARS = (0.0006, 0.0002), (0.0001, 0.00004), (40, 80)


def costly_fold(place: int, benchmark: float = 0.00025) -> pl.DataFrame:
    """A fold whose returns fall straight with costs, beside equal weights that pay nothing."""
    rows = []
    for level in FACTORS:
        own = np.full(BARS[place], GAINS[place] - level * COSTS[place])
        rows.append(row_of("cost_factor", level, "ppo/ensemble", earned(own)))
        other = earned(np.full(BARS[place], benchmark))
        rows.append(row_of("cost_factor", level, "equal_weight", other))
    root = break_even(lambda x: GAINS[place] - x * COSTS[place], FACTORS)
    own = earned(np.zeros(BARS[place]))
    rows.append(row_of("break_even_cost_factor", root, "ppo/ensemble", own))
    return stress_table(rows)


def test_costs_left_over_all_folds_are_where_the_pooled_return_is_gone():
    tables = [costly_fold(0), costly_fold(1)]
    pooled = pool_stress(tables)
    found = costs_left(tables, pooled, "ppo/ensemble", "cost_factor")
    gains, costs = (sum(n * x for n, x in zip(BARS, each, strict=True)) for each in (GAINS, COSTS))
    assert found is not None
    assert found.at == pytest.approx(gains / costs, rel=1e-9)
    assert found.by_fold == pytest.approx((5.0, 6.0))
    assert found.at_least == pytest.approx(252 * gains / 120)
    matched = costs_left(tables, pooled, "ppo/ensemble", "cost_factor", "equal_weight")
    assert matched is not None
    assert matched.at == pytest.approx((gains - 120 * 0.00025) / costs, rel=1e-9)
    assert costs_left(tables, pooled, "ppo/ensemble", "fee_bps") is None
    assert kinds_of_costs(pooled) == ["cost_factor"]


def test_capacity_is_found_on_the_logarithm_of_the_capital():
    # 2 - 0.25 log10(capital / 1e4) has lost half at four powers of ten more: 1e8.
    capitals = [10.0**power for power in range(4, 10)]
    sharpes = {c: 2.0 - 0.25 * math.log10(c / 1e4) for c in capitals}
    assert capacity_usd(sharpes) == pytest.approx(1e8, rel=1e-9)
    half = {c: 2.0 - 0.4 * math.log10(c / 1e4) for c in capitals}
    assert capacity_usd(half) == pytest.approx(10**6.5, rel=1e-9)


@pytest.mark.parametrize(
    ("sharpes", "expected"),
    [
        ({1e4: 1.0, 1e9: 0.6}, math.inf),
        ({1e4: 0.0, 1e9: -1.0}, math.nan),
        ({1e4: -0.5, 1e9: -1.0}, math.nan),
        ({1e4: math.nan, 1e9: 1.0}, math.nan),
        ({1e4: 1.0, 1e5: 0.9, 1e6: math.nan, 1e7: math.nan}, math.nan),
        ({1e4: 1.0, 1e5: math.nan, 1e6: 0.0}, math.nan),
        ({1e4: 1.0, 1e5: 0.0, 1e6: math.nan}, 10**4.5),
        ({}, math.nan),
    ],
)
def test_capacity_without_a_crossing_is_above_all_or_undefined(sharpes, expected):
    assert capacity_usd(sharpes) == pytest.approx(expected, nan_ok=True)


def test_paths_are_pooled_by_their_number():
    tables = []
    for fold in range(2):
        rows = []
        for path in range(5):
            rng = np.random.default_rng([fold, path])
            for name, mean in (("ppo/ensemble", 0.002 * (path - 1)), ("equal_weight", 0.001)):
                own = earned(mean + rng.normal(0, 0.001, 50))
                rows.append(row_of("path", path, name, own))
        tables.append(stress_table(rows))
    found = paths_of(pool_stress(tables), "ppo/ensemble")
    assert found is not None
    assert found.count == 5
    assert found.losing == pytest.approx(0.2)
    assert found.behind == pytest.approx(0.4)
    assert found.sharpes[0] < found.sharpes[1] < found.sharpes[2]
    assert paths_of(pool_stress([table_of(FOLDS[0])]), "ppo/ensemble") is None


def paths_without_variance(flat: str) -> pl.DataFrame:
    """Four paths, on the last of which one portfolio earns nothing and has no Sharpe ratio."""
    rows = []
    for path in range(4):
        noise = np.random.default_rng(path).normal(0, 0.001, 50)
        for name, mean in (("ppo/ensemble", 0.0), ("equal_weight", 0.001)):
            own = np.zeros(50) if (path, name) == (3, flat) else mean + noise
            rows.append(row_of("path", path, name, earned(own)))
    return pool_stress([stress_table(rows)])


@pytest.mark.parametrize("flat", ["ppo/ensemble", "equal_weight"])
def test_a_path_without_a_ratio_is_not_one_that_kept_up(flat):
    found = paths_of(paths_without_variance(flat), "ppo/ensemble")
    assert found is not None
    assert math.isnan(found.behind)
    assert found.without_ratio == 1
    assert all(math.isfinite(ratio) for ratio in found.sharpes)


def test_every_path_has_ratios_where_both_move():
    found = paths_of(paths_without_variance(""), "ppo/ensemble")
    assert found is not None
    assert (found.behind, found.without_ratio) == (1.0, 0)


def test_costs_left_where_a_return_is_missing_are_not_known():
    tables = [costly_fold(0)]
    pooled = pool_stress(tables).with_columns(
        return_annual=pl.when(pl.col("level") >= 5.0).then(math.nan).otherwise("return_annual")
    )
    found = costs_left(tables, pooled, "ppo/ensemble", "cost_factor")
    assert found is not None
    assert math.isnan(found.at)
    cheap = pool_stress(tables).filter(pl.col("level") <= 2.0)
    short = costs_left(tables, cheap, "ppo/ensemble", "cost_factor")
    assert short is not None
    assert short.at == math.inf
