"""What the report says of stress: other costs, other conditions, shocks and resampled paths."""

import math
from collections.abc import Sequence
from dataclasses import asdict

import polars as pl

from trading_assets.backtest.break_even_costs import EQUAL_WEIGHT
from trading_assets.backtest.cells import number, percent
from trading_assets.backtest.conditions import REGIME
from trading_assets.backtest.page_parts import Drawing, Finding, Section
from trading_assets.backtest.report_stress_tables import (
    capital,
    condition_table,
    left_table,
    scenario_table,
)
from trading_assets.backtest.sensitivity import (
    CAPITAL,
    COST_FACTORS,
    COSTS,
    FEE,
    FEES_BPS,
    LATENCY,
    MAX_PARTICIPATION,
    SHOWN_FACTORS,
    USUAL_IMPACT,
)
from trading_assets.backtest.stress import BUY_AND_HOLD, MOST_APART_BPS, RECORDED, UNSHOCKED
from trading_assets.backtest.stress_chart import Panel, draw_sensitivity
from trading_assets.backtest.stress_pool import (
    Left,
    capacity_of,
    costs_left,
    curve_of,
    kinds_of_costs,
    paths_of,
    pool_stress,
)
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.strategy import Strategy

TITLE = "Under stress"

_BPS = 1e4
_BARS_PER_YEAR = 252


def stress_section(
    folds: Sequence[FoldRecord], expected_folds: Sequence[str], strategy: Strategy
) -> Section:
    """Return the section on stress; folds without it are named.

    Parameters
    ----------
    folds : sequence of FoldRecord
        In any order.
    expected_folds : sequence of str
        Keys of the folds that should exist.
    strategy : Strategy
        Agents and costs.
    """
    tables = stressed_tables(folds)
    missing = sorted(
        {*expected_folds, *(record.fold.key for record in folds)}
        - {record.fold.key for record in folds if record.stress is not None}
    )
    lacking = [Finding("unknown", f"Not stressed: {_keys(missing)}.")] if missing else []
    if not tables:
        return Section(TITLE, findings=lacking)
    pooled = pool_stress(tables)
    learned = ensembles_of(strategy)
    shown = [*learned, EQUAL_WEIGHT]
    return Section(
        TITLE,
        findings=[
            *(_finding(tables, pooled, name) for name in learned),
            *_apart_findings(pooled),
            *lacking,
        ],
        notes=_notes(pooled, strategy),
        tables=[
            scenario_table(pooled, [*shown, BUY_AND_HOLD]),
            left_table(tables, pooled, shown),
            condition_table(pooled, [*shown, BUY_AND_HOLD]),
        ],
        drawings=[
            Drawing(
                draw_sensitivity(_panels(pooled, shown)),
                "Recorded target weights traded again: at other costs, with more bars from the"
                " decision to its fill, from another capital.",
            )
        ],
    )


def stress_figures(folds: Sequence[FoldRecord], strategy: Strategy) -> dict[str, object]:
    """Return what the section shows under machine names; empty without a stressed fold."""
    tables = stressed_tables(folds)
    if not tables:
        return {}
    pooled = pool_stress(tables)
    names = [*ensembles_of(strategy), EQUAL_WEIGHT]
    scenarios: dict[str, dict[str, dict[str, object]]] = {}
    for row in pooled.iter_rows(named=True):
        by_level = scenarios.setdefault(row.pop("scenario"), {})
        by_level.setdefault(f"{row.pop('level'):g}", {})[row.pop("portfolio")] = row
    return {
        "folds": sorted(record.fold.key for record in folds if record.stress is not None),
        "scenarios": scenarios,
        "nothing_left": {name: _left_figures(tables, pooled, name, None) for name in names},
        "no_more_than_equal_weight": {
            name: _left_figures(tables, pooled, name, EQUAL_WEIGHT) for name in names[:-1]
        },
        "capacity_usd": {name: capacity_of(pooled, name) for name in names},
        "paths": {
            name: asdict(found) for name in names if (found := paths_of(pooled, name)) is not None
        },
    }


def stressed_tables(folds: Sequence[FoldRecord]) -> list[pl.DataFrame]:
    """Return table `stress` of each fold that has it, in order of folds."""
    ordered = sorted(folds, key=lambda record: record.fold.key)
    return [record.stress for record in ordered if record.stress is not None]


def ensembles_of(strategy: Strategy) -> list[str]:
    """Return the portfolios of ensembles, that of all agents first."""
    agents = sorted(strategy.policy.agents)
    every = ["ensemble"] if len(agents) > 1 else []
    return [*every, *(f"{agent}/ensemble" for agent in agents)]


def _left_figures(
    tables: Sequence[pl.DataFrame], pooled: pl.DataFrame, name: str, benchmark: str | None
) -> dict[str, object]:
    found = {
        kind: costs_left(tables, pooled, name, kind, benchmark) for kind in kinds_of_costs(pooled)
    }
    return {kind: asdict(left) for kind, left in found.items() if left is not None}


def _finding(tables: Sequence[pl.DataFrame], pooled: pl.DataFrame, name: str) -> Finding:
    """Return how far costs, capital and luck may go before nothing is left of a portfolio."""
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
    # Of what loses at the declared costs there is nothing to be stressed.
    earned = curve_of(pooled, RECORDED, name, "return_annual")[0.0]
    standing = "unknown" if earned > 0.0 else "behind"
    return Finding(standing, f"{name}: {_nothing_left(own, kind)}.", " ".join(evidence))


def _nothing_left(left: Left, kind: str) -> str:
    if not left.at_least > 0.0:
        return "nothing is left even before costs"
    if math.isnan(left.at):
        return f"something is left up to {_most(kind)}"
    return f"nothing is left at {_amount(left.at, kind)}"


def _no_more_left(left: Left, kind: str) -> str:
    if not left.at_least > 0.0:
        return "behind even before costs"
    if math.isnan(left.at):
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
    if math.isnan(found):
        return "Capacity is not defined, as its Sharpe ratio is not above 0 at the least capital."
    return f"Capacity: half of its Sharpe ratio is lost at {capital(found)} USD."


def _apart_findings(pooled: pl.DataFrame) -> list[Finding]:
    apart = _apart_bps(pooled)
    if apart <= MOST_APART_BPS:
        return []
    return [
        Finding(
            "unknown",
            f"The unshocked path earns {apart:.2f} bps a bar more or less than was recorded.",
            "Compare shocks with it rather than with the record.",
        )
    ]


def _apart_bps(pooled: pl.DataFrame) -> float:
    """Return the largest difference of a mean return between the unshocked path and the record."""
    names = pooled.filter(pl.col("scenario") == UNSHOCKED)["portfolio"].to_list()
    means = [
        [curve_of(pooled, scenario, name, "return_annual")[0.0] for name in names]
        for scenario in (UNSHOCKED, RECORDED)
    ]
    return max(abs(a - b) for a, b in zip(*means, strict=True)) * _BPS / _BARS_PER_YEAR


def _panels(pooled: pl.DataFrame, portfolios: Sequence[str]) -> list[Panel]:
    kind = kinds_of_costs(pooled)[0]
    shown = SHOWN_FACTORS if kind == COSTS else [fee for fee in FEES_BPS if fee <= 20.0]
    costs = {
        name: {
            level: ratio
            for level, ratio in curve_of(pooled, kind, name, "sharpe_annual").items()
            if level in shown
        }
        for name in portfolios
    }
    latency, capitals = (
        {name: curve_of(pooled, scenario, name, "sharpe_annual") for name in portfolios}
        for scenario in (LATENCY, CAPITAL)
    )
    title = "Costs, times those declared" if kind == COSTS else "Flat fee, bps of what is traded"
    return [
        Panel(title, costs),
        Panel("Latency, bars", latency),
        Panel("Capital at the start, USD", capitals, is_logarithmic=True),
    ]


def _notes(pooled: pl.DataFrame, strategy: Strategy) -> list[str]:
    impact = strategy.costs.impact_coefficient
    coefficient = (
        f"the declared impact coefficient {impact:g}"
        if impact
        else f"an impact coefficient of {USUAL_IMPACT:g}, as none is declared,"
    )
    regimes = (
        "Regimes: the likeliest by the features regime_calm and regime_stressed."
        if REGIME in set(pooled["scenario"].to_list())
        else "Regimes are not judged: the features regime_calm and regime_stressed are not"
        " declared."
    )
    return [
        "Costs, latency and capital: the recorded target weights are held fixed and traded again;"
        " an agent that had known of it might have decided otherwise. Over all folds what is left"
        " is read off the curve, of single folds it is found on the engine.",
        f"Capital: {coefficient} and at most {percent(MAX_PARTICIPATION, 0)} of a bar's volume"
        " filled. Capacity: where half of the Sharpe ratio at 10,000 USD is lost.",
        "Shocks and paths: features are computed from the changed prices, the fold's forecaster"
        " predicts and its policies decide; nothing is fitted again. Splits and dividends are"
        " worked into these prices: as it was, decided anew, differs from the record by at most"
        f" {_apart_bps(pooled):.2f} bps a bar.",
        "Volatility: log returns about their mean, and the range within bars. Correlation: the mean"
        " of all pairs of symbols. Gap: every symbol at one open in mid-window, by deviations of"
        " its returns. Halts: the first symbol has no bars for 5 sessions, twice a year. Stale"
        " feed: features and forecasts stand still for 5 sessions, four times a year. Paths: bars"
        " of each window in resampled blocks, all symbols together.",
        "Terciles: EWMA volatility of the mean return of all symbols, with edges from each fold's"
        f" train window. {regimes}",
    ]


def _keys(keys: Sequence[str]) -> str:
    return f"fold{'s' if len(keys) > 1 else ''} {', '.join(keys)}"
