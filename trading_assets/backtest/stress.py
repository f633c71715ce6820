"""Stresses one fold: what its portfolios earn when the world is another than recorded."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from trading_assets.backtest.adjusted_bars import AdjustedBars, adjust_bars
from trading_assets.backtest.break_even_costs import EQUAL_WEIGHT, break_even_rows
from trading_assets.backtest.conditions import condition_rows
from trading_assets.backtest.outages import PAUSE_BARS, halt_symbol
from trading_assets.backtest.redeciding import RedecidedFold, Shock, redecide
from trading_assets.backtest.resampled_paths import draw_order, reorder, reorder_series
from trading_assets.backtest.sensitivity import (
    CAPITAL,
    COSTS,
    FEE,
    HALF_SPREAD,
    LATENCY,
    recorded_trading,
    rows_of,
    sensitivity_rows,
)
from trading_assets.backtest.shocks import open_with_gap, raise_correlation, raise_volatility
from trading_assets.backtest.stress_rows import Earned, earned_by, recorded_by, stress_table
from trading_assets.backtest.stress_scenarios import (
    BUY_AND_HOLD,
    CORRELATION,
    CORRELATION_LEVEL,
    GAP,
    GAP_DEVIATIONS,
    HALTS,
    MOST_APART_BPS,
    PATH,
    RECORDED,
    STALE,
    UNSHOCKED,
    VOLATILITY,
    VOLATILITY_FACTOR,
)
from trading_assets.policy.fold import TrainingTables, market_of

_BPS = 1e4


@dataclass(frozen=True, slots=True)
class FoldStress:
    """What a fold's portfolios earn under stress.

    Attributes
    ----------
    table : DataFrame
        Table `stress`.
    apart_bps : mapping of str to float
        Mean return of the unshocked path less the recorded one, basis points a bar, by portfolio.
    """

    table: pl.DataFrame
    apart_bps: Mapping[str, float]

    @property
    def problems(self) -> list[str]:
        """Portfolios whose unshocked path does not earn what the backtest recorded."""
        return [
            f"{name} earns {apart:.3f} bps a bar more on its unshocked path than the backtest"
            f" recorded; expected at most {MOST_APART_BPS:g} to either side"
            for name, apart in self.apart_bps.items()
            if not abs(apart) <= MOST_APART_BPS
        ]


def stress_fold(given: RedecidedFold, weights: pl.DataFrame, equity: pl.DataFrame) -> FoldStress:
    """Return what a fold's portfolios earn under other costs, conditions, prices and paths.

    Recorded weights are traded again where costs, latency or capital are others; on other prices
    ensembles and two baselines decide anew.

    Parameters
    ----------
    given : RedecidedFold
        What decides, and what it is decided on.
    weights, equity : DataFrame
        Those tables of the fold's backtest.

    Raises
    ------
    DataError
        If the tables do not fit the fold, or bars do not reach back far enough.
    """
    initial = given.strategy.backtest.initial_equity_usd
    is_traded = pl.col("session").is_between(given.traded_from, given.fold.test_end)
    names = [*given.ensembles, BUY_AND_HOLD, EQUAL_WEIGHT]
    every = recorded_by(equity, initial)
    recorded = {name: every[name] for name in sorted(names)}
    tables = given.tables
    whole = market_of(tables, given.market_data)
    traded = market_of(_with_bars(tables, tables.bars.filter(is_traded)), given.market_data)
    trading = recorded_trading(traded, weights, [*given.ensembles, EQUAL_WEIGHT], given.strategy)
    rows = [
        *rows_of(RECORDED, 0, recorded),
        *sensitivity_rows(trading),
        *break_even_rows(trading),
        *condition_rows(recorded, whole, tables.features, given.fold),
    ]
    adjusted = adjust_bars(tables.bars, tables.actions, given.fold.test_start, given.fold.test_end)
    apart: dict[str, float] = {}
    for shock in shocks_of(given, adjusted):
        earned = earned_by(redecide(given, shock), initial)
        rows += rows_of(shock.scenario, shock.level, earned)
        if shock.scenario == UNSHOCKED:
            apart = {name: _apart_bps(earned[name], recorded[name]) for name in recorded}
    return FoldStress(stress_table(rows), apart)


def find_incomplete(table: pl.DataFrame) -> list[str]:
    """Return which scenarios lack a portfolio or a bar of the window, or have no finite figure.

    Parameters
    ----------
    table : DataFrame
        Table `stress` of one fold.
    """
    recorded = table.filter(pl.col("scenario") == RECORDED)
    names, bars = set(recorded["portfolio"].to_list()), recorded["bars"].max()
    needed = {
        **dict.fromkeys((COSTS, FEE, HALF_SPREAD, LATENCY, CAPITAL), names - {BUY_AND_HOLD}),
        **dict.fromkeys((UNSHOCKED, VOLATILITY, CORRELATION, GAP, HALTS, STALE, PATH), names),
    }
    found: list[str] = []
    traded = table.filter(pl.col("scenario").is_in(list(needed)))
    for (scenario, level), rows in traded.partition_by("scenario", "level", as_dict=True).items():
        lacking = sorted(needed[str(scenario)] - set(rows["portfolio"].to_list()))
        found += [f"{scenario} {level:g} lacks {name}" for name in lacking]
        short = rows.filter(pl.col("bars") != bars)["bars"].to_list()
        found += [f"{scenario} {level:g} has {count} bars; expected {bars}" for count in short]
    sums = table.select("sum_return", "sum_squared_return", "gains_usd", "costs_usd", "traded_usd")
    is_finite = sums.select(pl.all_horizontal(pl.all().is_finite())).to_series()
    broken = table.filter(~is_finite)["scenario"].unique().sort()
    return [*found, *(f"{scenario} has figures that are not finite" for scenario in broken)]


def shocks_of(given: RedecidedFold, bars: AdjustedBars) -> Iterator[Shock]:
    """Yield what is decided anew on: the window as it was, shocks, outages and resampled paths.

    Where there is one symbol, there is nothing to correlate, and a halt would close the market.
    """
    yield Shock(UNSHOCKED, 0, bars)
    yield Shock(VOLATILITY, VOLATILITY_FACTOR, raise_volatility(bars, VOLATILITY_FACTOR))
    for side in (-1.0, 1.0):
        yield Shock(GAP, side * GAP_DEVIATIONS, open_with_gap(bars, side * GAP_DEVIATIONS))
    yield Shock(STALE, PAUSE_BARS, bars, stalls=True)
    if len(bars.symbols) > 1:
        yield Shock(CORRELATION, CORRELATION_LEVEL, raise_correlation(bars, CORRELATION_LEVEL))
        yield Shock(HALTS, PAUSE_BARS, halt_symbol(bars, _first_traded(bars)))
    sessions, own_bars = bars.window_sessions, given.tables.bars
    for number in range(given.strategy.backtest.stress_paths):
        seed = [given.fold.test_start.toordinal(), number]
        order = draw_order(bars, np.random.default_rng(seed))
        series = reorder_series(given.series, own_bars, sessions, order)
        yield Shock(PATH, number, reorder(bars, order), series)


def _first_traded(bars: AdjustedBars) -> int:
    """Return the column of the first symbol by name that trades throughout, or longest."""
    return int(np.isfinite(bars.close[bars.first_row :]).sum(axis=0).argmax())


def _with_bars(tables: TrainingTables, bars: pl.DataFrame) -> TrainingTables:
    return TrainingTables(bars, tables.actions, tables.features, tables.forecasts)


def _apart_bps(earned: Earned, recorded: Earned) -> float:
    return _BPS * float(earned.returns.mean() - recorded.returns.mean())
