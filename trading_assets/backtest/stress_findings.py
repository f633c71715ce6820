"""How far costs, capital and luck may go before nothing is left of a portfolio, in sentences."""

import math
from collections.abc import Sequence

import polars as pl

from trading_assets.backtest.break_even_costs import EQUAL_WEIGHT
from trading_assets.backtest.cells import number, percent
from trading_assets.backtest.page_parts import Finding
from trading_assets.backtest.report_stress_tables import capital
from trading_assets.backtest.sensitivity import (
    CAPITAL,
    CAPITALS_USD,
    COST_FACTORS,
    COSTS,
    FEE,
    FEES_BPS,
)
from trading_assets.backtest.stress_pool import (
    Left,
    capacity_of,
    costs_left,
    curve_of,
    kinds_of_costs,
    paths_of,
)
from trading_assets.backtest.stress_scenarios import RECORDED


def robustness_finding(tables: Sequence[pl.DataFrame], pooled: pl.DataFrame, name: str) -> Finding:
    """Return how far costs, capital and luck may go before nothing is left of a portfolio.

    Parameters
    ----------
    tables : sequence of DataFrame
        Table `stress` of each fold.
    pooled : DataFrame
        Of `pool_stress`.
    name : str
        Portfolio of an ensemble.
    """
    kind = kinds_of_costs(pooled)[0]
    own = costs_left(tables, pooled, name, kind)
    fee = costs_left(tables, pooled, name, FEE)
    other = costs_left(tables, pooled, name, kind, EQUAL_WEIGHT)
    assert own is not None
    assert fee is not None
    assert other is not None
    evidence = [] if kind == FEE else [f"As a flat fee: {_nothing_left(fee, FEE)}."]
    evidence.append(f"Against {EQUAL_WEIGHT}: {_no_more_left(other, kind)}.")
    evidence.append(_capacity_sentence(pooled, name))
    paths = paths_of(pooled, name)
    if paths is not None:
        low, middle, high = paths.sharpes
        evidence.append(
            f"On {paths.count} resampled paths its Sharpe ratio is {number(low)} to {number(high)}"
            f" (5 to 95 %), median {number(middle)}; {percent(paths.losing, 0)} of them lose and"
            f" {percent(paths.behind, 0)} are behind {EQUAL_WEIGHT}."
        )
        if paths.without_ratio:
            evidence.append(
                f"On {paths.without_ratio} of them it or {EQUAL_WEIGHT} has no Sharpe ratio: how"
                " many are behind is not known, and quantiles are of its own ratios."
            )
    # Of what loses at the declared costs there is nothing to be stressed.
    earned = curve_of(pooled, RECORDED, name, "return_annual")[0.0]
    standing = "behind" if earned <= 0.0 else "unknown"
    return Finding(standing, f"{name}: {_nothing_left(own, kind)}.", " ".join(evidence))


def _nothing_left(left: Left, kind: str) -> str:
    if left.at_least <= 0.0:
        return "nothing is left even before costs"
    if math.isnan(left.at):
        return "at which costs nothing is left is not known, as a return is missing"
    if math.isinf(left.at):
        return f"something is left up to {_most(kind)}"
    return f"nothing is left at {_amount(left.at, kind)}"


def _no_more_left(left: Left, kind: str) -> str:
    if left.at_least <= 0.0:
        return "behind even before costs"
    if math.isnan(left.at):
        return "up to which costs it is ahead is not known, as a return is missing"
    if math.isinf(left.at):
        return f"ahead up to {_most(kind)}"
    return f"ahead of it in mean return up to {_amount(left.at, kind)}"


def _amount(level: float, kind: str) -> str:
    if kind == COSTS:
        return f"{number(level, 1)} times the declared costs"
    return f"{number(level, 1)} bps of what is traded"


def _most(kind: str) -> str:
    if kind == COSTS:
        return f"{COST_FACTORS[-1]:g} times the declared costs"
    return f"{FEES_BPS[-1]:g} bps of what is traded"


def _capacity_sentence(pooled: pl.DataFrame, name: str) -> str:
    found = capacity_of(pooled, name)
    ratios = curve_of(pooled, CAPITAL, name, "sharpe_annual").values()
    if math.isnan(found) and not next(iter(ratios), math.nan) <= 0.0:
        return "Capacity is not known, as a Sharpe ratio is missing at a capital it hangs on."
    if math.isnan(found):
        return "Capacity is not defined, as its Sharpe ratio is not above 0 at the least capital."
    if math.isinf(found):
        return f"Capacity: more than {CAPITALS_USD[-1]:,.0f} USD."
    return f"Capacity: half of its Sharpe ratio is lost at {capital(found)} USD."
