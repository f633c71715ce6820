"""The tables of the report's section on stress."""

import math
from collections.abc import Mapping, Sequence
from html import escape

import polars as pl

from trading_assets.backtest.break_even_costs import EQUAL_WEIGHT
from trading_assets.backtest.cells import DASH, number, percent
from trading_assets.backtest.conditions import CRISIS, REGIME, TERCILE
from trading_assets.backtest.crisis_windows import CRISIS_WINDOWS
from trading_assets.backtest.market_regimes import REGIME_NAMES, TERCILE_NAMES
from trading_assets.backtest.page_parts import Table
from trading_assets.backtest.sensitivity import (
    CAPITALS_USD,
    COST_FACTORS,
    COSTS,
    FEE,
    FEES_BPS,
    HALF_SPREAD,
)
from trading_assets.backtest.stress_pool import Left, Paths, capacity_of, costs_left, paths_of
from trading_assets.backtest.stress_scenarios import (
    CORRELATION,
    GAP,
    HALTS,
    RECORDED,
    STALE,
    UNSHOCKED,
    VOLATILITY,
)

# Scenario, level and how the page calls it; those that are not stored are left out.
_SCENARIOS = (
    (RECORDED, None, "As recorded"),
    (UNSHOCKED, None, "As it was, decided anew"),
    (VOLATILITY, None, "Volatility x {level:g}"),
    (CORRELATION, None, "Correlation {level:g}"),
    (GAP, -3.0, "Gap of {level:g} deviations"),
    (GAP, 3.0, "Gap of +{level:g} deviations"),
    (HALTS, None, "Halts of one symbol"),
    (STALE, None, "Stale feed"),
    (HALF_SPREAD, None, "Half spread x {level:g}"),
    (COSTS, 2.0, "All costs x {level:g}"),
    (COSTS, 5.0, "All costs x {level:g}"),
)
_TERCILES = tuple(
    (TERCILE, float(place), f"Volatility: {name}") for place, name in enumerate(TERCILE_NAMES, 1)
)
_REGIMES = tuple(
    (REGIME, float(place), f"Regime: {name}") for place, name in enumerate(REGIME_NAMES, 1)
)
_CRISES = tuple(
    (f"{CRISIS}{crisis.name}", None, f"{crisis.name[0].upper()}{crisis.name[1:]}")
    for crisis in CRISIS_WINDOWS
)


def scenario_table(pooled: pl.DataFrame, portfolios: Sequence[str]) -> Table:
    """Return what portfolios earned in each scenario, resampled paths last."""
    rows = _rows(pooled, portfolios, _SCENARIOS)
    paths = {name: paths_of(pooled, name) for name in portfolios}
    drawn = [found.count for found in paths.values() if found is not None]
    if drawn:
        label = f"{drawn[0]} resampled paths, median"
        rows.append([label, *(_paths_cell(paths[name]) for name in portfolios)])
    return Table(
        caption=(
            "Annual Sharpe ratio; small print: mean return a year and the worst drawdown within a"
            " fold, of paths 5 to 95 % of Sharpe ratios"
        ),
        header=["Scenario", *(escape(name) for name in portfolios)],
        rows=rows,
    )


def condition_table(pooled: pl.DataFrame, portfolios: Sequence[str]) -> Table:
    """Return what portfolios earned under each condition that was met."""
    conditions = (*_TERCILES, *_REGIMES, *_CRISES)
    return Table(
        caption=(
            "As recorded, by what was known at the close before; small print: mean return a year"
            " and, of crises, the worst drawdown"
        ),
        header=["Condition", *(escape(name) for name in portfolios), "Bars"],
        rows=_rows(pooled, portfolios, conditions, shows_bars=True),
    )


def left_table(
    tables: Sequence[pl.DataFrame], pooled: pl.DataFrame, portfolios: Sequence[str]
) -> Table:
    """Return the costs at which portfolios earn nothing, or no more than equal weights."""
    rows: list[list[str]] = []
    for name in portfolios:
        cells = [
            _left_cell(costs_left(tables, pooled, name, kind, benchmark), kind)
            if name != benchmark
            else DASH
            for kind in (COSTS, FEE)
            for benchmark in (None, EQUAL_WEIGHT)
        ]
        rows.append([escape(name), *cells, capital(capacity_of(pooled, name))])
    return Table(
        caption="Costs at which the mean net return is gone; small print: in single folds",
        header=[
            "Portfolio",
            "Nothing left, x costs",
            "No more than equal_weight, x costs",
            "Nothing left, fee in bps",
            "No more than equal_weight, fee in bps",
            "Capacity, USD",
        ],
        rows=rows,
    )


def capital(usd: float) -> str:
    """Return a capacity as a cell, to two significant digits."""
    if math.isnan(usd):
        return f'{DASH}<span class="interval">not defined</span>'
    most = CAPITALS_USD[-1]
    return f"above {most:,.0f}" if math.isinf(usd) else f"{float(f'{usd:.2g}'):,.0f}"


def _rows(
    pooled: pl.DataFrame,
    portfolios: Sequence[str],
    wanted: Sequence[tuple[str, float | None, str]],
    *,
    shows_bars: bool = False,
) -> list[list[str]]:
    rows: list[list[str]] = []
    for scenario, level, label in wanted:
        found = pooled.filter(pl.col("scenario") == scenario)
        if level is not None:
            found = found.filter(pl.col("level") == level)
        if found.is_empty():
            continue
        by_portfolio = {row["portfolio"]: row for row in found.iter_rows(named=True)}
        first = next(iter(by_portfolio.values()))
        bars = [number(first["bars"], 0)] if shows_bars else []
        cells = [_cell(by_portfolio.get(name)) for name in portfolios]
        rows.append(
            [
                escape(label.format(level=first["level"])).replace("-", "\N{MINUS SIGN}"),
                *cells,
                *bars,
            ]
        )
    return rows


def _cell(row: Mapping[str, float | None] | None) -> str:
    if row is None:
        return DASH
    ratio, worst = row["sharpe_annual"], row["worst_drawdown"]
    earned = f"{percent(row['return_annual'] or 0.0)} a year"
    lost = "" if worst is None else f", {percent(worst)} down"
    shown = DASH if ratio is None else number(ratio)
    return f'{shown}<span class="interval">{earned}{lost}</span>'


def _paths_cell(paths: Paths | None) -> str:
    if paths is None:
        return DASH
    low, middle, high = paths.sharpes
    return f'{number(middle)}<span class="interval">{number(low)} to {number(high)}</span>'


def _left_cell(left: Left | None, kind: str) -> str:
    if left is None:
        return DASH
    if left.at_least <= 0.0:
        shown = "none"
    elif math.isnan(left.at):
        return f'{DASH}<span class="interval">not known</span>'
    elif math.isinf(left.at):
        shown = f"above {COST_FACTORS[-1] if kind == COSTS else FEES_BPS[-1]:g}"
    else:
        shown = number(left.at, 1)
    if len(left.by_fold) < 2:
        return shown
    low, high = number(left.by_fold[0], 1), number(left.by_fold[-1], 1)
    return f'{shown}<span class="interval">{low} to {high}</span>'
