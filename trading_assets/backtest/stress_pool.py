"""Stress of all folds together: figures of each scenario, break-even costs, capacity and paths."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from trading_assets.backtest.break_even import crossing
from trading_assets.backtest.break_even_costs import BREAK_EVEN, EQUAL_WEIGHT, MATCHING
from trading_assets.backtest.metrics import BARS_PER_YEAR
from trading_assets.backtest.sensitivity import CAPITAL, COSTS, FEE
from trading_assets.backtest.steady_groups import sum_groups
from trading_assets.backtest.stress_scenarios import PATH


@dataclass(frozen=True, slots=True)
class Left:
    """Where nothing is left of a portfolio's net return, or no more than equal weights earn.

    Attributes
    ----------
    at : float
        Over all folds; inf where something is left at the highest cost, nan where nothing is at the
        lowest or where a return that it hangs on is not known.
    by_fold : tuple of float
        Of the folds that have one.
    at_least : float
        Mean return at the lowest cost, a year.
    at_most : float
        Mean return at the highest cost that was tried, a year.
    """

    at: float
    by_fold: tuple[float, ...]
    at_least: float
    at_most: float


@dataclass(frozen=True, slots=True)
class Paths:
    """Resampled paths of one portfolio, each over all folds.

    Attributes
    ----------
    count : int
        Paths.
    sharpes : tuple of float
        Quantiles 5, 50 and 95 % of their annual Sharpe ratios.
    losing : float
        Share of paths with a mean return below 0; nan if one has none.
    behind : float
        Share of paths with a lower Sharpe ratio than equal weights have on the same path; nan if
        one of the two has none on a path.
    without_ratio : int
        Paths on which one of the two has no Sharpe ratio; quantiles are of its own ratios.
    """

    count: int
    sharpes: tuple[float, float, float]
    losing: float
    behind: float
    without_ratio: int


def pool_stress(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return figures of each scenario, level and portfolio over all folds.

    Returns and their squares are added up over folds, so means, deviations and Sharpe ratios are
    those of the chained bars.

    Parameters
    ----------
    tables : sequence of DataFrame
        Table `stress` of each fold, one or more.

    Returns
    -------
    DataFrame
        The key, `folds`, `bars`, `return_annual` (252 times the mean), `sharpe_annual` (null
        without variance), `worst_drawdown` (the largest within a fold), and sums in USD.
    """
    keys = ["scenario", "level", "portfolio"]
    every = pl.concat(tables)
    summed = ("bars", "sum_return", "sum_squared_return", "gains_usd", "costs_usd", "traded_usd")
    worst = every.group_by(keys).agg(pl.len().alias("folds"), pl.col("worst_drawdown").max())
    pooled = (
        sum_groups(every, keys, {name: pl.col(name) for name in summed})
        .join(worst, on=keys, nulls_equal=True)
        .sort(keys)
    )
    n, total = pl.col("bars"), pl.col("sum_return")
    spread = (pl.col("sum_squared_return") - total**2 / n) / (n - 1)
    # Equal returns leave rounding, not a variance.
    varies = (n > 1) & (spread > 1e-20 + 1e-14 * pl.col("sum_squared_return") / n)
    return pooled.with_columns(
        return_annual=BARS_PER_YEAR * total / n,
        sharpe_annual=pl.when(varies).then(math.sqrt(BARS_PER_YEAR) * total / n / spread.sqrt()),
    ).drop("sum_return", "sum_squared_return")


def curve_of(
    pooled: pl.DataFrame, scenario: str, portfolio: str, measure: str
) -> dict[float, float]:
    """Return a figure by level, ascending; nan where the data define none."""
    own = pooled.filter((pl.col("scenario") == scenario) & (pl.col("portfolio") == portfolio))
    values = own.sort("level").select("level", pl.col(measure).cast(pl.Float64).fill_null(math.nan))
    return dict(values.iter_rows())


def costs_left(
    tables: Sequence[pl.DataFrame],
    pooled: pl.DataFrame,
    portfolio: str,
    kind: str,
    benchmark: str | None = None,
) -> Left | None:
    """Return at which costs a portfolio's mean net return is 0, or a benchmark's.

    Over all folds it is where the curve through the levels traded falls to 0; of each fold it was
    found on the engine.

    Parameters
    ----------
    tables : sequence of DataFrame
        Table `stress` of each fold.
    pooled : DataFrame
        Of `pool_stress`.
    portfolio : str
        Whose return it is.
    kind : str
        Scenario whose levels are the costs: a factor on those declared, or a flat fee.
    benchmark : str, optional
        `equal_weight`.

    Returns
    -------
    Left or None
        None where the scenario is not among the tables.
    """
    own = curve_of(pooled, kind, portfolio, "return_annual")
    if not own:
        return None
    levels, values = list(own), list(own.values())
    if benchmark is not None:
        other = curve_of(pooled, kind, benchmark, "return_annual")
        values = [own[level] - other[level] for level in levels]
    scenario = f"{BREAK_EVEN if benchmark is None else MATCHING}_{kind}"
    found = [
        level
        for table in tables
        for level in table.filter(
            (pl.col("scenario") == scenario) & (pl.col("portfolio") == portfolio)
        )["level"].to_list()
    ]
    return Left(crossing(levels, values), tuple(sorted(found)), values[0], values[-1])


def capacity_usd(sharpes: Mapping[float, float]) -> float:
    """Return the capital at which half of the Sharpe ratio at the smallest capital is lost, USD.

    Interpolated on the logarithm of the capital.

    Parameters
    ----------
    sharpes : mapping of float to float
        Sharpe ratio by capital, ascending.

    Returns
    -------
    float
        `inf` where less is lost at the largest capital; `nan` where the first ratio is not above 0,
        or where one is not known that lies before half is lost.
    """
    capitals, ratios = np.array(list(sharpes)), np.array(list(sharpes.values()))
    if not len(ratios) or not ratios[0] > 0.0:
        return math.nan
    return 10.0 ** crossing(np.log10(capitals).tolist(), (ratios - 0.5 * ratios[0]).tolist())


def capacity_of(pooled: pl.DataFrame, portfolio: str) -> float:
    """Return the capacity of a portfolio, USD, as `capacity_usd` does."""
    return capacity_usd(curve_of(pooled, CAPITAL, portfolio, "sharpe_annual"))


def paths_of(pooled: pl.DataFrame, portfolio: str) -> Paths | None:
    """Return what a portfolio earned on resampled paths; None where none was drawn."""
    returns = np.array(list(curve_of(pooled, PATH, portfolio, "return_annual").values()))
    if not len(returns):
        return None
    own = curve_of(pooled, PATH, portfolio, "sharpe_annual")
    other = curve_of(pooled, PATH, EQUAL_WEIGHT, "sharpe_annual")
    sharpes = np.array(list(own.values()))
    others = np.array([other.get(path, math.nan) for path in own])
    # A path without a number is on neither side of what it is held against.
    is_known = ~np.isnan(sharpes - others)
    known = sharpes[~np.isnan(sharpes)]
    low, middle, high = (
        np.quantile(known, (0.05, 0.5, 0.95)) if len(known) else (math.nan, math.nan, math.nan)
    )
    return Paths(
        count=len(returns),
        sharpes=(float(low), float(middle), float(high)),
        losing=math.nan if np.isnan(returns).any() else float((returns < 0.0).mean()),
        behind=float((sharpes < others).mean()) if is_known.all() else math.nan,
        without_ratio=int((~is_known).sum()),
    )


def kinds_of_costs(pooled: pl.DataFrame) -> list[str]:
    """Return the scenarios of costs that were traded: a factor where any is declared, a fee."""
    stored = set(pooled["scenario"].to_list())
    return [kind for kind in (COSTS, FEE) if kind in stored]
