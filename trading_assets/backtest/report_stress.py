"""What the report says of stress: other costs, other conditions, shocks and resampled paths."""

import math
from collections.abc import Sequence
from dataclasses import asdict

import polars as pl

from trading_assets.backtest.break_even_costs import EQUAL_WEIGHT
from trading_assets.backtest.cells import percent
from trading_assets.backtest.conditions import REGIME
from trading_assets.backtest.metrics import BARS_PER_YEAR
from trading_assets.backtest.page_parts import Drawing, Finding, Section
from trading_assets.backtest.report_stress_tables import (
    condition_table,
    left_table,
    scenario_table,
)
from trading_assets.backtest.sensitivity import (
    CAPITAL,
    CAPITALS_USD,
    COSTS,
    FEES_BPS,
    LATENCY,
    MAX_PARTICIPATION,
    SHOWN_FACTORS,
    USUAL_IMPACT,
)
from trading_assets.backtest.stress_chart import Panel, draw_sensitivity
from trading_assets.backtest.stress_findings import robustness_finding
from trading_assets.backtest.stress_pool import (
    capacity_of,
    costs_left,
    curve_of,
    kinds_of_costs,
    paths_of,
    pool_stress,
)
from trading_assets.backtest.stress_scenarios import (
    BUY_AND_HOLD,
    CORRELATION,
    MOST_APART_BPS,
    RECORDED,
    UNSHOCKED,
)
from trading_assets.backtest.track_record import FoldRecord
from trading_assets.strategy import Strategy

TITLE = "Under stress"

_BPS = 1e4


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
    stressed = stressed_tables(folds, strategy)
    tables = list(stressed.values())
    missing = sorted({*expected_folds, *(record.fold.key for record in folds)} - {*stressed})
    lacking = [Finding("unknown", f"Not stressed: {_keys(missing)}.")] if missing else []
    if not tables:
        return Section(TITLE, findings=lacking)
    pooled = pool_stress(tables)
    learned = ensembles_of(strategy)
    shown = [*learned, EQUAL_WEIGHT]
    return Section(
        TITLE,
        findings=[
            *(robustness_finding(tables, pooled, name) for name in learned),
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
    stressed = stressed_tables(folds, strategy)
    tables = list(stressed.values())
    if not tables:
        return {}
    pooled = pool_stress(tables)
    names = [*ensembles_of(strategy), EQUAL_WEIGHT]
    scenarios: dict[str, dict[str, dict[str, object]]] = {}
    for row in pooled.iter_rows(named=True):
        by_level = scenarios.setdefault(row.pop("scenario"), {})
        by_level.setdefault(f"{row.pop('level'):g}", {})[row.pop("portfolio")] = row
    return {
        "folds": list(stressed),
        "scenarios": scenarios,
        "nothing_left": {name: _left_figures(tables, pooled, name, None) for name in names},
        "no_more_than_equal_weight": {
            name: _left_figures(tables, pooled, name, EQUAL_WEIGHT) for name in names[:-1]
        },
        "capacity_usd": {name: _capacity_figures(pooled, name) for name in names},
        "paths": {
            name: asdict(found) for name in names if (found := paths_of(pooled, name)) is not None
        },
    }


def stressed_tables(folds: Sequence[FoldRecord], strategy: Strategy) -> dict[str, pl.DataFrame]:
    """Return table `stress` of each fold that has it of all ensembles, in order of folds."""
    needed = {*ensembles_of(strategy), EQUAL_WEIGHT}
    return {
        record.fold.key: record.stress
        for record in sorted(folds, key=lambda record: record.fold.key)
        if record.stress is not None and needed <= set(record.stress["portfolio"].to_list())
    }


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


def _capacity_figures(pooled: pl.DataFrame, name: str) -> dict[str, float | None]:
    found = capacity_of(pooled, name)
    return {"at": found, "above": CAPITALS_USD[-1] if math.isinf(found) else None}


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
    return max(abs(a - b) for a, b in zip(*means, strict=True)) * _BPS / BARS_PER_YEAR


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
        "Volatility: log returns about their mean, and the range within bars; simple returns rise"
        " by themselves, with their variance. Gap: every symbol at one open in mid-window, by"
        " deviations of its returns. Stale feed: features and forecasts stand still for 5 sessions,"
        " four times a year. Paths: bars of each window in resampled blocks, all symbols together.",
        _note_on_several(pooled),
        "Terciles: EWMA volatility of the mean return of all symbols, with edges from each fold's"
        f" train window. {regimes}",
    ]


def _note_on_several(pooled: pl.DataFrame) -> str:
    if CORRELATION not in set(pooled["scenario"].to_list()):
        return "Correlation and halts are not judged: the universe has one symbol."
    return (
        "Correlation: the mean of all pairs of symbols. Halts: the first symbol by name has no bars"
        " for 5 sessions, twice a year."
    )


def _keys(keys: Sequence[str]) -> str:
    return f"fold{'s' if len(keys) > 1 else ''} {', '.join(keys)}"
